"""Rasters into tiles: EPSG:3857, nearest for classes, bilinear for measurements, nothing outside."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.raster import Raster, Sides

if TYPE_CHECKING:
    from fused_jupyter.formats.frame import TileFrame

TILE_SIDE: Final = 256
_EARTH_RADIUS: Final = 6378137.0
_SAME: Final = 1e-6
"""Share of the tile's side by which bounds may differ and still be the tile's."""
_DEGREES: Final = 4326
_METRES: Final = 3857
_FARTHEST: Final = 720.0
"""Degrees that a longitude may reach by counting on around the globe."""
_FOR_GDAL: Final = {"bool": np.uint8, "float16": np.float32}
"""What GDAL takes instead of types that it does not know."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def place(raster: Raster, tile: TileFrame) -> Raster:
    """The raster as the tile shows it: 256 by 256 pixels, or its own size if it has no place or exactly the tile's.

    Raises:
        UdfSerializationError: a CRS that nobody knows, or coordinates that are no degrees where no CRS is said.
    """
    if raster.bounds is None:
        return raster
    epsg = _epsg(raster.crs)
    if epsg == _DEGREES and max(map(abs, raster.bounds)) > _FARTHEST:
        raise UdfSerializationError(
            f"The UDF returned an array with bounds {[float(side) for side in raster.bounds]}, which are no degrees;"
            ' say what they are in, e.g. array.rio.write_crs("EPSG:32632") or array.attrs["crs"] = "EPSG:32632"'
        )
    if (epsg == _DEGREES and _equal(raster.bounds, tuple(tile.bounds))) or (
        epsg == _METRES and _equal(raster.bounds, tile.mercator_bounds)
    ):
        return raster
    if epsg in {_DEGREES, _METRES}:
        return _place_by_axes(raster, *_tile_axes(tile, epsg, raster.bounds))
    return _warp(raster, tile)


@lru_cache(maxsize=64)
def _epsg(crs: str) -> int | None:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        known = CRS.from_user_input(crs)
    except CRSError as exc:
        raise UdfSerializationError(f"The UDF returned an array whose CRS is unknown to proj: {crs[:80]!r}") from exc
    return _DEGREES if known.to_authority() == ("OGC", "CRS84") else known.to_epsg()


def _equal(bounds: Sides, frame: tuple[float, ...]) -> bool:
    tolerance = _SAME * (frame[2] - frame[0])
    return all(abs(side - other) <= tolerance for side, other in zip(bounds, frame, strict=True))


def _tile_axes(tile: TileFrame, epsg: int, bounds: Sides) -> tuple[Floats, Floats]:
    """Coordinates of the tile's pixel centres in the raster's CRS: x by column, y by row."""
    left, bottom, right, top = tile.mercator_bounds
    steps = (np.arange(TILE_SIDE) + 0.5) / TILE_SIDE
    xs, ys = left + steps * (right - left), top - steps * (top - bottom)
    if epsg == _METRES:
        return xs, ys
    longitudes = np.degrees(xs / _EARTH_RADIUS)
    # The raster may count on across the antimeridian, to 190 for -170.
    for turn in (360.0, -360.0):
        turned = longitudes + turn
        longitudes = np.where((turned >= bounds[0]) & (turned <= bounds[2]), turned, longitudes)
    return longitudes, np.degrees(np.arctan(np.sinh(ys / _EARTH_RADIUS)))


def _place_by_axes(raster: Raster, xs: Floats, ys: Floats) -> Raster:
    # From degrees to mercator, columns and rows map each on their own: two short lists of indices, no grid, no GDAL.
    west, south, east, north = raster.bounds or (0.0, 0.0, 1.0, 1.0)
    _, height, width = raster.data.shape
    columns = (xs - west) / (east - west) * width
    rows = (north - ys) / (north - south) * height
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    near_columns = np.clip(columns.astype(np.intp), 0, width - 1)
    nearest = (np.clip(rows.astype(np.intp), 0, height - 1)[:, None], near_columns)
    mask = ~inside if raster.mask is None else ~inside | raster.mask[nearest]
    if raster.data.dtype.kind != "f":
        return replace(raster, data=raster.data[:, *nearest], mask=mask, bounds=None)
    valid = _valid(raster)
    mask = mask if valid is None else mask | ~valid[nearest]
    return replace(raster, data=_interpolate(raster.data, valid, rows, columns), mask=mask, bounds=None)


