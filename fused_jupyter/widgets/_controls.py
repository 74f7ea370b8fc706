"""The controls of a map's panel, from the signatures of its UDFs; the twin of their shape is js/src/protocol.ts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import floor, log10
from typing import Any, Literal

from fused_jupyter.widgets._registry import Parameter

_SMALLEST, _LARGEST = 1e-9, 2.0**52
"""Sizes that a slider can show; nan and infinity are beyond too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One control: what it sets and within which limits."""

    name: str
    kind: Literal["slider", "checkbox", "text"]
    type: Literal["int", "float", "str", "bool"]
    value: Any
    """The UDF's default; shown while the map's params have no other."""
    min: float | None = None
    max: float | None = None
    step: float | None = None


def controls_of(parameters: Iterable[Parameter]) -> list[Control]:
    """A control for each parameter with a default of a simple type; the first of a name counts.

    ``min_mag: float = 4.0`` becomes a slider from 0 to 8 in steps of 0.05.
    """
    found: dict[str, Control] = {}
    for parameter in parameters:
        if parameter.name in found or not _is_offered(parameter):
            continue
        make = _MAKERS.get(_type_of(parameter))
        if make is not None:
            found[parameter.name] = make(parameter.name, parameter.default)
    return [*found.values()]


def _is_offered(parameter: Parameter) -> bool:
    return (
        parameter.has_default
        and _is_drawable(parameter.default)
        and not parameter.is_spatial
        and parameter.kind != "variadic"
        and not parameter.name.startswith("_")
    )


def _is_drawable(default: Any) -> bool:
    return not isinstance(default, (int, float)) or default == 0 or _SMALLEST <= abs(default) < _LARGEST


def _type_of(parameter: Parameter) -> type:
    """By the default, except that ``x: float = 4`` is a float."""
    kind = type(parameter.default)
    is_float = kind is int and parameter.annotation.partition("|")[0].strip() == "float"
    return float if is_float else kind


def _int_slider(name: str, default: int) -> Control:
    low, high = _range(default, otherwise=10)
    return Control(name=name, kind="slider", type="int", value=default, min=low, max=high, step=1)


def _float_slider(name: str, default: float) -> Control:
    low, high = _range(default, otherwise=1.0)
    return Control(
        name=name, kind="slider", type="float", value=float(default), min=low, max=high, step=_step(high - low)
    )


def _checkbox(name: str, default: bool) -> Control:  # noqa: FBT001 - the value itself, as in the other makers
    return Control(name=name, kind="checkbox", type="bool", value=default)


def _text(name: str, default: str) -> Control:
    return Control(name=name, kind="text", type="str", value=default)


_MAKERS: dict[type, Callable[[str, Any], Control]] = {
    bool: _checkbox,
    int: _int_slider,
    float: _float_slider,
    str: _text,
}


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
