"""Rasters into tiles: EPSG:3857, nearest for classes, bilinear for measurements, nothing outside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.rasters.raster import WGS84, Mask, Raster, Sides, missing_pixels

if TYPE_CHECKING:
    from fused_jupyter.formats.frame import TileFrame

TILE_SIDE: Final = 256
EARTH_RADIUS: Final = 6378137.0
_SAME: Final = 1e-6
"""Share of the tile's side by which bounds may differ and still be the tile's."""
DEGREES: Final = 4326
METRES: Final = 3857
_END: Final = 85.0511287798066
"""Degrees of latitude where EPSG:3857 is cut to a square."""
_FARTHEST_EAST: Final = 720.0
"""Degrees that a longitude may reach by counting on around the globe."""
_FARTHEST_NORTH: Final = 180.0
"""Degrees that an edge may have where a large pixel has its centre on the pole."""
_MARGIN: Final = 2
"""Pixels of the tile that are read beside it, for the interpolation at its edges."""
_SAMPLES: Final = 4
"""Pixels across that are averaged for one pixel of the tile, at most: of more, every n-th is taken."""
_CRISP: Final = 1024
"""Pixels of the longer side that a whole raster is given in another projection, if it has fewer."""
_FINER: Final = 8.0
"""How many times as fine it may become."""
_LARGE: Final = 2.6e6
"""Metres of a tile's side from which on a CRS made for a country may not cover it: up to zoom 3."""
_FOR_GDAL: Final = {
    "bool": "uint8",
    "float16": "float32",
    "int64": "float64",
    "uint64": "float64",
    np.dtype(np.longdouble).name: "float64",
}
"""What GDAL takes instead of types that it does not warp."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The part of a raster that a tile needs, thinned out where the raster is much finer than the tile."""

    rows: slice
    columns: slice

    @classmethod
    def whole(cls, shape_yx: tuple[int, int]) -> Window:
        """All of it."""
        return cls(rows=slice(0, shape_yx[0], 1), columns=slice(0, shape_yx[1], 1))

    def bounds_in(self, bounds: Sides, shape_yx: tuple[int, int]) -> Sides:
        """The bounds of this part of a raster with those bounds and that shape."""
        west, south, east, north = bounds
        width, height = (east - west) / shape_yx[1], (north - south) / shape_yx[0]
        return (
            west + self.columns.start * width,
            north - self.rows.stop * height,
            west + self.columns.stop * width,
            north - self.rows.start * height,
        )

    def of(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """This part of pixels of shape (bands, height, width), as a view."""
        return pixels[:, middles(self.rows), middles(self.columns)]


def window(bounds: Sides, crs: str, shape_yx: tuple[int, int], tile: TileFrame) -> Window:
    """What `place` needs of a raster with these bounds and this shape; a single pixel where it lies elsewhere.

    Raises:
        UdfSerializationError: as `place`.
    """
    epsg = _known_epsg(bounds, crs)
    if _is_in_frame(bounds, epsg, tile):
        return Window.whole(shape_yx)
    if epsg not in {DEGREES, METRES}:
        return _warped_window(bounds, crs, shape_yx, tile)
    rows, columns = _positions(bounds, shape_yx, *_tile_axes(tile, epsg, bounds))
    return Window(rows=_needed(rows, shape_yx[0]), columns=_needed(columns, shape_yx[1]))


def place(raster: Raster, tile: TileFrame) -> Raster:
    """The raster as the tile shows it: 256 by 256 pixels, or its own size if it has no place or exactly the tile's.

    Raises:
        UdfSerializationError: a CRS that nobody knows, or coordinates that are no degrees where no CRS is said.
    """
    if raster.misplaced:
        raise UdfSerializationError(f"The UDF returned an array that has no place in a tile: {raster.misplaced}")
    if raster.bounds is None:
        return raster
    epsg = _known_epsg(raster.bounds, raster.crs)
    if _is_in_frame(raster.bounds, epsg, tile):
        return raster
    _, height, width = raster.data.shape
    near = window(raster.bounds, raster.crs, (height, width), tile)
    bounds = near.bounds_in(raster.bounds, (height, width))
    mask = None if raster.mask is None else near.of(raster.mask)
    raster = replace(raster, data=near.of(raster.data), mask=mask, bounds=bounds)
    if epsg in {DEGREES, METRES}:
        return _place_by_axes(raster, *_tile_axes(tile, epsg, bounds))
    return _warp(raster, tile.mercator_bounds, (TILE_SIDE, TILE_SIDE))


def place_in_mercator(raster: Raster, *, longest: int) -> tuple[Raster, Sides]:
    """The whole raster in EPSG:3857, of about as many pixels, with its bounds there in metres.

    What lies beyond 85.05 degrees, the end of that projection, is left out.

    Args:
        raster: with bounds.
        longest: pixels that a side may have at most.

    Raises:
        UdfSerializationError: as `place`; or no part of it can be shown in EPSG:3857.
    """
    if raster.bounds is None or raster.misplaced:
        raise UdfSerializationError(f"The array has no place on Earth: {raster.misplaced or 'it has no bounds'}")
    epsg = _known_epsg(raster.bounds, raster.crs)
    _, height, width = raster.data.shape
    frame = _mercator_bounds(raster.bounds, raster.crs, epsg)
    shape_yx = _mercator_shape(frame, (height, width), longest=longest, is_kept=epsg == METRES)
    if epsg == METRES and shape_yx == (height, width):
        return raster, frame
    if epsg in {DEGREES, METRES}:
        return _place_by_axes(raster, *_axes(frame, shape_yx, epsg, raster.bounds)), frame
    return _warp(raster, frame, shape_yx), frame


def _mercator_bounds(bounds: Sides, crs: str, epsg: int | None) -> Sides:
    if epsg == METRES:
        return bounds
    if epsg != DEGREES:
        if (box := _transform_bounds(crs, f"EPSG:{METRES}", bounds)) is None:
            raise UdfSerializationError(f"The array's bounds {list(bounds)} in {crs[:80]} have no place in EPSG:3857")
        return box
    west, south, east, north = bounds
    y_of = [EARTH_RADIUS * np.arctanh(np.sin(np.radians(np.clip(y, -_END, _END)))) for y in (south, north)]
    if y_of[0] >= y_of[1]:
        raise UdfSerializationError(f"The array's bounds {list(bounds)} lie beyond {_END:.2f} degrees, where maps end")
    x_of = [EARTH_RADIUS * np.radians(x) for x in (west, east)]
    return (float(x_of[0]), float(y_of[0]), float(x_of[1]), float(y_of[1]))


def _mercator_shape(frame: Sides, shape_yx: tuple[int, int], *, longest: int, is_kept: bool) -> tuple[int, int]:
    height, width = shape_yx
    if not is_kept:
        # In the proportions that the projection gives them; and a few large pixels keep their edges.
        ratio = (frame[3] - frame[1]) / (frame[2] - frame[0])
        finer = min(_FINER, max(1.0, _CRISP / max(height, width)))
        width = max(1, round(finer * np.sqrt(height * width / ratio)))
        height = max(1, round(width * ratio))
    factor = min(1.0, longest / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def _known_epsg(bounds: Sides, crs: str) -> int | None:
    if not crs or (crs == WGS84 and not _may_be_degrees(bounds)):
        raise UdfSerializationError(
            f"The UDF returned an array with bounds {[float(side) for side in bounds]}, which are no degrees;"
            ' say what they are in, e.g. array.rio.write_crs("EPSG:32632") or array.attrs["crs"] = "EPSG:32632"'
        )
    return epsg_of(crs)


def _may_be_degrees(bounds: Sides) -> bool:
    west, south, east, north = map(abs, bounds)
    return max(west, east) <= _FARTHEST_EAST and max(south, north) <= _FARTHEST_NORTH


@lru_cache(maxsize=64)
def epsg_of(crs: str) -> int | None:
    """The EPSG code of a CRS; None where it has none, or where none is said.

    Raises:
        UdfSerializationError: a CRS that nobody knows.
    """
    if not crs:
        return None
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        known = CRS.from_user_input(crs)
    except CRSError as exc:
        raise UdfSerializationError(f"The UDF returned an array whose CRS is unknown to proj: {crs[:80]!r}") from exc
    return DEGREES if known.to_authority() == ("OGC", "CRS84") else known.to_epsg()


def _is_in_frame(bounds: Sides, epsg: int | None, tile: TileFrame) -> bool:
    if epsg == DEGREES:
        return _equal(bounds, tuple(tile.bounds))
    return epsg == METRES and _equal(bounds, tile.mercator_bounds)


def _equal(bounds: Sides, frame: tuple[float, ...]) -> bool:
    tolerance = _SAME * (frame[2] - frame[0])
    return all(abs(side - other) <= tolerance for side, other in zip(bounds, frame, strict=True))


def _tile_axes(tile: TileFrame, epsg: int, bounds: Sides) -> tuple[Floats, Floats]:
    """Coordinates of the tile's pixel centres in the raster's CRS: x by column, y by row."""
    return _axes(tile.mercator_bounds, (TILE_SIDE, TILE_SIDE), epsg, bounds)


def _axes(frame: Sides, shape_yx: tuple[int, int], epsg: int, bounds: Sides) -> tuple[Floats, Floats]:
    left, bottom, right, top = frame
    down, across = ((np.arange(size) + 0.5) / size for size in shape_yx)
    xs, ys = left + across * (right - left), top - down * (top - bottom)
    if epsg == METRES:
        return xs, ys
    longitudes = np.degrees(xs / EARTH_RADIUS)
    # The raster may count on across the antimeridian, to 190 for -170.
    for turn in (360.0, -360.0):
        turned = longitudes + turn
        longitudes = np.where((turned >= bounds[0]) & (turned <= bounds[2]), turned, longitudes)
    return longitudes, np.degrees(np.arctan(np.sinh(ys / EARTH_RADIUS)))


def _warped_window(bounds: Sides, crs: str, shape_yx: tuple[int, int], tile: TileFrame) -> Window:
    west, _south, east, _north = tile.mercator_bounds
    steps = (np.arange(TILE_SIDE) + 0.5) / TILE_SIDE
    if east - west < _LARGE and (box := _transform_bounds(f"EPSG:{METRES}", crs, tile.mercator_bounds)):
        xs, ys = box[0] + steps * (box[2] - box[0]), box[3] - steps * (box[3] - box[1])
        rows, columns = _positions(bounds, shape_yx, xs, ys)
        return Window(rows=_needed(rows, shape_yx[0]), columns=_needed(columns, shape_yx[1]))
    # Half the globe has no coordinates in a CRS made for a country. But the country has some on the globe.
    box = _transform_bounds(crs, f"EPSG:{METRES}", bounds) or tile.mercator_bounds
    pixel = (east - west) / TILE_SIDE
    row_step = max(1, int(shape_yx[0] / ((box[3] - box[1]) / pixel) / _SAMPLES))
    column_step = max(1, int(shape_yx[1] / ((box[2] - box[0]) / pixel) / _SAMPLES))
    return Window(rows=slice(0, shape_yx[0], row_step), columns=slice(0, shape_yx[1], column_step))


def _transform_bounds(source: str, target: str, bounds: Sides) -> Sides | None:
    from rasterio.errors import RasterioError
    from rasterio.warp import transform_bounds

    try:
        west, south, east, north = transform_bounds(source, target, *bounds)
    except RasterioError:
        return None
    is_box = bool(np.isfinite([west, south, east, north]).all()) and west < east and south < north
    return (west, south, east, north) if is_box else None


def _positions(bounds: Sides, shape_yx: tuple[int, ...], xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
    """Where coordinates fall in a raster: fractional rows and columns, 0 at its upper left edge."""
    west, south, east, north = bounds
    height, width = shape_yx
    return (north - ys) / (north - south) * height, (xs - west) / (east - west) * width


def _needed(positions: Floats, size: int) -> slice:
    inside = positions[(positions >= -1) & (positions <= size + 1)]
    if not inside.size:
        return slice(0, 1, 1)
    spacing = _spacing(positions)
    step = max(1, int(spacing / _SAMPLES))
    # Blocks begin at multiples of their length, so that neighbouring tiles see the same blocks.
    block = step * max(1, int(spacing / step))
    margin = _MARGIN * block
    first = max(0, int(inside.min() - margin) // block * block)
    last = min(size, (int(inside.max() + margin) // block + 1) * block)
    return slice(min(first, size - 1), last, step)


def _spacing(positions: Floats) -> float:
    # The median, for at the antimeridian one step goes around the globe.
    return float(np.median(np.abs(np.diff(positions)))) + 1e-6


def middles(span: slice) -> slice:
    """The pixels that stand for the blocks of a thinned span."""
    first = min(span.start + span.step // 2, span.stop - 1)
    return slice(first, span.stop, span.step)


def _place_by_axes(raster: Raster, xs: Floats, ys: Floats) -> Raster:
    # From degrees to mercator, columns and rows map each on their own: two short lists of indices, no grid, no GDAL.
    _, height, width = raster.data.shape
    rows, columns = _positions(raster.bounds or (0.0, 0.0, 1.0, 1.0), (height, width), xs, ys)
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    outside = ~inside[None]
    near_rows = np.clip(rows, 0, height - 1).astype(np.intp)[:, None]
    near_columns = np.clip(columns, 0, width - 1).astype(np.intp)
    if raster.data.dtype.kind == "f":
        data, valid = _measured(raster)
        values = _interpolate(data, valid, rows, columns)
        if valid is not None:
            # Half a pixel beyond its edge a measurement still has weight, but no meaning.
            values = np.where(valid[:, near_rows, near_columns], values, np.nan)
        return replace(raster, data=values, mask=outside, nodata=None, bounds=None)
    mask = outside if raster.mask is None else outside | raster.mask[:, near_rows, near_columns]
    return replace(raster, data=raster.data[:, near_rows, near_columns], mask=mask, bounds=None)


def _measured(raster: Raster) -> tuple[NDArray[Any], Mask | None]:
    """The raster's floats, and where they are some, of the same shape; None where they all are."""
    data = raster.data.astype(np.float32) if raster.data.dtype.itemsize == 2 else raster.data
    missing = np.isnan(data)
    if raster.mask is not None:
        missing |= raster.mask
    if raster.nodata is not None and (empty := missing_pixels(replace(raster, mask=None), slice(None))) is not None:
        missing |= empty
    return data, ~missing if missing.any() else None


def _interpolate(data: NDArray[Any], valid: Mask | None, rows: Floats, columns: Floats) -> NDArray[Any]:
    """Bilinear values at fractional (row, column) positions; pixels without data weigh nothing."""
    with np.errstate(invalid="ignore"):  # between two infinities
        return _interpolate_finite(data, valid, rows, columns)


def _interpolate_finite(data: NDArray[Any], valid: Mask | None, rows: Floats, columns: Floats) -> NDArray[Any]:
    data, valid, rows = _shrink(data, valid, rows)
    data, valid, columns = _shrink_columns(data, valid, columns)
    if valid is None:
        return _blend(data, rows, columns)
    weights = _blend(valid.astype(data.dtype), rows, columns)
    sums = _blend(np.where(valid, data, 0), rows, columns)
    filled: NDArray[Any] = np.divide(sums, weights, out=np.full_like(sums, np.nan), where=weights > 0)
    return filled


def _blend(data: NDArray[Any], rows: Floats, columns: Floats) -> NDArray[Any]:
    top, bottom, down = _neighbours(rows, data.shape[1], data.dtype)
    left, right, across = _neighbours(columns, data.shape[2], data.dtype)
    upper = data[:, top]
    lines = upper + (data[:, bottom] - upper) * down[:, None]
    start = lines[:, :, left]
    blended: NDArray[Any] = start + (lines[:, :, right] - start) * across
    return blended


def _neighbours(at: Floats, size: int, dtype: np.dtype[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[Any]]:
    """The two pixels whose centres enclose each position, and how far on the way to the second it is."""
    centred = np.clip(at - 0.5, 0, size - 1)
    first = centred.astype(np.intp)
    return first, np.minimum(first + 1, size - 1), (centred - first).astype(dtype)


def _shrink(data: NDArray[Any], valid: Mask | None, rows: Floats) -> tuple[NDArray[Any], Mask | None, Floats]:
    """Where several rows fall on one pixel, replace them by their mean."""
    factor = max(1, int(_spacing(rows)))
    if factor == 1:
        return data, valid, rows
    starts = np.arange(0, data.shape[1], factor)
    counts = np.diff(np.append(starts, data.shape[1])).astype(data.dtype)
    if valid is None:
        return np.add.reduceat(data, starts, axis=1) / counts[:, None], None, rows / factor
    weights = np.add.reduceat(valid.astype(data.dtype), starts, axis=1)
    sums = np.add.reduceat(np.where(valid, data, 0), starts, axis=1)
    return sums / np.maximum(weights, 1), weights > 0, rows / factor


def _shrink_columns(
    data: NDArray[Any], valid: Mask | None, columns: Floats
) -> tuple[NDArray[Any], Mask | None, Floats]:
    flipped = None if valid is None else valid.transpose(0, 2, 1)
    turned, turned_valid, columns = _shrink(data.transpose(0, 2, 1), flipped, columns)
    return turned.transpose(0, 2, 1), None if turned_valid is None else turned_valid.transpose(0, 2, 1), columns


def _warp(raster: Raster, frame: Sides, shape_yx: tuple[int, int]) -> Raster:
    from rasterio.warp import Resampling, reproject

    bands, height, width = raster.data.shape
    is_measurement = raster.data.dtype.kind == "f"
    place_of = {
        "src_transform": transform_of(raster.bounds or (0, 0, 1, 1), (height, width)),
        "src_crs": raster.crs,
        "dst_transform": transform_of(frame, shape_yx),
        "dst_crs": f"EPSG:{METRES}",
    }
    nodata = np.nan if is_measurement else None
    source = np.ascontiguousarray(raster.data, dtype=_FOR_GDAL.get(raster.data.dtype.name, raster.data.dtype.name))
    if is_measurement:
        data, valid = _measured(raster)
        source = source if valid is None else np.where(valid, data, np.nan).astype(source.dtype)
    target = np.full((bands, *shape_yx), np.nan if is_measurement else 0, source.dtype)
    resampling = Resampling.bilinear if is_measurement else Resampling.nearest
    reproject(source, target, resampling=resampling, src_nodata=nodata, dst_nodata=nodata, **place_of)
    covered = np.zeros(shape_yx, np.uint8)
    has_mask = raster.mask is not None and not is_measurement
    solid = ~np.asarray(raster.mask).any(axis=0) if has_mask else np.ones((height, width), np.bool_)
    reproject(solid.astype(np.uint8), covered, resampling=Resampling.nearest, **place_of)
    return replace(
        raster,
        data=target.astype(raster.data.dtype, copy=False),
        mask=covered[None] == 0,
        nodata=None if is_measurement else raster.nodata,
        bounds=None,
    )


def transform_of(bounds: Sides, shape_yx: tuple[int, int]) -> Any:
    """The affine transform, from (column, row) to (x, y), of a raster with these bounds and this shape."""
    from rasterio import Affine

    # Not rasterio's from_bounds: it multiplies transforms in a way that affine 3 warns of.
    west, south, east, north = bounds
    height, width = shape_yx
    return Affine((east - west) / width, 0.0, west, 0.0, (south - north) / height, north)
