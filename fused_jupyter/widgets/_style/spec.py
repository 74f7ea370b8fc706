"""A user's style, whichever way it is written, as one value that the page draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import isfinite
from typing import Any, Final

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets._style.by_data import BY_DATA, is_by_data, read_by_data, read_scaled
from fused_jupyter.widgets._style.colors import class_colors, is_color, read_color, read_palette
from fused_jupyter.widgets._style.formulas import color_formula, is_formula, number_formula, read_formula
from fused_jupyter.widgets._style.looks import Auto, Categories, Color, Constant, Expression, Ramp, Size, to_json
from fused_jupyter.widgets._style.vizconfig import is_vizconfig, read_vizconfig

StyleLike = Mapping[str, Any] | str | Sequence[float] | None
"""What users may write: see docs/maps/styles.md."""

PALETTE: Final = ("#1c9fb0", "#e8703a", "#8b6fe0", "#d6a100", "#e0559a", "#4fa83d")
"""Of middle lightness, so that each reads over a light and over a dark page."""

_PAINTED: Final = ("fill", "line", "circle", "raster")
_COLORS: Final = {
    "color": "color",
    "fill_color": "fill",
    "line_color": "line",
    "stroke_color": "line",
}
_SIZES: Final = {
    "line_width": "line_width",
    "width": "line_width",
    "radius": "radius",
    "circle_radius": "radius",
    "point_radius": "radius",
}
_SWITCHES: Final = ("filled", "stroked")
_WORDS: Final = (*_COLORS, *_SIZES, *_SWITCHES, "opacity", "column", "palette", "domain", "steps", "scale")


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a layer looks."""

    color: Color | None = None
    """Of everything that has no colour of its own; None leaves it to the data."""
    fill: Color | None = None
    """Of polygons and points."""
    line: Color | None = None
    """Of lines, and of the outlines of polygons and points."""
    line_width: Size | None = None
    """Pixels."""
    radius: Size | None = None
    """Pixels."""
    opacity: float = 1.0
    """0 to 1, of everything."""
    filled: bool = True
    stroked: bool = True
    paint: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """MapLibre's own properties by the type of layer; they win over all else."""
    hexagons: tuple[str, Style] | None = None
    """Another style for features that have this property, as vizConfig has it."""

    @staticmethod
    def of(given: StyleLike | Style) -> Style:
        """Read what a user wrote.

        Raises:
            ArgumentError: a name or a value that does not fit; the message says what would.

        >>> Style.of({"color": "red", "line-width": 3}).color
        Constant(color='#ff0000')
        """
        if isinstance(given, Style):
            return given
        if given is None or (isinstance(given, str) and given == "auto"):
            return Style()
        if not isinstance(given, Mapping):
            return Style(color=_of_word(given))
        if is_vizconfig(given):
            own = {name: value for name, value in given.items() if _is_own(str(name))}
            viz = {name: value for name, value in given.items() if name not in own}
            given = {**read_vizconfig(viz).style, **own}
        if is_by_data(given):
            by_data = {name: value for name, value in given.items() if name in BY_DATA}
            given = {name: value for name, value in given.items() if name not in BY_DATA} | {"color": by_data}
        return _of_keys(given)

    def to_json(self, *, base: str) -> dict[str, Any]:
        """What the page gets; its twin is `StyleSpec` in js/src/style/spec.ts.

        Args:
            base: the layer's own colour, where nothing else says.
        """
        name, hexagons = self.hexagons or ("", None)
        return {
            "base": base,
            **{key: to_json(getattr(self, key)) for key in ("color", "fill", "line", "line_width", "radius")},
            "opacity": self.opacity,
            "filled": self.filled,
            "stroked": self.stroked,
            "paint": {kind: dict(properties) for kind, properties in self.paint.items()},
            "hexagons": None if hexagons is None else {"column": name, "style": hexagons.to_json(base=base)},
        }

    @property
    def main_color(self) -> str:
        """The one colour that it names; empty where it names none."""
        for color in (self.color, self.fill, self.line):
            if isinstance(color, Constant):
                return color.color
        return ""


def free_color(taken: Iterable[str]) -> str:
    """The first colour of the palette that no other layer has; the first one again when all are taken.

    >>> free_color([PALETTE[0]])
    '#e8703a'
    """
    others = {*taken}
    return next((color for color in PALETTE if color not in others), PALETTE[0])


