"""Pictures as JPEG, WebP, AVIF and GIF, by Pillow, with the settings that cost least for what they give."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.rasters.drawing import Picture

Pixels = NDArray[np.uint8]

_OPAQUE: Final = 255
_HALF: Final = 128


def write_jpg(picture: Picture) -> bytes:
    """A JPEG of quality 85; what is transparent lies on white, for JPEG knows no transparency."""
    pixels = to_pixels(picture)
    if pixels.shape[2] in {2, 4}:
        alpha = pixels[:, :, -1:].astype(np.uint16)
        pixels = ((pixels[:, :, :-1] * alpha + _OPAQUE * (_OPAQUE - alpha) + 127) // _OPAQUE).astype(np.uint8)
    return _save(pixels, "JPEG", quality=85)


def write_webp(picture: Picture) -> bytes:
    """A WebP of quality 80 with alpha; without loss where colours stand for classes, which blurred edges would mix."""
    pixels = to_pixels(picture)
    if picture.is_flat:
        return _save(pixels, "WEBP", lossless=True, quality=0, method=0, exact=False)
    # Method 0 of 6: a third of the CPU of the usual 4, for a few per cent more bytes.
    return _save(pixels, "WEBP", quality=80, method=0)


def write_avif(picture: Picture) -> bytes:
    """An AVIF of quality 60 with alpha.

    Raises:
        UdfSerializationError: this Pillow has no AVIF.
    """
    if not features.check("avif"):
        raise UdfSerializationError("This Pillow cannot write AVIF; install pillow>=11.3, or ask for webp or png")
    # Speed 10 of 10: the usual 6 takes eleven times the CPU.
    return _save(to_pixels(picture), "AVIF", quality=60, speed=10, max_threads=1)


def write_gif(picture: Picture) -> bytes:
    """A GIF of 256 colours, of which one is transparent where any pixel is."""
    if picture.palette is not None and (picture.palette[:, 3] < _HALF).sum() <= 1:
        hidden = np.flatnonzero(picture.palette[:, 3] < _HALF)
        return _save_numbers(picture.pixels, picture.palette, int(hidden[0]) if hidden.size else None)
    pixels = to_pixels(picture)
    is_colourful = pixels.shape[2] > 2
    seen = Image.fromarray(np.ascontiguousarray(pixels[:, :, :3] if is_colourful else pixels[:, :, 0]))
    # The usual median cut takes seventy times the CPU.
    numbered = seen.convert("RGB").quantize(_OPAQUE, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    colours = np.zeros((256, 4), np.uint8)
    table = np.array(numbered.getpalette("RGB"), np.uint8).reshape(-1, 3)
    colours[: len(table), :3] = table
    numbers = np.array(numbered, np.uint8)
    if pixels.shape[2] not in {2, 4}:
        return _save_numbers(numbers, colours, None)
    numbers[pixels[:, :, -1] < _HALF] = _OPAQUE
    return _save_numbers(numbers, colours, _OPAQUE)


def to_pixels(picture: Picture) -> Pixels:
    """The picture without palette and without a transparent colour: shape (height, width, samples)."""
    if picture.palette is not None:
        colours = picture.palette if (picture.palette[:, 3] != _OPAQUE).any() else picture.palette[:, :3]
        return np.asarray(colours[picture.pixels])
    if picture.clear is None:
        return picture.pixels
    is_clear = (picture.pixels == np.array(picture.clear, np.uint8)).all(axis=2)
    return np.dstack([picture.pixels, np.where(is_clear, 0, _OPAQUE).astype(np.uint8)])


def _save_numbers(numbers: Pixels, colours: Pixels, hidden: int | None) -> bytes:
    image = Image.fromarray(numbers).convert("P")
    image.putpalette(colours[:, :3].tobytes())
    options = {} if hidden is None else {"transparency": hidden}
    return _write(image, "GIF", optimize=False, **options)


def _save(pixels: Pixels, name: str, **options: Any) -> bytes:
    samples = pixels.shape[2]
    mode_pixels = np.ascontiguousarray(pixels[:, :, 0] if samples == 1 else pixels)
    return _write(Image.fromarray(mode_pixels), name, **options)


def _write(image: Image.Image, name: str, **options: Any) -> bytes:
    sink = BytesIO()
    try:
        image.save(sink, name, **options)
    except (OSError, ValueError) as exc:
        width, height = image.size
        raise UdfSerializationError(f"A picture of {width} x {height} pixels cannot be {name}: {exc}") from exc
    return sink.getvalue()
