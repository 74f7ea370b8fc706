from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from enum import Enum
from io import BytesIO
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from hypothesis import given, settings
from hypothesis import strategies as st

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats import Wanted, encode

SHAPES = [
    shapely.Point(1, 2),
    shapely.Point(1, 2, 3),
    shapely.LineString([(0, 0), (1.25, 1 / 3)]),
    shapely.box(0, 0, 3, 3) - shapely.box(1, 1, 2, 2),
    shapely.MultiPoint([(0, 0), (1, 1)]),
    shapely.MultiLineString([[(0, 0), (1, 1)], [(2, 2), (3, 3), (4, 4)]]),
    shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(2, 2, 3, 3)]),
    shapely.GeometryCollection([shapely.Point(0, 0), shapely.LineString([(0, 0), (1, 1)])]),
    None,
]


def write(value: Any, name: str) -> bytes:
    return encode(value, wanted=Wanted(formats=(name,)), tile=None).body


@pytest.fixture
def places() -> gpd.GeoDataFrame:
    columns = {
        "number": [1, 2],
        "share": [0.5, np.nan],
        "name": ["Ås", None],
        "seen": pd.to_datetime(["2020-01-02T03:04:05", None]),
        "kind": pd.Categorical(["town", None]),
        "maybe": pd.array([7, None], "Int64"),
        "tags": [["a"], {"b": 1}],
    }
    return gpd.GeoDataFrame(columns, geometry=[shapely.Point(10, 60), None], crs=4326)


@pytest.mark.parametrize("selection", [SHAPES, *([shape, shape] for shape in SHAPES)])
def test_geojson_reads_back_as_the_same_geometries(selection: list[Any]) -> None:
    """Any mix of types, with holes, heights and missing ones, keeps every digit."""
    table = gpd.GeoDataFrame({"n": range(len(selection))}, geometry=selection, crs=4326)

    features = json.loads(write(table, "geojson"))["features"]

    for shape, feature in zip(selection, features, strict=True):
        read = feature["geometry"] and shapely.geometry.shape(feature["geometry"])
        assert (read is None) if shape is None else read.equals(shape)


def test_geojson_holds_all_columns(places: gpd.GeoDataFrame) -> None:
    """Moments are ISO 8601, lists and dicts are JSON, what is missing is null."""
    features = json.loads(write(places, "geojson"))["features"]

    first = {"number": 1, "share": 0.5, "name": "Ås", "seen": "2020-01-02T03:04:05", "kind": "town", "maybe": 7}
    assert features[0]["properties"] == first | {"tags": ["a"]}
    assert features[1]["properties"] == dict.fromkeys(first) | {"number": 2, "tags": {"b": 1}}


def test_geojson_turns_rings_as_the_standard_wants() -> None:
    """Outer rings run counterclockwise, holes clockwise (RFC 7946, 3.1.6)."""
    turned = shapely.Polygon([(0, 0), (0, 4), (4, 4), (4, 0)], [[(1, 1), (2, 1), (2, 2), (1, 2)]])

    rings = json.loads(write(turned, "geojson"))["features"][0]["geometry"]["coordinates"]

    assert [shapely.LinearRing(ring).is_ccw for ring in rings] == [True, False]


@pytest.mark.parametrize("epsg", [3857, 32632])
def test_coordinates_become_degrees(epsg: int) -> None:
    """Every CRS comes out as EPSG:4326."""
    table = gpd.GeoDataFrame(geometry=[shapely.Point(10, 60)], crs=4326).to_crs(epsg)

    assert gpd.read_parquet(BytesIO(write(table, "parquet"))).crs.to_epsg() == 4326
    assert json.loads(write(table, "json"))[0]["geometry"]["coordinates"] == pytest.approx([10, 60])


@pytest.mark.parametrize("name", ["geojson", "csv", "json", "parquet"])
def test_no_crs_counts_as_degrees(name: str) -> None:
    """A table of coordinates without a CRS is taken as EPSG:4326."""
    table = gpd.GeoDataFrame(geometry=[shapely.Point(10, 60)])

    assert write(table, name) == write(table.set_crs(4326), name)


def test_further_geometry_columns_are_wkt_in_geojson() -> None:
    """A feature has one geometry; the others are properties."""
    table = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(1, 2)], crs=4326)
    table["centre"] = table.geometry.copy()

    assert json.loads(write(table, "geojson"))["features"][0]["properties"] == {"a": 1, "centre": "POINT (1 2)"}


def test_parquet_reads_back_as_the_same_table(places: gpd.GeoDataFrame) -> None:
    """GeoPandas gets back what the UDF returned."""
    table = places.drop(columns="tags")

    assert_geodataframe_equal(gpd.read_parquet(BytesIO(write(table, "parquet"))), table, check_dtype=False)


def test_parquet_keeps_dictionaries_for_texts_only(places: gpd.GeoDataFrame) -> None:
    """A dictionary of WKB or measurements is larger than the values."""
    body = write(places[["number", "name", "geometry"]], "parquet")

    group = pq.ParquetFile(BytesIO(body)).metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert [name for name, column in columns.items() if column.has_dictionary_page] == ["name"]
    assert {column.compression for column in columns.values()} == {"ZSTD"}


def test_mixed_columns_become_texts() -> None:
    """Numbers and texts in one column cannot stay both."""
    table = pd.DataFrame({"row": range(4), "mixed": [1, "a", None, [2]]})

    assert pd.read_parquet(BytesIO(write(table, "parquet")))["mixed"].tolist()[:2] == ["1", "a"]
    assert pd.read_csv(BytesIO(write(table, "csv")))["mixed"].tolist()[3] == "[2]"


