from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats import Target
from fused_jupyter.formats.rasters.drawing import Picture, draw
from fused_jupyter.formats.rasters.lossy import to_pixels, write_avif, write_gif, write_jpg, write_webp
from fused_jupyter.formats.rasters.reading import to_raster

WRITERS = {"JPEG": write_jpg, "WEBP": write_webp, "AVIF": write_avif, "GIF": write_gif}
RANDOM = np.random.default_rng(0)


def shades(size: int = 64) -> Any:
    y, x = np.mgrid[:size, :size]
    return (np.sin(x / 15) * np.cos(y / 12) + 1) / 2


def pictures() -> dict[str, Picture]:
    """Each kind that there is: gray, gray with holes, colours, colours with holes, alpha, ramps, classes, a mask."""
    gray = (shades() * 250 + 2).astype(np.uint8)
    colours = np.stack([gray, 255 - gray, np.roll(gray, 20, 0) // 2 + 60])
    hole = np.zeros(gray.shape, bool)
    hole[20:40, 10:30] = True
    alpha = np.where(hole, 0, 255).astype(np.uint8)
    values = {
        "gray": gray,
        "gray with holes": np.ma.masked_array(gray, hole),
        "all shades with holes": np.ma.masked_array((shades() * 255.99).astype(np.uint8), hole),
        "colours": colours,
        "colours with holes": colours * ~hole,
        "alpha": np.stack([*colours, (gray // 2) + 100]),
        "holes and black": np.stack([*np.where(shades() < 0.05, 0, colours), alpha]),
        "ramp": np.where(hole, np.nan, shades()),
        "classes": (shades() * 5).astype(np.uint8)[None] * np.array([40, 20, 9], np.uint8)[:, None, None],
        "mask": hole,
        "one pixel": np.full((3, 1, 1), 9, np.uint8),
        "odd size": colours[:, :5, :7],
    }
    return {name: draw(to_raster(value), Target()) for name, value in values.items()}


PICTURES = pictures()


def read(body: bytes) -> Image.Image:
    image = Image.open(BytesIO(body))
    image.load()
    return image


@pytest.mark.parametrize("format_name", WRITERS)
@pytest.mark.parametrize("name", PICTURES)
def test_pillow_reads_nearly_what_was_written(format_name: str, name: str) -> None:
    """Of the size of the picture, with its transparency where the format has one, and colours that the eye takes."""
    picture = PICTURES[name]

    image = read(WRITERS[format_name](picture))

    expected = to_pixels(picture)
    expected = np.asarray(Image.fromarray(expected.squeeze(2) if expected.shape[2] == 1 else expected).convert("RGBA"))
    seen = np.asarray(image.convert("RGBA"))
    assert image.format == format_name
    assert seen.shape == expected.shape
    visible = expected[..., 3] > 127
    if name != "alpha":  # half transparent colours have no one right look without alpha
        assert np.abs(seen[visible].astype(int)[..., :3] - expected[visible][..., :3]).mean() < 12
    if format_name == "JPEG":
        assert (seen[..., 3] == 255).all()
        assert (seen[~visible][..., :3] > 127).all()
    elif name != "alpha":
        assert np.array_equal(seen[..., 3] > 127, visible)


def test_what_is_half_transparent_lies_on_white_in_a_jpeg() -> None:
    """As on a page of paper."""
    pixels = np.full((8, 8, 4), 100, np.uint8)
    pixels[..., 3] = 128

    seen = np.asarray(read(write_jpg(Picture(pixels=pixels))))

    assert np.abs(seen.astype(int) - (255 - 155 * 128 / 255)).max() < 3


def test_alpha_of_webp_and_avif_is_more_than_all_or_nothing() -> None:
    """It comes back as it was, or nearly."""
    expected = to_pixels(PICTURES["alpha"])[..., 3].astype(int)

    for write in (write_webp, write_avif):
        assert np.abs(np.asarray(read(write(PICTURES["alpha"])))[..., 3] - expected).max() < 12


def test_classes_lose_nothing_in_webp() -> None:
    """Between forest and water is no third thing."""
    for name in ("classes", "mask"):
        expected = to_pixels(PICTURES[name])
        seen = np.asarray(read(write_webp(PICTURES[name])).convert("RGBA"))
        visible = expected[..., 3] > 0 if expected.shape[2] == 4 else np.ones(expected.shape[:2], bool)
        assert np.array_equal(seen[visible][..., :3], expected[visible][..., :3])


def test_a_gif_of_a_palette_is_exact() -> None:
    """255 numbered colours and nothing are what it is made for."""
    for name in ("ramp", "classes", "mask"):
        expected = to_pixels(PICTURES[name])
        seen = np.asarray(read(write_gif(PICTURES[name])).convert("RGBA"))
        visible = expected[..., 3] > 0 if expected.shape[2] == 4 else np.ones(expected.shape[:2], bool)
        assert np.array_equal(seen[visible][..., :3], expected[visible][..., :3])
        assert np.array_equal(seen[..., 3] > 0, visible)


def test_lossy_is_small() -> None:
    """What it is for: a photograph is a fraction of its pixels."""
    noise = RANDOM.normal(0, 3, (3, 256, 256))
    photograph = draw(to_raster(np.clip(shades(256) * 200 + 20 + noise, 1, 255).astype(np.uint8)), Target())

    for write in (write_jpg, write_webp, write_avif):
        assert len(write(photograph)) < photograph.pixels.size / 6


def test_without_avif_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older Pillows have none."""
    monkeypatch.setattr(features, "check", lambda name: name != "avif")

    with pytest.raises(UdfSerializationError, match=r"cannot write AVIF; install pillow>=11.3"):
        write_avif(PICTURES["gray"])


def test_a_picture_too_large_for_the_format_says_so() -> None:
    """WebP ends at 16383 pixels a side."""
    with pytest.raises(UdfSerializationError, match="20000 x 1 pixels cannot be WEBP"):
        write_webp(Picture(pixels=np.zeros((1, 20_000, 3), np.uint8)))
