"""From what a request gives to what the function of a UDF gets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fused_jupyter.engines.annotations import annotations_of
from fused_jupyter.engines.mount_paths import real_value
from fused_jupyter.engines.spatial import SPATIAL, Area, area_arguments, tile_frame
from fused_jupyter.udfs import COERCERS, Parameter, UdfDefinition, as_text, bind, coerce

ALL_COERCERS = {**COERCERS, **SPATIAL}


def bound_arguments(definition: UdfDefinition, given: Mapping[str, Any], area: Area | None) -> dict[str, Any]:
    """The arguments of a call by name: defaults of the definition, what was given, the tile in its place.

    Raises:
        ArgumentError: an argument is unknown or missing, or the area is none.
    """
    return bind(definition.parameters, area_arguments(definition, {**definition.default_parameters, **given}, area))


def typed_arguments(
    function: Callable[..., Any], parameters: Sequence[Parameter], bound: Mapping[str, Any]
) -> dict[str, Any]:
    """The same as the annotations of the function ask for, with the real paths of the mount directory.

    Raises:
        ArgumentError: one does not fit.
    """
    own = {parameter.name: parameter.kind for parameter in parameters}
    rest = next((name for name, kind in own.items() if kind == "variadic"), "")
    annotations = annotations_of(function, (*bound, rest))
    typed: dict[str, Any] = {}
    for name, value in bound.items():
        is_own = own.get(name, "variadic") != "variadic"
        annotation = annotations.get(name if is_own else rest, inspect.Parameter.empty)
        if not is_own and annotation is inspect.Parameter.empty:
            typed[name] = None if value is None else real_value(as_text(value))  # as in Fused, wherever it came from
        else:
            made = coerce(value, annotation, parameter=name, coercers=ALL_COERCERS)
            # No annotation, or one that says nothing to us: a tile is a GeoDataFrame then.
            typed[name] = tile_frame(made) if isinstance(made, Area) else real_value(made)
    return typed
