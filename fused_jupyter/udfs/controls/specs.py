"""The controls of a map's panel, from the signatures of its UDFs; the twin of their shape is js/src/protocol.ts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from math import floor, isfinite, log10
from typing import Any, Literal

from fused_jupyter.udfs.controls.control import Control, ControlKind, evaluated, in_annotation
from fused_jupyter.udfs.controls.values import plain_params
from fused_jupyter.udfs.parameters import Parameter
from fused_jupyter.udfs.schemas import parsed, schema_of_annotation

ValueType = Literal["int", "float", "str", "bool", "list", "date", "datetime"]

_SMALLEST, _LARGEST = 1e-9, 2.0**52
"""Sizes that a slider can show; nan and infinity are beyond too."""
_COUNTED = 1000
"""A whole number above it is a year, a code or a seed more often than an amount: none that starts at 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSpec:
    """One control: what it sets and within which limits."""

    name: str
    kind: ControlKind
    type: ValueType
    """Of the value; of a range, of its two ends."""
    value: Any
    """The UDF's default as JSON has it; shown while the map's params have no other. None where nobody knows it."""
    label: str = ""
    """Empty means the name."""
    optional: bool = False
    """Whether it may be left out, which an empty control means."""
    min: float | None = None
    max: float | None = None
    step: float | None = None
    options: list[list[Any]] | None = None
    """Pairs of label and value, of `dropdown`, `steps` and `choices`."""
    play: dict[str, Any] | None = None
    """`seconds` for each value and whether to `loop`, where there is a player."""


def controls_of(
    parameters: Iterable[Parameter], given: Mapping[str, Control | None] | None = None
) -> list[ControlSpec]:
    """A control for each parameter that one can set; the first of a name counts.

    ``min_mag: float = 4.0`` becomes a slider from 0 to 8 in steps of 0.05.

    Args:
        parameters: in the order of the panel.
        given: by name, what a control is to be like; None hides it.
    """
    given = given or {}
    found: dict[str, ControlSpec] = {}
    for parameter in parameters:
        name = parameter.name
        if name in found or not _is_offered(parameter, given):
            continue
        spec = _Maker(parameter, given.get(name) or in_annotation(parameter.annotation) or Control()).make()
        if spec is not None:
            found[name] = spec
    return [*found.values()]


def starts_of(parameters: Iterable[Parameter], specs: Iterable[ControlSpec]) -> dict[str, Any]:
    """What the map must set so that the controls show the truth: where they start with another value than the UDF."""
    defaults = {parameter.name: _default_of(parameter) for parameter in reversed([*parameters])}
    shown = {spec.name: spec.value for spec in specs}
    return {
        name: value
        for name, value in shown.items()
        if value is not None and value != plain_params({name: defaults.get(name)})[name]
    }


def _is_offered(parameter: Parameter, given: Mapping[str, Control | None]) -> bool:
    if parameter.is_spatial or parameter.kind == "variadic":
        return False
    if parameter.name in given:
        return given[parameter.name] is not None
    return not parameter.name.startswith("_")


def _default_of(parameter: Parameter) -> Any:
    """The default, dates that are made of numbers included; None where nobody knows it."""
    text = getattr(parameter, "default_text", "")
    if parameter.default is None and parameter.has_default and (node := parsed(text)) is not None:
        try:
            return evaluated(node)
        except (ValueError, TypeError):
            return None
    return parameter.default if _is_plain(parameter.default) else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, (int, str, date)) or (isinstance(value, (list, tuple)) and all(map(_is_plain, value)))


