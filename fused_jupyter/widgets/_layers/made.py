"""What users put on a map, as layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, TypeVar

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.widgets._layers.base import Layer
from fused_jupyter.widgets._layers.features import FeatureLayer
from fused_jupyter.widgets._layers.file import FileLayer
from fused_jupyter.widgets._layers.image import ImageLayer
from fused_jupyter.widgets._layers.tiles import TileLayer
from fused_jupyter.widgets._layers.udf import UdfLayer

Made = TypeVar("Made", bound=Layer)

_FEATURES = ("__geo_interface__", "geom_type", "columns", "__arrow_c_stream__")
_PIXELS = ("getbands", "data_vars", "dims", "__array_interface__")
"""Attributes that only such objects have."""
_TILED = frozenset({"rescale", "colormap", "nodata", "max_features"})
"""Values that are about tiles."""


def layer_of(value: Any, options: dict[str, Any]) -> Layer | None:
    """The layer that shows a value, with these fields; None where it is no data, so that it must be a UDF.

    Raises:
        ArgumentError: no layer can show it; or it has no such field.
    """
    if isinstance(value, Layer):
        return changed(value, options) if options else value
    if isinstance(value, tuple) and len(value) == 2:
        return made(ImageLayer, value[0], {"bounds": value[1], **options})
    if isinstance(value, (bytes, bytearray)) or any(hasattr(value, name) for name in _PIXELS):
        is_table = hasattr(value, "columns") or hasattr(value, "geom_type")
        return made(FeatureLayer, value, options) if is_table else made(ImageLayer, value, options)
    is_text = isinstance(value, str) and value.lstrip().startswith("{")
    if is_text or isinstance(value, dict) or any(hasattr(value, name) for name in _FEATURES):
        return made(FeatureLayer, value, options)
    if isinstance(value, str) or isinstance(getattr(value, "name", None), str):
        return None
    raise ArgumentError(
        f"layer: got {type(value).__name__}; need a UDF or its name, a layer, a GeoDataFrame, a table with places, "
        "GeoJSON, an array with bounds, or xarray"
    )


def udf_layer(udf: Any, definition: UdfDefinition, options: dict[str, Any]) -> UdfLayer:
    """Tiles of a UDF that takes the tile; the one result of a UDF that takes none, or is to follow the view."""
    takes_tiles = any(parameter.is_spatial or parameter.kind == "variadic" for parameter in definition.parameters)
    is_tiled = takes_tiles or bool(_TILED & {*options.get("params", {})})
    if not is_tiled or options.get("follow"):
        return made(FileLayer, udf, options)
    return made(TileLayer, udf, {name: value for name, value in options.items() if name != "follow"})


def changed(layer: Layer, changes: dict[str, Any]) -> Layer:
    """The layer with other fields.

    Raises:
        ArgumentError: it has no such field, or the value does not fit.
    """
    _check(type(layer), changes)
    return replace(layer, **changes)


def made(kind: Callable[..., Made], value: Any, options: dict[str, Any]) -> Made:
    """A layer of this kind."""
    _check(kind, options)
    return kind(value, **options)


def free_name(layer: Layer, taken: Iterable[str]) -> Layer:
    """The layer with a name that no other has, if its maker gave it none."""
    if layer.name:
        return layer
    names = {*taken}
    numbered = (layer.type if number == 1 else f"{layer.type} {number}" for number in range(1, len(names) + 2))
    return replace(layer, name=next(name for name in numbered if name not in names))


def _check(kind: Any, options: dict[str, Any]) -> None:
    known = [field.name for field in fields(kind)]
    for name in options:
        if name not in known:
            similar = get_close_matches(name, known, n=1)
            hint = f"did you mean {similar[0]!r}?" if similar else f"it has {', '.join(known)}"
            raise ArgumentError(f"{kind.__name__} has no {name!r}: {hint}")
