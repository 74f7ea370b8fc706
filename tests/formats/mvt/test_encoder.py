from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import geopandas as gpd
import mapbox_vector_tile
import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from fused_jupyter.errors import FormatError, UdfSerializationError
from fused_jupyter.formats import Target, TileFrame, Wanted, encode
from fused_jupyter.formats.mvt import encoder
from fused_jupyter.formats.style import Style
from fused_jupyter.tiles import Tile


def frame(z: int, x: int, y: int) -> TileFrame:
    place = Tile(z, x, y)
    return TileFrame(z=z, x=x, y=y, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


TILE = frame(3, 4, 2)
EAST_OF_IT = frame(3, 5, 2)
NEAR = frame(10, 540, 340)
WORLD = frame(0, 0, 0)
KERNELS = [encoder.NUMPY, encoder.best_kernel()]


def table(geometries: list[Any], *, crs: int = 4326, **columns: Any) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry=geometries, crs=crs)


def write(
    value: Any, tile: TileFrame = TILE, *, kernel: encoder.Kernel | None = None, max_features: int | None = None
) -> tuple[bytes, Mapping[str, str]]:
    written = encoder.encode_mvt(value, Target(tile=tile, style=Style(max_features=max_features)), kernel=kernel)
    return written.body, written.headers


def decode(body: bytes) -> list[dict[str, Any]]:
    """The features of the layer, y down as in the tile."""
    layers = mapbox_vector_tile.decode(body, default_options={"y_coord_down": True})
    features: list[dict[str, Any]] = layers["udf"]["features"] if body else []
    return features


def read(value: Any, tile: TileFrame = TILE) -> list[dict[str, Any]]:
    return decode(write(value, tile)[0])


def shapes_of(features: list[dict[str, Any]]) -> list[Any]:
    return [shapely.geometry.shape(each["geometry"]) for each in features]


def in_units(geometry: Any, tile: TileFrame) -> Any:
    """A geometry in degrees as the tile's units, by pyproj."""
    west, _, east, north = tile.mercator_bounds
    scale = 4096 / (east - west)
    metres = gpd.GeoSeries([geometry], crs=4326).to_crs(3857).iloc[0]
    return shapely.transform(metres, lambda xy: (xy - [west, north]) * [scale, -scale])


POINTS = st.tuples(st.floats(-10, 60), st.floats(30, 75))
RINGS = st.lists(POINTS, min_size=3, max_size=20)


def area(shape: Any) -> Any:
    """What a polygon covers; its parts may overlap."""
    return shapely.union_all(shapely.make_valid(shapely.get_parts(shape)))


@st.composite
def stars(draw: st.DrawFn, bounds: tuple[float, float, float, float]) -> Any:
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


@settings(max_examples=60, deadline=None)
@given(shape=stars(tuple(NEAR.bounds)))
def test_polygons_are_where_they_were(shape: Any) -> None:
    """Within the tile, what is drawn differs from the polygon by rounding only."""
    inside = shapely.box(0, 0, 4096, 4096)
    expected = area(in_units(shape, NEAR)).intersection(inside)

    drawn = shapely.union_all([area(shapely.geometry.shape(each["geometry"])) for each in read(table([shape]), NEAR)])

    assert drawn.intersection(inside).symmetric_difference(expected).buffer(-1.5).is_empty


SHAPES = st.one_of(
    st.none(),
    RINGS.map(shapely.Polygon),
    st.lists(RINGS, max_size=3).map(lambda rings: shapely.MultiPolygon([shapely.Polygon(ring) for ring in rings])),
    POINTS.map(shapely.Point),
    st.lists(POINTS, max_size=5).map(shapely.MultiPoint),
    st.lists(POINTS, min_size=2, max_size=20).map(shapely.LineString),
    st.lists(st.lists(POINTS, min_size=2, max_size=5), max_size=3).map(shapely.MultiLineString),
)
MIXED = SHAPES | st.lists(SHAPES.filter(lambda shape: shape is not None), max_size=3).map(shapely.GeometryCollection)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.floats(), TEXTS)


