"""All that is a picture, as one value: bands, what is transparent, and where on Earth it lies."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.kinds import Kind, kind_of, type_name

Sides = tuple[float, float, float, float]

WGS84: Final = "EPSG:4326"
_MOST_BANDS: Final = 4
_ONE_BAND_MODES: Final = frozenset({"1", "L", "I", "I;16", "F"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Raster:
    """Pixels with the north up, and their place if they know one."""

    data: NDArray[Any]
    """Pixels, shape (bands, height, width); bool, integers or floats."""
    mask: NDArray[np.bool_] | None = None
    """True where there is no data, shape (height, width). NaN counts as no data beside it."""
    bounds: Sides | None = None
    """(west, south, east, north) of the outer edges in the units of `crs`; None: it covers whatever is asked for."""
    crs: str = WGS84
    """Anything that names a CRS: ``EPSG:…`` or WKT."""
    domain: tuple[float, float] | None = None
    """The least and greatest value that the data can have, where its author says."""

    def __post_init__(self) -> None:
        if self.data.ndim != 3 or self.data.dtype.kind not in "buif":
            raise UdfSerializationError(
                f"The UDF returned an array of {self.data.dtype} with shape {self.data.shape}; a picture needs bool,"
                " integers or floats with shape (height, width), (bands, height, width) or (height, width, bands)"
            )


def to_raster(value: Any) -> Raster:
    """The raster behind a value of kind RASTER.

    Three dimensions are (bands, height, width) if the first is at most 4, else (height, width, bands) if the last is;
    of more bands than 4 the shorter end counts. Leading dimensions of length 1 are dropped.

    Raises:
        UdfSerializationError: complex or non-numeric pixels, another number of dimensions, bounds of no rectangle.
    """
    if isinstance(value, tuple):
        array, bounds = value
        raster = to_raster(array)
        return Raster(data=raster.data, mask=raster.mask, bounds=_read_bounds(bounds), domain=raster.domain)
    if isinstance(value, np.ndarray):
        return _raster_of_array(value)
    if hasattr(value, "getbands"):
        return _raster_of_image(value)
    from fused_jupyter.formats.grids import raster_of_xarray

    return raster_of_xarray(value)


def bands_first(pixels: Any) -> NDArray[Any]:
    """The array with shape (bands, height, width); see `to_raster` for how the order is told."""
    array: NDArray[Any] = np.asarray(pixels)
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        return array[None]
    if array.ndim != 3 or array.shape[0] <= _MOST_BANDS:
        return array
    if array.shape[2] <= _MOST_BANDS or array.shape[2] < array.shape[0]:
        return np.moveaxis(array, 2, 0)
    return array


def any_band(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """True where any band of (bands, height, width) is."""
    return np.asarray(mask[0] if len(mask) == 1 else mask.any(axis=0), dtype=np.bool_)


def _raster_of_array(array: NDArray[Any]) -> Raster:
    data = bands_first(array)
    mask: NDArray[np.bool_] | None = None
    if isinstance(array, np.ma.MaskedArray) and array.mask is not np.ma.nomask:
        mask = any_band(bands_first(np.ma.getmaskarray(array)))
    return Raster(data=data, mask=mask)


def _raster_of_image(image: Any) -> Raster:
    # Via RGBA, so that a black pixel of a picture stays black: the rule that black is empty is for arrays.
    as_it_is = image.mode in _ONE_BAND_MODES
    return Raster(data=bands_first(image if as_it_is else image.convert("RGBA")))


def _read_bounds(bounds: Any) -> Sides:
    if kind_of(bounds) is Kind.GEOMETRIES:
        from fused_jupyter.formats.frames import to_frame

        frame: Any = to_frame(bounds)
        bounds = frame.total_bounds
    try:
        west, south, east, north = (float(side) for side in bounds)
    except (TypeError, ValueError) as exc:
        raise UdfSerializationError(f"The UDF returned an array with {type_name(bounds)} as bounds: {exc}") from exc
    if not all(isfinite(side) for side in (west, south, east, north)) or south >= north or west == east:
        raise UdfSerializationError(
            f"The UDF returned an array with bounds {[west, south, east, north]}; need (west, south, east, north) in"
            " degrees, with south below north"
        )
    return west, south, east + 360.0 if east < west else east, north
