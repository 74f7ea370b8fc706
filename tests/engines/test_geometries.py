from __future__ import annotations

import json
from typing import Any

import geopandas
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from hypothesis import given, settings
from hypothesis import strategies as st

from fused_jupyter.engines.arguments import ALL_COERCERS
from fused_jupyter.engines.geometries import read_frame, read_geometry
from fused_jupyter.errors import ArgumentError
from fused_jupyter.types import Bounds
from fused_jupyter.udfs import UnfitError, coerce, text_of

POINTS = geopandas.GeoDataFrame(
    {"n": [1, 2], "name": ["a", None]}, geometry=[shapely.Point(1, 2), shapely.Point(3, 4)], crs=4326
)
METRES = POINTS.to_crs(3857)


def fit(value: Any, annotation: Any) -> Any:
    return coerce(value, annotation, parameter="g", coercers=ALL_COERCERS)


FRAMES: dict[str, tuple[Any, geopandas.GeoDataFrame]] = {
    "collection": (POINTS.to_json(), POINTS),
    "collection in metres": (METRES.to_json(), METRES),
    "mapping": (json.loads(POINTS.to_json()), POINTS),
    "object with an interface": (POINTS.iloc[[0]].__geo_interface__, POINTS.iloc[[0]]),
    "list of features": (json.loads(POINTS.to_json())["features"], POINTS),
    "frame": (POINTS, POINTS),
    "table with geometries": (POINTS.drop(columns="geometry").assign(geometry=POINTS.geometry), POINTS),
    "series": (POINTS.geometry, POINTS[["geometry"]]),
    "geometries": ([*POINTS.geometry], POINTS[["geometry"]]),
}


@pytest.mark.parametrize("form", FRAMES)
def test_frame_is_read_in_every_form(form: str) -> None:
    """With its properties and its CRS."""
    value, wanted = FRAMES[form]

    result = fit(value, geopandas.GeoDataFrame)

    assert_geodataframe_equal(result, wanted, check_dtype=False, check_crs=False, check_less_precise=True)
    assert result.crs == wanted.crs


ONE: list[tuple[Any, shapely.Geometry]] = [
    ("POINT (1 2)", shapely.Point(1, 2)),
    (" point(1 2) ", shapely.Point(1, 2)),
    ("SRID=4326;POINT (1 2)", shapely.Point(1, 2)),
    ("srid=3857;POINT (111319.49079327357 222684.20850554403)", shapely.Point(1, 2)),
    ('{"type": "Point", "coordinates": [1, 2]}', shapely.Point(1, 2)),
    ('{"type":"Feature","properties":null,"geometry":{"type":"Point","coordinates":[1,2]}}', shapely.Point(1, 2)),
    (POINTS.iloc[[0]].to_json(), shapely.Point(1, 2)),
    (METRES.iloc[[0]].to_json(), shapely.Point(1, 2)),
    (METRES.iloc[[0]], shapely.Point(1, 2)),
    (POINTS.geometry.iloc[[0]], shapely.Point(1, 2)),
    (shapely.Point(1, 2), shapely.Point(1, 2)),
    ("-10,50,2,59", shapely.box(-10, 50, 2, 59)),
    ("[-10, 50, 2, 59]", shapely.box(-10, 50, 2, 59)),
    (Bounds([-10, 50, 2, 59]), shapely.box(-10, 50, 2, 59)),
]  # fmt: skip


@pytest.mark.parametrize(("value", "wanted"), ONE)
def test_geometry_is_read_in_every_form(value: Any, wanted: shapely.Geometry) -> None:
    """In degrees, as a shapely geometry has no CRS of its own."""
    for annotation in (type(wanted), shapely.Geometry, shapely.geometry.base.BaseGeometry):
        result = fit(value, annotation)

        assert type(result) is type(wanted)
        assert shapely.equals_exact(result, wanted, tolerance=1e-9)
    assert fit(value, geopandas.GeoSeries).to_crs(4326).iloc[0].equals_exact(wanted, 1e-9)