@settings(max_examples=100, deadline=None)
@given(shapes=st.lists(MIXED, max_size=6), first=st.integers(0, 1 << 40))
def test_both_kernels_write_the_same_bytes(shapes: list[Any], first: int) -> None:
    """Where numba is missing, nobody sees a difference but the clock."""
    names = [f"{n}" * n for n in range(len(shapes))]
    features = table(shapes, id=np.arange(len(shapes)) + first, name=names, part=np.arange(len(shapes)) / 3)

    bodies = {write(features, kernel=kernel)[0] for kernel in KERNELS}

    assert len(bodies) == 1


def test_many_features_take_the_compiled_path_and_stay_the_same() -> None:
    """Above the threshold the default kernel changes, the bytes do not: a third of the points is in pairs."""
    random = np.random.default_rng(0)
    places = shapely.points(random.random((5000, 2)) * 10 + [5, 45])
    features = table(list(places), n=np.arange(5000) // 2, name=[f"n{n * 2 // 3}" for n in range(5000)])

    assert write(features) == write(features, kernel=encoder.NUMPY)


def test_another_program_reads_the_same(tmp_path: Path) -> None:
    """GDAL finds places, holes, ids and attributes where we put them."""
    holed = shapely.box(5, 45, 15, 55) - shapely.box(8, 48, 12, 52)
    features = table(
        [holed, shapely.Point(20, 50)], id=[3, 1 << 40], half=[0.5, None], name=["ä", "b"], is_old=[True, False]
    )
    path = tmp_path / "3" / "4" / "2.mvt"
    path.parent.mkdir(parents=True)
    path.write_bytes(write(features)[0])

    found = pyogrio.read_dataframe(path, layer="udf").to_crs(4326)

    assert found["mvt_id"].tolist() == found["id"].tolist() == [3, 1 << 40]
    assert found["name"].tolist() == ["ä", "b"]
    assert found["half"].tolist()[0] == 0.5
    assert found["half"].isna().tolist() == [False, True]
    assert found["is_old"].astype(bool).tolist() == [True, False]
    assert [
        shape.hausdorff_distance(each) < 0.02 for shape, each in zip(found.geometry, features.geometry, strict=True)
    ] == [
        True,
        True,
    ]


@settings(max_examples=60, deadline=None)
@given(points=st.lists(POINTS, min_size=1, max_size=10))
def test_points_are_within_a_unit(points: list[tuple[float, float]]) -> None:
    """Each point within the tile is there, rounded."""
    west, south, east, north = TILE.bounds
    shown = [n for n, (x, y) in enumerate(points) if west <= x <= east and south <= y <= north]

    features = read(table([shapely.Point(each) for each in points], n=range(len(points))))

    found = {each["properties"]["n"]: each["geometry"]["coordinates"] for each in features}
    assert set(shown) <= set(found)
    for number in shown:
        assert np.allclose(found[number], in_units(shapely.Point(points[number]), TILE).coords[0], atol=0.51)


@pytest.mark.parametrize("crs", [4326, 3857])
def test_a_point_on_the_edge_is_in_both_tiles(crs: int) -> None:
    """Exactly on the edge a point is drawn by both sides, else one would see half a circle; just beyond it too."""
    beyond = 50 / 4096 * 45
    features = table([shapely.Point(45, 50), shapely.Point(45 + beyond, 50)]).to_crs(crs)

    places = [[shape.x for shape in shapes_of(read(features, tile))] for tile in (TILE, EAST_OF_IT)]

    assert places == [[4096, 4146], [0, 50]]


def in_metres(geometry: Any) -> Any:
    """A geometry in degrees in EPSG:3857, without PROJ, for which 190 degrees are -170."""
    metres_per_degree = 20037508.342789244 / 180
    return shapely.transform(
        geometry,
        lambda xy: (
            np.column_stack([xy[:, 0], np.degrees(np.arcsinh(np.tan(np.radians(xy[:, 1]))))]) * metres_per_degree
        ),
    )


@pytest.mark.parametrize("shape", [shapely.box(170, 10, 190, 20), shapely.box(-190, 10, -170, 20)])
def test_what_is_beyond_180_degrees_is_on_the_other_side(shape: Any) -> None:
    """A polygon across the antimeridian shows at both ends of the map, whichever way its longitudes are counted."""
    for features in (table([shape]), table([in_metres(shape)], crs=3857)):
        (first,), (last,) = shapes_of(read(features, frame(2, 0, 1))), shapes_of(read(features, frame(2, 3, 1)))
        assert first.bounds[::2] == pytest.approx((-64, 10 / 90 * 4096), abs=1)
        assert last.bounds[::2] == pytest.approx((80 / 90 * 4096, 4160), abs=1)


def test_the_buffer_looks_over_the_antimeridian() -> None:
    """A place just west of it is in the buffer of the tile just east of it, as between all neighbours."""
    shapes = shapes_of(read(table([shapely.Point(179.9, 15), shapely.Point(-178, 15)]), frame(2, 0, 1)))

    assert [shape.x for shape in shapes] == pytest.approx([-0.1 / 90 * 4096, 2 / 90 * 4096], abs=0.5)


def test_degrees_and_metres_give_the_same_tile() -> None:
    """EPSG:3857 is taken as it is, every other CRS by way of degrees."""
    features = table([shapely.Point(10, 50).buffer(3)], a=[1])

    assert write(features.to_crs(3857)) == write(features)
    assert read(features.to_crs(25832))[0]["properties"] == {"a": 1}
    assert write(features.set_crs("OGC:CRS84", allow_override=True)) == write(features)


def test_what_is_cut_keeps_the_buffer() -> None:
    """A polygon larger than the tile ends 64 units beyond its edge, so that its outline is not seen."""
    (shape,) = shapes_of(read(table([shapely.box(-90, -60, 100, 80)])))

    assert shape.equals(shapely.box(-64, -64, 4160, 4160))


def test_what_is_too_small_to_draw_is_left_out_with_its_values() -> None:
    """A polygon of less than a unit vanishes, as does such a line; a point does not. Their values take no space."""
    tiny = [shapely.Point(10, 50).buffer(1e-6), shapely.LineString([(10, 50), (10.000001, 50)]), shapely.Point(10, 50)]

    body, _ = write(table([*tiny, shapely.box(5, 45, 6, 46)], name=["house", "path", "tree", "town"]))

    assert b"house" not in body
    assert b"path" not in body
    assert [each["properties"]["name"] for each in decode(body)] == ["town", "tree"]


def test_collections_are_split() -> None:
    """The members of a geometry collection are features with the same attributes and id."""
    parts = [shapely.Point(5, 50), shapely.box(5, 45, 6, 46), shapely.GeometryCollection([shapely.Point(6, 50)])]

    features = read(table([shapely.GeometryCollection(parts)], id=[7]))

    assert [each["geometry"]["type"] for each in features] == ["Polygon", "Point", "Point"]
    assert {(each["id"], each["properties"]["id"]) for each in features} == {(7, 7)}


@pytest.mark.parametrize(
    "geometries",
    [
        [],
        [None],
        [shapely.Point()],
        [shapely.MultiPolygon(), shapely.GeometryCollection()],
        [shapely.Point(-100, 0)],
        [shapely.Point(np.nan, 50)],
        [shapely.Point(10, np.inf)],
    ],
)
def test_nothing_in_the_tile_is_no_content(geometries: list[Any]) -> None:
    """An area without features answers 204, which maps take as an empty tile."""
    encoded = encode(table(geometries), wanted=Wanted(), target=Target(tile=TILE))

    assert (encoded.status, encoded.body, encoded.format) == (204, b"", "mvt")


def test_none_is_an_empty_tile() -> None:
    """A UDF that has nothing to show says so with None."""
    assert write(None) == (b"", {})


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_place_that_is_none_takes_its_geometry_with_it_and_no_other() -> None:
    """Where projecting gave NaN or infinity, a line to the corner of the tile would be drawn."""
    broken = [shapely.LineString([(10, 50), (np.nan, 51), (12, 50)]), shapely.LineString([(10, 50), (np.inf, 51)])]

    features = read(table([*broken, shapely.LineString([(10, 50), (11, 51)])], n=[0, 1, 2]))

    assert [each["properties"]["n"] for each in features] == [2]


def test_heights_and_measures_are_left_out() -> None:
    """Tiles are flat: Z and M change nothing, also where something is cut."""
    flat = ["POLYGON ((5 45, 90 45, 90 46, 5 45))", "LINESTRING (5 50, 90 51)", "POINT (5 51)"]
    high = ["POLYGON Z ((5 45 1, 90 45 2, 90 46 3, 5 45 1))", "LINESTRING M (5 50 1, 90 51 2)", "POINT ZM (5 51 2 3)"]

    assert write(table(list(shapely.from_wkt(high)))) == write(table(list(shapely.from_wkt(flat))))


@pytest.mark.parametrize(
    "shape",
    [
        shapely.box(-200, -90, 200, 90),
        shapely.LineString([(170, 89.99), (190, -90), (-190, 0)]),
        shapely.MultiPoint([(0, 90), (0, -90), (180, 0)]),
        shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 20)]),
        shapely.LinearRing([(0, 0), (10, 10), (10, 0)]),
    ],
)
def test_the_poles_and_the_antimeridian_do_no_harm(shape: Any) -> None:
    """Coordinates that mercator cannot show, and rings that cross themselves, give a tile that can be read."""
    for kernel in KERNELS:
        shapes = shapes_of(decode(write(table([shape]), WORLD, kernel=kernel)[0]))
        assert np.abs(shapely.get_coordinates(shapes)).max() <= 4160


