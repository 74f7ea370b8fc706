"""PIL images and the bytes of pictures as rasters; a GeoTIFF brings its place, its CRS and what is no data."""

from __future__ import annotations

import warnings
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.kinds import content, picture_format
from fused_jupyter.formats.rasters.placement import Window, window
from fused_jupyter.formats.rasters.raster import Mask, Raster

if TYPE_CHECKING:
    from PIL import Image

    from fused_jupyter.formats.frame import TileFrame

_RGBA: Final = 4
_BY_WAY_OF: Final = {"HSV": "RGB", "La": "LA"}
"""Modes that Pillow converts to RGBA in two steps."""
_ONE_BAND_MODES: Final = frozenset({"1", "L", "I", "F"})


def open_image(data: bytes | bytearray | memoryview | BytesIO) -> Image.Image:
    """The picture that the bytes are, as Pillow reads it, turned as its camera says.

    Raises:
        UdfSerializationError: Pillow cannot read it.
    """
    from PIL import Image, ImageOps

    body = content(data)
    try:
        image: Image.Image = Image.open(BytesIO(body))
        # Browsers turn photographs too.
        return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        kind = picture_format(body[:16]) or "no known format"
        raise UdfSerializationError(f"The UDF returned a picture ({kind}) that Pillow cannot read: {exc}") from exc


def raster_of_image(image: Any) -> Raster:
    """The raster of a PIL image: one band where it has one, else RGBA.

    Via RGBA, so that a black pixel of a picture stays black: the rule that black is empty is for arrays.
    """
    if "transparency" not in image.info and (image.mode in _ONE_BAND_MODES or image.mode.startswith("I;16")):
        return Raster(data=np.asarray(image)[None])
    if image.mode == "LAB":
        from PIL import ImageCms

        to_rgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        image = ImageCms.applyTransform(image, to_rgb)
    if image.mode in _BY_WAY_OF:
        image = image.convert(_BY_WAY_OF[image.mode])
    return Raster(data=np.moveaxis(np.asarray(image.convert("RGBA")), 2, 0))


def raster_of_bytes(data: bytes | bytearray | memoryview | BytesIO, tile: TileFrame | None = None) -> Raster:
    """The raster behind a picture's bytes; of a GeoTIFF only what the tile needs is read, from its overviews.

    Raises:
        UdfSerializationError: nobody can read it.
    """
    body = content(data)
    return _raster_of_tiff(body, tile) if picture_format(body[:16]) == "tiff" else raster_of_image(open_image(body))


def _raster_of_tiff(body: bytes, tile: TileFrame | None) -> Raster:
    from rasterio import MemoryFile
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    try:
        with warnings.catch_warnings(), MemoryFile(body) as memory:
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with memory.open() as source:
                return _read(source, tile)
    except RasterioError as exc:
        raise UdfSerializationError(f"The UDF returned a TIFF that GDAL cannot read: {exc}") from exc


def _read(source: Any, tile: TileFrame | None) -> Raster:  # Any: rasterio has no types
    from rasterio.vrt import WarpedVRT

    transform = source.transform
    is_upright = transform.b == transform.d == 0 and transform.a > 0 > transform.e
    if (not transform.is_identity and not is_upright and source.crs) or source.gcps[0]:
        # South up, turned, or placed by control points: GDAL makes it upright.
        with WarpedVRT(source) as upright:
            return _read_upright(upright, tile)
    return _read_upright(source, tile)


def _read_upright(source: Any, tile: TileFrame | None) -> Raster:
    if source.transform.is_identity:
        data, mask = _read_window(source, Window.whole(source.shape))
        if data.dtype == np.uint8 and len(data) == 3:
            # A picture like any other, in which black is black.
            data = np.concatenate([data, np.full_like(data[:1], 255)])
        return _with_meaning(source, data, mask)
    crs = source.crs.to_wkt() if source.crs else ""
    near = Window.whole(source.shape) if tile is None else window(tuple(source.bounds), crs, source.shape, tile)
    data, mask = _read_window(source, near)
    return replace(
        _with_meaning(source, data, mask), bounds=near.bounds_in(tuple(source.bounds), source.shape), crs=crs
    )


def _read_window(source: Any, near: Window) -> tuple[NDArray[Any], Mask | None]:
    """The bands, and True where the file's own mask has no data; nodata values are left to the raster."""
    from rasterio.enums import MaskFlags, Resampling

    span = ((near.rows.start, near.rows.stop), (near.columns.start, near.columns.stop))
    shape_yx = tuple(len(range(part.start, part.stop, part.step)) for part in (near.rows, near.columns))
    is_measured = source.dtypes[0].startswith("float")
    resampling = Resampling.average if is_measured else Resampling.nearest
    data = source.read(window=span, out_shape=(source.count, *shape_yx), resampling=resampling)
    if not any(MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags for flags in source.mask_flag_enums):
        return data, None
    mask = source.read_masks(1, window=span, out_shape=shape_yx)
    return data, np.asarray(mask == 0)[None]


def _with_meaning(source: Any, data: NDArray[Any], mask: Mask | None) -> Raster:
    """The raster of what was read, with what the file says of it; an alpha of other than four bands is a mask."""
    from rasterio.enums import ColorInterp

    if source.colorinterp[-1] is ColorInterp.alpha and len(data) != _RGBA:
        mask, data = data[-1:] == 0, data[:-1]
    colours = None
    if source.colorinterp[0] is ColorInterp.palette and data.dtype == np.uint8 and len(data) == 1:
        table = source.colormap(1)
        colours = np.zeros((256, 4), np.uint8)
        colours[list(table)] = list(table.values())
    names = tuple(filter(None, source.descriptions))
    return Raster(data=data, mask=mask, nodata=source.nodata, colours=colours, names=names)
