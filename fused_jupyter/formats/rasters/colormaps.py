"""Colour maps by name or as JSON: ramps over a range of values, and colours of single values."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from math import isfinite
from typing import Any, Final
from zlib import decompress

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import ArgumentError
from fused_jupyter.formats.rasters._colours import ALIASES, COLOURS, NAMES

Colours = NDArray[np.uint8]

DEFAULT: Final = "viridis"
_NAMES: Final = NAMES.split()
_EXAMPLES: Final = 'viridis, ["#000","#f00"], [[0,"#fff"],[100,"navy"]] or {"1":"#0a0","2":[255,0,0,128]}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """Colours from the least to the greatest value."""

    colours: Colours
    """Shape (256, 4): red, green, blue, alpha; evenly spaced over the range."""
    domain: tuple[float, float] | None = None
    """The range where the map says it itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """A colour for each of some values; all others are transparent."""

    values: NDArray[np.float64]
    """Ascending."""
    colours: Colours
    """Shape (values, 4): red, green, blue, alpha."""


@lru_cache(maxsize=64)
def read_colormap(text: str) -> Ramp | Classes:
    """The colour map that a query's text means.

    A name of matplotlib's in any case, reversed by ``_r``; or JSON: a list of colours, a list of [value, colour], or an
    object from values to colours. A colour is a name of CSS, hexadecimal digits, or [red, green, blue(, alpha)].

    Raises:
        ArgumentError: none of these.

    >>> read_colormap('{"1": "#0a0", "2": [255, 0, 0, 128]}').colours.tolist()
    [[0, 170, 0, 255], [255, 0, 0, 128]]
    """
    if not text.lstrip().startswith(("[", "{")):
        return Ramp(colours=_named(text))
    said = _read_json(text)
    if isinstance(said, dict):
        return _read_classes(said)
    if len(said) < 2:
        raise _refusal(text, "need two colours or more")
    if all(isinstance(each, list) and len(each) == 2 for each in said):
        return _read_stops(said)
    places = np.linspace(0, 1, len(said))
    return Ramp(colours=_blend(places, [_read_colour(each) for each in said], np.linspace(0, 1, 256)))


@lru_cache(maxsize=1)
def colormap_names() -> tuple[str, ...]:
    """All names, without those that end in ``_r``."""
    return tuple(sorted([*_NAMES, *ALIASES]))


def _named(text: str) -> Colours:
    name = text.strip().lower()
    is_reversed = name.endswith("_r")
    base = name.removesuffix("_r")
    base = ALIASES.get(base, base)
    if base not in _NAMES:
        nearest = get_close_matches(base, colormap_names(), n=3)
        hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
        raise _refusal(text, f"no map has this name{hint}")
    reds_greens_blues = _table()[_NAMES.index(base)]
    colours = np.full((256, 4), 255, np.uint8)
    colours[:, :3] = reds_greens_blues.T[::-1] if is_reversed else reds_greens_blues.T
    return colours


@lru_cache(maxsize=1)
def _table() -> Colours:
    """Shape (maps, 3, 256)."""
    differences = np.frombuffer(decompress(b64decode(COLOURS)), np.uint8).reshape(len(_NAMES), 3, 256)
    return np.cumsum(differences, axis=2, dtype=np.uint8)


def _read_json(text: str) -> Any:
    from json import loads

    try:
        return loads(text)
    except ValueError as exc:
        raise _refusal(text, f"this JSON is broken: {exc}") from exc


def _read_classes(said: dict[str, Any]) -> Classes:
    if not said:
        raise _refusal("{}", "need one value or more")
    pairs = sorted((_read_value(value), _read_colour(colour)) for value, colour in said.items())
    values, colours = zip(*pairs, strict=True)
    return Classes(values=np.array(values, np.float64), colours=np.array(colours, np.uint8))


def _read_stops(said: list[list[Any]]) -> Ramp:
    values, colours = [_read_value(value) for value, _ in said], [_read_colour(colour) for _, colour in said]
    if values[0] >= values[-1] or any(low > high for low, high in pairwise(values)):
        raise _refusal(str(said), "the values of the stops must ascend")
    places = np.linspace(values[0], values[-1], 256)
    return Ramp(colours=_blend(values, colours, places), domain=(values[0], values[-1]))


def _blend(stops: Any, colours: list[tuple[int, ...]], places: NDArray[np.float64]) -> Colours:
    table = np.array(colours, np.float64)
    channels = [np.interp(places, stops, table[:, channel]) for channel in range(4)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def _read_value(said: Any) -> float:
    try:
        value = float(said)
    except (TypeError, ValueError):
        value = np.nan
    if not isfinite(value):
        raise _refusal(repr(said), "a colour's value must be a number")
    return value


def _read_colour(said: Any) -> tuple[int, ...]:
    from PIL import ImageColor

    if isinstance(said, list) and len(said) in {3, 4} and all(_is_channel(each) for each in said):
        return (*said, 255)[:4]
    try:
        return ImageColor.getcolor(said, "RGBA")  # type: ignore[return-value]  # of RGBA it is always a tuple
    except (ValueError, AttributeError, TypeError) as exc:
        raise _refusal(repr(said), "a colour is a name, #rgb, #rrggbb, #rrggbbaa or [red, green, blue, alpha]") from exc


def _is_channel(said: Any) -> bool:
    return isinstance(said, int) and 0 <= said <= 255


def _refusal(text: str, reason: str) -> ArgumentError:
    shown = text if len(text) <= 80 else f"{text[:80]}…"
    return ArgumentError(f"colormap: got {shown}, {reason}; examples: {_EXAMPLES}", parameter="colormap")