def test_a_file_cannot_be_a_vector_tile() -> None:
    """Without a tile there are no tile coordinates; the error says what to ask for."""
    with pytest.raises(FormatError, match=r"run/tiles/\{z\}/\{x\}/\{y\}\.mvt"):
        encode(table([shapely.Point(1, 2)]), wanted=Wanted(formats=("mvt",)))


THREE = [shapely.Point(1, 50), shapely.Point(2, 50), shapely.Point(3, 50)]


def ids(value: Any) -> list[int]:
    return [each["id"] for each in read(value)]


def test_ids_are_the_column_of_that_name() -> None:
    """The column ``id`` numbers the features, and stays an attribute; a missing one is none, read as 0."""
    assert ids(table(THREE, id=[9, (1 << 53) - 1, 5])) == [9, (1 << 53) - 1, 5]
    assert ids(table(THREE, id=np.array([3, 2, 1], np.uint8))) == [3, 2, 1]
    assert ids(table(THREE, id=pd.array([4, None, 6], "Int64"))) == [4, 0, 6]
    assert [each["properties"] for each in read(table(THREE, id=[9, 7, 5]))] == [{"id": 9}, {"id": 7}, {"id": 5}]


@pytest.mark.parametrize("column", [[1, 1, 2], [-1, 0, 1], [1 << 53, 1, 2], ["a", "b", "c"], [0.5, 1, 2], [None] * 3])
def test_a_column_that_numbers_nothing_gives_no_ids(column: list[Any]) -> None:
    """Repeats, negative numbers, texts, and what a browser would round do not tell features apart."""
    assert ids(table(THREE, id=column)) == [0, 0, 0]


