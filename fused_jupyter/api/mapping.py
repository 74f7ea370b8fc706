"""`udf.map()`: which keywords are the UDF's, which the layer's and which the map's, and what the UDF's metadata say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from fused_jupyter.api.given import carried, split
from fused_jupyter.udfs import published_values

if TYPE_CHECKING:
    from fused_jupyter.api.udf import Udf
    from fused_jupyter.udfs import UdfDefinition
    from fused_jupyter.widgets import FusedMap

_OF_LAYER: Final = (
    "style", "legend", "tooltip", "opacity", "visible", "name", "kind", "min_zoom", "max_zoom", "tile_size", "follow",
)  # fmt: skip
_VIZ_CONFIG: Final = "fused:vizConfig"
_VIEW_STATE: Final = "fused:defaultViewState"
_UDF_TYPE: Final = "fused:udfType"
_FOLLOWS: Final = {"vector_single": True, "vector_single_none": False}
"""Types that are run once, and whether with what the map shows. Of the others the signature decides."""
_OF_TILES: Final = frozenset({"kind", "tile_size"})
_VIEW: Final = frozenset({"center", "zoom", "bounds"})
_SHARED: Final = ("tooltip", "visible")
"""What a vizConfig says that is not about tiles."""


def map_of(udf: Udf, given: Mapping[str, Any]) -> FusedMap:
    """A map of one UDF; where the user says nothing, its vizConfig, defaultViewState and defaultParameters do.

    Args:
        udf: the UDF.
        given: its arguments, how it is drawn, and what is for the layer and for the map.

    Raises:
        FusedError: as `FusedMap` and its layers.
    """
    from fused_jupyter.widgets import FileLayer, FusedMap, TileLayer, udf_layer

    definition = udf.definition
    arguments, drawing, rest = split(definition, given)
    published = published_values(definition.metadata)
    said_values = {
        parameter.name: _like(parameter.default, published[parameter.name])
        for parameter in definition.parameters
        if parameter.name in published
    }
    options: dict[str, Any] = {name: rest.pop(name) for name in _OF_LAYER if name in rest}
    style, said = _look(definition)
    if style and options.get("style") is None:
        options["style"] = style
    options = {name: said[name] for name in _SHARED if name in said} | options
    follows = _FOLLOWS.get(str(definition.metadata.get(_UDF_TYPE)))
    if follows is None or _OF_TILES & options.keys():
        layer = udf_layer(udf, definition, {"params": drawing, **options})
    else:
        layer = FileLayer(udf, params=drawing, **{"follow": follows, **options})
    if isinstance(layer, TileLayer):
        layer = replace(layer, **{n: v for n, v in said.items() if n not in {*options, *_SHARED}})
    view = {} if _VIEW & rest.keys() else _view(definition)
    return FusedMap(layer, params=carried(definition, {**said_values, **arguments}), **view, **rest)


def _like(default: Any, value: Any) -> Any:
    """A value as the default is: Fused's controls keep numbers as text."""
    if not isinstance(value, str) or not isinstance(default, (bool, int, float)):
        return value
    try:
        return type(default)(json.loads(value.lower()))
    except (ValueError, TypeError):
        return value


def _look(definition: UdfDefinition) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The style and the layer's fields that its vizConfig says."""
    from fused_jupyter.widgets import read_vizconfig

    config = _read(definition, _VIZ_CONFIG)
    if not config:
        return {}, {}
    viz = read_vizconfig(config)
    return viz.style, viz.layer


def _view(definition: UdfDefinition) -> dict[str, Any]:
    """Where a map of it begins; empty where its defaultViewState is switched off or no place."""
    state = _read(definition, _VIEW_STATE)
    place = [state.get(name) for name in ("longitude", "latitude", "zoom")]
    if state.get("enable") is False or not all(_is_number(each) for each in place):
        return {}
    longitude, latitude, zoom = (float(each) for each in place if each is not None)
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90 and 0 <= zoom <= 24):
        return {}
    return {"center": (longitude, latitude), "zoom": zoom}


def _read(definition: UdfDefinition, name: str) -> Mapping[str, Any]:
    """An object of the metadata; some are kept as JSON in a text."""
    said = definition.metadata.get(name)
    if isinstance(said, str):
        try:
            said = json.loads(said)
        except ValueError:
            return {}
    return said if isinstance(said, Mapping) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
