"""Values of parameters as a page can send them: what JSON has, and no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, time
from math import isfinite
from typing import Any

from fused_jupyter.errors import ArgumentError


def plain_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The same values as text, numbers, booleans, None, lists and dicts.

    Dates become ISO text; tuples, sets and arrays become lists; NumPy numbers become Python's.

    Raises:
        ArgumentError: a value that no URL can carry, or a number that is not finite.

    >>> plain_params({"day": date(2024, 5, 1), "bands": (1, 2)})
    {'day': '2024-05-01', 'bands': [1, 2]}
    """
    return {str(name): _plain(value, name=str(name)) for name, value in params.items()}


def _plain(value: Any, *, name: str) -> Any:
    if isinstance(value, float) and not isfinite(value):
        raise ArgumentError(f"params: {name}={value} is no finite number; leave it out or give None")
    if value is None or type(value) in _AS_IS:
        return value
    for kind, convert in _CONVERTERS.items():
        if isinstance(value, kind):
            return convert(value, name)
    if callable(to_list := getattr(value, "tolist", None)):  # arrays and numbers of NumPy
        return _plain(to_list(), name=name)
    raise ArgumentError(
        f"params: {name} is a {type(value).__name__}; a map sends text, numbers, booleans, dates, lists and dicts. "
        "Load other data inside the UDF"
    )


_AS_IS = frozenset({str, int, float, bool})
_CONVERTERS: dict[type | tuple[type, ...], Callable[[Any, str], Any]] = {
    (date, time): lambda value, _: value.isoformat(),
    Mapping: lambda value, name: {str(key): _plain(item, name=name) for key, item in value.items()},
    (list, tuple, set, frozenset): lambda value, name: [_plain(item, name=name) for item in value],
    str: lambda value, _: str(value),
    bool: lambda value, _: bool(value),
    int: lambda value, _: int(value),
    float: lambda value, _: float(value),
}
