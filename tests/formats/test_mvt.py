from __future__ import annotations

from itertools import pairwise
from math import isnan
from typing import Any

import geopandas as gpd
import mapbox_vector_tile
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from fused_jupyter.errors import FormatError
from fused_jupyter.formats import TileFrame, Wanted, encode, mvt
from fused_jupyter.tiles import Tile


def frame(z: int, x: int, y: int) -> TileFrame:
    place = Tile(z, x, y)
    return TileFrame(z=z, x=x, y=y, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


TILE = frame(3, 4, 2)
NEAR = frame(10, 540, 340)
WORLD = frame(0, 0, 0)
KERNELS = [mvt.NUMPY, mvt.best_kernel()]


def table(geometries: list[Any], **columns: Any) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry=geometries, crs=4326)


def decode(body: bytes) -> list[dict[str, Any]]:
    """The features of the layer, y down as in the tile."""
    layers = mapbox_vector_tile.decode(body, default_options={"y_coord_down": True})
    features: list[dict[str, Any]] = layers["udf"]["features"]
    return features


def in_units(geometry: Any, tile: TileFrame) -> Any:
    """A geometry in degrees as the tile's units, by pyproj."""
    west, _, east, north = tile.mercator_bounds
    scale = 4096 / (east - west)
    metres = gpd.GeoSeries([geometry], crs=4326).to_crs(3857).iloc[0]
    return shapely.transform(metres, lambda xy: (xy - [west, north]) * [scale, -scale])


def area(shape: Any) -> Any:
    """What a polygon covers; its parts may overlap."""
    return shapely.union_all(shapely.make_valid(shapely.get_parts(shape)))


@st.composite
def polygons(draw: st.DrawFn, bounds: tuple[float, float, float, float] = (0, 41, 45, 66)) -> Any:
    """Stars around a point, some with a hole, some together; they cross the edge of the bounds or lie outside."""
    parts = []
    west, south, east, north = bounds
    for _ in range(draw(st.integers(1, 3))):
        x, y = west + draw(st.floats(-0.1, 1.1)) * (east - west), south + draw(st.floats(-0.1, 1.1)) * (north - south)
        radii = np.array(draw(st.lists(st.floats(0.001, 0.4), min_size=3, max_size=12))) * (north - south)
        angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
        star = np.column_stack([x + radii * np.cos(angles), y + radii * np.sin(angles)])
        holes = [(star - [x, y]) / 3 + [x, y]] if draw(st.booleans()) else []
        parts.append(shapely.Polygon(star, holes))
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


POINTS = st.tuples(st.floats(-10, 60), st.floats(30, 75))
SHAPES = st.one_of(
    st.none(),
    polygons(),
    POINTS.map(shapely.Point),
    st.lists(POINTS, max_size=5).map(shapely.MultiPoint),
    st.lists(POINTS, min_size=2, max_size=20).map(shapely.LineString),
    st.lists(st.lists(POINTS, min_size=2, max_size=5), max_size=3).map(shapely.MultiLineString),
)
MIXED = SHAPES | st.lists(SHAPES.filter(lambda shape: shape is not None), max_size=3).map(shapely.GeometryCollection)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(1 << 62), 1 << 62), st.floats(), TEXTS)


@settings(max_examples=100, deadline=None)
@given(shapes=st.lists(MIXED, max_size=6))
def test_both_kernels_write_the_same_bytes(shapes: list[Any]) -> None:
    """Where numba is missing, nobody sees a difference but the clock."""
    features = table(shapes, number=range(len(shapes)), name=[f"{n}" * n for n in range(len(shapes))])

    bodies = {mvt.encode_mvt(features, TILE, kernel=kernel) for kernel in KERNELS}

    assert len(bodies) == 1


