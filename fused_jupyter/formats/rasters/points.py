"""The pixel of a raster at a place on Earth, as it is: nothing is resampled."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import atanh, floor, radians, sin
from typing import Any

from fused_jupyter.formats.rasters.placement import DEGREES, EARTH_RADIUS, METRES, epsg_of
from fused_jupyter.formats.rasters.raster import Raster

_TURNS = (0.0, 360.0, -360.0)
"""A raster across the antimeridian may count on, to 190 for -170."""


def pixel_at(raster: Raster, longitude: float, latitude: float) -> Raster | None:
    """The pixel there, as a raster of shape (bands, 1, 1); None where the raster has none.

    Args:
        raster: with bounds, in a CRS that is known.
        longitude: degrees of EPSG:4326.
        latitude: the same.
    """
    if raster.bounds is None:
        return None
    west, south, east, north = raster.bounds
    _, height, width = raster.data.shape
    for x, y in _in_crs(raster.crs, longitude, latitude):
        if not (west <= x < east and south < y <= north):  # false for the infinities beyond a projection's end
            continue
        column = min(width - 1, floor((x - west) / (east - west) * width))
        row = min(height - 1, floor((north - y) / (north - south) * height))
        here = (slice(None), slice(row, row + 1), slice(column, column + 1))
        mask = None if raster.mask is None else raster.mask[here]
        return replace(raster, data=raster.data[here], mask=mask, bounds=None)
    return None


def _in_crs(crs: str, longitude: float, latitude: float) -> list[tuple[float, float]]:
    """The place in the units of a CRS; several where the globe may be counted around."""
    epsg = epsg_of(crs)
    if epsg == DEGREES:
        return [(longitude + turn, latitude) for turn in _TURNS]
    if epsg == METRES and abs(latitude) < 90:
        y = EARTH_RADIUS * atanh(sin(radians(latitude)))
        return [(EARTH_RADIUS * radians(longitude + turn), y) for turn in _TURNS]
    x, y = _transformer(crs).transform(longitude, latitude)
    return [(x, y)]


@lru_cache(maxsize=16)
def _transformer(crs: str) -> Any:
    from pyproj import Transformer

    return Transformer.from_crs(f"EPSG:{DEGREES}", crs, always_xy=True)