def recolored(given: StyleLike, color: str) -> dict[str, Any]:
    """The same style in one colour; what is no colour stays.

    >>> recolored({"fill_color": "blue", "line_width": 3}, "red"), recolored("viridis", "red")
    ({'line_width': 3, 'color': 'red'}, {'color': 'red'})
    """
    if not isinstance(given, Mapping) or is_vizconfig(given) or is_by_data(given):
        return {"color": color}
    return {name: value for name, value in given.items() if str(name).replace("-", "_") not in _COLORS} | {
        "color": color
    }


def _of_word(given: Any) -> Color:
    """A colour, or the name of a palette for the column that the page finds."""
    if is_color(given) or not isinstance(given, str):
        return Constant(color=read_color(given, name="color"))
    try:
        colors = read_palette(given)
    except ArgumentError as exc:
        raise ArgumentError(
            f"style: got {given!r}, need 'auto', a colour, a palette, or a dict such as {{'column': 'mag', 'palette': "
            f"'viridis'}}; {exc.message.removeprefix('style: ')}"
        ) from exc
    return Auto(colors=colors, classes=class_colors(given) or colors)


def _of_keys(given: Mapping[str, Any]) -> Style:
    said: dict[str, Any] = {}
    paint: dict[str, dict[str, Any]] = {}
    for written, value in given.items():
        name = str(written).replace("-", "_")
        if name in _READERS:
            key, read = _READERS[name]
            said[key] = read(value, str(written))
        else:
            kind, prop = _painted(str(written))
            paint.setdefault(kind, {})[prop] = value
    return Style(**said, paint=paint)


def _painted(written: str) -> tuple[str, str]:
    """Which layer of MapLibre has that property."""
    prop = written.replace("_", "-")
    kind = prop.partition("-")[0]
    if kind not in _PAINTED or prop == kind:
        near = get_close_matches(written.replace("-", "_"), _WORDS, n=1)
        hint = f"check the spelling: did you mean {near[0]!r}?" if near else "check the spelling"
        raise ArgumentError(
            f"style: got {written!r}, need color, fill_color, line_color, line_width, radius, opacity, filled, stroked,"
            " a column with a palette, or a MapLibre paint property that begins with fill-, line-, circle- or raster-; "
            f"{hint}"
        )
    return kind, prop


def read_one_color(value: Any, name: str) -> Color | None:
    """A colour in any of its ways: constant, by a column, an expression, a formula."""
    if value is None or value == "auto":
        return Auto() if value else None
    if isinstance(value, (Constant, Expression, Ramp, Categories, Auto)):
        return value
    if isinstance(value, Mapping):
        if not is_by_data(value):
            raise ArgumentError(f"style: {name}: got {dict(value)!r}, need a column: {{'column': 'mag', 'palette': …}}")
        return read_by_data(value, name=name)
    if is_formula(value):
        return Expression(value=tuple(color_formula(read_formula(value))))
    if _is_expression(value):
        return Expression(value=tuple(value))
    return Constant(color=read_color(value, name=name))


def read_size(value: Any, name: str) -> Size | None:
    """A size in any of its ways."""
    if value is None or isinstance(value, Expression):
        return value
    if isinstance(value, Mapping):
        return read_scaled(value, name=name)
    if is_formula(value):
        formula = number_formula(read_formula(value))
        return Expression(value=tuple(formula)) if isinstance(formula, list) else read_size(formula, name)
    if _is_expression(value):
        return Expression(value=tuple(value))
    return _number(value, name, most=None)


def _read_switch(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise ArgumentError(f"style: {name}: got {value!r}, need True or False")
    return value


def _read_hexagons(value: Any, name: str) -> tuple[str, Style]:
    if not isinstance(value, Mapping) or not isinstance(value.get("column"), str):
        raise ArgumentError(f"style: {name}: got {value!r}, need {{'column': 'hex', 'style': …}}")
    return value["column"], Style.of(value.get("style"))


def _number(value: Any, name: str, *, most: float | None) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
    if not is_number or value < 0 or (most is not None and value > most):
        wanted = "a number of pixels" if most is None else f"a number from 0 to {most:g}"
        raise ArgumentError(f"style: {name}: got {value!r}, need {wanted}")
    return float(value)


def _is_own(name: str) -> bool:
    """Whether it is a word of our styles, as users add some to a vizConfig."""
    return "_" in name or "-" in name or name == "color"


def _is_expression(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], str)


_READERS: Final = {
    **{name: (key, read_one_color) for name, key in _COLORS.items()},
    **{name: (key, read_size) for name, key in _SIZES.items()},
    **{name: (name, _read_switch) for name in _SWITCHES},
    "opacity": ("opacity", lambda value, name: _number(value, name, most=1)),
    "hexagons": ("hexagons", _read_hexagons),
}
"""By the name that a user writes: what it is called here, and what reads it."""
