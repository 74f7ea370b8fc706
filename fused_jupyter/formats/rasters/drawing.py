"""Rasters as pictures: which colours a band, three bands or a mask become.

====================== ===============================================================================
one band of uint8      gray
one band with a table  as its file says
one band of bool       violet where True, transparent where False
one band else          viridis over the data's range (see `ranges`), as 255 numbered colours
three bands            RGB; where all are 0 it is transparent, as UDFs written for Fused expect
four bands             RGBA
two, five and more     the first band, the first three
steps of time, height  the first one, as one band
====================== ===============================================================================

Floats of three and four bands reach from 0 to 1, integers from 0 to 255, or as ``rescale`` says. A colour map draws the
first band, whatever its type. NaN, masked pixels and nodata are transparent.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import ArgumentError
from fused_jupyter.formats.rasters.colormaps import DEFAULT, Classes, Colours, read_colormap
from fused_jupyter.formats.rasters.palettes import number_colours, used_numbers
from fused_jupyter.formats.rasters.ranges import Range, settle
from fused_jupyter.formats.rasters.raster import Mask, Raster, missing_pixels
from fused_jupyter.formats.target import Target

Pixels = NDArray[np.uint8]
Pairs = tuple[tuple[float, float], ...]

_BLACK: Final = (0, 0, 0)
_STEPS: Final = 254
_EVENLY: Final = np.rint(np.linspace(0, 255, _STEPS + 1)).astype(np.intp)
"""Which of a ramp's 256 colours are used where one number is taken for nothing."""
_MOST_COLOURS: Final = 256
_FEW_SHADES: Final = 16
_MOST_LISTED: Final = 65_535
_BYTE: Final = (0.0, 255.0)
_KEY_COLOURS: Final = 9
_MOST_KEYS: Final = 40
_OPAQUE: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is seen, at 8 bits a sample."""

    pixels: Pixels
    """Numbers of colours, shape (height, width), where there is a palette; else shape (height, width, samples) of gray,
    gray and alpha, RGB or RGBA."""
    palette: Colours | None = None
    """Shape (colours, 4): red, green, blue, alpha."""
    clear: tuple[int, ...] | None = None
    """The one gray value or RGB colour that is transparent; only where there is neither palette nor alpha."""
    is_flat: bool = False
    """Whether it has few colours, each for something else: classes, not shades."""
    range: Range | None = None
    """The values that the ends of its colours stand for; None where colours stand for no range."""
    key: str = ""
    """What its colours stand for, for a legend: of a range nine colours from the least to the greatest value, as
    hexadecimal digits with spaces between; of single values each with its colour, as ``1=00aa00``."""


def draw(raster: Raster, target: Target) -> Picture:
    """The picture of a raster.

    Raises:
        ArgumentError: a colour map that nobody knows.
    """
    style = target.style
    if style.nodata is not None:
        raster = replace(raster, nodata=style.nodata)
    bands = _count_shown(raster, style.colormap)
    shown = raster.data[:bands]
    missing = missing_pixels(raster, slice(0, bands))
    missing = missing if missing is not None and missing.any() else None
    with np.errstate(all="ignore"):  # infinities, and numbers too large for a shade
        if bands == 1:
            return _draw_band(shown[0], missing, raster, target)
        return _draw_colours(_to_bytes(shown, style.rescale), _emptiness(shown, missing))


def _count_shown(raster: Raster, colormap: str) -> int:
    bands = len(raster.data)
    if colormap or bands <= 2:
        return 1
    if raster.are_steps:
        warnings.warn(f"The picture shows the first of {bands} steps; choose in the UDF: array[0]", stacklevel=2)
        return 1
    if bands > 4:
        warnings.warn(f"The picture shows the first 3 of {bands} bands; choose in the UDF: array[:3]", stacklevel=2)
        return 3
    return bands


# -- one band


def _draw_band(band: NDArray[Any], missing: Mask | None, raster: Raster, target: Target) -> Picture:
    style = target.style
    if not style.colormap and not style.rescale and raster.colours is not None:
        return _draw_numbers(band, missing, raster.colours)
    if not style.colormap and not style.rescale and band.dtype in _DRAWN_AS_IT_IS:
        return _DRAWN_AS_IT_IS[band.dtype](band, missing)
    name = style.colormap or ("gray" if band.dtype == np.uint8 else DEFAULT)
    colours = read_colormap(name)
    if isinstance(colours, Classes):
        return _draw_classes(band, missing, colours)
    said = style.rescale[0] if style.rescale else colours.domain or raster.domain or _WHOLE_RANGES.get(band.dtype)
    span = settle(band, missing, said=said, target=target)
    if band.dtype == np.uint8 and missing is None and (span.low, span.high) == _BYTE:
        return Picture(pixels=band, palette=colours.colours, range=span, key=_ramp_key(name))
    numbers = _number(band, span)
    if missing is not None:
        numbers *= ~missing
    return Picture(pixels=numbers, palette=_palette(name), range=span, key=_ramp_key(name))


def _draw_mask(band: NDArray[Any], missing: Mask | None) -> Picture:
    shown = band if missing is None else band & ~missing
    palette = _palette(DEFAULT)[:2]
    return Picture(pixels=shown.astype(np.uint8), palette=palette, is_flat=True, key=_class_key({"True": palette[1]}))


def _draw_gray(band: NDArray[Any], missing: Mask | None) -> Picture:
    span, key = Range(low=_BYTE[0], high=_BYTE[1]), _ramp_key("gray")
    if missing is None and len(used_numbers(band)) <= _FEW_SHADES:
        # As numbers of gray colours, which a PNG packs to four bits or fewer.
        return Picture(pixels=band, palette=read_colormap("gray").colours, is_flat=True, range=span, key=key)
    if missing is None:
        return Picture(pixels=band[:, :, None], range=span, key=key)
    grays = band * ~missing
    # One byte a pixel where a shade is free to stand for nothing, two where all are taken.
    free = _free_number(grays)
    if free is None:
        return Picture(pixels=np.dstack([grays, ~missing * np.uint8(255)]), range=span, key=key)
    grays += missing * np.uint8(free)
    return Picture(pixels=grays[:, :, None], clear=(free,), range=span, key=key)


def _draw_numbers(band: Pixels, missing: Mask | None, colours: Colours) -> Picture:
    seen = band if missing is None else band[~missing]
    key = _class_key({str(number): colours[number] for number in np.flatnonzero(np.bincount(seen.ravel())).tolist()})
    if missing is None:
        return Picture(pixels=band, palette=colours, is_flat=True, key=key)
    shown = band * ~missing
    hole = _free_number(shown)
    if hole is None:
        return Picture(pixels=colours[band] * ~missing[:, :, None], is_flat=True, key=key)
    palette = colours.copy()
    palette[hole] = 0
    return Picture(pixels=shown + missing * np.uint8(hole), palette=palette, is_flat=True, key=key)


def _free_number(numbers: Pixels) -> int | None:
    body = numbers.tobytes()
    return next((number for number in range(1, 256) if number not in body), None)


def _number(band: NDArray[Any], span: Range) -> Pixels:
    """Numbers of colours: 1 to 255 from the lower to the upper end of the range; of NaN it is any."""
    precise = np.float64 if band.dtype.itemsize >= 4 and band.dtype != np.float32 else np.float32
    scaled = np.subtract(band, span.low, dtype=precise)
    scaled *= _STEPS / ((span.high - span.low) or 1.0)
    scaled += 1.5
    # fmax and fmin, for they let NaN become a number: what a cast makes of NaN differs between processors.
    numbers: Pixels = np.fmin(np.fmax(scaled, 1, out=scaled), 255, out=scaled).astype(np.uint8)
    return numbers


@lru_cache(maxsize=64)
def _palette(colormap: str) -> Colours:
    """The colours for `_number`, after a transparent one."""
    ramp = read_colormap(colormap)
    palette = np.zeros((256, 4), np.uint8)
    palette[1:] = ramp.colours[_EVENLY]
    return palette


@lru_cache(maxsize=64)
def _ramp_key(colormap: str) -> str:
    ramp = read_colormap(colormap)
    return " ".join(_digits(ramp.colours[number]) for number in np.linspace(0, 255, _KEY_COLOURS).round().astype(int))


def _class_key(colours: Mapping[str, Colours]) -> str:
    """Of transparent colours nobody asks what they mean; and a header must end somewhere."""
    seen = [f"{value}={_digits(colour)}" for value, colour in colours.items() if colour[3]]
    return " ".join(seen[:_MOST_KEYS])


def _digits(colour: Colours) -> str:
    return colour.tobytes().hex().removesuffix("ff") if colour[3] == _OPAQUE else colour.tobytes().hex()


def _short(number: float) -> str:
    return repr(number).removesuffix(".0")


def _draw_classes(band: NDArray[Any], missing: Mask | None, classes: Classes) -> Picture:
    places = _find(band, classes.values)
    if missing is not None:
        places = np.where(missing, 0, places)
    palette = np.concatenate([np.zeros((1, 4), np.uint8), classes.colours])
    key = _class_key(dict(zip(map(_short, classes.values.tolist()), classes.colours, strict=True)))
    if len(palette) <= _MOST_COLOURS:
        return Picture(pixels=places.astype(np.uint8), palette=palette, is_flat=True, key=key)
    return Picture(pixels=palette[places], is_flat=True, key=key)


def _find(band: NDArray[Any], values: NDArray[np.float64]) -> NDArray[Any]:
    """For each pixel 1 + the place of its value, 0 where it is none of them."""
    band = band.view(np.uint8) if band.dtype == bool else band
    if band.dtype.kind == "f" or not band.size or band.min() < 0 or band.max() > _MOST_LISTED:
        nearest = np.minimum(np.searchsorted(values, band), len(values) - 1)
        return np.where(values[nearest] == band, nearest + 1, 0)
    listed = np.zeros(int(band.max()) + 1, np.uint8 if len(values) < _MOST_COLOURS else np.intp)
    whole = (values == np.floor(values)) & (values >= 0) & (values < len(listed))
    listed[values[whole].astype(np.intp)] = np.flatnonzero(whole) + 1
    found: NDArray[Any] = np.take(listed, band, mode="clip")
    return found


_DRAWN_AS_IT_IS: Final = {np.dtype(np.bool_): _draw_mask, np.dtype(np.uint8): _draw_gray}
_WHOLE_RANGES: Final = {np.dtype(np.bool_): (0.0, 1.0), np.dtype(np.uint8): _BYTE}


# -- three and four bands


def _emptiness(bands: NDArray[Any], missing: Mask | None) -> Mask | None:
    """True where nothing is to be seen; of three bands where all are 0, before they are rounded to bytes."""
    if len(bands) > 3:
        return missing
    black = ~bands.any(axis=0) if bands.dtype.kind == "f" else (bands[0] | bands[1] | bands[2]) == 0
    return np.asarray(black if missing is None else black | missing)


def _to_bytes(bands: NDArray[Any], rescale: Pairs) -> Pixels:
    """The bands from 0 to 255; one pair rescales all but an alpha."""
    if not rescale and bands.dtype == np.uint8:
        return bands
    if 1 < len(rescale) < 3:
        raise ArgumentError(
            f"rescale: got {len(rescale)} pairs for {len(bands)} bands; need one for all, or one for each",
            parameter="rescale",
        )
    pairs: list[tuple[float, float] | None] = [*rescale] if len(rescale) > 1 else [rescale[0] if rescale else None] * 3
    return np.stack([_to_byte(band, pair) for band, pair in zip(bands, [*pairs, None], strict=False)])


def _to_byte(band: NDArray[Any], pair: tuple[float, float] | None) -> Pixels:
    if pair is None and band.dtype.kind != "f":
        return band * np.uint8(255) if band.dtype == bool else np.clip(band, 0, 255).astype(np.uint8)
    low, high = pair or (0.0, 1.0)
    precise = np.float64 if band.dtype.itemsize >= 4 and band.dtype != np.float32 else np.float32
    scaled = np.subtract(band, low, dtype=precise)
    scaled *= 255 / (high - low)
    scaled += 0.5
    shades: Pixels = np.fmin(np.fmax(scaled, 0, out=scaled), 255, out=scaled).astype(np.uint8)
    return shades


def _draw_colours(bands: Pixels, empty: Mask | None) -> Picture:
    alpha = bands[3] if len(bands) > 3 else None
    bands = bands[:3]
    if empty is not None and empty.any():
        visible = ~empty
        bands = bands * visible
        alpha = visible * np.uint8(255) if alpha is None else alpha * visible
    hidden = None if alpha is None else alpha == 0
    is_mask = hidden is not None and np.array_equal(hidden, alpha != 255)
    hidden = hidden if is_mask else None
    if (numbered := number_colours(bands, None if is_mask else alpha)) is not None:
        return _draw_flat(*numbered, hidden)
    if alpha is None or (hidden is not None and not hidden.any()):
        return Picture(pixels=_interleave(bands))
    if hidden is not None and np.array_equal(hidden, (bands[0] | bands[1] | bands[2]) == 0):
        # Black as the transparent colour: three quarters of the bytes that an alpha channel would need.
        return Picture(pixels=_interleave(bands), clear=_BLACK)
    return Picture(pixels=np.stack([*bands, alpha], axis=-1))


def _draw_flat(numbers: Pixels, palette: Colours, hidden: Mask | None) -> Picture:
    if hidden is None or not hidden.any():
        return Picture(pixels=numbers, palette=palette, is_flat=True)
    if len(palette) == _MOST_COLOURS:
        return Picture(pixels=palette[numbers] * ~hidden[:, :, None], is_flat=True)
    # The hole is a colour of its own, whatever lies below it.
    numbers = numbers * ~hidden + hidden * np.uint8(len(palette))
    return Picture(pixels=numbers, palette=np.concatenate([palette, np.zeros((1, 4), np.uint8)]), is_flat=True)


def _interleave(bands: Pixels) -> Pixels:
    pixels = np.moveaxis(bands, 0, 2)
    return pixels if pixels.flags.c_contiguous else np.stack(list(bands), axis=-1)
