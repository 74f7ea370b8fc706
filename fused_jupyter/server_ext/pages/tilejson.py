"""TileJSON 3.0: what a map library wants to know of a layer of tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from fused_jupyter.server_ext.pages.entry import Entry

VECTOR_FORMATS = frozenset({"mvt", "pbf"})
WORLD = (-180.0, -85.0511287798066, 180.0, 85.0511287798066)
"""What square Mercator tiles cover: west, south, east, north in degrees."""

_LAYER = "udf"
"""Twin: formats/mvt/encoder.py."""
_TILE_ZOOMS = 30


def tilejson(entry: Entry, *, template: str, extension: str, fields: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The description of a layer.

    Args:
        entry: of the UDF.
        template: the address of its tiles.
        extension: how that address ends; of vector tiles the layers are told too.
        fields: of the features, what each is.
    """
    own = _own(entry)
    lowest, highest = _zooms(entry, own)
    described = {
        "tilejson": "3.0.0",
        "name": entry.name,
        "description": entry.description,
        "bounds": list(WORLD),
        **own,
        "tiles": [template],
        "minzoom": lowest,
        "maxzoom": highest,
    }
    layers = described.pop("vector_layers", None)
    if extension in VECTOR_FORMATS:
        described["vector_layers"] = layers or [{"id": _LAYER, "fields": dict(fields or {})}]
    return described


def sample_tile(entry: Entry) -> tuple[int, int, int]:
    """A tile in which there should be something: of the owner's centre or bounds, else the middle of the lowest zoom.

    >>> sample_tile(Entry(name="f", schema={}, file="", tiles="", metadata={"center": [-122.4, 37.8, 10]}))
    (10, 163, 395)
    """
    longitude, latitude, zoom = view_of(entry)
    return _tile_at(longitude, latitude, zoom if "center" in _own(entry) else _zooms(entry, _own(entry))[0])


def view_of(entry: Entry) -> tuple[float, float, int]:
    """Where a map of it begins: longitude, latitude, zoom."""
    own = _own(entry)
    lowest, highest = _zooms(entry, own)
    if "center" in own:
        longitude, latitude, zoom = (*own["center"], lowest)[:3]
        return longitude, latitude, int(min(max(zoom, lowest), highest))
    west, south, east, north = own.get("bounds", WORLD)
    # The whole world is two tiles wide at zoom 1, which fits most windows.
    across = max((east - west) / 720, 2.0**-highest)
    return (west + east) / 2, (south + north) / 2, min(max(lowest, round(-math.log2(across))), highest)


def _own(entry: Entry) -> dict[str, Any]:
    """What the owner says and what is true to form."""
    return {name: entry.metadata[name] for name, holds in _CHECKS.items() if holds(entry.metadata.get(name))}


def _tile_at(longitude: float, latitude: float, zoom: int) -> tuple[int, int, int]:
    count = 2**zoom
    sine = math.sin(math.radians(min(max(latitude, WORLD[1]), WORLD[3])))
    across = (longitude + 180) / 360
    down = 0.5 - math.log((1 + sine) / (1 - sine)) / (4 * math.pi)
    return zoom, min(max(int(across * count), 0), count - 1), min(max(int(down * count), 0), count - 1)


def _zooms(entry: Entry, own: Mapping[str, Any]) -> tuple[int, int]:
    """What the owner says, within what the token allows."""
    lowest, highest = entry.zooms
    least, most = own.get("minzoom", lowest), own.get("maxzoom", highest)
    return min(max(lowest, least), highest), max(min(highest, most), lowest)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_zoom(value: object) -> bool:
    return type(value) is int and 0 <= value <= _TILE_ZOOMS


def _are_numbers(value: object, *, counts: tuple[int, ...]) -> bool:
    return (
        isinstance(value, list)
        and len(value) in counts
        and all(type(each) in {int, float} and math.isfinite(each) for each in value)
    )


def _is_place(longitude: float, latitude: float) -> bool:
    return -180 <= longitude <= 180 and -90 <= latitude <= 90


def _are_bounds(value: Any) -> bool:
    if not _are_numbers(value, counts=(4,)):
        return False
    west, south, east, north = value
    return _is_place(west, south) and _is_place(east, north) and south <= north and west <= east


def _is_center(value: Any) -> bool:
    return _are_numbers(value, counts=(2, 3)) and _is_place(value[0], value[1])


def _are_layers(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(each, dict)
            and isinstance(each.get("id"), str)
            and isinstance(each.get("fields"), dict)
            and all(isinstance(field, str) for field in each["fields"].values())
            for each in value
        )
    )


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "name": _is_text,
    "description": _is_text,
    "attribution": _is_text,
    "version": _is_text,
    "legend": _is_text,
    "bounds": _are_bounds,
    "center": _is_center,
    "minzoom": _is_zoom,
    "maxzoom": _is_zoom,
    "vector_layers": _are_layers,
}
"""What the owner of a token may say of its tiles → whether it is that; what is not is passed over."""
