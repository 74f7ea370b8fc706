"""What a call of a UDF was given: its own arguments, and what is for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fused_jupyter.errors import ArgumentError, UnknownUdfError
from fused_jupyter.formats import STYLE_NAMES
from fused_jupyter.runtime import current
from fused_jupyter.udfs import UdfDefinition


def by_name(udf: UdfDefinition, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name; those by position go by the order of parameters.

    Raises:
        ArgumentError: too many, or one twice.
    """
    names = [parameter.name for parameter in udf.parameters if parameter.kind == "positional"]
    if len(args) > len(names):
        raise ArgumentError(
            f"{udf.name} takes {len(names)} positional arguments, {len(args)} were given: {udf.signature}"
        )
    positional = dict(zip(names, args, strict=False))
    if doubled := positional.keys() & kwargs.keys():
        raise ArgumentError(f"{udf.name} got {', '.join(sorted(doubled))} twice, by position and by name")
    return {**positional, **kwargs}


def own_and_options(udf: UdfDefinition, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the UDF has a parameter for, which may be called `udf`, and what else `fused.run` takes."""
    own = {parameter.name for parameter in udf.parameters}
    return {n: v for n, v in given.items() if n in own}, {n: v for n, v in given.items() if n not in own}


def split(udf: UdfDefinition, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The UDF's own arguments, how to draw it, and the rest.

    The tile fills in the spatial argument: as `bounds` it is for the map.
    """
    own = {parameter.name for parameter in udf.parameters if not parameter.is_spatial}
    rest = dict(given)
    arguments = {name: rest.pop(name) for name in given if name in own}
    drawing = {name: rest.pop(name) for name in given if name in STYLE_NAMES - own}
    return arguments, drawing, rest


def carried(udf: UdfDefinition, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, with the default parameters that are not those of the version that answers for the name."""
    try:
        known = current().registry.get(udf.name).default_parameters
    except UnknownUdfError:
        known = {}
    own = udf.default_parameters
    return {**{name: own[name] for name in own if name not in known or known[name] != own[name]}, **parameters}
