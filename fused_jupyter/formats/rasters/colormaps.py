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
from fused_jupyter.formats.rasters import _carto
from fused_jupyter.formats.rasters._colours import ALIASES, COLOURS, NAMES

Colours = NDArray[np.uint8]

DEFAULT: Final = "viridis"
_NAMES: Final = NAMES.split()
_QUALITATIVE: Final = {"accent", "dark2", "okabe_ito", "paired", "tab10", "tab20", "tab20b", "tab20c"} | {
    f"{family}{number}" for family, last in {"pastel": 2, "set": 3}.items() for number in range(1, last + 1)
}
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

    A name of matplotlib's or CARTO's in any case, reversed by ``_r``; or JSON: a list of colours, a list of
    [value, colour], or an object from values to colours. A colour is a name of CSS, hexadecimal digits, or
    [red, green, blue(, alpha)].

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
    """The names of matplotlib's maps, without those that end in ``_r``."""
    return tuple(sorted([*_NAMES, *ALIASES]))


def carto_names() -> tuple[str, ...]:
    """The names of CARTO's palettes; of the two maps called prism, a colour map is matplotlib's."""
    return tuple(sorted([*_carto.RAMPS, *_carto.CLASSES]))


def ramp_colours(name: str, count: int) -> tuple[str, ...]:
    """So many colours of a named map, evenly spaced, as ``#rrggbb``.

    Raises:
        ArgumentError: no map has this name.

    >>> ramp_colours("gray", 3), ramp_colours("burg_r", 2)
    (('#000000', '#808080', '#ffffff'), ('#672044', '#ffc6c4'))
    """
    base, is_reversed = _base(name)
    places = np.linspace(1, 0, count) if is_reversed else np.linspace(0, 1, count)
    colours = (
        _named(base)[np.rint(places * 255).astype(np.intp), :3]
        if base in _NAMES
        else _carto_at(base, places, said=name)
    )
    return tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours.tolist())


def class_colours(name: str) -> tuple[str, ...]:
    """The colours of a named palette for classes, as ``#rrggbb``; none where the name is that of a ramp or of nothing.

    >>> class_colours("tab10")[:2], class_colours("viridis"), len(class_colours("Bold"))
    (('#1f77b4', '#ff7f0e'), (), 11)
    """
    base = _base(name)[0]
    if base in _carto.CLASSES:
        return tuple(f"#{colour}" for colour in _carto.CLASSES[base].split())
    return tuple(dict.fromkeys(ramp_colours(base, 256))) if base in _QUALITATIVE else ()


def _base(text: str) -> tuple[str, bool]:
    """The name of a table, and whether it is to be reversed."""
    name = text.strip().lower()
    # As deck.gl's CARTO module calls those of ColorBrewer.
    base = name.removesuffix("_r").removeprefix("cb_")
    return ALIASES.get(base, base), name.endswith("_r")


def _named(text: str) -> Colours:
    base, is_reversed = _base(text)
    reds_greens_blues = _matplotlibs(base) if base in _NAMES else _carto_at(base, np.linspace(0, 1, 256), said=text)
    colours = np.full((256, 4), 255, np.uint8)
    colours[:, :3] = reds_greens_blues[::-1] if is_reversed else reds_greens_blues
    return colours


def _matplotlibs(base: str) -> Colours:
    return np.asarray(_table()[_NAMES.index(base)].T)


def _carto_at(base: str, places: NDArray[np.float64], *, said: str) -> Colours:
    """Shape (places, 3); the places reach from 0 to 1."""
    text = _carto.RAMPS.get(base) or _carto.CLASSES.get(base)
    if text is None:
        nearest = get_close_matches(base, [*colormap_names(), *carto_names()], n=3)
        hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
        raise _refusal(said, f"no map has this name{hint}")
    stops = np.frombuffer(bytes.fromhex(text), np.uint8).reshape(-1, 3)
    channels = [np.interp(places, np.linspace(0, 1, len(stops)), channel) for channel in stops.T.astype(np.float64)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


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