def test_ids_are_the_index_if_it_is_not_a_count_of_rows() -> None:
    """What a filter left of a file's row numbers is the same for all tiles; the row numbers of a read are not."""
    features = table(THREE)

    assert ids(features.set_axis([10, 30, 20])) == [10, 30, 20]
    assert ids(features.set_axis(pd.Index([10, 30, 20], name="osm_id"))) == [10, 30, 20]
    assert ids(features.geometry.set_axis([10, 30, 20])) == [10, 30, 20]
    for index in (None, [0, 1, 2], [5, 5, 6], ["a", "b", "c"], pd.MultiIndex.from_tuples([(1, 1), (1, 2), (1, 3)])):
        assert ids(features if index is None else features.set_axis(index)) == [0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=8))
def test_values_come_back_with_their_types(values: list[Any]) -> None:
    """Integers, floats, booleans and texts mixed in one column are decoded as they were; what is missing has no tag."""
    features = table([shapely.Point(10, 50)] * len(values), a=pd.Series(values, dtype=object))

    found = [each["properties"] for each in read(features)]

    expected = [{} if value is None or value != value else {"a": value} for value in values]  # noqa: PLR0124  NaN
    assert found == expected
    assert [[type(value) for value in row.values()] for row in found] == [
        [type(value) for value in row.values()] for row in expected
    ]


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(["int64", "uint8", "float64", "float32", "str", "category"]), seed=st.integers(0, 99))
def test_long_columns_come_back(kind: str, seed: int) -> None:
    """Columns of hardly any, some, and only different values, with gaps or without, are written in different ways."""
    random = np.random.default_rng(seed)
    numbers = random.integers(0, random.choice([3, 200, 1 << 30]), 1000)
    column = pd.Series(numbers).astype("Int64" if "int" in kind else kind)
    if kind == "uint8":
        column %= 256
    if seed % 2:
        column[random.random(1000) < 0.1] = None

    for kernel in KERNELS:
        found = decode(write(table([shapely.Point(10, 50)] * 1000, a=column), kernel=kernel)[0])
        assert [each["properties"].get("a") for each in found] == [None if pd.isna(each) else each for each in column]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([1, -2], [1, -2]),
        (np.array([200, 7], np.uint8), [200, 7]),
        (np.array([1 << 63, 1], np.uint64), [1 << 63, 1]),
        (np.array([-128, 127], np.int8), [-128, 127]),
        (np.array([0.5, np.nan], np.float32), [0.5, None]),
        ([np.inf, -np.inf], [np.inf, -np.inf]),
        ([1 << 64, 1], [str(1 << 64), 1]),
        ([True, False], [True, False]),
        (pd.array([5, None], "Int64"), [5, None]),
        (pd.array([0.5, None], "Float64"), [0.5, None]),
        (pd.array([True, None], "boolean"), [True, None]),
        (["a", None], ["a", None]),
        (["", "ü"], ["", "ü"]),
        (pd.Categorical(["x", None], categories=["unused", "x"]), ["x", None]),
        (pd.Categorical([3, 1]), [3, 1]),
        (pd.to_datetime(["2020-01-01", None]), ["2020-01-01T00:00:00", None]),
        (pd.to_datetime(["2020-01-01", None]).tz_localize("UTC"), ["2020-01-01T00:00:00+00:00", None]),
        ([[1, 2], {"a": None}], ["[1,2]", '{"a":null}']),
        ([np.array([1.5, 2.0]), None], ["[1.5,2.0]", None]),
        ([None, None], [None, None]),
        (np.array([1, -2], ">i4"), [1, -2]),
        (pd.array(["a", None], dtype=pd.ArrowDtype(pa.string_view())), ["a", None]),
        (pd.array([{"a": 1}, None], dtype=pd.ArrowDtype(pa.struct([("a", pa.int64())]))), ['{"a":1}', None]),
        (pd.array([Decimal("1.50"), None], dtype=pd.ArrowDtype(pa.decimal128(5, 2))), ["1.50", None]),
        (pd.to_timedelta(["1h", None]), ["P0DT1H0M0S", None]),
        ([date(2020, 1, 1), UUID(int=1)], ["2020-01-01", "00000000-0000-0000-0000-000000000001"]),
    ],
)
def test_columns_of_every_type_have_values(column: Any, expected: list[Any]) -> None:
    """Numbers stay numbers, moments are ISO 8601, lists and dicts JSON, what is missing is left out."""
    body, _ = write(table([shapely.Point(1, 50), shapely.Point(2, 50)], a=column))

    assert [each["properties"].get("a") for each in decode(body)] == expected
    assert b"unused" not in body


