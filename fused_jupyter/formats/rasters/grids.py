"""xarray objects as rasters: which dimension is which, which way is north, where the pixels lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.rasters.placement import DEGREES, Window, epsg_of, middles, window
from fused_jupyter.formats.rasters.raster import WGS84, Raster, Sides, bands_first, first_of_leading

if TYPE_CHECKING:
    import xarray as xr

    from fused_jupyter.formats.frame import TileFrame

_X_NAMES: Final = frozenset({"x", "lon", "long", "longitude", "easting", "rlon"})
_Y_NAMES: Final = frozenset({"y", "lat", "latitude", "northing", "rlat"})
_X_MEANINGS: Final = frozenset({"longitude", "projection_x_coordinate", "grid_longitude"})
_Y_MEANINGS: Final = frozenset({"latitude", "projection_y_coordinate", "grid_latitude"})
"""Values of the CF attribute ``standard_name``."""
_STEP_NAMES: Final = frozenset(
    {"time", "t", "date", "step", "month", "year", "season", "level", "lev", "plev", "height", "depth", "z", "ensemble"}
)
"""Dimensions of which a picture shows one: three days are not red, green and blue."""
_NODATA_NAMES: Final = ("_FillValue", "nodata", "missing_value")
_CRS_NAMES: Final = ("epsg", "proj:epsg", "proj:code")
"""Coordinates that STAC readers add."""
_EVEN: Final = 0.01
"""Share of a step by which coordinates may deviate from an even grid."""
_NOISE: Final = 1e-9
_FULL_TURN: Final = 360.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """An even axis that ascends."""

    order: NDArray[np.intp]
    """For each step the index of the pixel that it shows."""
    low: float
    high: float
    """The outer edges."""


def raster_of_xarray(value: xr.DataArray | xr.Dataset, tile: TileFrame | None = None) -> Raster:
    """The raster of a DataArray, or of a Dataset's ``image``, its three or four equal bands, or its first variable.

    For a tile only its surroundings are read or computed, where that was put off until now.
    """
    array = pick_variable(value)
    x, y = _spatial_dims(array)
    if x is None or y is None:
        return _finish(array, bands_first(array.values))
    array = _flat(array.transpose(..., y, x))
    xs, ys = _centres(array, x), _centres(array, y)
    crs = _read_crs(array)
    if reason := _why_misplaced(array, crs, x, y):
        return _finish(array, _bands(array), misplaced=reason)
    if xs is None or ys is None:
        return _finish(array, _bands(array))
    across, down = _even_axis(xs, _pixel_size(array, x, ys)), _even_axis(ys, _pixel_size(array, y, xs))
    if across is None or down is None:
        return _finish(array, _bands(array), misplaced="its one pixel has no size; return (array, bounds)")
    if not crs and _are_degrees(across, down):
        crs = WGS84
    if epsg_of(crs) == DEGREES:
        across = _even_axis(_turned(xs, across), across.high - across.low) or across
    bounds: Sides = (across.low, down.low, across.high, down.high)
    return _read(array, {x: across.order, y: down.order[::-1]}, bounds=bounds, crs=crs, tile=tile)


def _read(
    array: xr.DataArray, order: dict[Any, NDArray[np.intp]], *, bounds: Sides, crs: str, tile: TileFrame | None
) -> Raster:
    x, y = order
    shape_yx = (len(order[y]), len(order[x]))
    near = Window.whole(shape_yx) if tile is None else window(bounds, crs, shape_yx, tile)
    picked = {y: _as_slice(order[y][middles(near.rows)]), x: _as_slice(order[x][middles(near.columns)])}
    return _finish(array, _bands(array.isel(picked)), bounds=near.bounds_in(bounds, shape_yx), crs=crs)


def upright_xarray(value: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """The array with its north up, if its coordinates say where that is, and without these coordinates."""
    array = pick_variable(value)
    x, y = _spatial_dims(array)
    if y is not None and (ys := _centres(array, y)) is not None and ys[0] < ys[-1]:
        array = array.isel({y: slice(None, None, -1)})
    return array.drop_vars([name for name in array.coords if name in {x, y} or array[name].ndim == 2])


def pick_variable(value: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """The array that a picture shows: the value itself, or of a Dataset the best choice.

    Raises:
        UdfSerializationError: a Dataset without a variable of two dimensions.
    """
    import xarray as xr

    if isinstance(value, xr.DataArray):
        return _unpack(value) if type(value).__name__ == "Image" and value.dtype == np.uint32 else value
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


def _unpack(image: xr.DataArray) -> xr.DataArray:
    """The bands of red, green, blue and alpha of a datashader Image."""
    import xarray as xr

    # Four bytes in each number, red in the lowest; datashader's own to_pil() reads it so, and from the south.
    packed = np.ascontiguousarray(image.values, dtype="<u4")
    bands = np.moveaxis(packed.view(np.uint8).reshape(*packed.shape, 4), 2, 0)
    if image.dims[0] not in image.coords:
        bands = bands[:, ::-1]
    coords = {name: coordinate.variable for name, coordinate in image.coords.items()}
    return xr.DataArray(bands, dims=("band", *image.dims), coords=coords, attrs=image.attrs)


def _spatial_dims(array: xr.DataArray) -> tuple[Any, Any]:
    x = next((name for name in array.dims if _means(array, name, _X_NAMES, _X_MEANINGS, "X")), None)
    y = next((name for name in array.dims if _means(array, name, _Y_NAMES, _Y_MEANINGS, "Y")), None)
    return x, y


def _means(array: xr.DataArray, name: Any, names: frozenset[str], meanings: frozenset[str], axis: str) -> bool:
    said = array.coords[name].attrs if name in array.coords else {}
    return str(name).lower() in names or said.get("standard_name") in meanings or said.get("axis") == axis


def _flat(array: xr.DataArray) -> xr.DataArray:
    """The array without dimensions of one step, where it has more than three."""
    singles = [name for name in array.dims[:-2] if array.sizes[name] == 1]
    return array.squeeze(singles, drop=True) if array.ndim > 3 else array


def _bands(array: xr.DataArray) -> NDArray[Any]:
    pixels = first_of_leading(array.values if array.ndim < 4 else array)
    return np.asarray(pixels if pixels.ndim == 3 else pixels[None])


def _centres(array: xr.DataArray, name: Any) -> NDArray[np.float64] | None:
    if name not in array.coords or array.coords[name].dtype.kind not in "iuf":
        return None
    return np.asarray(array.coords[name].values, dtype=np.float64)


def _why_misplaced(array: xr.DataArray, crs: str, x: Any, y: Any) -> str:
    curved = [str(name) for name, each in array.coords.items() if set(each.dims) == {x, y} and each.dtype.kind == "f"]
    if curved and not crs:
        return (
            f"its coordinates {', '.join(curved)} have two dimensions each, so it is no regular grid; reproject it to"
            " one, or return (array, bounds)"
        )
    for name in (x, y):
        centres = _centres(array, name)
        if centres is not None and not _is_axis(centres):
            return f"its coordinate {name} has missing or equal values"
    return ""


def _is_axis(centres: NDArray[np.float64]) -> bool:
    if not np.isfinite(centres).all():
        return False
    # Beyond nine digits of a coordinate is noise.
    return len(centres) == 1 or bool(np.ptp(centres) > _NOISE * max(1.0, float(np.abs(centres).max())))


def _pixel_size(array: xr.DataArray, name: Any, others: NDArray[np.float64]) -> float | None:
    """The size of a single pixel along a dimension: as rioxarray noted it, else pixels are square."""
    if array.sizes[name] > 1:
        return None
    noted = str(_grid_mapping(array).get("GeoTransform") or "").split()
    if len(noted) == 6:
        return abs(float(noted[1 if name == array.dims[-1] else 5]))
    return float(np.ptp(others)) / (len(others) - 1) if len(others) > 1 else None


def _even_axis(centres: NDArray[np.float64], size: float | None) -> _Axis | None:
    """The ascending grid of as many even steps; None for one pixel of unknown size."""
    if len(centres) == 1:
        half = (size or 0.0) / 2
        return _Axis(order=np.zeros(1, np.intp), low=centres[0] - half, high=centres[0] + half) if half else None
    order = np.argsort(centres, kind="stable")
    ascending = centres[order]
    step = (ascending[-1] - ascending[0]) / (len(ascending) - 1)
    even = np.linspace(ascending[0], ascending[-1], len(ascending))
    if not np.allclose(ascending, even, rtol=0, atol=_EVEN * step):
        # Gaussian latitudes and the like: the nearest centre, so that the picture is not stretched.
        middle = (ascending[1:] + ascending[:-1]) / 2
        order = order[np.searchsorted(middle, even)]
    return _Axis(order=order, low=float(ascending[0] - step / 2), high=float(ascending[-1] + step / 2))


def _are_degrees(across: _Axis, down: _Axis) -> bool:
    # Global grids often have centres on the poles, and so edges beyond.
    pole = 90.0 + (down.high - down.low) / len(down.order)
    return -pole <= down.low and down.high <= pole and max(-across.low, across.high) <= 2 * _FULL_TURN


def _turned(centres: NDArray[np.float64], axis: _Axis) -> NDArray[np.float64]:
    """Longitudes from -180 to 180 where they are counted from 0 to 360, as climate data does."""
    step = (axis.high - axis.low) / len(axis.order)
    if centres.max() <= _FULL_TURN / 2 + step:
        return centres
    if axis.high - axis.low >= _FULL_TURN - 2 * step:
        return (centres + 180.0) % _FULL_TURN - 180.0
    # A part of the globe stays in one piece, even if it counts on across the antimeridian.
    return centres - _FULL_TURN if axis.low >= _FULL_TURN / 2 else centres


def _as_slice(picks: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """The same picks as a slice, where they are evenly spaced: a view costs nothing, and a file reads less."""
    if len(picks) == 1:
        return slice(int(picks[0]), int(picks[0]) + 1)
    step = int(picks[1] - picks[0])
    if step == 0 or (np.diff(picks) != step).any():
        return picks
    stop = int(picks[-1]) + (1 if step > 0 else -1)
    return slice(int(picks[0]), stop if stop >= 0 else None, step)


def _read_crs(array: xr.DataArray) -> str:
    """The CRS by the CF grid mapping that rioxarray writes, by an attribute or by STAC; empty if nothing is said."""
    mapping = _grid_mapping(array)
    if text := mapping.get("crs_wkt") or mapping.get("spatial_ref"):
        return str(text)
    if "grid_mapping_name" in mapping:
        from pyproj import CRS

        return CRS.from_cf(mapping).to_wkt()
    noted = [array.coords[name].item() for name in _CRS_NAMES if name in array.coords and array.coords[name].size == 1]
    said = str(next((each for each in (array.attrs.get("crs"), *noted) if each), ""))
    return f"EPSG:{said}" if said.isdigit() else said.removeprefix("+init=")


def _grid_mapping(array: xr.DataArray) -> dict[Any, Any]:
    name = array.attrs.get("grid_mapping") or array.encoding.get("grid_mapping") or "spatial_ref"
    return array.coords[name].attrs if name in array.coords else {}


def _finish(
    array: xr.DataArray, pixels: NDArray[Any], *, bounds: Sides | None = None, crs: str = WGS84, misplaced: str = ""
) -> Raster:
    nodata = next((_number(array.attrs[name]) for name in _NODATA_NAMES if name in array.attrs), None)
    return Raster(
        data=pixels,
        nodata=nodata,
        bounds=bounds,
        crs=crs,
        misplaced=misplaced,
        domain=_read_domain(array.attrs),
        names=_read_names(array, len(pixels)),
        are_steps=array.ndim == 3 and len(pixels) > 1 and str(array.dims[0]).lower() in _STEP_NAMES,
    )


def _number(said: Any) -> float | None:
    try:
        return float(said)
    except (TypeError, ValueError):
        return None


def _read_names(array: xr.DataArray, bands: int) -> tuple[str, ...]:
    """What the bands are called: as coordinates, or as rioxarray has it in ``long_name``."""
    said = array.attrs.get("long_name")
    if bands == 1:
        return (said,) if isinstance(said, str) else (str(array.name),) if array.name else ()
    if isinstance(said, tuple | list) and len(said) == bands:
        return tuple(map(str, said))
    along = array.coords.get(array.dims[0])
    names = [] if along is None else along.values.tolist()
    return tuple(names) if len(names) == bands and all(isinstance(name, str) for name in names) else ()


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