@dataclass(slots=True)
class _Maker:
    """Makes the control of one parameter out of what is known of it."""

    parameter: Parameter
    control: Control
    default: Any = field(init=False)
    schema: dict[str, Any] = field(init=False)
    is_nullable: bool = field(init=False)

    def __post_init__(self) -> None:
        own = getattr(self.parameter, "classes", {})
        self.schema, self.is_nullable = _without_null(schema_of_annotation(self.parameter.annotation, own))
        self.default = self.control.value if self.control.value is not None else _default_of(self.parameter)

    def make(self) -> ControlSpec | None:
        """None where no control could set it."""
        kind = self._kind()
        if kind is None:
            return None
        is_pair = kind == "range"
        spec = ControlSpec(
            name=self.parameter.name,
            kind=kind,
            type=_SCHEMA_TYPES.get(self._item_type(), "float") if is_pair else self._type() or "str",
            value=plain_params({"": self.default})[""],
            label=self.control.label,
            optional=self.is_nullable or (self.parameter.has_default and self.default is None),
            options=self._options(),
            play={"seconds": self.control.seconds, "loop": self.control.loop} if self.control.play else None,
        )
        finish = _FINISHERS.get(kind)
        return spec if finish is None else finish(spec, self.control)

    def _kind(self) -> ControlKind | None:
        if self.control.kind is not None:
            return self.control.kind
        if "enum" in self.schema.get("items", {}):
            return "choices"
        if "enum" in self.schema or self.control.options is not None:
            is_line = self.control.play or isinstance(self.control.min, date)
            return "steps" if is_line else "dropdown"
        make = _KINDS.get(self._type() or "")
        return None if make is None else make(self)

    def _type(self) -> ValueType | None:
        """By the default, except that ``x: float = 4`` is a float and a text may be a date."""
        for kind, name in _VALUE_TYPES.items():
            if isinstance(self.default, kind):
                return _refined(name, self.default, self.schema)
        return _SCHEMA_TYPES.get(self.schema.get("format", "")) or _SCHEMA_TYPES.get(self.schema.get("type", ""))

    def _item_type(self) -> str:
        items: dict[str, Any] = self.schema.get("items") or next(iter(self.schema.get("prefixItems", [])), {})
        if "type" in items:
            return str(items["type"])
        return "integer" if all(isinstance(each, int) for each in self.default or [0.5]) else "number"

    def number_kind(self) -> ControlKind:
        """A slider where its ends are known or can be guessed."""
        low, high = self.control.min, self.control.max
        if low is not None and high is not None:
            return "slider"
        return "slider" if low is None and high is None and _has_range(self.default) else "number"

    def list_kind(self) -> ControlKind | None:
        """Two numbers are a range; other lists a text with commas, unless lists are in them."""
        places = self.schema.get("prefixItems", self.default)
        has_ends = self.control.min is not None and self.control.max is not None
        if _is_pair(self.default) or (self.default is None and has_ends and places is not None and len(places) == 2):
            return "range"
        return "text" if self.default and all(type(each) in {int, float, str} for each in self.default) else None

    def _options(self) -> list[list[Any]] | None:
        if self.control.options is not None:
            return [[label, plain_params({"": value})[""]] for label, value in self.control.options]
        values = self.schema.get("enum") or self.schema.get("items", {}).get("enum")
        return None if values is None else [[str(value), value] for value in values if value is not None]


