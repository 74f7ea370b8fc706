"""Colours and sizes that follow a column: ramps, categories, and what the page is to decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from itertools import pairwise
from math import isfinite
from typing import Any, Final

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets._style.colors import class_colors, read_color, read_palette, sample
from fused_jupyter.widgets._style.looks import Auto, Categories, Category, Color, Ramp, Scaled

SCALES: Final = ("linear", "log", "quantile")
DEFAULT_CLASSES: Final = "Vivid"
"""Of middle lightness, so that its colours read over a light and over a dark page."""
_TYPES: Final = ("auto", "continuous", "categories")
_MOST_STEPS: Final = 32

_NAMES: Final = {
    "column": ("attr", "by", "field", "property"),
    "palette": ("colors", "colours", "cmap", "colormap"),
    "domain": (),
    "steps": ("k", "bins"),
    "breaks": (),
    "reverse": ("reversed",),
    "null_color": ("nullColor", "missing"),
    "scale": (),
    "categories": ("values",),
    "labels": (),
    "other_color": ("otherColor", "others"),
    "label": ("title",),
    "type": (),
    "range": (),
    "optional": (),
}
"""What may be said, and how others call it."""
_MEANINGS: Final = {name: canonical for canonical, names in _NAMES.items() for name in (canonical, *names)}
BY_DATA: Final = frozenset(_MEANINGS)
"""All of them."""


def is_by_data(value: object) -> bool:
    """Whether it says which column to follow."""
    return isinstance(value, Mapping) and any(_MEANINGS.get(str(name)) == "column" for name in value)


def read_by_data(given: Mapping[str, Any], *, name: str) -> Color:
    """A colour that follows a column.

    Args:
        given: ``column`` and what else is known, see `_NAMES`.
        name: what an error calls it.

    Raises:
        ArgumentError: a name or a value that does not fit; the message says what would.

    >>> read_by_data({"column": "mag", "palette": ["white", "red"], "domain": [0, 8]}, name="color").colors
    ('#ffffff', '#ff0000')
    """
    said = _read_names(given, name)
    return _READERS[_kind_of(said, name)](said, name)


def read_scaled(given: Mapping[str, Any], *, name: str) -> Scaled:
    """A size that follows a column: ``column``, ``range`` in pixels, and perhaps ``domain`` and ``scale``.

    Raises:
        ArgumentError: a name or a value that does not fit.
    """
    said = _read_names(given, name)
    ends = _numbers(said.get("range"), f"{name}: range", example="[2, 20]")
    domain = None if said.get("domain") is None else _numbers(said["domain"], f"{name}: domain", example="[0, 100]")
    if len(ends) != 2 or (domain is not None and len(domain) != 2):
        raise ArgumentError(f"style: {name}: got {dict(given)!r}, need two numbers for range and domain")
    if domain is not None and domain[0] > domain[1]:
        ends, domain = ends[::-1], domain[::-1]
    low, high = ends
    return Scaled(
        column=str(said["column"]),
        range=(low, high),
        domain=None if domain is None else (domain[0], domain[1]),
        scale=_scale(said, name),
    )


def _read_names(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for key, value in given.items():
        if (meaning := _MEANINGS.get(str(key))) is None:
            near = get_close_matches(str(key), _MEANINGS, n=2)
            hint = f"did you mean {' or '.join(near)}" if near else f"known are {', '.join(_NAMES)}"
            raise ArgumentError(f"style: {name}: got {key!r}; {hint}")
        said[meaning] = value
    if not isinstance(said.get("column"), str) or not said["column"]:
        raise ArgumentError(f"style: {name}: got column {said.get('column')!r}, need the name of a column")
    return said


def _kind_of(said: Mapping[str, Any], name: str) -> str:
    kind = said.get("type") or "auto"
    if kind not in _TYPES:
        raise ArgumentError(f"style: {name}: type: got {kind!r}, need one of {', '.join(_TYPES)}")
    if kind != "auto":
        return str(kind)
    palette, domain = said.get("palette"), said.get("domain")
    is_listed = isinstance(palette, Mapping) or said.get("categories") is not None
    if is_listed or (isinstance(domain, Sequence) and any(isinstance(each, (str, bool)) for each in domain)):
        return "categories"
    if domain is not None or any(said.get(key) is not None for key in ("scale", "steps", "breaks")):
        return "continuous"
    return "categories" if isinstance(palette, str) and class_colors(palette) else "auto"


def _read_auto(said: Mapping[str, Any], name: str) -> Auto:
    palette = said.get("palette")
    return Auto(
        column=said["column"],
        colors=None if palette is None else _turned(read_palette(palette), said),
        classes=None if palette is None else _turned(read_palette(palette), said),
        missing=_optional_color(said.get("null_color"), f"{name}: null_color"),
        label=str(said.get("label") or ""),
    )


def _read_ramp(said: Mapping[str, Any], name: str) -> Ramp:
    domain = None if said.get("domain") is None else _numbers(said["domain"], f"{name}: domain", example="[0, 100]")
    breaks = None if said.get("breaks") is None else _numbers(said["breaks"], f"{name}: breaks", example="[10, 20, 50]")
    steps, scale = _steps(said.get("steps"), name), _scale(said, name)
    if domain is not None:
        domain, is_turned = _ascending(domain, f"{name}: domain")
        said = {**said, "reverse": bool(said.get("reverse")) != is_turned}
        if len(domain) < 2:
            raise ArgumentError(f"style: {name}: domain: got {said['domain']!r}, need two numbers or more")
    if breaks is not None:
        breaks, _ = _ascending(breaks, f"{name}: breaks")
    if scale == "log" and domain is not None and domain[0] <= 0:
        raise ArgumentError(f"style: {name}: domain: got {said['domain']!r}, need numbers above 0 for a log scale")
    count = len(breaks) + 1 if breaks is not None else steps or (len(domain) if domain and len(domain) > 2 else None)
    colors = read_palette("viridis" if said.get("palette") is None else said["palette"], count=count)
    return Ramp(
        column=said["column"],
        colors=_turned(colors, said),
        domain=domain,
        scale=scale,
        steps=steps,
        breaks=breaks,
        missing=_optional_color(said.get("null_color"), f"{name}: null_color"),
        label=str(said.get("label") or ""),
        is_optional=bool(said.get("optional")),
    )


def _read_categories(said: Mapping[str, Any], name: str) -> Categories:
    palette, labels = said.get("palette"), said.get("labels") or {}
    labels = {_text(value): str(label) for value, label in labels.items()}
    listed = said.get("categories") if said.get("categories") is not None else said.get("domain")
    if isinstance(palette, Mapping):
        pairs = [(value, read_color(color, name=f"{name}: {value}")) for value, color in palette.items()]
        colors: tuple[str, ...] = ()
    else:
        colors = _turned(_class_palette(palette, listed), said)
        pairs = [] if listed is None else list(zip(listed, colors, strict=False))
    is_open = listed is None and not isinstance(palette, Mapping)
    unfit = [value for value, _ in pairs if not isinstance(value, (str, int, float, bool))]
    if unfit:
        raise ArgumentError(f"style: {name}: categories: got {unfit[0]!r}, need texts, numbers or booleans")
    values = [Category(value=v, color=color, label=labels.get(_text(v), _text(v))) for v, color in pairs]
    return Categories(
        column=said["column"],
        values=None if is_open else tuple(values),
        colors=colors if is_open else (),
        other=_optional_color(said.get("other_color"), f"{name}: other_color"),
        missing=_optional_color(said.get("null_color"), f"{name}: null_color"),
        label=str(said.get("label") or ""),
        is_optional=bool(said.get("optional")),
    )


def _class_palette(palette: object, listed: Sequence[Any] | None) -> tuple[str, ...]:
    """As many colours as there are values, or as there are; a ramp is cut into as many."""
    palette = DEFAULT_CLASSES if palette is None else palette
    count = None if listed is None else len(listed)
    if isinstance(palette, str) and (colors := class_colors(palette)):
        # The last one is for all others; with more values than colours, they begin anew.
        own = colors[:-1] if count is None or count < len(colors) else colors
        return colors if count is None else tuple(own[number % len(own)] for number in range(count))
    if not isinstance(palette, str) and isinstance(palette, Sequence) and count is not None:
        colors = tuple(read_color(each, name="palette") for each in palette)
        return tuple(colors[number % len(colors)] for number in range(count)) if colors else ()
    colors = read_palette(palette)
    return colors if count is None else sample(colors, max(count, 1))


def _steps(value: Any, name: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= _MOST_STEPS:
        raise ArgumentError(f"style: {name}: steps: got {value!r}, need a whole number from 2 to {_MOST_STEPS}")
    return value


def _scale(said: Mapping[str, Any], name: str) -> str:
    scale = str(said.get("scale") or "linear")
    if scale not in SCALES:
        raise ArgumentError(f"style: {name}: scale: got {scale!r}, need one of {', '.join(SCALES)}")
    return scale


def _turned(colors: tuple[str, ...], said: Mapping[str, Any]) -> tuple[str, ...]:
    return colors[::-1] if said.get("reverse") else colors


def _optional_color(value: Any, name: str) -> str | None:
    return None if value is None else read_color(value, name=name)


def _numbers(value: Any, name: str, *, example: str) -> tuple[float, ...]:
    try:
        numbers = () if isinstance(value, str) else tuple(float(each) for each in value)
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not all(isfinite(number) for number in numbers):
        raise ArgumentError(f"style: {name}: got {value!r}, need numbers, e.g. {example}")
    return numbers


def _ascending(numbers: tuple[float, ...], name: str) -> tuple[tuple[float, ...], bool]:
    """The numbers in ascending order, and whether they were in descending order."""
    for ordered, is_turned in ((numbers, False), (numbers[::-1], True)):
        if all(low < high for low, high in pairwise(ordered)):
            return ordered, is_turned
    raise ArgumentError(f"style: {name}: got {[*numbers]!r}, need numbers that ascend or descend")


def _text(value: Any) -> str:
    """As MapLibre writes a value: 1.0 is 1, True is true."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


_READERS: Final[dict[str, Callable[[Mapping[str, Any], str], Color]]] = {
    "auto": _read_auto,
    "continuous": _read_ramp,
    "categories": _read_categories,
}