@settings(max_examples=60, deadline=None)
@given(
    moments=st.lists(st.none() | st.datetimes(), min_size=1, max_size=5),
    whole=st.booleans(),
    unit=st.sampled_from(["s", "ms", "us"]),
    zone=st.sampled_from([None, "UTC", "Europe/Berlin"]),
)
def test_moments_are_iso_8601(moments: list[Any], *, whole: bool, unit: str, zone: str | None) -> None:
    """As Python writes them: with their zone, and with fractions of a second where there are some."""
    column = pd.Series(moments, dtype="datetime64[us]").dt.as_unit("s" if whole else unit).dt.as_unit(unit)
    column = column.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else column

    found = [each["properties"].get("a") for each in read(table([shapely.Point(1, 50)] * len(moments), a=column))]

    assert found == [None if pd.isna(each) else each.isoformat() for each in column]


def test_what_has_no_meaning_in_json_names_its_column() -> None:
    """The author of the UDF is told where to look."""
    with pytest.raises(UdfSerializationError, match="'impedance'.*complex"):
        write(table([shapely.Point(1, 50)], impedance=[1j]))


def test_values_that_many_features_share_are_written_once() -> None:
    """Also in columns of numbers; and their numbers are the short ones, whichever column comes first."""
    shared, own = np.resize([0.1, 0.2, 0.3], 3000), [f"name {n}" for n in range(3000)]
    places = [shapely.Point(10, 50)] * 3000

    bodies = [write(table(places, **columns))[0] for columns in ({"a": own, "b": shared}, {"b": shared, "a": own})]

    assert bodies[0].count(struct.pack("<d", 0.1)) == 1
    assert len(bodies[0]) == len(bodies[1])


