"""The spatial argument of a UDF in all forms of the reference: one area, and a table from annotation to form."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from fused_jupyter.errors import ArgumentError
from fused_jupyter.tiles import Tile, bounding_tile
from fused_jupyter.types import Bbox, Bounds, TileGDF, TileXYZ, ViewportGDF
from fused_jupyter.types import Tile as TileType
from fused_jupyter.udfs import Coercion, UdfDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A rectangle, and the tile that it is or the smallest one that holds it."""

    bounds: Bounds
    tile: Tile

    @classmethod
    def of_tile(cls, tile: Tile) -> Area:
        """The area of a tile."""
        return cls(bounds=tile.bounds, tile=tile)

    @classmethod
    def of(cls, value: Any) -> Area:
        """The area that a value means: four numbers, their text, JSON, GeoJSON, a geometry or a GeoDataFrame.

        Raises:
            ArgumentError: the value means no area.
        """
        if isinstance(value, Area):
            return value
        bounds = _bounds(value)
        return cls(bounds=bounds, tile=bounding_tile(bounds))


def area_arguments(definition: UdfDefinition, given: Mapping[str, Any], area: Area | None) -> dict[str, Any]:
    """The arguments with the tile in its place: the spatial parameter, and `x`, `y`, `z` where the UDF has them."""
    arguments = dict(given)
    spatial = definition.spatial_parameter
    names = {parameter.name for parameter in definition.parameters}
    if area is not None:
        if spatial is not None:
            arguments[spatial.name] = area
        elif {"x", "y", "z"} <= names:
            arguments |= {"x": area.tile.x, "y": area.tile.y, "z": area.tile.z}
    if spatial is not None and arguments.get(spatial.name) is not None:
        arguments[spatial.name] = _in_form(arguments[spatial.name], spatial.bare_annotation, spatial.name)
    return arguments


def _in_form(value: Any, annotation: str, parameter: str) -> Any:
    """The spatial argument where its annotation is not one of ours; those are left to `SPATIAL`."""
    kind = annotation.rpartition(".")[2]
    if kind in _TYPED:
        return value
    form = _UNTYPED.get(annotation.partition("[")[0])
    if form is not None:
        try:
            return form(Area.of(value))
        except ArgumentError as exc:
            raise ArgumentError(f"{parameter}: {exc.message}", parameter=parameter) from exc
    # No annotation, or None: a tile is a GeoDataFrame, as the reference has it; what a caller passed stays as it is.
    return tile_frame(value) if isinstance(value, Area) else value


def tile_frame(area: Area) -> Any:
    """One-row GeoDataFrame with x, y, z of the tile and its geometry, EPSG:4326."""
    import geopandas

    columns = {"x": [area.tile.x], "y": [area.tile.y], "z": [area.tile.z]}
    return geopandas.GeoDataFrame(columns, geometry=[polygon(area)], crs="EPSG:4326")


def viewport_frame(area: Area) -> Any:
    """One-row GeoDataFrame with the geometry only, EPSG:4326."""
    import geopandas

    return geopandas.GeoDataFrame(geometry=[polygon(area)], crs="EPSG:4326")


def polygon(area: Area) -> Any:
    """The rectangle as a shapely.Polygon."""
    import shapely

    return shapely.box(*area.bounds)


def mercantile_tile(area: Area) -> Any:
    """The tile as a mercantile.Tile."""
    import mercantile

    return mercantile.Tile(area.tile.x, area.tile.y, area.tile.z)


_EXPECTED = "west,south,east,north in degrees, e.g. -10,50,2,59"

SPATIAL: dict[Any, Coercion] = {
    Bounds: Coercion(convert=lambda value: Bounds(Area.of(value).bounds), expected=_EXPECTED),
    Bbox: Coercion(convert=lambda value: polygon(Area.of(value)), expected=_EXPECTED),
    TileXYZ: Coercion(convert=lambda value: mercantile_tile(Area.of(value)), expected=_EXPECTED),
    TileGDF: Coercion(convert=lambda value: tile_frame(Area.of(value)), expected=_EXPECTED),
    TileType: Coercion(convert=lambda value: tile_frame(Area.of(value)), expected=_EXPECTED),
    ViewportGDF: Coercion(convert=lambda value: viewport_frame(Area.of(value)), expected=_EXPECTED),
}

_TYPED = frozenset({"Bounds", "Bbox", "TileXYZ", "TileGDF", "Tile", "ViewportGDF"})

_UNTYPED: dict[str, Any] = {
    "list": lambda area: list(area.bounds),
    "tuple": lambda area: tuple(area.bounds),
    "str": lambda area: ",".join(str(side) for side in area.bounds),
    "gpd.GeoDataFrame": tile_frame,
    "geopandas.GeoDataFrame": tile_frame,
}


def _bounds(value: Any) -> Bounds:
    if isinstance(value, Bounds):
        return value
    if isinstance(value, str):
        return _bounds(_parse_text(value))
    if isinstance(value, Mapping):
        return _bounds(_geometry(value))
    if hasattr(value, "total_bounds"):  # GeoDataFrame, GeoSeries
        return Bounds(tuple((value if value.crs is None else value.to_crs(4326)).total_bounds))
    if isinstance(value, tuple) and set(getattr(value, "_fields", ())) == {"x", "y", "z"}:
        named: Any = value  # a mercantile.Tile
        return Tile(named.z, named.x, named.y).bounds
    sides = getattr(value, "bounds", value)  # a shapely geometry
    if isinstance(sides, (str, bytes, types.MethodType)) or not isinstance(sides, typing.Iterable):
        raise ArgumentError(f"got {value!r}, need {_EXPECTED}")
    return Bounds(tuple(sides))


def _parse_text(text: str) -> Any:
    stripped = text.strip()
    try:
        return (
            orjson.loads(stripped) if stripped.startswith(("[", "{")) else [float(part) for part in stripped.split(",")]
        )
    except ValueError as exc:
        raise ArgumentError(f"got {text[:80]!r}, need {_EXPECTED}") from exc


def _geometry(geojson: Mapping[str, Any]) -> Any:
    import geopandas
    import shapely

    kind = geojson.get("type")
    try:
        if kind == "FeatureCollection":
            return geopandas.GeoDataFrame.from_features(geojson["features"], crs="EPSG:4326")
        return shapely.from_geojson(orjson.dumps(geojson["geometry"] if kind == "Feature" else geojson))
    except (KeyError, TypeError, ValueError, shapely.errors.GEOSException) as exc:
        raise ArgumentError(f"got GeoJSON of type {kind!r} that is no geometry; need {_EXPECTED}") from exc
