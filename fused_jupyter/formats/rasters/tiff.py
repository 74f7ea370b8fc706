"""Rasters as cloud-optimised GeoTIFF: GDAL, QGIS and rasterio open it, and so does the official client of Fused.

Beside the pixels it has their place, CRS, names, what is no data, and overviews. Tags in the domain ``fused`` tell the
client of which type the value was.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.kinds import content, picture_format
from fused_jupyter.formats.rasters.grids import pick_variable
from fused_jupyter.formats.rasters.placement import TILE_SIDE, place, transform_of
from fused_jupyter.formats.rasters.raster import WGS84, Mask, Raster, Sides, in_dtype
from fused_jupyter.formats.rasters.reading import read_bounds, to_raster

if TYPE_CHECKING:
    from fused_jupyter.formats.frame import TileFrame
    from fused_jupyter.formats.target import Target

_GLOBE: Final = (-180.0, -90.0, 180.0, 90.0)
"""Where a raster without a place lies, as the reference says."""
_METRES: Final = "EPSG:3857"
_DOMAIN: Final = "fused"
_RGBA: Final = 4
_KNOWN_TYPES: Final = {
    "bool": "uint8",
    "int8": "int16",
    "float16": "float32",
    np.dtype(np.longdouble).name: "float64",
}
"""What stands for types that GDAL has not or has had but for a few years."""
_SMALL: Final = 512
"""Pixels of the longer side up to which blocks are small too."""
_LARGEST_EXACT: Final = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What is written."""

    data: NDArray[Any]
    """Shape (bands, height, width), of a type that every GDAL knows."""
    nodata: float | None = None
    mask: Mask | None = None
    """True where there is data, shape (height, width); where no value is free to stand for nodata."""
    bounds: Sides | None = None
    crs: str = ""
    names: tuple[str, ...] = ()
    colours: NDArray[np.uint8] | None = None
    tags: dict[str, str] = field(default_factory=dict)


def encode_tiff(value: Any, target: Target | None = None) -> bytes:
    """The value as GeoTIFF, for a tile as the cut in EPSG:3857; None is a picture of which all is nodata.

    Raises:
        UdfSerializationError: pixels that are no numbers, or complex ones, or a CRS that nobody knows.
    """
    tile = None if target is None else target.tile
    if value is None:
        side = TILE_SIDE if tile is not None else 1
        value = np.ma.masked_equal(np.zeros((side, side), np.uint8), 0)
    elif tile is None and _is_tiff(value):
        return content(value)
    value = pick_variable(value) if hasattr(value, "dims") and not hasattr(value, "data_vars") else value
    raster = to_raster(value, tile)
    if target is not None and target.style.nodata is not None:
        raster = replace(raster, nodata=target.style.nodata)
    raster = _located(raster, tile)
    return _write(_prepared(raster, _tags_of(value, raster, tile)))


def _is_tiff(value: Any) -> bool:
    return isinstance(value, bytes | bytearray | memoryview | BytesIO) and picture_format(content(value)[:16]) == "tiff"


def _located(raster: Raster, tile: TileFrame | None) -> Raster:
    if tile is None:
        return raster if raster.bounds is not None or raster.misplaced else replace(raster, bounds=_GLOBE, crs=WGS84)
    return replace(place(raster, tile), bounds=tile.mercator_bounds, crs=_METRES)


def _tags_of(value: Any, raster: Raster, tile: TileFrame | None) -> dict[str, str]:
    """What the official client reads: the type of the value, and of an array its shape and its bounds."""
    from orjson import dumps

    array, bounds = value if isinstance(value, tuple) else (value, None)
    if hasattr(array, "data_vars"):
        variables = [name for name, each in array.data_vars.items() if each.ndim >= 2]
        return {"key": str(variables[0])} if len(variables) == 1 else {}
    if bounds is None and hasattr(array, "dims"):
        return {"orig_type": "xarray.DataArray"}
    if bounds is None and not isinstance(array, np.ndarray):
        return {}
    is_flat = getattr(array, "ndim", 3) == 2
    shape = raster.data.shape[1:] if is_flat else raster.data.shape
    tags = {"orig_type": "numpy.ndarray", "shape": dumps(shape).decode()}
    if bounds is None:
        return tags
    sides = tile.bounds if tile is not None else read_bounds(bounds)
    return tags | {"bounds": dumps([float(side) for side in sides]).decode()}


def _prepared(raster: Raster, tags: dict[str, str]) -> _File:
    data, nodata = _in_known_type(raster)
    has_alpha = (
        nodata is None and data.dtype == np.uint8 and len(data) == _RGBA and not (raster.names or raster.are_steps)
    )
    bounds = None if raster.misplaced else raster.bounds
    file = _File(
        data=data,
        nodata=nodata,
        bounds=bounds,
        crs=raster.crs,
        names=raster.names,
        colours=raster.colours,
        tags=tags,
    )
    if not has_alpha:
        return _with_holes(file, raster.mask)
    data = _with_alpha(data, raster.mask)
    # Images are read as RGBA, most of them for nothing; an array has the bands that its author gave it.
    is_opaque_image = not tags and bool((data[3] == 255).all())
    return replace(file, data=data[:3] if is_opaque_image else data)


