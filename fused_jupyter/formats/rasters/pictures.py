"""All that can be seen as PNG, JPEG, WebP, AVIF and GIF; a raster that knows its place is cut to the tile."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

import numpy as np

from fused_jupyter.formats.kinds import Kind, content, kind_of, picture_format
from fused_jupyter.formats.rasters.drawing import Picture, draw
from fused_jupyter.formats.rasters.placement import TILE_SIDE, place
from fused_jupyter.formats.rasters.png import transparent_png, write_palette_png, write_png
from fused_jupyter.formats.rasters.raster import Raster
from fused_jupyter.formats.rasters.reading import to_raster
from fused_jupyter.formats.target import Target, Written

RANGE_HEADER: Final = "X-Fused-Rescale"
"""The values that the ends of the colours stand for, as ``rescale`` takes them."""
KEY_HEADER: Final = "X-Fused-Colors"
"""What the colours stand for, see `Picture.key`. Twin: `HEADERS` in js/src/protocol.ts, whose legend reads both."""

Writer = Callable[[Picture], bytes]


def encode_png(value: Any, target: Target | None = None) -> bytes | Written:
    """The value as PNG; None is a transparent picture.

    Raises:
        UdfSerializationError: pixels that are no numbers, or a shape that is no picture.
        ArgumentError: a style that does not fit.
    """
    if value is None:
        return transparent_png(TILE_SIDE, TILE_SIDE)
    return _encode(value, "png", _write_png, target)


def draw_png(raster: Raster, target: Target) -> Written:
    """The raster as it is placed, as PNG, with headers that say what its colours mean."""
    written = _written(draw(raster, target), _write_png)
    return written if isinstance(written, Written) else Written(body=written)


def encode_jpg(value: Any, target: Target | None = None) -> bytes | Written:
    """The value as JPEG, on white where PNG would be transparent; see `encode_png`."""
    from fused_jupyter.formats.rasters.lossy import write_jpg

    return _encode(value, "jpg", write_jpg, target)


def encode_webp(value: Any, target: Target | None = None) -> bytes | Written:
    """The value as WebP; see `encode_png`."""
    from fused_jupyter.formats.rasters.lossy import write_webp

    return _encode(value, "webp", write_webp, target)


def encode_avif(value: Any, target: Target | None = None) -> bytes | Written:
    """The value as AVIF; see `encode_png`."""
    from fused_jupyter.formats.rasters.lossy import write_avif

    return _encode(value, "avif", write_avif, target)


def encode_gif(value: Any, target: Target | None = None) -> bytes | Written:
    """The value as GIF; see `encode_png`."""
    from fused_jupyter.formats.rasters.lossy import write_gif

    return _encode(value, "gif", write_gif, target)


def _encode(value: Any, name: str, write: Writer, target: Target | None) -> bytes | Written:
    target = target or Target()
    if value is None:
        return write(_nothing())
    value = _chart_as_png(value)
    if isinstance(value, bytes | bytearray | memoryview | BytesIO) and not _has_style(target):
        body = content(value)
        if picture_format(body[:16]) == name:
            return body
    raster = to_raster(value, target.tile)
    picture = draw(raster if target.tile is None else place(raster, target.tile), target)
    return _written(picture, write)


def _written(picture: Picture, write: Writer) -> bytes | Written:
    body = write(picture)
    if not picture.key:
        return body
    headers, span = {KEY_HEADER: picture.key}, picture.range
    if span is None:
        return Written(body=body, headers=headers)
    domain = (span.low, span.high) if span.is_settled_here else None
    return Written(body=body, headers={RANGE_HEADER: str(span), **headers}, domain=domain)


def _chart_as_png(value: Any) -> Any:
    if isinstance(value, np.ndarray | tuple) or kind_of(value) is not Kind.CHART:
        return value
    from fused_jupyter.formats.charts import chart_png

    return chart_png(value)


def _has_style(target: Target) -> bool:
    style = target.style
    return bool(style.rescale or style.colormap) or style.nodata is not None


def _write_png(picture: Picture) -> bytes:
    if picture.palette is not None:
        return write_palette_png(picture.pixels, picture.palette, is_ramp=not picture.is_flat)
    return write_png(picture.pixels, transparent=picture.clear)


def _nothing() -> Picture:
    blank = np.zeros((1, 1, TILE_SIDE, TILE_SIDE), np.bool_)
    return draw(Raster(data=blank[0], mask=~blank[0]), Target())
