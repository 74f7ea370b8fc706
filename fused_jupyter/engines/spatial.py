"""The spatial argument of a UDF in all forms of the reference: one area, and a table from annotation to form."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fused_jupyter.engines.geometries import bounds_of, box_of, numbers_in, read_frame, read_geometry
from fused_jupyter.errors import ArgumentError, TileError
from fused_jupyter.tiles import Tile, bounding_tile
from fused_jupyter.types import Bbox, Bounds, TileGDF, TileXYZ, ViewportGDF
from fused_jupyter.types import Tile as TileType
from fused_jupyter.udfs import MISFITS, Coercers, Coercion, UdfDefinition, UnfitError, names_in, parse_json, shown


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
        """The area that a value means.

        Takes west,south,east,north as numbers, text or JSON, z/x/y, a tile, GeoJSON, WKT, a geometry, a GeoDataFrame.

        Raises:
            ArgumentError: the value means no area.
        """
        if isinstance(value, Area):
            return value
        try:
            found = _found(value)
        except (*MISFITS, AttributeError, RecursionError) as exc:
            why = f" ({exc})" if isinstance(exc, UnfitError) else ""
            raise ArgumentError(f"got {shown(value)}, need {_EXPECTED}, e.g. {_EXAMPLE}{why}") from exc
        return cls.of_tile(found) if isinstance(found, Tile) else cls(bounds=found, tile=bounding_tile(found))


def area_arguments(definition: UdfDefinition, given: Mapping[str, Any], area: Area | None) -> dict[str, Any]:
    """The arguments with the tile in its place: the spatial parameter, and `x`, `y`, `z` where the UDF has them."""
    arguments = dict(given)
    spatial = definition.spatial_parameter
    names = {parameter.name for parameter in definition.parameters}
    if area is not None:
        if spatial is not None:
            arguments[spatial.name] = area
        if names >= {"x", "y", "z"}:
            arguments |= {"x": area.tile.x, "y": area.tile.y, "z": area.tile.z}
    if spatial is not None and arguments.get(spatial.name) is not None:
        try:
            arguments[spatial.name] = _in_form(arguments[spatial.name], spatial.annotation)
        except ArgumentError as exc:
            raise ArgumentError(f"{spatial.name}: {exc.message}", parameter=spatial.name) from exc
    return arguments


def _in_form(value: Any, annotation: str) -> Any:
    """The spatial argument where its annotation is one of Python's own types; others are left to `SPATIAL`."""
    form = _form(annotation)
    if form is None:
        return value
    if form is _sides or isinstance(value, Area) or (form is _text and not isinstance(value, str)):
        return form(Area.of(value))
    return value


@functools.lru_cache(maxsize=256)
def _form(annotation: str) -> Callable[[Area], Any] | None:
    return next((_FORMS[name] for name in names_in(annotation) if name in _FORMS), None)


def _sides(area: Area) -> list[float]:
    return list(area.bounds)


def _text(area: Area) -> str:
    return ",".join(str(side) for side in area.bounds)


def _named_sides(area: Area) -> dict[str, float]:
    return dict(zip(_SIDES, area.bounds, strict=True))


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
    """The rectangle as a shapely.Polygon; as two in a MultiPolygon where it crosses the antimeridian."""
    return box_of(area.bounds)


def mercantile_tile(area: Area) -> Any:
    """The tile as a mercantile.Tile."""
    import mercantile

    return mercantile.Tile(area.tile.x, area.tile.y, area.tile.z)


def _geometry_coercion(kind: Any) -> Coercion:
    """A shapely geometry of that class."""

    def convert(value: Any) -> Any:
        geometry = polygon(value) if isinstance(value, Area) else read_geometry(value)
        if not isinstance(geometry, kind):
            raise UnfitError(f"it is a {geometry.geom_type}")
        return geometry

    name = kind.__name__
    expected = "a geometry" if name in {"BaseGeometry", "Geometry"} else f"a {name}"
    example = _GEOMETRIES.get(name, "POINT (2.3 48.9)")
    return Coercion(convert=convert, expected=f"{expected} as GeoJSON or WKT", example=example, is_scalar=False)


