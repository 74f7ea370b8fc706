"""Made-up tables that the benchmarks of vector tiles and of tables share."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from fused_jupyter.formats import TileFrame
from fused_jupyter.tiles import Tile


def frame(z: int, x: int, y: int) -> TileFrame:
    place = Tile(z, x, y)
    return TileFrame(z=z, x=x, y=y, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


FRAME = frame(12, 655, 1583)


def shapes(count: int) -> dict[str, Any]:
    """Buildings, places and winding roads in the tile."""
    random = np.random.default_rng(0)
    west, south, east, north = FRAME.bounds
    size = np.array([east - west, north - south])
    centres = np.array([west, south]) + random.random((count, 2)) * size
    angles = np.linspace(0, 2 * np.pi, 9)[:-1] + random.random((count, 1))
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=2) * size * 0.006
    walk = np.cumsum(random.normal(0, 0.004, (count, 20, 2)), axis=1) * size
    return {
        "polygons": shapely.polygons(centres[:, None] + ring),
        "points": shapely.points(centres),
        "lines": shapely.linestrings(centres[:, None] + walk),
    }


def attributes(count: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {
        "id": np.arange(count),
        "name": [f"building {number}" for number in range(count)],
        "use": random.choice(["home", "shop", "school", "barn"], count),
        "height": random.integers(0, 300, count) / 10,
        "area": random.random(count) * 1000,
    }
