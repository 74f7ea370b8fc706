"""Geometries from GeoJSON, WKT or four numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from fused_jupyter.types import Bounds
from fused_jupyter.udfs import UnfitError, parse_json

_DEGREES = "EPSG:4326"
_SRID = re.compile(r"SRID=(\d{1,6});(.*)", re.IGNORECASE | re.DOTALL)
_URN = re.compile(r"urn:ogc:def:crs:EPSG:[\d.]*:(\d{1,6})", re.IGNORECASE)
_MOST_PARENTHESES = 60
"""GEOS reads collections within collections by recursion, and has no limit before the process ends."""


def read_frame(value: Any) -> Any:
    """A GeoDataFrame; one that comes as such stays as it is, also its CRS.

    Takes GeoJSON of any type, WKT (with ``SRID=3857;`` in that CRS), west,south,east,north, shapely geometries.

    Raises:
        UnfitError: it is nothing of these.
    """
    import geopandas
    import shapely

    if isinstance(value, geopandas.GeoDataFrame):
        return value
    try:
        return _frame(value)
    except UnfitError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as exc:
        raise UnfitError("neither GeoJSON nor WKT nor four numbers") from exc


def read_geometry(value: Any) -> Any:
    """One shapely geometry, in EPSG:4326 where the CRS is known.

    Raises:
        UnfitError: it is none, or several.
    """
    import shapely

    if isinstance(value, shapely.Geometry):
        return value
    frame = read_frame(value)
    if len(frame) != 1:
        raise UnfitError(f"it has {len(frame)} geometries, not one")
    geometry = (frame if frame.crs is None else frame.to_crs(_DEGREES)).geometry.iloc[0]
    if geometry is None:
        raise UnfitError("its geometry is null")
    return geometry


def _frame(value: Any) -> Any:
    import geopandas
    import shapely

    if isinstance(value, str):
        return _frame_of_text(value.strip())
    if isinstance(value, geopandas.GeoSeries):
        return geopandas.GeoDataFrame(geometry=value)
    if isinstance(value, shapely.Geometry):
        return geopandas.GeoDataFrame(geometry=[value], crs=_DEGREES)
    if hasattr(value, "columns"):
        return geopandas.GeoDataFrame(value, geometry="geometry")
    if isinstance(value, (bytes, bytearray)):
        raise TypeError(value)
    geojson = getattr(value, "__geo_interface__", value)
    return _frame_of_geojson(geojson) if isinstance(geojson, Mapping) else _frame_of_items(value)


def _frame_of_text(text: str) -> Any:
    import geopandas

    if text.startswith(("{", "[")):
        return read_frame(parse_json(text))
    if (sides := numbers_in(text)) is not None:
        return _frame_of_items(sides)
    match = _SRID.fullmatch(text)
    crs, wkt = (f"EPSG:{match[1]}", match[2]) if match else (_DEGREES, text)
    return geopandas.GeoDataFrame(geometry=[_of_wkt(wkt)], crs=_crs(crs))


def numbers_in(text: str) -> list[float] | None:
    """The numbers between the commas of a text, None where it holds something else."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return None


def _of_wkt(text: str) -> Any:
    import shapely

    depth = deepest = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    if deepest > _MOST_PARENTHESES:
        raise UnfitError("it is nested too deeply")
    return shapely.from_wkt(text)


def _frame_of_items(value: Any) -> Any:
    """Four numbers are a rectangle; other items are geometries, each in a row."""
    import geopandas
    import shapely

    items = list(value)
    if items and all(isinstance(item, shapely.Geometry) for item in items):
        return geopandas.GeoDataFrame(geometry=items, crs=_DEGREES)
    if items and all(isinstance(item, Mapping) for item in items):
        return _frame_of_geojson({"type": "FeatureCollection", "features": items})
    return geopandas.GeoDataFrame(geometry=[box_of(bounds_of(items))], crs=_DEGREES)


def box_of(bounds: Bounds) -> Any:
    """The rectangle as a polygon; in two parts where it crosses the antimeridian."""
    import shapely

    west, south, east, north = bounds
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.MultiPolygon([shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)])


def bounds_of(sides: Sequence[Any]) -> Bounds:
    """The rectangle with these sides.

    Raises:
        UnfitError: they are not four, not finite or not in order.
    """
    if len(sides) != 4:
        raise UnfitError(f"it has {len(sides)} numbers, not four")
    numbers = [float(side) for side in sides]
    if not all(isfinite(number) for number in numbers):
        raise UnfitError("a number that is not finite, or an empty geometry")
    if numbers[1] > numbers[3]:
        raise UnfitError(f"south {numbers[1]} is above north {numbers[3]}")
    return Bounds(numbers)


def _frame_of_geojson(geojson: Mapping[str, Any]) -> Any:
    import geopandas
    import shapely

    kind = geojson.get("type")
    features = geojson.get("features", ()) if kind == "FeatureCollection" else [geojson]
    try:
        parts = [_feature(feature) for feature in features]
        rows = [{**(part.get("properties") or {}), "geometry": _shape(part["geometry"])} for part in parts]
        name = geojson["crs"]["properties"]["name"] if geojson.get("crs") else _DEGREES
        return geopandas.GeoDataFrame(rows or {"geometry": []}, geometry="geometry", crs=_crs(name))
    except (LookupError, TypeError, AttributeError, shapely.errors.ShapelyError) as exc:
        raise UnfitError(f"GeoJSON of type {str(kind)[:40]!r} that is no geometry") from exc


def _feature(geojson: Mapping[str, Any]) -> Mapping[str, Any]:
    return geojson if geojson["type"] == "Feature" else {"geometry": geojson}


def _shape(geometry: Any) -> Any:
    import shapely.geometry

    return None if geometry is None else shapely.geometry.shape(geometry)


def _crs(name: Any) -> Any:
    import pyproj

    text = str(name)
    if text.endswith("CRS84"):
        return _DEGREES
    try:
        return pyproj.CRS.from_user_input(f"EPSG:{match[1]}" if (match := _URN.fullmatch(text)) else text)
    except pyproj.exceptions.CRSError as exc:
        raise UnfitError(f"CRS {text[:60]!r} is not known") from exc