def _valid(raster: Raster) -> Mask | None:
    missing = np.isnan(raster.data).any(axis=0)
    missing = missing if raster.mask is None else missing | raster.mask
    return ~missing if missing.any() else None


def _interpolate(data: NDArray[Any], valid: Mask | None, rows: Floats, columns: Floats) -> NDArray[Any]:
    """Bilinear values at fractional (row, column) positions; pixels without data weigh nothing."""
    data, valid, rows = _shrink(data, valid, rows)
    data, valid, columns = _shrink_columns(data, valid, columns)
    if valid is None:
        return _blend(data, rows, columns)
    weights = _blend(valid[None].astype(np.float32), rows, columns)
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
    """Cut to the rows needed, and where several fall on one pixel, replace them by their mean."""
    height = data.shape[1]
    # The median, for at the antimeridian one step goes around the globe.
    factor = max(1, int(np.median(np.abs(np.diff(rows)))))
    rows = np.clip(rows, 0, height)
    # Blocks begin at multiples of the factor, so that neighbouring tiles see the same blocks.
    first = max(0, int(rows.min() - 1) // factor * factor)
    last = min(height, (int(rows.max() + 2) // factor + 1) * factor)
    data, rows = data[:, first:last], rows - first
    valid = None if valid is None else valid[first:last]
    if factor == 1:
        return data, valid, rows
    starts = np.arange(0, data.shape[1], factor)
    counts = np.diff(np.append(starts, data.shape[1])).astype(data.dtype)
    if valid is None:
        return np.add.reduceat(data, starts, axis=1) / counts[:, None], None, rows / factor
    weights = np.add.reduceat(valid.astype(data.dtype), starts, axis=0)
    sums = np.add.reduceat(np.where(valid, data, 0), starts, axis=1)
    return sums / np.maximum(weights, 1), weights > 0, rows / factor


def _shrink_columns(
    data: NDArray[Any], valid: Mask | None, columns: Floats
) -> tuple[NDArray[Any], Mask | None, Floats]:
    turned, turned_valid, columns = _shrink(data.transpose(0, 2, 1), None if valid is None else valid.T, columns)
    return turned.transpose(0, 2, 1), None if turned_valid is None else turned_valid.T, columns


def _warp(raster: Raster, tile: TileFrame) -> Raster:
    from rasterio.warp import Resampling, reproject

    bands, height, width = raster.data.shape
    is_measurement = raster.data.dtype.kind == "f"
    source = raster.data.astype(_FOR_GDAL.get(raster.data.dtype.name, raster.data.dtype), copy=False)
    if is_measurement and raster.mask is not None:
        source = np.where(raster.mask, np.nan, source)
    place_of = {
        "src_transform": _transform(raster.bounds or (0, 0, 1, 1), width, height),
        "src_crs": raster.crs,
        "dst_transform": _transform(tile.mercator_bounds, TILE_SIDE, TILE_SIDE),
        "dst_crs": f"EPSG:{_METRES}",
    }
    target = np.full((bands, TILE_SIDE, TILE_SIDE), np.nan if is_measurement else 0, source.dtype)
    resampling = Resampling.bilinear if is_measurement else Resampling.nearest
    nodata = np.nan if is_measurement else None
    reproject(source, target, resampling=resampling, src_nodata=nodata, dst_nodata=nodata, **place_of)
    covered = np.zeros((TILE_SIDE, TILE_SIDE), np.uint8)
    solid = np.ones((height, width), np.uint8) if raster.mask is None else (~raster.mask).astype(np.uint8)
    reproject(solid, covered, resampling=Resampling.nearest, **place_of)
    return replace(raster, data=target.astype(raster.data.dtype, copy=False), mask=covered == 0, bounds=None)


def _transform(bounds: Sides, width: int, height: int) -> Any:
    from rasterio import Affine

    # Not rasterio's from_bounds: it multiplies transforms in a way that affine 3 warns of.
    west, south, east, north = bounds
    return Affine((east - west) / width, 0.0, west, 0.0, (south - north) / height, north)