def grid(count: int, *, size: float = 0.3) -> gpd.GeoDataFrame:
    """Equal squares, row by row, all over the tile."""
    x, y = np.meshgrid(np.linspace(1, 44, count), np.linspace(42, 65, count))
    return table(list(shapely.box(x.ravel(), y.ravel(), x.ravel() + size, y.ravel() + size)), n=range(count * count))


def test_a_heavy_tile_says_so() -> None:
    """Half a megabyte makes maps stutter: a header names the size and what to do; lighter tiles have none."""
    random = np.random.default_rng(0)
    points = table(list(shapely.points(random.random((20_000, 2)) * 20 + [5, 45])), a=random.random(20_000), b=1)

    body, headers = write(points)

    assert len(body) > encoder.HEAVY_BYTES
    assert f"20000 features in {len(body) / 1e6:.1f} MB" in headers["X-Fused-Warning"]
    assert "max_features=" in headers["X-Fused-Warning"]
    assert write(points[:5000])[1] == {}


def test_a_limit_keeps_the_largest() -> None:
    """Of polygons and lines those that are seen best; the header says how many of how many."""
    squares = [shapely.box(x, 45, x + width, 45 + width) for x, width in enumerate([0.1, 3, 0.2, 5, 0.1])]
    lines = [shapely.LineString([(x, 50), (x, 50 + length)]) for x, length in enumerate([0.1, 8, 0.1, 0.2, 4])]

    kept, headers = write(table([*squares, *lines], n=range(10)), max_features=4)

    assert [each["properties"]["n"] for each in decode(kept)] == [1, 3, 6, 9]
    assert headers["X-Fused-Features"] == "4/10"


def test_a_limit_that_is_not_reached_says_nothing() -> None:
    """All features, no header."""
    assert write(grid(3), max_features=9) == write(grid(3))
    assert write(grid(3), max_features=9)[1] == {}


def test_a_limit_thins_equal_features_everywhere() -> None:
    """Of a grid, whose northern cells mercator makes larger, each quarter of the tile keeps its share."""
    for features in (grid(40), table(list(shapely.centroid(grid(40).geometry.to_numpy())))):
        shapes = shapes_of(decode(write(features, max_features=400)[0]))
        centres = np.array([shape.centroid.coords[0] for shape in shapes]) > 2048
        quarters = np.bincount(centres @ [1, 2], minlength=4)
        assert len(shapes) == 400
        assert quarters.min() > 60


