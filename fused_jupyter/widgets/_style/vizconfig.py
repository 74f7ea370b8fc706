"""Fused's vizConfig: deck.gl's JSON, as the `meta.json` of public UDFs has it, in the words of our styles.

A map of Fused has one of it with a layer for tiles, one for rasters, one for features and one for hexagons. What has no
meaning on this map, or none that anybody knows, is left out with a warning; that nobody can pick it, or that it lies
flat, is no loss and needs none.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets._style.by_data import is_by_data, read_by_data
from fused_jupyter.widgets._style.colors import is_color, read_color
from fused_jupyter.widgets._style.formulas import color_formula, is_formula, number_formula, read_formula
from fused_jupyter.widgets._style.looks import Expression

_TILES, _RASTER, _VECTOR, _HEXAGONS = "tileLayer", "rasterLayer", "vectorLayer", "hexLayer"
_STATES: Final = ("loadingLayer", "errorLayer")
"""How Fused's map draws tiles that wait or failed; ours has its own ways."""
_MOST_ZOOM: Final = 22
_PLAIN: Final = frozenset({
    "@@type", "autoHighlight", "coverage", "data", "elevationScale", "getElevation", "getHexagon", "highPrecision",
    "highlightColor", "id", "lineWidthUnits", "material", "parameters", "pickable", "pointRadiusUnits", "pointType",
    "radiusScale", "updateTriggers", "wireframe", "lineWidthMaxPixels", "pointRadiusMaxPixels", "lineWidthScale",
    "pointRadiusScale",
})  # fmt: skip
"""What changes nothing on a flat map with a tooltip."""
_DRAWN: Final = frozenset({
    "GeoJsonLayer", "H3HexagonLayer", "MVTLayer", "PathLayer", "PolygonLayer", "ScatterplotLayer",
})  # fmt: skip
_SMALL: Final = 1.0
"""The radius of points that nobody chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VizConfig:
    """What a vizConfig says."""

    style: Mapping[str, Any] = field(default_factory=dict)
    """As a user would write it."""
    layer: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of a layer: ``min_zoom``, ``max_zoom``, ``tile_size``, ``visible``, ``tooltip``."""
    ignored: tuple[str, ...] = ()
    """The places of what was left out, such as ``vectorLayer.getText``."""


def is_vizconfig(given: Mapping[str, Any]) -> bool:
    """Whether it is one, of whichever generation."""
    return any(name in given for name in (_TILES, _RASTER, _VECTOR, _HEXAGONS, "@@type"))


def read_vizconfig(given: Mapping[str, Any]) -> VizConfig:
    """What of a vizConfig this map can draw; warns of the rest.

    >>> read_vizconfig({"vectorLayer": {"@@type": "GeoJsonLayer", "getFillColor": [255, 0, 0]}}).style
    {'fill_color': '#ff0000'}
    """
    parts = dict(given) if any(isinstance(given.get(name), Mapping) for name in _LAYERS) else _flat(given)
    style: dict[str, Any] = {}
    layer: dict[str, Any] = {}
    ignored: list[str] = []
    for name, part in parts.items():
        if name in _STATES or name in {"initialViewState", "pickable"}:
            continue
        if name not in _LAYERS or not isinstance(part, Mapping):
            ignored.append(name)
            continue
        read = _LAYERS[name](part)
        ignored += [f"{name}.{key}" for key in read.ignored]
        layer |= read.layer
        if name == _HEXAGONS and isinstance(parts.get(_VECTOR), Mapping):
            style["hexagons"] = {"column": _hexagon_column(part), "style": dict(read.style)}
        else:
            style |= read.style
    if ignored:
        warnings.warn(f"vizConfig: left out, for this map has nothing like it: {', '.join(ignored)}", stacklevel=3)
    return VizConfig(style=style, layer=layer, ignored=tuple(ignored))


def _flat(given: Mapping[str, Any]) -> dict[str, Any]:
    """The first generation: one layer, which names the class of its tiles' content or is it itself."""
    kind = str(given.get("@@type"))
    name = {"TileLayer": _TILES, "BitmapLayer": _RASTER, "H3HexagonLayer": _HEXAGONS}.get(kind, _VECTOR)
    if name != _TILES:
        return {name: given}
    inner = given.get("subLayerConfig", given.get("renderSubLayers"))
    below = {key: value for key, value in given.items() if value is inner and isinstance(inner, Mapping)}
    tiles = {key: value for key, value in given.items() if key in _TILE_READERS or key in {"@@type", "pickable"}}
    looks = {key: value for key, value in given.items() if key not in tiles and key not in below}
    parts = {_TILES: tiles, **({_VECTOR: looks} if looks else {})}
    for part in below.values():
        parts |= _flat(part)
    return parts


