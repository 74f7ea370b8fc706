"""How users say what a control is like: in a signature, or as `controls` of a map."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any, Literal, get_args

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs.schemas import name_of, parsed

ControlKind = Literal["slider", "range", "steps", "dropdown", "choices", "checkbox", "text", "number", "date"]

_MOST_OPTIONS = 10_000


@dataclass(frozen=True, slots=True)
class Control:
    """What a parameter's control on a map is like, where its type and its default do not tell.

    It stands in the signature, where the UDF does not see it, or in `udf.map(controls={…})`.

    Raises:
        ArgumentError: values that do not fit together; the message says what would.

    >>> Control(0, 10, 0.5)
    Control(min=0, max=10, step=0.5)
    >>> Control(options=["red", "nir"], play=True).options
    (('red', 'red'), ('nir', 'nir'))
    """

    min: Any = None
    """The least value: a number or a date."""
    max: Any = None
    """The greatest value, of the same type."""
    step: Any = None
    """From one value to the next: a number; for dates a timedelta, a day unless another is given."""
    _: KW_ONLY
    options: Any = None
    """What there is to choose from: a list, an enum, a dict by label, or a list of (label, value)."""
    value: Any = None
    """What the map starts with; None means the UDF's default."""
    kind: ControlKind | None = None
    """`slider`, `range`, `steps`, `dropdown`, `choices`, `checkbox`, `text`, `number` or `date`; None decides."""
    label: str = ""
    """What stands beside it; empty means the parameter's name."""
    play: bool = False
    """Whether it has a player that goes from value to value."""
    seconds: float = 1.0
    """How long the player shows each value, at least; it waits for the tiles of the next one."""
    loop: bool = True
    """Whether the player starts again at the end."""

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in get_args(ControlKind):
            raise ArgumentError(f"kind: got {self.kind!r}, need one of {', '.join(get_args(ControlKind))}")
        if self.options is not None:
            object.__setattr__(self, "options", tuple(_pairs(self.options)))
        elif isinstance(self.min, date) and isinstance(self.max, date):
            object.__setattr__(self, "options", tuple(_dates(self.min, self.max, self.step)))
        if self.options is not None and not 0 < len(self.options) <= _MOST_OPTIONS:
            raise ArgumentError(f"options: got {len(self.options)} of them, need 1 to {_MOST_OPTIONS}")
        if self.options is None:
            self._check_range()
        if not self.seconds > 0:
            raise ArgumentError(f"seconds: got {self.seconds!r}, need more than 0")

    def _check_range(self) -> None:
        for name in ("min", "max", "step"):
            value = getattr(self, name)
            if value is not None and not _is_number(value):
                raise ArgumentError(f"{name}: got {value!r}, need a number, or dates for both min and max")
        if self.min is not None and self.max is not None and not self.min < self.max:
            raise ArgumentError(f"min, max: got {self.min}, {self.max}; need min < max")
        if self.step is not None and not self.step > 0:
            raise ArgumentError(f"step: got {self.step}, need more than 0")

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in _FIELDS}
        return f"Control({', '.join(f'{name}={value!r}' for name, value in shown.items() if value != _FIELDS[name])})"


_FIELDS = {name: field.default for name, field in Control.__dataclass_fields__.items() if name != "_"}


def as_control(given: Any, *, name: str) -> Control | None:
    """The control for an abbreviation, as `ipywidgets.interact` has them; None for None, which hides the control.

    Raises:
        ArgumentError: nothing that is one.

    >>> as_control((0, 10, 0.5), name="min_mag")
    Control(min=0, max=10, step=0.5)
    >>> as_control({"Near infrared": "nir"}, name="band").options
    (('Near infrared', 'nir'),)
    """
    if given is None or isinstance(given, Control):
        return given
    for kind, make in _ABBREVIATIONS.items():
        if isinstance(given, kind) and (control := make(given)) is not None:
            return control
    raise ArgumentError(
        f"controls: {name} got {given!r}; need (min, max), (min, max, step), a list or dict of options, a start value, "
        "fused.Control(…), or None to hide it"
    )


def in_annotation(annotation: str) -> Control | None:
    """The control that `Annotated[…]` holds: ours, an abbreviation, or limits of pydantic and annotated-types.

    >>> in_annotation("Annotated[float, (0, 10, 0.5)]"), in_annotation("Annotated[int, Field(ge=1, le=12)] | None")
    (Control(min=0, max=10, step=0.5), Control(min=1, max=12))
    """
    node = parsed(annotation) if "Annotated" in annotation else None
    for part in ast.walk(node) if node is not None else ():
        if isinstance(part, ast.Subscript) and name_of(part) == "Annotated" and isinstance(part.slice, ast.Tuple):
            return _marked(part.slice.elts[1:])
    return None