@settings(max_examples=60, deadline=None)
@given(shape=polygons(tuple(NEAR.bounds)))
def test_polygons_are_where_they_were(shape: Any) -> None:
    """Within the tile, what is drawn differs from the polygon by rounding only."""
    inside = shapely.box(0, 0, 4096, 4096)
    expected = area(in_units(shape, NEAR)).intersection(inside)

    features = decode(body) if (body := mvt.encode_mvt(table([shape]), NEAR)) else []

    drawn = shapely.union_all([area(shapely.geometry.shape(each["geometry"])) for each in features])
    assert drawn.intersection(inside).symmetric_difference(expected).buffer(-1.5).is_empty


@settings(max_examples=60, deadline=None)
@given(points=st.lists(POINTS, min_size=1, max_size=10))
def test_points_are_within_a_unit(points: list[tuple[float, float]]) -> None:
    """Each point within the tile is there, rounded."""
    west, south, east, north = TILE.bounds
    shown = [each for each in points if west <= each[0] <= east and south <= each[1] <= north]

    body = mvt.encode_mvt(table([shapely.Point(each) for each in points], n=range(len(points))), TILE)

    read = {each["properties"]["n"]: each["geometry"]["coordinates"] for each in decode(body)} if body else {}
    for each in shown:
        expected = in_units(shapely.Point(each), TILE).coords[0]
        assert np.allclose(read[points.index(each)], expected, atol=0.51) or points.count(each) > 1


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=8))
def test_values_come_back_with_their_types(values: list[Any]) -> None:
    """Integers, floats, booleans and texts mixed in one column are decoded as they were; what is missing has no tag."""
    features = table([shapely.Point(10, 50)] * len(values), a=pd.Series(values, dtype=object))

    read = [each["properties"] for each in decode(mvt.encode_mvt(features, TILE))]

    missing = [value is None or (isinstance(value, float) and isnan(value)) for value in values]
    expected = [{} if gone else {"a": value} for value, gone in zip(values, missing, strict=True)]
    assert read == expected
    assert [[type(value) for value in row.values()] for row in read] == [
        [type(value) for value in row.values()] for row in expected
    ]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([1, -2], [1, -2]),
        (np.array([200, 7], np.uint8), [200, 7]),
        (np.array([1 << 63, 1], np.uint64), [1 << 63, 1]),
        (np.array([-128, 127], np.int8), [-128, 127]),
        (np.array([0.5, np.nan], np.float32), [0.5, None]),
        ([True, False], [True, False]),
        (pd.array([5, None], "Int64"), [5, None]),
        (pd.array([True, None], "boolean"), [True, None]),
        (["a", None], ["a", None]),
        (pd.Categorical(["x", None]), ["x", None]),
        (pd.Categorical([3, 1]), [3, 1]),
        (pd.to_datetime(["2020-01-01", None]), ["2020-01-01T00:00:00", None]),
        (pd.to_datetime(["2020-01-01", None]).tz_localize("UTC"), ["2020-01-01T00:00:00+00:00", None]),
        ([[1, 2], {"a": None}], ["[1,2]", '{"a":null}']),
        ([np.array([1.5, 2.0]), None], ["[1.5,2.0]", None]),
        ([None, None], [None, None]),
    ],
)
def test_columns_of_every_type_have_values(column: Any, expected: list[Any]) -> None:
    """Numbers stay numbers, moments are ISO 8601, lists and dicts JSON, what is missing is left out."""
    body = mvt.encode_mvt(table([shapely.Point(1, 50), shapely.Point(2, 50)], a=column), TILE)

    assert [each["properties"].get("a") for each in decode(body)] == expected


def test_rings_turn_as_the_specification_wants() -> None:
    """Outer rings have positive area with y down, holes negative (MVT 4.3.3.3), whichever way they came."""
    holed = shapely.box(5, 45, 15, 55) - shapely.box(8, 48, 12, 52)
    turned = shapely.orient_polygons([holed, holed], exterior_cw=[True, False])

    for body in [mvt.encode_mvt(table([shape]), TILE) for shape in turned]:
        rings = decode(body)[0]["geometry"]["coordinates"]
        outer, hole = (sum(x * v - u * y for (x, y), (u, v) in pairwise(ring)) for ring in rings)
        assert outer > 0 > hole