def _hexagon_column(part: Mapping[str, Any]) -> str:
    formula = part.get("getHexagon")
    if is_formula(formula):
        expression = read_formula(str(formula))
        if isinstance(expression, list) and expression[0] == "get":
            return str(expression[1])
    return "hex"


# -- the layers


def _read_tiles(part: Mapping[str, Any]) -> VizConfig:
    layer, ignored = {}, []
    for key, value in part.items():
        if key in {"@@type", "pickable", "extrude"}:
            continue
        if key in _TILE_READERS and (read := _TILE_READERS[key](value)) is not None:
            layer[read[0]] = read[1]
        else:
            ignored.append(key)
    if layer.get("min_zoom", 0) > layer.get("max_zoom", _MOST_ZOOM):
        layer.clear()
        ignored += ["minZoom", "maxZoom"]
    return VizConfig(layer=layer, ignored=tuple(ignored))


def _read_raster(part: Mapping[str, Any]) -> VizConfig:
    opacity = part.get("opacity")
    style = {"raster-opacity": opacity} if isinstance(opacity, (int, float)) else {}
    known = {"@@type", "pickable", "opacity" if style else ""}
    return VizConfig(style=style, ignored=tuple(key for key in part if key not in known))


def _read_features(part: Mapping[str, Any]) -> VizConfig:
    style: dict[str, Any] = {}
    layer: dict[str, Any] = {}
    ignored = ["@@type"] if str(part.get("@@type", "GeoJsonLayer")) not in _DRAWN else []
    for key, value in part.items():
        if key in _PLAIN or (key == "extruded" and not value):
            continue
        if key in _TOOLTIPS and isinstance(value, list):
            layer["tooltip"] = [str(name) for name in value]
            continue
        if key == "visible" and isinstance(value, bool):
            layer["visible"] = value
            continue
        name, read = _READERS.get(key, ("", _never))
        try:
            meaning = read(value, part)
        except ArgumentError:
            ignored.append(key)
            continue
        if meaning is not None:
            style[name] = meaning
    return VizConfig(style=style, layer=layer, ignored=tuple(ignored))


# -- values


def _color(value: Any, _part: Mapping[str, Any]) -> Any:
    """A colour in the words of our styles; None where it is the map's own."""
    if isinstance(value, Mapping):
        return _COLOR_FUNCTIONS.get(str(value.get("@@function")), _never)(value, _part)
    if is_formula(value):
        return Expression(value=tuple(color_formula(read_formula(value))))
    if isinstance(value, list) and all(isinstance(channel, (int, float)) for channel in value):
        value = [max(0, min(255, channel)) for channel in value]  # as deck.gl does
    return read_color(value, name="")


def _continuous(said: Mapping[str, Any], _part: Mapping[str, Any]) -> dict[str, Any]:
    # deck.gl blends between its steps, so they are not to be seen.
    return _checked(
        {
            "column": said.get("attr"),
            "palette": said.get("colors"),
            "domain": said.get("domain"),
            "null_color": said.get("nullColor"),
            "type": "continuous",
            "optional": True,
        }
    )


def _bins(said: Mapping[str, Any], _part: Mapping[str, Any]) -> dict[str, Any]:
    palette = said.get("colors")
    return _checked(
        {
            "column": said.get("attr"),
            "palette": palette,
            "breaks": said.get("domain"),
            "null_color": said.get("nullColor"),
            "type": "continuous",
            "optional": True,
        }
    )


def _categories(said: Mapping[str, Any], _part: Mapping[str, Any]) -> dict[str, Any]:
    return _checked(
        {
            "column": said.get("attr"),
            "palette": said.get("colors"),
            "categories": said.get("categories", said.get("domain")),
            "null_color": said.get("nullColor"),
            "other_color": said.get("othersColor", said.get("nullColor")),
            "type": "categories",
            "optional": True,
        }
    )


def _checked(said: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in said.items() if value is not None}
    read_by_data(kept, name="vizConfig")
    return kept


def _one_of_two(said: Mapping[str, Any], _part: Mapping[str, Any], *, read: Reader, test: str) -> Any:
    """`hasProp`: this where there is such a property, that where not; `checkValue`: where it has a value."""
    there, otherwise = said.get("present", said.get("valid")), said.get("absent", said.get("invalid"))
    first = read(there, {})
    if isinstance(first, Mapping) and is_by_data(first):
        # A colour by data has one of its own for what has no value.
        missing = read(otherwise, {}) if otherwise is not None else None
        return dict(first) | ({"null_color": missing} if isinstance(missing, str) and is_color(missing) else {})
    condition = ["has", _property(said)] if test == "has" else ["to-boolean", ["get", _property(said)]]
    return Expression(value=("case", condition, _plain(first), _plain(read(otherwise, {}))))