def test_each_kind_has_its_share_of_a_limit() -> None:
    """Lakes do not displace all towns."""
    points = [shapely.Point(x, 50) for x in np.linspace(1, 44, 300)]
    features = table([*grid(10).geometry, *points])

    kinds = [shape.geom_type for shape in shapes_of(decode(write(features, max_features=40)[0]))]

    assert (kinds.count("Polygon"), kinds.count("Point")) == (10, 30)


@pytest.mark.filterwarnings("ignore:Geometry is in a geographic CRS:UserWarning")
def test_zooming_in_keeps_what_was_there() -> None:
    """A point that a tile shows is shown by the tile of the next zoom too, which has fewer to choose from."""
    random = np.random.default_rng(0)
    features = table(list(shapely.points(random.random((3000, 2)) * [45, 25] + [0, 41])), n=range(3000))

    def shown(tile: TileFrame) -> set[int]:
        return {each["properties"]["n"] for each in decode(write(features, tile, max_features=200)[0])}

    parent, children = shown(TILE), [frame(4, 8 + x, 4 + y) for x in (0, 1) for y in (0, 1)]
    within = features.cx[0:45, 41:66]
    assert parent & set(within["n"]) <= set().union(*(shown(child) for child in children))


_WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
import numpy as np, geopandas as gpd, shapely
from fused_jupyter.formats import Target, TileFrame
from fused_jupyter.formats.mvt import encoder
from fused_jupyter.tiles import Tile

place = Tile(3, 4, 2)
tile = TileFrame(z=3, x=4, y=2, bounds=place.bounds, mercator_bounds=place.mercator_bounds)
points = gpd.GeoDataFrame(geometry=shapely.points(np.linspace((5, 45), (40, 60), 5000)), crs=4326)
sys.stdout.write(f"{len(encoder.encode_mvt(points, Target(tile=tile)).body)} {encoder.best_kernel() is encoder.NUMPY}")
"""


def test_numba_may_be_missing() -> None:
    """It is an extra: without it tiles are the same."""
    points = table(list(shapely.points(np.linspace((5, 45), (40, 60), 5000))))

    done = subprocess.run([sys.executable, "-c", _WITHOUT_NUMBA], capture_output=True, text=True, check=False)

    assert (done.stderr, done.stdout) == ("", f"{len(write(points)[0])} True")


_FIRST_TILES = """
import numpy as np, geopandas as gpd, shapely
from fused_jupyter.formats import Target, TileFrame
from fused_jupyter.formats.mvt import encoder, protobuf_kernel, thin_kernel
from fused_jupyter.tiles import Tile

def compiled():
    loops = {**vars(protobuf_kernel), **vars(thin_kernel)}
    return {name: len(loop.signatures) for name, loop in loops.items() if hasattr(loop, "signatures")}

before = compiled()
coast = shapely.Point(20, 55).buffer(10, quad_segs=500) - shapely.box(18, 54, 22, 56)
bow_tie = shapely.Polygon([(1, 50), (3, 52), (3, 50), (1, 52)])
shapes = [coast, bow_tie, coast.boundary, shapely.MultiPoint([(1, 50)])] * 50
columns = {"id": range(200), "n": np.arange(200) / 3, "gap": [0.5, None] * 100, "text": ["a", None] * 100,
           "name": [f"{n}" for n in range(200)], "few": np.ones(200, np.uint8)}
place = Tile(3, 4, 2)
tile = TileFrame(z=3, x=4, y=2, bounds=place.bounds, mercator_bounds=place.mercator_bounds)
for columns in (columns, {}):
    encoder.encode_mvt(gpd.GeoDataFrame(columns, geometry=shapes, crs=4326), Target(tile=tile))
assert compiled() == before, (compiled(), before)
print({type(loop._cache).__name__ for loop in vars(protobuf_kernel).values() if hasattr(loop, "signatures")})
"""


def test_compiled_loops_are_ready_before_the_first_tile() -> None:
    """Importing the kernel compiles all that tiles need, and keeps it on disk: no worker compiles at its first tile."""
    pytest.importorskip("numba")

    done = subprocess.run([sys.executable, "-c", _FIRST_TILES], capture_output=True, text=True, check=False)

    assert (done.stderr, done.stdout.strip()) == ("", "{'FunctionCache'}")
