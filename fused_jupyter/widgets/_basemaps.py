"""What lies under the layers of a map."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import traitlets

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets._assets import asset

WORLD = "world.json"
"""The outline of the world, as the page calls it."""

_OSM = '© <a href="https://www.openstreetmap.org/copyright">OpenStreetMap</a> contributors'
_CARTO = f'{_OSM} © <a href="https://carto.com/attributions">CARTO</a>'

OFFLINE = ("world", "plain")
"""Names of what needs no internet."""

ONLINE: dict[str, dict[str, Any]] = {
    "osm": {"tiles": ["https://tile.openstreetmap.org/{z}/{x}/{y}.png"], "attribution": _OSM},
    "carto-light": {"tiles": ["https://basemaps.cartocdn.com/light_all/{z}/{x}/{y}@2x.png"], "attribution": _CARTO},
    "carto-dark": {"tiles": ["https://basemaps.cartocdn.com/dark_all/{z}/{x}/{y}@2x.png"], "attribution": _CARTO},
    "carto-voyager": {
        "tiles": ["https://basemaps.cartocdn.com/rastertiles/voyager/{z}/{x}/{y}@2x.png"],
        "attribution": _CARTO,
    },
    "satellite": {
        "tiles": [
            "https://server.arcgisonline.com/ArcGIS/rest/services/World_Imagery/MapServer/tile/{z}/{y}/{x}",
        ],
        "attribution": "Esri, Maxar, Earthstar Geographics, and the GIS User Community",
    },
    "topo": {
        "tiles": ["https://tile.opentopomap.org/{z}/{x}/{y}.png"],
        "attribution": f'{_OSM}, SRTM | © <a href="https://opentopomap.org">OpenTopoMap</a> (CC-BY-SA)',
        "max_zoom": 17,
    },
}
"""Well-known tiles that the page fetches from the internet, by short name."""

_ADDRESSES = ("http://", "https://", "/", "./", "data:")


class BasemapTrait(traitlets.TraitType[Any, Any]):  # traitlets' two parameters are what is got and what may be set
    """What lies under the layers."""

    default_value = "world"
    allow_none = True

    def validate(self, _obj: Any, value: Any) -> str | dict[str, Any]:
        """The same; raises ArgumentError."""
        if isinstance(value, Mapping):
            return _checked(dict(value))
        if isinstance(value, str) and (value in OFFLINE or value in ONLINE or value.startswith(_ADDRESSES)):
            return value
        names = [*OFFLINE, *ONLINE]
        nearest = get_close_matches(value, names, n=1) if isinstance(value, str) else []
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ArgumentError(
            f"basemap: got {value!r}, need None, one of {', '.join(names)}, the URL of a style, an XYZ template "
            'such as https://…/{z}/{x}/{y}.png, {"url": template, "attribution": …}, or a MapLibre style' + hint
        )


def basemap_to_json(value: Any, _widget: object) -> Any:
    """What the page gets: its twin is js/src/layers/basemap.ts."""
    if isinstance(value, str):
        return ONLINE.get(value, value)
    if isinstance(value, dict) and "version" not in value:
        return {"tiles": [value["url"]]} | {name: each for name, each in value.items() if name != "url"}
    return value


def world() -> bytes:
    """The outline of the world, for pages that reach no server."""
    return asset(WORLD).read_bytes()


def _checked(value: dict[str, Any]) -> dict[str, Any]:
    """A MapLibre style as it is; of tiles, only what the page knows."""
    if "version" in value:
        return value
    if not isinstance(value.get("url"), str) or _unknown(value):
        raise ArgumentError(
            f'basemap: got {value!r}, need {{"url": "https://…/{{z}}/{{x}}/{{y}}.png"}} with attribution, max_zoom or '
            'tile_size beside it, or a MapLibre style, which has "version": 8'
        )
    return value


def _unknown(value: Mapping[str, Any]) -> set[str]:
    """Keys that mean nothing beside the template of tiles."""
    return {*value} - {"url", "attribution", "max_zoom", "tile_size"}
