"""Where a tile lies, as plain values; the engines fill it from `tiles.Tile`, which formats do not know."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from fused_jupyter.errors import TileError

if TYPE_CHECKING:
    from fused_jupyter.types import Bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class TileFrame:
    """The frame that a tile's picture or features are placed in."""

    z: int
    x: int
    y: int
    bounds: Bounds
    """(west, south, east, north) in degrees, EPSG:4326."""
    mercator_bounds: tuple[float, float, float, float]
    """(west, south, east, north) in metres, EPSG:3857."""

    def __post_init__(self) -> None:
        west, south, east, north = self.mercator_bounds
        if not all(isfinite(side) for side in self.mercator_bounds) or west >= east or south >= north:
            raise TileError(f"tile {self.z}/{self.x}/{self.y}: mercator bounds {self.mercator_bounds} enclose no area")