def _in_known_type(raster: Raster) -> tuple[NDArray[Any], float | None]:
    """Pixels of a type that every GDAL knows, with the same values, and what is nodata among them."""
    data = raster.data
    name = _KNOWN_TYPES.get(data.dtype.name, data.dtype.name)
    if data.dtype.itemsize == 8 and data.dtype.kind in "iu" and data.size:
        low, high = int(data.min()), int(data.max())
        fitting = (each for each in ("int32", "uint32") if _holds(each, low, high))
        name = next(fitting, "float64" if low >= -_LARGEST_EXACT and high <= _LARGEST_EXACT else data.dtype.name)
    data = data.astype(name, copy=False)
    nodata = in_dtype(raster.nodata, data.dtype)
    return data, None if nodata is None else float(nodata)


def _holds(name: str, low: int, high: int) -> bool:
    limits = np.iinfo(name)
    return bool(limits.min <= low and high <= limits.max)


def _with_alpha(data: NDArray[Any], mask: Mask | None) -> NDArray[Any]:
    if mask is None:
        return data
    return np.concatenate([data[:3], np.where(mask.any(axis=0), 0, data[3:])], dtype=np.uint8)


def _with_holes(file: _File, mask: Mask | None) -> _File:
    data = file.data
    if data.dtype.kind == "f":
        if file.nodata is not None and (mask is not None or np.isnan(data).any()):
            # A file has one nodata value, and NaN is one already.
            data = np.where(data == data.dtype.type(file.nodata), np.nan, data)
            file = replace(file, nodata=None)
        data = data if mask is None else np.where(mask, np.nan, data)
        return replace(file, data=data, nodata=np.nan if file.nodata is None else file.nodata)
    if data.dtype.itemsize == 8:
        return _with_mask(file, mask)
    if mask is None or not mask.any():
        return file
    hole = file.nodata if file.nodata is not None else _free_value(data, mask)
    if hole is None:
        return _with_mask(file, mask)
    return replace(file, data=np.where(mask, data.dtype.type(int(hole)), data), nodata=hole)


def _with_mask(file: _File, mask: Mask | None) -> _File:
    # Whole numbers of 64 bits have no nodata: rasterio hands it on as a float, and then it is none of them.
    hidden = np.zeros(file.data.shape[1:], np.bool_) if mask is None else np.asarray(mask.any(axis=0))
    if file.nodata is not None:
        hidden |= (file.data == file.nodata).all(axis=0)
    return replace(file, nodata=None, mask=~hidden if hidden.any() else None)


def _free_value(data: NDArray[Any], mask: Mask) -> float | None:
    """A value that no pixel has which is seen."""
    limits = np.iinfo(data.dtype)
    tried = range(limits.min, limits.max + 1) if data.dtype.itemsize == 1 else (limits.min, limits.max)
    seen = ~mask
    return next((float(each) for each in tried if not ((data == each) & seen).any()), None)


def _write(file: _File) -> bytes:
    from rasterio import Env, MemoryFile
    from rasterio.enums import ColorInterp
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    bands, height, width = file.data.shape
    is_picture = file.data.dtype == np.uint8 and bands in {3, _RGBA} and not file.names
    is_smooth = file.data.dtype.kind == "f" or is_picture
    profile = {
        "driver": "COG",
        "count": bands,
        "height": height,
        "width": width,
        "dtype": file.data.dtype,
        "nodata": file.nodata,
        "compress": "DEFLATE",
        # Old versions of libtiff cannot difference numbers of 64 bits.
        "predictor": "NO" if file.data.dtype.itemsize == 8 and file.data.dtype.kind != "f" else "YES",
        "level": 1,
        "blocksize": 256 if max(height, width) <= _SMALL else 512,
        "overview_resampling": "AVERAGE" if is_smooth else "NEAREST",
        "bigtiff": "IF_SAFER",
        # Without it GDAL leaves out all tags but those without a domain.
        "src_mdd": _DOMAIN,
    }
    if file.bounds is not None:
        profile |= {"transform": transform_of(file.bounds, (height, width)), "crs": file.crs or None}
    try:
        with warnings.catch_warnings(), Env(), MemoryFile(ext=".tif") as memory:
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with memory.open(**profile) as sink:
                sink.write(file.data)
                if is_picture:
                    sink.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha][:bands]
                if file.colours is not None and file.data.dtype == np.uint8:
                    sink.write_colormap(1, dict(enumerate(map(tuple, file.colours.tolist()))))
                if file.mask is not None:
                    sink.write_mask(file.mask)
                if len(file.names) == bands:
                    sink.descriptions = file.names
                sink.update_tags(ns=_DOMAIN, **file.tags)
            return bytes(memory.getbuffer())
    except RasterioError as exc:
        raise UdfSerializationError(f"The UDF returned an array that GDAL cannot write as GeoTIFF: {exc}") from exc