_EXPECTED = "west,south,east,north in degrees"
_EXAMPLE = "-10,50,2,59"
_GEOMETRIES = {
    "LineString": "LINESTRING (0 0, 1 1)",
    "LinearRing": "LINEARRING (0 0, 1 0, 1 1, 0 0)",
    "Polygon": "POLYGON ((0 0, 1 0, 1 1, 0 0))",
    "MultiPoint": "MULTIPOINT (0 0, 1 1)",
    "MultiLineString": "MULTILINESTRING ((0 0, 1 1))",
    "MultiPolygon": "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))",
    "GeometryCollection": "GEOMETRYCOLLECTION (POINT (0 0))",
}


def _of_area(convert: Callable[[Area], Any]) -> Coercion:
    return Coercion(
        convert=lambda value: convert(Area.of(value)), expected=_EXPECTED, example=_EXAMPLE, is_scalar=False
    )


def _of_features(convert: Callable[[Any], Any]) -> Coercion:
    return Coercion(
        convert=lambda value: convert(tile_frame(value) if isinstance(value, Area) else read_frame(value)),
        expected="GeoJSON, WKT or west,south,east,north",
        example=_EXAMPLE,
        is_scalar=False,
    )


SPATIAL: Coercers = {
    Bounds: _of_area(lambda area: Bounds(area.bounds)),
    Bbox: _of_area(polygon),
    TileXYZ: _of_area(mercantile_tile),
    TileGDF: _of_area(tile_frame),
    TileType: _of_area(tile_frame),
    ViewportGDF: _of_area(viewport_frame),
    "mercantile.Tile": _of_area(mercantile_tile),
    "geopandas.GeoDataFrame": _of_features(lambda frame: frame),
    "geopandas.GeoSeries": _of_features(lambda frame: frame.geometry),
    "shapely.BaseGeometry": _geometry_coercion,
    "shapely.Geometry": _geometry_coercion,
}

_SIDES = ("west", "south", "east", "north")

_FORMS: dict[str, Callable[[Area], Any]] = {
    **dict.fromkeys(("list", "List", "tuple", "Tuple", "Sequence", "Iterable", "ndarray", "NDArray"), _sides),
    "str": _text,
    "dict": _named_sides,
    "Dict": _named_sides,
    "Mapping": _named_sides,
    "DataFrame": tile_frame,
}
"""By the name of an annotation that is not of ours."""

_ZXY = re.compile(r"(\d{1,2})/(\d{1,10})/(\d{1,10})", re.ASCII)


def _found(value: Any) -> Bounds | Tile:
    if isinstance(value, (Bounds, Tile)):
        return value
    if isinstance(value, str):
        return _found_in_text(value.strip())
    if isinstance(value, Mapping):
        return _found_in_mapping(value)
    if isinstance(value, tuple) and set(getattr(value, "_fields", ())) == {"x", "y", "z"}:
        named: Any = value  # a mercantile.Tile
        return _tile(named.z, named.x, named.y)
    return bounds_of(_sides_of(value))


def _sides_of(value: Any) -> tuple[Any, ...]:
    if hasattr(value, "total_bounds"):  # GeoDataFrame, GeoSeries
        return tuple((value if value.crs is None else value.to_crs(4326)).total_bounds)
    if hasattr(value, "geom_type"):
        return tuple(value.bounds)
    if hasattr(value, "__geo_interface__"):
        return tuple(read_frame(value).total_bounds)
    if isinstance(value, (bytes, bytearray)):
        raise TypeError(value)
    sides = tuple(value)
    is_features = any(isinstance(side, Mapping) or hasattr(side, "geom_type") for side in sides)
    return tuple(read_frame(sides).total_bounds) if is_features else sides


def _found_in_text(text: str) -> Bounds | Tile:
    if match := _ZXY.fullmatch(text):
        return _tile(*(int(part) for part in match.groups()))
    if text.startswith(("[", "{")):
        return _found(parse_json(text))
    if (sides := numbers_in(text)) is not None:
        return bounds_of(sides)
    return _found(read_frame(text))


def _found_in_mapping(value: Mapping[str, Any]) -> Bounds | Tile:
    if value.keys() >= {"x", "y", "z"}:
        return _tile(value["z"], value["x"], value["y"])
    if value.keys() >= set(_SIDES):
        return bounds_of([value[side] for side in _SIDES])
    return _found(read_frame(value))


def _tile(z: int, x: int, y: int) -> Tile:
    try:
        return Tile(z, x, y)
    except TileError as exc:
        raise UnfitError(exc.message) from exc
