"""From text (HTTP) or a Python object to what a parameter's annotation asks for. One table; a new type is one entry."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from fused_jupyter.errors import ArgumentError

Coercer = Callable[[Any], Any]
"""Takes a value that is not None; raises ValueError or TypeError where it does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coercion:
    """How one type is made, and how to say what was wanted."""

    convert: Coercer
    expected: str
    """For the error: what and an example."""


def parse_int(value: Any) -> int:
    """A whole number; 4.0 is one, 4.7 is not.

    >>> parse_int("12"), parse_int(4.0)
    (12, 4)
    """
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            value = float(value)
    if value != int(value):
        raise ValueError(value)
    return int(value)


def parse_bool(value: Any) -> bool:
    """True or False, also as 1/0, yes/no, on/off, in any case.

    >>> parse_bool("off"), parse_bool("1")
    (False, True)
    """
    if isinstance(value, str):
        return _BOOLEANS[value.strip().lower()]
    if value in (0, 1):
        return bool(value)
    raise ValueError(value)


def parse_list(value: Any) -> list[Any]:
    """A list, from JSON or from anything that can be listed."""
    parsed = orjson.loads(value) if isinstance(value, str) else value
    if isinstance(parsed, (Mapping, str)):
        raise TypeError(value)
    return list(parsed)


def parse_dict(value: Any) -> dict[Any, Any]:
    """A dict, from a JSON object or a mapping."""
    parsed = orjson.loads(value) if isinstance(value, str) else value
    if not isinstance(parsed, Mapping):
        raise TypeError(value)
    return dict(parsed)


_MISFITS = (ValueError, TypeError, KeyError, OverflowError)
"""What a coercer raises."""

_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "on": True, "off": False}

COERCERS: dict[Any, Coercion] = {
    int: Coercion(convert=parse_int, expected="a whole number, e.g. 12"),
    float: Coercion(convert=float, expected="a number, e.g. 4.5"),
    bool: Coercion(convert=parse_bool, expected="true or false"),
    str: Coercion(convert=str, expected="text"),
    list: Coercion(convert=parse_list, expected="a JSON array, e.g. [1, 2]"),
    tuple: Coercion(convert=lambda value: tuple(parse_list(value)), expected="a JSON array, e.g. [1, 2]"),
    dict: Coercion(convert=parse_dict, expected='a JSON object, e.g. {"a": 1}'),
}


def coerce(value: Any, annotation: Any, *, parameter: str, coercers: Mapping[Any, Coercion] = COERCERS) -> Any:
    """The value as the annotation asks for; None always passes, and so does any value where there is no annotation.

    Raises:
        ArgumentError: the value does not fit; says which parameter, what came and what was expected.

    >>> coerce("[1, 2]", list[float], parameter="ratio")
    [1.0, 2.0]
    """
    if value is None or annotation is inspect.Parameter.empty:
        return value
    try:
        return _fit(value, annotation, coercers)
    except _MISFITS as exc:
        known = [coercion for choice in _choices(annotation) if (coercion := _coercion(choice, coercers))]
        expected = " or ".join(dict.fromkeys(coercion.expected for coercion in known))
        why = f" ({exc.message})" if isinstance(exc, ArgumentError) else ""
        raise ArgumentError(f"{parameter}: got {_shown(value)}, need {expected}{why}", parameter=parameter) from exc


def _fit(value: Any, annotation: Any, coercers: Mapping[Any, Coercion]) -> Any:
    """The value as the first choice that takes it; as it is where the annotation says nothing to us, such as Any."""
    if value is None and type(None) in typing.get_args(annotation):
        return None
    choices = _choices(annotation)
    failure: Exception | None = None
    for choice in choices:
        if _coercion(choice, coercers) is not None:
            try:
                return _convert(value, choice, coercers)
            except _MISFITS as exc:
                failure = exc
    if failure is None or any(_coercion(choice, coercers) is None for choice in choices):
        return value
    raise failure


def _choices(annotation: Any) -> list[Any]:
    """`X | None` and `Union[X, Y]` give X and Y; anything else is itself."""
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        return [choice for choice in typing.get_args(annotation) if choice is not type(None)]
    return [annotation]


def _coercion(choice: Any, coercers: Mapping[Any, Coercion]) -> Coercion | None:
    key = typing.get_origin(choice) or choice
    try:
        return coercers.get(key)
    except TypeError:  # an unhashable annotation
        return None


def _convert(value: Any, choice: Any, coercers: Mapping[Any, Coercion]) -> Any:
    coercion = _coercion(choice, coercers)
    assert coercion is not None
    whole = coercion.convert(value)
    arguments = typing.get_args(choice)
    if isinstance(whole, list) and len(arguments) == 1:
        return [_fit(item, arguments[0], coercers) for item in whole]
    if isinstance(whole, tuple) and arguments:
        inner = [arguments[0]] * len(whole) if arguments[-1] is Ellipsis else arguments
        return tuple(_fit(item, kind, coercers) for item, kind in zip(whole, inner, strict=True))
    if isinstance(whole, dict) and len(arguments) == 2:
        key, item = arguments
        return {_fit(k, key, coercers): _fit(v, item, coercers) for k, v in whole.items()}
    return whole


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