def test_rare_columns_are_written_too() -> None:
    """Periods and intervals are texts, bytes are base64 in JSON."""
    columns = {"month": pd.period_range("2020-01", periods=1, freq="M"), "data": [b"ab"]}
    table = pd.DataFrame(columns)

    assert json.loads(write(table, "json")) == [{"month": "2020-01", "data": "YWI="}]
    assert pd.read_csv(BytesIO(write(table, "csv")))["month"].tolist() == ["2020-01"]


def test_csv_reads_back(places: gpd.GeoDataFrame) -> None:
    """Pandas reads the columns; geometries are WKT, lists JSON."""
    read = pd.read_csv(BytesIO(write(places, "csv")), parse_dates=["seen"])

    assert read["number"].tolist() == [1, 2]
    assert read["name"][0] == "Ås"
    assert read["seen"][0] == pd.Timestamp("2020-01-02T03:04:05")
    assert shapely.from_wkt(read["geometry"][0]) == shapely.Point(10, 60)
    assert read["tags"].tolist() == ['["a"]', '{"b":1}']


def test_json_of_a_table_is_its_records(places: gpd.GeoDataFrame) -> None:
    """Rows are objects, geometries GeoJSON."""
    records = json.loads(write(places, "json"))

    assert records[0]["geometry"] == {"type": "Point", "coordinates": [10.0, 60.0]}
    assert records[1]["geometry"] is None
    assert records[1]["share"] is None


@pytest.mark.parametrize(
    ("index", "columns"),
    [
        (None, ["a"]),
        (pd.Index([5, 9]), ["a"]),
        (pd.Index([5, 9], name="id"), ["id", "a"]),
        (pd.Index(["x", "y"]), ["index", "a"]),
        (pd.MultiIndex.from_tuples([(1, 2), (3, 4)], names=["p", "q"]), ["p", "q", "a"]),
        (pd.Index([5, 9], name="a"), ["a"]),
    ],
)
def test_an_index_with_a_meaning_becomes_columns(index: pd.Index | None, columns: list[str]) -> None:
    """Row numbers, also those that a filter left, are dropped; names and texts stay."""
    table = pd.DataFrame({"a": [1, 2]}, index=index)

    assert list(json.loads(write(table, "json"))[0]) == columns


def test_column_names_become_distinct_texts() -> None:
    """Numbers, tuples and repeated names are legal in pandas and nowhere else."""
    table = pd.DataFrame([[1, 2, 3, 4]], columns=pd.Index([0, ("a", "b"), "x", "x"], tupleize_cols=False))

    assert json.loads(write(table, "json")) == [{"0": 1, "a_b": 2, "x": 3, "x_1": 4}]


def test_arrow_tables_are_tables_and_know_geometries(places: gpd.GeoDataFrame) -> None:
    """GeoParquet metadata and GeoArrow types are both understood."""
    simple = places[["number", "geometry"]].dropna()
    by_metadata = pq.read_table(BytesIO(write(simple, "parquet")))
    by_type = pa.table(simple.to_arrow())

    assert json.loads(write(pa.table({"a": [1]}), "json")) == [{"a": 1}]
    for table in (by_metadata, by_type):
        assert write(table, "geojson") == write(simple, "geojson")


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (pd.Timestamp("2020-01-01"), "2020-01-01T00:00:00"),
        ([pd.NaT, pd.NA, np.nan], [None, None, None]),
        ({"a": np.array([1, 2]), 3: Decimal("1.5")}, {"a": [1, 2], "3": 1.5}),
        ([dt.date(2020, 1, 1), dt.timedelta(minutes=1), Colour.RED], ["2020-01-01", 60.0, "red"]),
        ({"t": pd.DataFrame({"a": [1]}), "s": pd.Series([1])}, {"t": [{"a": 1}], "s": [1]}),
        ([shapely.Point(1, 2)], [{"type": "Point", "coordinates": [1.0, 2.0]}]),
        ((1, "a"), [1, "a"]),
        (np.arange(10)[::3], [0, 3, 6, 9]),
    ],
)
def test_plain_data_is_json(value: Any, expected: Any) -> None:
    """What has a meaning in JSON gets it; what is missing is null."""
    assert json.loads(write(value, "json")) == expected


@pytest.mark.parametrize("value", [[{1, 2}], {"a": 1j}, [object()], 1 << 70, [np.array([1j])]])
def test_what_json_cannot_carry_is_an_error(value: Any) -> None:
    """Sets, complex numbers and numbers beyond 64 bits would come out as something else."""
    with pytest.raises(UdfSerializationError):
        write(value, "json")


def test_html_shows_a_table_with_everything_escaped() -> None:
    """A value that looks like markup stays text; long tables are cut, and say so."""
    table = pd.DataFrame({"<b>": ["<script>alert(1)</script>"] * 1500})

    page = write(table, "html").decode()

    assert "<script>" not in page
    assert "<th>&lt;b&gt;</th>" in page
    assert page.count("&lt;script&gt;") == 1000
    assert "first 1000 of 1500 rows" in page


CELLS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 53), 1 << 53)
    | st.floats(allow_nan=False, width=64)
    | st.text(st.characters(codec="utf-8"), max_size=8)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CELLS, min_size=1, max_size=6))
def test_any_cells_survive_json(cells: list[Any]) -> None:
    """Whatever types a column mixes, its records hold the values."""
    table = pd.DataFrame({"a": pd.Series(cells, dtype=object)})

    read = [record["a"] for record in json.loads(write(table, "json"))]

    assert read == [None if isinstance(cell, float) and not np.isfinite(cell) else cell for cell in cells]
