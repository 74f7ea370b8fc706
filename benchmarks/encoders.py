"""CPU of our encoders against the usual libraries, on this machine.

Interleaved rounds, the median of the CPU time of the whole process: wall clock says nothing on a shared machine, and
neither do two runs at different times. So only the ratios count.

    python benchmarks/encoders.py [--quick]
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from statistics import geometric_mean, median
from typing import Any

import numpy as np
from PIL import Image

from fused_jupyter.formats import TileFrame, Wanted, encode
from fused_jupyter.formats.viridis import VIRIDIS
from fused_jupyter.tiles import Tile

Work = Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One comparison: how many times less CPU we want to need than the usual library."""

    name: str
    target: float
    ours: Work
    theirs: Work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    quick = parser.parse_args().quick
    rounds = 3 if quick else 7
    print(f"{'':34}{'ours ms':>9}{'theirs ms':>11}{'ratio':>8}{'target':>8}   bytes ours/theirs")
    pictures: list[float] = []
    for case in picture_cases():
        ours, theirs = measure(case, rounds)
        ratio = theirs / ours
        if case.name.startswith("png"):
            pictures.append(ratio)
        verdict = "met" if ratio >= case.target else "MISSED"
        sizes = len(case.ours()) / len(case.theirs())
        numbers = f"{ours * 1e3:9.2f}{theirs * 1e3:11.2f}{ratio:8.1f}{case.target:8.0f}   {sizes:5.2f}"
        print(f"{case.name:34}{numbers}   {verdict}")
    print(f"png, geometric mean of {len(pictures)}: {geometric_mean(pictures):.1f}, target 10")


def measure(case: Case, rounds: int) -> tuple[float, float]:
    """Median CPU seconds of one call, ours and theirs."""
    repeats = {work: max(1, int(0.02 / max(cpu(work, 1), 1e-5))) for work in (case.ours, case.theirs) if work()}
    times: dict[Work, list[float]] = {case.ours: [], case.theirs: []}
    for _ in range(rounds):
        for work, samples in times.items():
            samples.append(cpu(work, repeats[work]))
    return median(times[case.ours]), median(times[case.theirs])


def cpu(work: Work, repeats: int) -> float:
    gc.collect()
    gc.disable()
    start = time.process_time()
    for _ in range(repeats):
        work()
    seconds = (time.process_time() - start) / repeats
    gc.enable()
    return seconds


def picture_cases() -> Iterator[Case]:
    # Both sides begin with what a UDF returns: for a measurement, Pillow needs its colours looked up first.
    height = terrain(256)
    gray = (height * 255).astype(np.uint8)
    noise = np.random.default_rng(1).normal(0, 6, (256, 256, 3))
    shaded = np.clip(gray[:, :, None] * np.array([0.7, 0.9, 0.6]) + 20 + noise, 1, 255)
    satellite = shaded.astype(np.uint8)
    opaque = np.dstack([satellite, np.full((256, 256), 255, np.uint8)])
    measured = height.astype(np.float32)
    measured[height < 0.2] = np.nan
    classes = (height * 9).astype(np.uint8)
    colours = np.frombuffer(VIRIDIS, np.uint8).reshape(256, 3)[::25]
    yield Case(name="png satellite RGB", target=10, ours=png(np.moveaxis(satellite, 2, 0)), theirs=pillow(satellite))
    yield Case(name="png satellite RGBA, opaque", target=10, ours=png(opaque), theirs=pillow(opaque))
    yield Case(name="png elevation, gray", target=10, ours=png(gray), theirs=pillow(gray))
    yield Case(name="png elevation, float as viridis", target=10, ours=png(measured), theirs=pillow_viridis(measured))
    yield Case(name="png classes, RGB", target=10, ours=png(colours[classes] + 1), theirs=pillow(colours[classes] + 1))
    numbers = classes.astype(np.int16) * 20
    yield Case(name="png classes, int16", target=10, ours=png(numbers), theirs=pillow(colours[classes]))


def png(value: Any) -> Work:
    return lambda: encode(value, wanted=Wanted(formats=("png",)), tile=FRAME).body


def pillow(pixels: Any) -> Work:
    def work() -> bytes:
        sink = BytesIO()
        Image.fromarray(pixels).save(sink, "PNG")
        return sink.getvalue()

    return work


def pillow_viridis(values: Any) -> Work:
    palette = np.full((256, 4), 255, np.uint8)
    palette[:, :3] = np.frombuffer(VIRIDIS, np.uint8).reshape(256, 3)

    def work() -> bytes:
        missing = np.isnan(values)
        pixels = palette[(np.where(missing, 0, values).clip(0, 1) * 255).astype(np.uint8)]
        pixels[missing] = 0
        return pillow(pixels)()  # type: ignore[no-any-return]  # Work gives Any

    return work


def terrain(size: int) -> Any:
    """Smooth hills with some roughness, 0 to 1."""
    random = np.random.default_rng(0)
    frequencies = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    frequencies[0, 0] = 1
    waves = np.fft.ifft2(np.fft.fft2(random.normal(size=(size, size))) / frequencies**1.8).real
    return (waves - waves.min()) / np.ptp(waves)


def frame(z: int, x: int, y: int) -> TileFrame:
    place = Tile(z, x, y)
    return TileFrame(z=z, x=x, y=y, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


FRAME = frame(12, 655, 1583)

if __name__ == "__main__":
    main()
