"""Which argument goes to which parameter."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs.parameters import Parameter


def bind(parameters: Sequence[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given arguments, checked by name; the spatial parameter is None where it has no default and nothing came.

    Raises:
        ArgumentError: an argument has no parameter, or a required one is missing.
    """
    names = [parameter.name for parameter in parameters if parameter.kind != "variadic"]
    if not any(parameter.kind == "variadic" for parameter in parameters):
        for name in given:
            if name not in names:
                raise ArgumentError(_unknown(name, names), parameter=name)
    bound = dict(given)
    for parameter in parameters:
        if parameter.name in bound or parameter.has_default or parameter.kind == "variadic":
            continue
        if parameter.is_required:
            example = f"?{parameter.name}=…"
            raise ArgumentError(
                f"{parameter.name}: missing, the UDF needs it ({parameter}); add {example}", parameter=parameter.name
            )
        bound[parameter.name] = None
    return bound


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"it takes {', '.join(known) or 'no arguments'}"
    return f"{name}: the UDF has no such parameter; {hint}"