def _own_or(said: Mapping[str, Any], _part: Mapping[str, Any], *, convert: str) -> Expression:
    """`hasValue`: the property, or the fallback where it has no value."""
    return Expression(value=(convert, ["get", _property(said)], _plain(said.get("fallback", 0))))


def _theme(_said: Mapping[str, Any], _part: Mapping[str, Any]) -> None:
    """A colour of Fused's page; here the layer's own, which fits light and dark too."""


def _size(value: Any, _part: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return _SIZE_FUNCTIONS.get(str(value.get("@@function")), _never)(value, _part)
    if is_formula(value):
        formula = number_formula(read_formula(value))
        return Expression(value=tuple(formula)) if isinstance(formula, list) else formula
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ArgumentError(f"style: got {value!r}, need a number of pixels")
    return value


def _radius(value: Any, part: Mapping[str, Any]) -> Any:
    radius = _size(value, part)
    return None if isinstance(radius, (int, float)) and radius <= _SMALL else radius


def _in_pixels(read: Reader, unit: str) -> Reader:
    """A width in metres, as deck.gl has it by default, says nothing of pixels."""
    return lambda value, part: read(value, part) if part.get(unit) == "pixels" else None


def _opacity(value: Any, _part: Mapping[str, Any]) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ArgumentError(f"style: got {value!r}, need a number from 0 to 1")
    return min(1.0, float(value))


def _switch(value: Any, _part: Mapping[str, Any]) -> bool:
    if not isinstance(value, bool):
        raise ArgumentError(f"style: got {value!r}, need true or false")
    return value


def _never(value: Any, _part: Mapping[str, Any]) -> Any:
    raise ArgumentError(f"style: cannot read {value!r}")


def _property(said: Mapping[str, Any]) -> str:
    if not isinstance(name := said.get("property", said.get("attr")), str):
        raise ArgumentError(f"style: got property {name!r}, need the name of a property")
    return name


def _plain(meaning: Any) -> Any:
    """As part of an expression."""
    return [*meaning.value] if isinstance(meaning, Expression) else meaning


def _zoom(name: str) -> Callable[[Any], tuple[str, Any] | None]:
    def read(value: Any) -> tuple[str, Any] | None:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return (name, max(0, min(_MOST_ZOOM, int(value)))) if is_number else None

    return read


def _tile_size(value: Any) -> tuple[str, Any] | None:
    return ("tile_size", int(value)) if isinstance(value, (int, float)) and value in {256, 512} else None


Reader = Callable[[Any, Mapping[str, Any]], Any]

_COLOR_FUNCTIONS: Final[dict[str, Reader]] = {
    "colorContinuous": _continuous,
    "colorBins": _bins,
    "colorCategories": _categories,
    "hasProp": lambda said, part: _one_of_two(said, part, read=_color, test="has"),
    "checkValue": lambda said, part: _one_of_two(said, part, read=_color, test="value"),
    "hasValue": lambda said, part: _own_or(said, part, convert="to-color"),
    "themeColor": _theme,
}
_SIZE_FUNCTIONS: Final[dict[str, Reader]] = {
    "hasProp": lambda said, part: _one_of_two(said, part, read=_size, test="has"),
    "checkValue": lambda said, part: _one_of_two(said, part, read=_size, test="value"),
    "hasValue": lambda said, part: _own_or(said, part, convert="to-number"),
}
_READERS: Final[dict[str, tuple[str, Reader]]] = {
    "getFillColor": ("fill_color", _color),
    "getColor": ("fill_color", _color),
    "getLineColor": ("line_color", _color),
    "lineWidthMinPixels": ("line_width", _size),
    "getLineWidth": ("line_width", _in_pixels(_size, "lineWidthUnits")),
    "pointRadiusMinPixels": ("radius", _radius),
    "getPointRadius": ("radius", _in_pixels(_radius, "pointRadiusUnits")),
    "getRadius": ("radius", _in_pixels(_radius, "pointRadiusUnits")),
    "opacity": ("opacity", _opacity),
    "filled": ("filled", _switch),
    "stroked": ("stroked", _switch),
}
_TILE_READERS: Final = {"minZoom": _zoom("min_zoom"), "maxZoom": _zoom("max_zoom"), "tileSize": _tile_size}
_TOOLTIPS: Final = frozenset({"tooltipColumns", "tooltipAttrs"})
_LAYERS: Final[dict[str, Callable[[Mapping[str, Any]], VizConfig]]] = {
    _TILES: _read_tiles,
    _RASTER: _read_raster,
    _VECTOR: _read_features,
    _HEXAGONS: _read_features,
}