def _without_null(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return {**schema, "type": kinds[0]}, True
    members = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if "anyOf" in schema and len(members) < len(schema["anyOf"]):
        return (members[0] if len(members) == 1 else {"anyOf": members}), True
    return schema, None in schema.get("enum", [])


def _refined(name: ValueType, default: Any, schema: Mapping[str, Any]) -> ValueType:
    if name == "int" and schema.get("type") == "number":
        return "float"
    if name == "str" and _ISO.fullmatch(default):
        return "datetime" if "T" in default or " " in default else "date"
    return name


def _has_range(default: Any) -> bool:
    if default is None or isinstance(default, str):
        return False
    if isinstance(default, int) and abs(default) > _COUNTED:
        return False
    return bool(default == 0 or _SMALLEST <= abs(default) < _LARGEST)


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(type(each) in {int, float} for each in value)


def _with_range(spec: ControlSpec, control: Control) -> ControlSpec:
    """The limits of a slider, and a value between them."""
    low, high = _limits(spec, control)
    is_whole = spec.type == "int"
    step = control.step if control.step is not None else 1 if is_whole else _step(high - low)
    value = (None if spec.optional else low) if spec.value is None else _between(spec.value, low, high)
    # `x: int` may have been given ends that are none.
    kind: ValueType = spec.type if is_whole and all(float(n).is_integer() for n in (low, high, step)) else "float"
    return replace(spec, type=kind, min=low, max=high, step=step, value=_as_type(value, kind))


def _with_pair(spec: ControlSpec, control: Control) -> ControlSpec:
    low, high = control.min, control.max
    if low is None or high is None:
        ends = [_range(end, otherwise=1) for end in spec.value]
        low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    pair = spec.value or (None if spec.optional else [low, high])
    value = pair and [_as_type(_between(end, low, high), spec.type) for end in sorted(pair)]
    step = control.step if control.step is not None else 1 if spec.type == "int" else _step(high - low)
    return replace(spec, min=low, max=high, step=step, value=value)


def _with_limits(spec: ControlSpec, control: Control) -> ControlSpec:
    step = control.step if control.step is not None else 1 if spec.type == "int" else None
    return replace(spec, min=control.min, max=control.max, step=step, value=_as_type(spec.value, spec.type))


def _with_choice(spec: ControlSpec, _: Control) -> ControlSpec:
    """The UDF's default must be among the options; else the first of them."""
    values = [value for _, value in spec.options or []]
    if spec.kind == "choices" or spec.value in values or (spec.value is None and spec.optional):
        return spec
    return replace(spec, value=values[0] if values else None)


def _with_state(spec: ControlSpec, _: Control) -> ControlSpec:
    """A box that is not ticked says no; there is no third state."""
    return replace(spec, value=bool(spec.value))


def _limits(spec: ControlSpec, control: Control) -> tuple[float, float]:
    if control.min is not None and control.max is not None:
        return control.min, control.max
    return _range(spec.value, otherwise=10 if spec.type == "int" else 1.0)


def _between(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _as_type(value: Any, kind: str) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) if kind == "float" else value
    return value


def _range(default: float, *, otherwise: float) -> tuple[float, float]:
    """From 0 to twice the default, on its side of 0."""
    if default == 0:
        return 0, otherwise
    return (0, 2 * default) if default > 0 else (2 * default, 0)


def _step(width: float) -> float:
    """A hundredth of the range, rounded down to 1, 2 or 5 times a power of ten so that values read well."""
    raw = width / 100
    power = floor(log10(raw))
    lead = raw / 10**power
    return round(max(nice for nice in (1, 2, 5) if nice <= lead + 1e-9) * 10.0**power, 12 - power)


_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")

_VALUE_TYPES: dict[Any, ValueType] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    datetime: "datetime",
    date: "date",
    (list, tuple): "list",
}
"""The first that fits counts: a bool is an int, and a datetime a date."""

_SCHEMA_TYPES: dict[str, ValueType] = {
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "string": "str",
    "array": "list",
    "date": "date",
    "date-time": "datetime",
}

_KINDS: dict[str, Callable[[_Maker], ControlKind | None]] = {
    "bool": lambda _: "checkbox",
    "int": _Maker.number_kind,
    "float": _Maker.number_kind,
    "str": lambda _: "text",
    "list": _Maker.list_kind,
    "date": lambda _: "date",
    "datetime": lambda _: "date",
}

_FINISHERS: dict[str, Callable[[ControlSpec, Control], ControlSpec]] = {
    "slider": _with_range,
    "range": _with_pair,
    "number": _with_limits,
    "dropdown": _with_choice,
    "steps": _with_choice,
    "choices": _with_choice,
    "checkbox": _with_state,
}