def test_degrees_and_metres_give_the_same_tile() -> None:
    """EPSG:3857 is taken as it is, every other CRS by way of degrees."""
    features = table([shapely.Point(10, 50).buffer(3)], a=[1])

    assert mvt.encode_mvt(features.to_crs(3857), TILE) == mvt.encode_mvt(features, TILE)
    assert decode(mvt.encode_mvt(features.to_crs(25832), TILE))[0]["properties"] == {"a": 1}


def test_what_is_cut_keeps_the_buffer() -> None:
    """A polygon larger than the tile ends 64 units beyond its edge, so that its outline is not seen."""
    ring = decode(mvt.encode_mvt(table([shapely.box(-90, -60, 100, 80)]), TILE))[0]["geometry"]["coordinates"][0]

    assert sorted({tuple(point) for point in ring}) == [(-64, -64), (-64, 4160), (4160, -64), (4160, 4160)]


def test_what_is_too_small_to_draw_is_left_out_with_its_values() -> None:
    """A polygon of less than a unit vanishes; its attributes take no space."""
    features = table([shapely.Point(10, 50).buffer(1e-6), shapely.box(5, 45, 6, 46)], name=["lost", "kept"])

    body = mvt.encode_mvt(features, TILE)

    assert b"lost" not in body
    assert [each["properties"] for each in decode(body)] == [{"name": "kept"}]


def test_collections_are_split() -> None:
    """The members of a geometry collection are features with the same attributes."""
    parts = [shapely.Point(5, 50), shapely.box(5, 45, 6, 46), shapely.GeometryCollection([shapely.Point(6, 50)])]

    features = decode(mvt.encode_mvt(table([shapely.GeometryCollection(parts)], a=[7]), TILE))

    assert [each["geometry"]["type"] for each in features] == ["Polygon", "Point", "Point"]
    assert {each["properties"]["a"] for each in features} == {7}


@pytest.mark.parametrize(
    "geometries",
    [[], [None], [shapely.Point()], [shapely.Point(-100, 0)], [shapely.Point(np.nan, 50)], [shapely.Point(10, np.inf)]],
)
def test_nothing_in_the_tile_is_no_content(geometries: list[Any]) -> None:
    """An area without features answers 204, which maps take as an empty tile."""
    encoded = encode(table(geometries), wanted=Wanted(), tile=TILE)

    assert (encoded.status, encoded.body, encoded.format) == (204, b"", "mvt")


@pytest.mark.parametrize(
    "shape",
    [
        shapely.box(-200, -90, 200, 90),
        shapely.LineString([(170, 89.99), (190, -90), (-190, 0)]),
        shapely.MultiPoint([(0, 90), (0, -90), (180, 0)]),
        shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 20)]),
        shapely.LinearRing([(0, 0), (10, 10), (10, 0)]),
        shapely.Polygon([(0, 0, 1), (10, 10, 2), (10, 0, 3)]),
    ],
)
def test_the_poles_and_the_antimeridian_do_no_harm(shape: Any) -> None:
    """Coordinates that mercator cannot show, and rings that cross themselves, give a tile that can be read."""
    for kernel in KERNELS:
        body = mvt.encode_mvt(table([shape]), WORLD, kernel=kernel)
        assert np.abs(shapely.get_coordinates(shapely.geometry.shape(decode(body)[0]["geometry"]))).max() <= 4160


def test_many_features_take_the_compiled_path_and_stay_the_same() -> None:
    """Above the threshold the default kernel changes, the bytes do not."""
    random = np.random.default_rng(0)
    features = table(list(shapely.points(random.random((5000, 2)) * 10 + [5, 45])), n=np.arange(5000))

    assert mvt.encode_mvt(features, TILE) == mvt.encode_mvt(features, TILE, kernel=mvt.NUMPY)


def test_a_file_cannot_be_a_vector_tile() -> None:
    """Without a tile there are no tile coordinates; the error says what to ask for."""
    with pytest.raises(FormatError, match=r"run/tiles/\{z\}/\{x\}/\{y\}\.mvt"):
        encode(table([shapely.Point(1, 2)]), wanted=Wanted(formats=("mvt",)), tile=None)
