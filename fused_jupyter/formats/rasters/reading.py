"""Every value that is a picture as a `Raster`: arrays, xarray objects, images, and the bytes of pictures."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.kinds import Kind, kind_of, type_name
from fused_jupyter.formats.rasters.grids import raster_of_xarray, upright_xarray
from fused_jupyter.formats.rasters.images import raster_of_bytes, raster_of_image
from fused_jupyter.formats.rasters.raster import WGS84, Raster, Sides, bands_first

if TYPE_CHECKING:
    from fused_jupyter.formats.frame import TileFrame

_SMALLEST = 1e-9
"""Degrees that a raster is wide and high at least: a tenth of a millimetre."""


def to_raster(value: Any, tile: TileFrame | None = None) -> Raster:
    """The raster behind a value of kind ARRAY, RASTER or PICTURE.

    Bands may come first or last, see `bands_first`. Of leading dimensions beyond three the first of each is taken.

    Args:
        value: what the UDF returned.
        tile: what the raster is for; what is read from a file or computed by need may be cut to its surroundings.

    Raises:
        UdfSerializationError: complex or non-numeric pixels, fewer than two dimensions, bounds of no rectangle.
    """
    if isinstance(value, tuple):
        return _raster_with_bounds(*value)
    if isinstance(value, np.ndarray):
        return _raster_of_array(value)
    if isinstance(value, bytes | bytearray | memoryview | BytesIO):
        return raster_of_bytes(value, tile)
    if hasattr(value, "getbands"):
        return raster_of_image(value)
    return raster_of_xarray(value, tile)


def read_bounds(bounds: Any) -> Sides:
    """Bounds as they were returned beside an array, in degrees; an east below the west is counted on.

    Raises:
        UdfSerializationError: no rectangle.

    >>> read_bounds([170, -20, -170, 20])
    (170.0, -20.0, 190.0, 20.0)
    """
    if kind_of(bounds) is Kind.GEOMETRIES:
        from fused_jupyter.formats.tabular.frames import to_frame

        frame: Any = to_frame(bounds)
        bounds = frame.total_bounds
    try:
        west, south, east, north = (float(side) for side in bounds)
    except (TypeError, ValueError) as exc:
        raise UdfSerializationError(f"The UDF returned an array with {type_name(bounds)} as bounds: {exc}") from exc
    eastern = east + 360.0 if east < west else east
    # Written so that NaN is refused as well.
    if not (isfinite(west + east + south + north) and eastern - west >= _SMALLEST and north - south >= _SMALLEST):
        raise UdfSerializationError(
            f"The UDF returned an array with bounds {[west, south, east, north]}; need (west, south, east, north) in"
            " degrees, with south below north"
        )
    return west, south, eastern, north


def _raster_with_bounds(array: Any, bounds: Any) -> Raster:
    # The bounds win over a place that the array knows; only which way is north is still its own to say.
    if hasattr(array, "dims"):
        array = upright_xarray(array)
    return replace(to_raster(array), bounds=read_bounds(bounds), crs=WGS84, misplaced="")


def _raster_of_array(array: NDArray[Any]) -> Raster:
    data = bands_first(array)
    mask = np.ma.getmask(data)
    return Raster(data=np.ma.getdata(data), mask=np.asarray(mask) if np.ndim(mask) else None)
