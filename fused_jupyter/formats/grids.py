"""xarray objects as rasters: which dimension is which, which way is north, where the pixels lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.raster import WGS84, Raster, Sides, any_band, bands_first

if TYPE_CHECKING:
    import xarray as xr

_X_NAMES: Final = frozenset({"x", "lon", "long", "longitude", "easting"})
_Y_NAMES: Final = frozenset({"y", "lat", "latitude", "northing"})
_NODATA_NAMES: Final = ("_FillValue", "nodata", "missing_value")
_EVEN: Final = 0.01
"""Share of a step by which coordinates may deviate from an even grid."""


def raster_of_xarray(value: xr.DataArray | xr.Dataset) -> Raster:
    """The raster of a DataArray, or of a Dataset's ``image``, its three or four equal bands, or its first variable."""
    array = _pick(value)
    x = next((name for name in array.dims if str(name).lower() in _X_NAMES), None)
    y = next((name for name in array.dims if str(name).lower() in _Y_NAMES), None)
    if x is None or y is None:
        return _finish(array, bands_first(array.values), bounds=None)
    singles = [name for name in array.dims if name not in {x, y} and array.sizes[name] == 1]
    array = array.squeeze(singles, drop=True) if array.ndim > 3 else array
    array = array.transpose(..., y, x)
    if array.ndim > 3:
        raise UdfSerializationError(
            f"The UDF returned a DataArray with dimensions {array.dims}; select first, e.g. .isel({array.dims[0]}=0)"
        )
    pixels = array.values if array.ndim == 3 else array.values[None]
    return _place_pixels(array, pixels, x, y)


def _pick(value: xr.DataArray | xr.Dataset) -> xr.DataArray:
    import xarray as xr

    if isinstance(value, xr.DataArray):
        return value
    variables = {name: variable for name, variable in value.data_vars.items() if variable.ndim >= 2}
    if not variables:
        raise UdfSerializationError(
            f"The UDF returned a Dataset in which no variable has two dimensions; it has {list(value.data_vars)}"
        )
    if "image" in variables:
        return variables["image"]
    first = next(iter(variables.values()))
    if len(variables) in {3, 4} and all(each.dims == first.dims and each.ndim == 2 for each in variables.values()):
        return value[list(variables)].to_dataarray("band").assign_attrs(first.attrs)
    return first


def _place_pixels(array: xr.DataArray, pixels: NDArray[Any], x: Any, y: Any) -> Raster:
    if x not in array.coords or y not in array.coords or min(pixels.shape[1:]) < 2:
        return _finish(array, pixels, bounds=None)
    xs, ys = (np.asarray(array.coords[name].values, dtype=np.float64) for name in (x, y))
    crs = _read_crs(array)
    step = abs(xs[1] - xs[0])
    if crs == WGS84 and 180.0 + step < xs.max() <= 360.0 + step:
        # Climate data counts longitudes from 0 to 360; maps from -180 to 180.
        xs = (xs + 180.0) % 360.0 - 180.0
    columns, west, east = _even_axis(xs)
    rows, south, north = _even_axis(ys)
    rows = rows[::-1]
    if not _is_identity(columns) or not _is_identity(rows):
        pixels = pixels[:, rows[:, None], columns]
    return _finish(array, pixels, bounds=(west, south, east, north), crs=crs)


def _even_axis(centres: NDArray[np.float64]) -> tuple[NDArray[np.intp], float, float]:
    """For an even ascending grid of as many steps: which centre each step shows, and the two outer edges."""
    order = np.argsort(centres, kind="stable")
    ascending = centres[order]
    step = (ascending[-1] - ascending[0]) / (len(ascending) - 1)
    even = np.linspace(ascending[0], ascending[-1], len(ascending))
    if not np.allclose(ascending, even, rtol=0, atol=_EVEN * step):
        # Gaussian latitudes and the like: the nearest centre, so that the picture is not stretched.
        middles = (ascending[1:] + ascending[:-1]) / 2
        order = order[np.searchsorted(middles, even)]
    return order, float(ascending[0] - step / 2), float(ascending[-1] + step / 2)


def _is_identity(order: NDArray[np.intp]) -> bool:
    return bool((order == np.arange(len(order))).all())


def _read_crs(array: xr.DataArray) -> str:
    """The CRS by the CF grid mapping that rioxarray writes, or by an attribute; EPSG:4326 if nothing is said."""
    name = array.attrs.get("grid_mapping") or array.encoding.get("grid_mapping") or "spatial_ref"
    if name in array.coords:
        mapping = array.coords[name].attrs
        if text := mapping.get("crs_wkt") or mapping.get("spatial_ref"):
            return str(text)
    return str(array.attrs.get("crs") or WGS84)


def _finish(array: xr.DataArray, pixels: NDArray[Any], *, bounds: Sides | None, crs: str = WGS84) -> Raster:
    nodata = next((array.attrs[name] for name in _NODATA_NAMES if array.attrs.get(name) is not None), None)
    mask = None if nodata is None else any_band(pixels == nodata)
    return Raster(data=pixels, mask=mask, bounds=bounds, crs=crs, domain=_read_domain(array.attrs))


def _read_domain(attributes: dict[Any, Any]) -> tuple[float, float] | None:
    pair = attributes.get("valid_range")
    if pair is None and {"valid_min", "valid_max"} <= attributes.keys():
        pair = attributes["valid_min"], attributes["valid_max"]
    if pair is None:
        pair = attributes.get("actual_range")
    try:
        low, high = (float(end) for end in pair) if pair is not None else (0.0, 0.0)
    except (TypeError, ValueError):
        return None
    return (low, high) if low < high else None
