"""Pictures against rio-tiler's `render`, and their bytes against Pillow's; each side begins with the same array.

python benchmarks/pictures.py [--quick]
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from measuring import Case, Work, is_quick, report, report_mean
from PIL import Image
from rio_tiler.colormap import cmap
from rio_tiler.models import ImageData

from fused_jupyter.formats import Style, Target
from fused_jupyter.formats.rasters import png
from fused_jupyter.formats.rasters.pictures import encode_jpg, encode_png, encode_webp

VIRIDIS = cmap.get("viridis")
COLOURS = np.array([VIRIDIS[index] for index in range(256)], np.uint8)
MOST_BYTES = 1.25
"""Of ours by those of Pillow's default."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One picture, as a UDF returns it and as the others want it."""

    name: str
    target: float
    """CPU of rio-tiler's / CPU of ours, at least."""
    value: Any
    bands: Any
    """For rio-tiler, shape (bands, height, width), a masked array where pixels are missing."""
    pixels: Any
    """For Pillow, of the mode that shows the same; colours of a measurement are looked up in `colours`."""
    style: dict[str, str]
    is_mapped: bool = False


def main() -> None:
    rounds = 3 if is_quick(__doc__.splitlines()[0]) else 7
    for size in (256, 512):
        print(f"-- PNG, {size} x {size}")
        samples = list(make_samples(size))
        results = report(rio_tiler_cases(samples), rounds=rounds)
        report_mean(results, "rio-tiler", target=12)
        report(pillow_cases(samples), rounds=rounds)
        print("-- without isal")
        report(plain_cases(samples), rounds=rounds)
        print("-- other formats")
        report(other_cases(samples), rounds=rounds)


def rio_tiler_cases(samples: list[Sample]) -> Iterator[Case]:
    for each in samples:
        yield Case(name=f"{each.name}, rio-tiler", target=each.target, ours=ours(each), theirs=rio_tiler(each, "PNG"))


def pillow_cases(samples: list[Sample]) -> Iterator[Case]:
    for each in samples:
        yield Case(name=f"{each.name}, Pillow", target=4, ours=ours(each), theirs=pillow(each), bytes_target=MOST_BYTES)


def plain_cases(samples: list[Sample]) -> Iterator[Case]:
    for each in samples:
        work = without_isal(ours(each))
        yield Case(name=f"{each.name}, rio-tiler", target=4, ours=work, theirs=rio_tiler(each, "PNG"))


def other_cases(samples: list[Sample]) -> Iterator[Case]:
    photograph = samples[0]
    for name, encode, target in (("JPEG", encode_jpg, 5), ("WEBP", encode_webp, 2)):
        work = ours(photograph, encode)
        yield Case(name=f"{name} satellite, rio-tiler", target=target, ours=work, theirs=rio_tiler(photograph, name))


def ours(sample: Sample, encode: Callable[..., Any] = encode_png) -> Work:
    target = Target(style=Style.of(sample.style))

    def work() -> bytes:
        written = encode(sample.value, target)
        return written if isinstance(written, bytes) else written.body

    return work


def without_isal(work: Work) -> Work:
    fast = png._deflate, png._crc32  # noqa: SLF001  there is no other way to leave them out

    def slow() -> Any:
        png._deflate, png._crc32 = zlib.compress, zlib.crc32  # noqa: SLF001
        try:
            return work()
        finally:
            png._deflate, png._crc32 = fast  # noqa: SLF001

    return slow


def rio_tiler(sample: Sample, name: str) -> Work:
    colormap = VIRIDIS if sample.is_mapped else None
    pair = [float(end) for end in sample.style["rescale"].split(",")] if "rescale" in sample.style else None

    def work() -> bytes:
        # Rescaling writes into the array, so each time needs its own.
        image = ImageData(sample.bands if pair is None else sample.bands.copy())
        if pair is not None:
            image.rescale(in_range=((pair[0], pair[1]),))
        return bytes(image.render(img_format=name, colormap=colormap))

    return work


