"""All that is a picture, as one value: bands, what is transparent, and where on Earth it lies."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import reduce
from math import isfinite
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import UdfSerializationError

Sides = tuple[float, float, float, float]
Mask = NDArray[np.bool_]

WGS84: Final = "EPSG:4326"
_MOST_BANDS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Raster:
    """Pixels with the north up, and their place if they know one."""

    data: NDArray[Any]
    """Pixels, shape (bands, height, width); bool, integers or floats."""
    mask: Mask | None = None
    """True where there is no data, shape (1 or bands, height, width). NaN and `nodata` count as no data beside it."""
    nodata: float | None = None
    """A pixel that has this value in all bands is no data."""
    bounds: Sides | None = None
    """(west, south, east, north) of the outer edges in the units of `crs`; None: it covers whatever is asked for."""
    crs: str = WGS84
    """Anything that names a CRS: ``EPSG:…`` or WKT; empty where nobody knows."""
    misplaced: str = ""
    """Why it has coordinates but no rectangle of them, and what to do; empty where it has a place or needs none."""
    domain: tuple[float, float] | None = None
    """The least and greatest value that the data can have, where its author says."""
    colours: NDArray[np.uint8] | None = None
    """What a file says that each value of its one band of bytes looks like: red, green, blue, alpha, shape (256, 4)."""
    names: tuple[str, ...] = ()
    """What the bands are called; empty where they have no names."""
    are_steps: bool = False
    """Whether the bands are moments or heights, so that a picture shows but one of them."""

    def __post_init__(self) -> None:
        if self.data.ndim != 3 or self.data.dtype.kind not in "buif":
            hint = "; take its .real or abs(), or ask for npy" if self.data.dtype.kind == "c" else ""
            raise UdfSerializationError(
                f"The UDF returned an array of {self.data.dtype} with shape {self.data.shape}; a picture needs bool,"
                " integers or floats with shape (height, width), (bands, height, width) or (height, width, bands)"
                f"{hint}"
            )


def bands_first(pixels: Any) -> NDArray[Any]:
    """The array with shape (bands, height, width).

    The bands come first if the first of three dimensions is at most 4, else last if the last is; of more bands than 4
    the shorter end counts.
    """
    array: NDArray[Any] = first_of_leading(np.asanyarray(pixels))
    if array.ndim == 2:
        return array[None]
    if array.ndim != 3 or array.shape[0] <= _MOST_BANDS:
        return array
    if array.shape[2] <= _MOST_BANDS or array.shape[2] < array.shape[0]:
        return np.moveaxis(array, 2, 0)
    return array


def first_of_leading(array: Any) -> Any:
    """The first of each dimension before the last three, with a warning where there are more."""
    leading = array.shape[:-3]
    if not leading:
        return array
    if max(leading) > 1:
        shape = " x ".join(map(str, leading))
        warnings.warn(f"Only the first of {shape} rasters is shown; choose in the UDF, e.g. array[0]", stacklevel=2)
    return array[(0,) * len(leading)]


def missing_pixels(raster: Raster, bands: slice) -> Mask | None:
    """True where these bands have no data, shape (height, width); None where all do."""
    data = raster.data[bands]
    found = [] if raster.mask is None else [raster.mask if len(raster.mask) == 1 else raster.mask[bands]]
    if data.dtype.kind == "f":
        found.append(np.isnan(data))
    missing: list[Mask] = [mask[0] if len(mask) == 1 else np.asarray(mask.any(axis=0)) for mask in found]
    if (nodata := in_dtype(raster.nodata, data.dtype)) is not None:
        # Of three bands all must have the value, as GDAL has it: pure red is no hole in a picture whose nodata is 0.
        equal = data == nodata
        missing.append(equal[0] if len(equal) == 1 else equal.all(axis=0))
    return reduce(np.logical_or, missing) if missing else None


def in_dtype(value: float | None, dtype: np.dtype[Any]) -> Any:
    """The value as a scalar of that type; None where no pixel of that type can have it, and for NaN."""
    if value is None or value != value or dtype.kind == "b":  # noqa: PLR0124  NaN
        return None
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(value)
    limits = np.iinfo(dtype)
    is_held = isfinite(value) and value == int(value) and limits.min <= value <= limits.max
    return dtype.type(int(value)) if is_held else None
