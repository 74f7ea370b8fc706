"""What a style says once it is read: each value is constant, follows the data, or is left to the page.

Their JSON is half of a border: the twin is js/src/style/spec.ts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """One colour for all."""

    kind: ClassVar = "constant"
    color: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A MapLibre expression."""

    kind: ClassVar = "expression"
    value: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """Colours along the numbers of a column."""

    kind: ClassVar = "ramp"
    column: str
    colors: tuple[str, ...]
    domain: tuple[float, ...] | None = None
    """Ascending. Two numbers are the ends; more have a colour each. None: the page takes it from the data."""
    scale: str = "linear"
    """``linear``, ``log`` or ``quantile``."""
    steps: int | None = None
    """So many classes instead of a smooth ramp."""
    breaks: tuple[float, ...] | None = None
    """Where one class ends and the next begins: one fewer than colours."""
    missing: str | None = None
    """The colour where there is no number."""
    label: str = ""
    """What the legend calls the column."""
    is_optional: bool = False
    """Whether the page chooses by itself where there is no such column: the untouched default of a vizConfig."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """One value and its colour."""

    value: Scalar
    color: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Categories:
    """A colour for each value of a column."""

    kind: ClassVar = "categories"
    column: str
    values: tuple[Category, ...] | None = None
    """None: the page takes them from the data."""
    colors: tuple[str, ...] = ()
    """For the values that the page finds; the last one is for all that have none."""
    other: str | None = None
    """The colour of values that have none of their own."""
    missing: str | None = None
    label: str = ""
    is_optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """The page decides by the data: a ramp for numbers, categories for few texts, else the layer's own colour."""

    kind: ClassVar = "auto"
    column: str | None = None
    """None: it also finds the column."""
    colors: tuple[str, ...] | None = None
    """Of a ramp."""
    classes: tuple[str, ...] | None = None
    """Of categories."""
    missing: str | None = None
    label: str = ""


Color = Constant | Expression | Ramp | Categories | Auto


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A size along the numbers of a column."""

    kind: ClassVar = "scaled"
    column: str
    range: tuple[float, float]
    """Pixels at the two ends."""
    domain: tuple[float, float] | None = None
    scale: str = "linear"


Size = float | Expression | Scaled


def to_json(look: Any) -> Any:
    """A look as JSON, `kind` and fields.

    >>> to_json(Constant(color="#ff0000"))
    {'kind': 'constant', 'color': '#ff0000'}
    """
    if isinstance(look, (list, tuple)):
        return [to_json(each) for each in look]
    if not hasattr(look, "__dataclass_fields__"):
        return look
    kind = {"kind": look.kind} if hasattr(look, "kind") else {}
    return kind | {field.name: to_json(getattr(look, field.name)) for field in fields(look)}