def _marked(marks: Iterable[ast.expr]) -> Control | None:
    limits: dict[str, Any] = {}
    for mark in marks:
        if isinstance(mark, ast.Call) and name_of(mark.func) in _LIMITING:
            limits |= _limits(mark)
            continue
        try:
            given = _OWN.get(name_of(mark.func), evaluated)(mark) if isinstance(mark, ast.Call) else evaluated(mark)
            if not isinstance(given, str) and (control := as_control(given, name="")) is not None:
                return control
        except (ValueError, TypeError, ArgumentError):  # for somebody else, and no matter of ours
            continue
    return Control(**limits) if limits else None


def evaluated(node: ast.expr) -> Any:
    """The value of a literal, or of a date, datetime, timedelta or range made of literals.

    Raises:
        ValueError: something else.
    """
    match node:
        case ast.Call() if (make := _MAKERS.get(name_of(node.func))) is not None:
            return _called(make, node)
        case ast.Tuple(elts=elts):
            return tuple(evaluated(each) for each in elts)
        case ast.List(elts=elts):
            return [evaluated(each) for each in elts]
        case _:
            return ast.literal_eval(node)


def _called(make: Callable[..., Any], node: ast.Call) -> Any:
    values = {each.arg: evaluated(each.value) for each in node.keywords if each.arg is not None}
    return make(*(evaluated(each) for each in node.args), **values)


def _limits(node: ast.Call) -> dict[str, Any]:
    """Of `Field(ge=0, le=10)`, `Interval(ge=0, le=10)`, `Ge(0)`, `MultipleOf(5)`."""
    given = {each.arg: each.value for each in node.keywords}
    if node.args and (lone := _LIMITING[name_of(node.func)]):
        given[lone] = node.args[0]
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in _LIMITS and _is_number(number := _number(value)):
            found[_LIMITS[name]] = number
    return found


def _number(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return None


def _pairs(options: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(options, Mapping):
        return [(str(label), value) for label, value in options.items()]
    if isinstance(options, type) and issubclass(options, Enum):
        return [(member.name, member.value) for member in options]
    items = [*options]
    if items and all(isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) for item in items):
        return items
    return [(_label(item), item) for item in items]


def _label(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _dates(first: date, last: date, step: Any) -> Iterable[tuple[str, Any]]:
    step = timedelta(days=1) if step is None else step
    if not isinstance(step, timedelta) or step <= timedelta(0):
        raise ArgumentError(f"step: got {step!r}, need a timedelta of more than 0, e.g. timedelta(days=1)")
    if isinstance(first, datetime) is not isinstance(last, datetime) or not first < last:
        raise ArgumentError(f"min, max: got {first!r}, {last!r}; need two dates, or two datetimes, with min < max")
    if (last - first) / step > _MOST_OPTIONS:
        raise ArgumentError(f"min, max: more than {_MOST_OPTIONS} steps of {step} between {first} and {last}")
    moment = first
    while moment <= last:
        yield moment.isoformat(), moment
        moment += step


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _from_tuple(given: tuple[Any, ...]) -> Control | None:
    is_range = len(given) in {2, 3} and (
        all(_is_number(each) for each in given) or all(isinstance(each, date) for each in given[:2])
    )
    return Control(*given, play=isinstance(given[0], date)) if is_range else _from_options(given)


def _from_options(given: Any) -> Control:
    return Control(options=given)


_ABBREVIATIONS: dict[Any, Callable[[Any], Control | None]] = {
    bool: lambda given: Control(kind="checkbox", value=given),
    (int, float): lambda given: Control(value=given),
    str: lambda given: Control(value=given),
    date: lambda given: Control(value=given),
    range: lambda given: Control(given.start, given[-1], given.step) if len(given) > 1 and given.step > 0 else None,
    tuple: _from_tuple,
    (Mapping, list): _from_options,
    type: lambda given: _from_options(given) if issubclass(given, Enum) else None,
}
"""By what is given; the first that fits."""

_LIMITS = {"ge": "min", "gt": "min", "le": "max", "lt": "max", "multiple_of": "step"}
_LIMITING = {
    **dict.fromkeys(("Field", "Query", "Interval"), ""),
    "Ge": "ge",
    "Gt": "gt",
    "Le": "le",
    "Lt": "lt",
    "MultipleOf": "multiple_of",
}
"""Marks of other libraries, and what their only argument means."""

_MAKERS: dict[str, Callable[..., Any]] = {
    "date": date,
    "datetime": datetime,
    "timedelta": timedelta,
    "range": range,
    "Timestamp": datetime.fromisoformat,
    "fromisoformat": lambda text: datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text),
}

_OWN: dict[str, Callable[[ast.Call], Any]] = {"Control": lambda node: _called(Control, node)}
