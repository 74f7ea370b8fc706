from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from fused_jupyter.formats.rasters import png

SIDES = st.integers(1, 40)


def read(body: bytes) -> Any:
    """What Pillow sees in a PNG, as an array."""
    return np.asarray(Image.open(BytesIO(body)))


@settings(max_examples=80, deadline=None)
@given(data=st.data(), samples=st.integers(1, 4), height=SIDES, width=SIDES)
def test_what_pillow_reads_is_what_was_written(data: st.DataObject, samples: int, height: int, width: int) -> None:
    """Gray, gray with alpha, RGB and RGBA come back pixel by pixel."""
    pixels = data.draw(arrays.arrays(np.uint8, (height, width, samples)))

    seen = read(png.write_png(pixels))

    is_opaque = samples in {2, 4} and (pixels[..., -1] == 255).all()
    expected = pixels[..., : samples - is_opaque]
    assert np.array_equal(seen.reshape(expected.shape), expected)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), colours=st.integers(1, 256), height=SIDES, width=SIDES)
def test_numbered_colours_come_back_at_any_depth(data: st.DataObject, colours: int, height: int, width: int) -> None:
    """Palettes of 1 to 256 colours give the right colour and alpha for each pixel, whatever the bits for one."""
    palette = data.draw(arrays.arrays(np.uint8, (colours, 4)))
    indices = data.draw(arrays.arrays(np.uint8, (height, width), elements=st.integers(0, colours - 1)))

    image = Image.open(BytesIO(png.write_palette_png(indices, palette)))

    assert np.array_equal(np.asarray(image.convert("RGBA")), palette[indices])


@pytest.mark.parametrize(("colours", "bits"), [(2, 1), (4, 2), (16, 4), (17, 8)])
def test_few_colours_take_few_bits(colours: int, bits: int) -> None:
    """The depth in the header is the least that can number the colours."""
    indices = np.arange(64 * 64, dtype=np.uint32).reshape(64, 64) % colours
    palette = np.full((colours, 4), 255, np.uint8)

    body = png.write_palette_png(indices.astype(np.uint8), palette)

    assert body[24] == bits


def test_unused_colours_are_left_out() -> None:
    """A class map drawn with a palette of 256 colours is packed by the classes it has."""
    indices = (np.indices((64, 64)).sum(0) % 5 * 50).astype(np.uint8)
    palette = np.dstack([np.arange(256)] * 3)[0].astype(np.uint8)
    palette = np.column_stack([palette, np.full(256, 255, np.uint8)])

    image = Image.open(BytesIO(png.write_palette_png(indices, palette)))

    assert np.array_equal(np.asarray(image.convert("L")), indices)
    assert len(image.palette.getdata()[1]) == 5 * 3


def hills(size: int) -> Any:
    y, x = np.mgrid[:size, :size]
    return (np.sin(x / 9) * np.cos(y / 7) + 1) * 127


def test_filters_are_for_shades_and_not_for_flat_colours() -> None:
    """They reveal the repetitions of a photograph or a ramp to deflate, and hide those of a class map."""
    random = np.random.default_rng(0)
    photograph = (hills(128)[..., None] + random.integers(0, 3, (128, 128, 3))).astype(np.uint8)
    flat = np.repeat(np.repeat(random.integers(0, 255, (16, 16, 3), np.uint8), 8, 0), 8, 1)
    palette = np.stack([np.arange(256, dtype=np.uint8)] * 4, axis=1)

    for pixels in (photograph, flat):
        sink = BytesIO()
        Image.fromarray(pixels).save(sink, "PNG")
        assert len(png.write_png(pixels)) <= 1.25 * len(sink.getvalue()) + 200
    ramp = (hills(128) + random.integers(0, 3, (128, 128))).astype(np.uint8)
    assert len(png.write_palette_png(ramp, palette, is_ramp=True)) < 0.8 * len(png.write_palette_png(ramp, palette))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), height=SIDES, width=SIDES, colours=st.integers(1, 256))
def test_a_ramp_is_a_palette_like_any_other(data: st.DataObject, height: int, width: int, colours: int) -> None:
    """However smooth or flat it is."""
    palette = data.draw(arrays.arrays(np.uint8, (colours, 4)))
    indices = data.draw(arrays.arrays(np.uint8, (height, width), elements=st.integers(0, colours - 1)))

    image = Image.open(BytesIO(png.write_palette_png(indices, palette, is_ramp=True)))

    assert np.array_equal(np.asarray(image.convert("RGBA")), palette[indices])


def test_a_rare_colour_is_not_lost() -> None:
    """The rows that are looked at first may miss it."""
    indices = np.zeros((64, 64), np.uint8)
    indices[9, 9], indices[63, 63] = 200, 255
    palette = np.random.default_rng(0).integers(0, 255, (256, 4), np.uint8)

    body = png.write_palette_png(indices, palette)

    assert np.array_equal(np.asarray(Image.open(BytesIO(body)).convert("RGBA")), palette[indices])
    assert body[24] == 2


def test_one_colour_can_be_transparent_without_alpha() -> None:
    """Readers see through the named colour, and the file has three samples a pixel."""
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[1, 2] = 7

    image = Image.open(BytesIO(png.write_png(pixels, transparent=(0, 0, 0))))

    assert image.mode == "RGB"
    assert np.asarray(image.convert("RGBA"))[..., 3].sum() == 255


def test_the_empty_picture_is_tiny_and_transparent() -> None:
    """A tile without data costs next to nothing."""
    body = png.transparent_png(256, 256)

    assert len(body) < 150
    assert not np.asarray(Image.open(BytesIO(body)).convert("RGBA"))[..., 3].any()


def test_without_isal_the_standard_library_writes_the_same_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fallback for platforms without a wheel is a valid PNG too."""
    import zlib

    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    monkeypatch.setattr(png, "_deflate", zlib.compress)
    monkeypatch.setattr(png, "_crc32", zlib.crc32)

    assert np.array_equal(read(png.write_png(pixels)), pixels)