@pytest.mark.parametrize(
    ("value", "annotation", "says"),
    [
        ("POLYGON ((0 0, 1 0, 1 1, 0 0))", shapely.Point, r"a Point as GeoJSON or WKT, e\.g\. POINT .*it is a Polygon"),
        ("-10,50,2,59", shapely.LineString, "it is a Polygon"),
        ("POINT (1 2)", shapely.MultiPoint, "it is a Point"),
        (POINTS.to_json(), shapely.Geometry, "it has 2 geometries, not one"),
        ('{"type":"FeatureCollection","features":[]}', shapely.Geometry, "it has 0 geometries"),
        ('{"type":"Feature","geometry":null}', shapely.Geometry, "its geometry is null"),
        ("SRID=999999;POINT (1 2)", shapely.Point, "CRS 'EPSG:999999' is not known"),
        ("Paris", shapely.Point, "neither GeoJSON nor WKT nor four numbers"),
        ("1,2,3", geopandas.GeoDataFrame, "it has 3 numbers, not four"),
        ("1,60,2,50", geopandas.GeoDataFrame, "south 60.0 is above north 50.0"),
        ("nan,1,2,3", geopandas.GeoDataFrame, "not finite"),
        ('{"type":"Nope"}', geopandas.GeoDataFrame, "GeoJSON of type 'Nope' that is no geometry"),
        ('{"type":"Point","coordinates":"x"}', geopandas.GeoDataFrame, "GeoJSON of type 'Point' that is no geometry"),
        ("GEOMETRYCOLLECTION (" * 100 + ")" * 100, shapely.Geometry, "nested too deeply"),
        ([POINTS], geopandas.GeoDataFrame, "need GeoJSON, WKT or west,south,east,north, e.g. -10,50,2,59"),
    ],
)
def test_what_is_no_such_geometry_is_refused(value: Any, annotation: Any, says: str) -> None:
    """Its class is checked too."""
    with pytest.raises(ArgumentError, match=says):
        fit(value, annotation)


def test_rectangle_across_the_antimeridian_has_two_parts() -> None:
    """Not the rest of the world."""
    geometry = read_geometry("170,-20,-170,-10")

    assert geometry.area == pytest.approx(200)
    assert geometry.geom_type == "MultiPolygon"


def test_empty_collection_is_an_empty_frame() -> None:
    """With a geometry column, so that it can be used as any other."""
    frame = read_frame('{"type":"FeatureCollection","features":[]}')

    assert len(frame) == 0
    assert frame.geometry.crs == 4326


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326"])
def test_crs_of_a_geojson_file_is_understood(name: str) -> None:
    """As GDAL and geopandas write it."""
    crs = {"type": "name", "properties": {"name": name}}

    frame = read_frame({"type": "FeatureCollection", "crs": crs, "features": json.loads(POINTS.to_json())["features"]})

    assert frame.crs.to_string() == "EPSG:4326"


coordinates = st.floats(-180, 180, allow_subnormal=False).map(lambda number: round(number, 9) + 0.0)
points = st.tuples(coordinates, coordinates)
geometries = st.one_of(
    points.map(shapely.Point),
    st.lists(points, min_size=2, max_size=5).map(shapely.LineString),
    st.lists(points, min_size=1, max_size=5).map(shapely.MultiPoint),
    st.tuples(points, points, points).map(shapely.Polygon),
)


@settings(max_examples=60)
@given(geometries)
def test_geometry_survives_a_url(geometry: Any) -> None:
    """As WKT and as GeoJSON, to the last digit."""
    for text in (text_of(geometry), shapely.to_geojson(geometry)):
        result = fit(text, type(geometry))

        assert shapely.equals_exact(result, geometry)


def test_reading_says_why_it_failed() -> None:
    """For who calls it without an annotation."""
    with pytest.raises(UnfitError, match="neither GeoJSON"):
        read_frame(b"POINT (1 2)")