def pillow(sample: Sample) -> Work:
    def work() -> bytes:
        pixels = sample.pixels
        if sample.is_mapped:
            low, high = (float(end) for end in sample.style.get("rescale", "0,255").split(","))
            missing = np.isnan(pixels) if pixels.dtype.kind == "f" else np.zeros(pixels.shape, bool)
            scaled = (np.where(missing, low, pixels) - low) * (255 / (high - low))
            pixels = COLOURS[scaled.clip(0, 255).astype(np.uint8)]
            pixels[missing] = 0
        sink = BytesIO()
        Image.fromarray(pixels).save(sink, "PNG")
        return sink.getvalue()

    return work


def make_samples(size: int) -> Iterator[Sample]:
    height = terrain(size)
    gray = (height * 255).astype(np.uint8)
    noise = np.random.default_rng(1).normal(0, 6, (size, size, 3))
    satellite = np.clip(gray[:, :, None] * np.array([0.7, 0.9, 0.6]) + 20 + noise, 1, 255).astype(np.uint8)
    bands = np.ascontiguousarray(np.moveaxis(satellite, 2, 0))
    hole = terrain(size, seed=5) < 0.35
    alpha = np.where(hole, 0, 255).astype(np.uint8)
    holed = np.ma.masked_array(bands, np.broadcast_to(hole, bands.shape))

    def sample(name: str, target: float, value: Any, bands: Any, pixels: Any, **style: str) -> Sample:
        is_mapped = "colormap" in style
        masked = np.ma.masked_array(bands, np.ma.getmaskarray(bands))
        return Sample(
            name=name, target=target, value=value, bands=masked, pixels=pixels, style=style, is_mapped=is_mapped
        )

    yield sample("satellite RGB", 12, bands, bands, satellite)
    yield sample("satellite RGB, black holes", 12, bands * ~hole, holed, np.dstack([satellite, alpha]))
    yield sample("satellite RGBA, holes", 12, np.stack([*bands, alpha]), holed, np.dstack([satellite, alpha]))
    opaque = np.full_like(alpha, 255)
    yield sample("satellite RGBA, opaque", 12, np.stack([*bands, opaque]), bands, np.dstack([satellite, opaque]))
    reflectance = bands.astype(np.uint16) * 12
    yield sample("satellite RGB, uint16", 12, reflectance, reflectance, satellite, rescale="0,3060")
    yield sample("elevation gray", 12, gray, gray[None], gray)
    masked = np.ma.masked_array(gray, hole)
    yield sample("elevation gray, holes", 12, masked, masked[None], np.dstack([gray * ~hole, alpha]))
    measured = height.astype(np.float32)
    measured[height < 0.2] = np.nan
    filled = np.ma.masked_invalid(measured)
    filled = np.ma.masked_array(filled.filled(0), filled.mask)
    mapped = {"colormap": "viridis"}
    yield sample("elevation float, viridis", 50, measured, filled[None], measured, rescale="0,1", **mapped)
    yield sample("elevation uint8, viridis", 50, gray, gray[None], gray, **mapped)
    yield from class_samples((height * 9).astype(np.uint8), sample)


def class_samples(classes: Any, sample: Callable[..., Sample]) -> Iterator[Sample]:
    # Flat pictures cost the others little too: there is not much to compress.
    colours = np.array([[index * 25 + 3, 255 - index * 20, index * 70 % 256] for index in range(10)], np.uint8)
    pixels = colours[classes]
    bands = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    hole = classes == 2
    alpha = np.where(hole, 0, 255).astype(np.uint8)
    holed = np.ma.masked_array(bands, np.broadcast_to(hole, bands.shape))
    yield sample("classes RGB", 12, bands, bands, pixels)
    yield sample("classes RGBA, holes", 12, np.stack([*bands, alpha]), holed, np.dstack([pixels, alpha]))
    yield sample("classes gray", 12, classes * 20, (classes * 20)[None], classes * 20)
    numbers = classes.astype(np.int16) * 20
    yield sample("classes int16, viridis", 12, numbers, numbers[None], numbers, rescale="0,200", colormap="viridis")


def terrain(size: int, *, seed: int = 0) -> Any:
    """Smooth hills with some roughness, 0 to 1."""
    random = np.random.default_rng(seed)
    frequencies = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    frequencies[0, 0] = 1
    waves = np.fft.ifft2(np.fft.fft2(random.normal(size=(size, size))) / frequencies**1.8).real
    return (waves - waves.min()) / np.ptp(waves)


if __name__ == "__main__":
    main()
