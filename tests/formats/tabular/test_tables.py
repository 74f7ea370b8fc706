from __future__ import annotations

import csv
import datetime as dt
import json
import uuid
from base64 import b64decode
from contextlib import suppress
from decimal import Decimal
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import duckdb
import geopandas as gpd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from fused_jupyter.errors import FusedError, UdfSerializationError
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
    return encode(value, wanted=Wanted(formats=(name,))).body


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


def test_parquet_keeps_dictionaries_for_texts_that_repeat(places: gpd.GeoDataFrame) -> None:
    """A dictionary of WKB, of measurements or of distinct names is larger than the values."""
    twice = pd.concat([places, places]).assign(key=["a", "b", "c", "d"])
    body = write(twice[["number", "name", "key", "geometry"]], "parquet")

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


def test_geoparquet_says_what_is_in_it(places: gpd.GeoDataFrame) -> None:
    """The metadata follow GeoParquet 1.1, for all columns of geometries, each of which may have had its own CRS."""
    places["area"] = gpd.GeoSeries([shapely.box(5e5, 6.6e6, 6e5, 6.7e6), None], crs=32632)
    places["mark"] = gpd.GeoSeries([shapely.Point(0, 0, 7), shapely.box(0, 0, 1, 1)])

    geo = json.loads(pq.read_schema(BytesIO(write(places, "parquet"))).metadata[b"geo"])

    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    columns = geo["columns"]
    assert {name: column["geometry_types"] for name, column in columns.items()} == {
        "geometry": ["Point"],
        "area": ["Polygon"],
        "mark": ["Point Z", "Polygon"],
    }
    assert columns["geometry"]["bbox"] == [10, 60, 10, 60]
    assert columns["area"]["bbox"] == pytest.approx(places["area"].to_crs(4326).total_bounds)
    assert {column["crs"]["id"]["code"] for column in columns.values()} == {4326}


def test_an_empty_table_of_geometries_stays_one() -> None:
    """Columns, types and the CRS are there, rows are not."""
    empty = gpd.GeoDataFrame({"n": pd.Series([], dtype="int64")}, geometry=[], crs=3857)

    read = gpd.read_parquet(BytesIO(write(empty, "parquet")))

    assert (read.crs.to_epsg(), list(read.columns), read["n"].dtype) == (4326, ["n", "geometry"], "int64")
    assert json.loads(write(empty, "geojson")) == {"type": "FeatureCollection", "features": []}


@pytest.mark.parametrize("name", ["parquet", "feather"])
def test_a_table_that_lost_its_active_geometry_still_knows_its_shapes(name: str, places: gpd.GeoDataFrame) -> None:
    """A join or a selection of columns leaves such; readers get the geometries that are left."""
    places["centre"] = gpd.GeoSeries([shapely.Point(0, 0), None], crs=3857)
    lost = places.drop(columns="geometry")

    body = BytesIO(write(pd.DataFrame(lost), name))

    read = (gpd.read_parquet if name == "parquet" else gpd.read_feather)(body)
    assert read.geometry.name == "centre"
    assert read.crs.to_epsg() == 4326


def test_feather_reads_back_as_the_same_table(places: gpd.GeoDataFrame) -> None:
    """GeoPandas and polars read the file; it is compressed."""
    table = places.drop(columns="tags")
    body = write(table, "feather")

    assert_geodataframe_equal(gpd.read_feather(BytesIO(body)), table, check_dtype=False)
    assert pl.read_ipc(BytesIO(body))["name"].to_list() == ["Ås", None]


def test_files_are_read_by_other_programs(tmp_path: Path, places: gpd.GeoDataFrame) -> None:
    """GDAL reads GeoJSON, DuckDB and polars read Parquet and CSV."""
    for name in ("parquet", "csv", "geojson"):
        (tmp_path / f"places.{name}").write_bytes(write(places.drop(columns="kind"), name))

    geojson = pyogrio.read_dataframe(tmp_path / "places.geojson")
    assert geojson["name"].tolist()[0] == "Ås"
    assert geojson.geometry[0] == shapely.Point(10, 60)
    with duckdb.connect() as connection:
        for name in ("parquet", "csv"):
            query = f"select name, maybe, share from '{tmp_path / f'places.{name}'}'"
            assert connection.sql(query).fetchall() == [("Ås", 7, 0.5), (None, None, None)]
    assert pl.read_parquet(tmp_path / "places.parquet")["maybe"].to_list() == [7, None]
    assert pl.read_csv(tmp_path / "places.csv")["maybe"].to_list() == [7, None]


def rare_columns() -> pd.DataFrame:
    """What tables hold besides numbers and texts."""
    return pd.DataFrame(
        {
            "month": pd.period_range("2020-01", periods=2, freq="M"),
            "class": pd.cut(pd.Series([1, 5]), [0, 3, 9]),
            "span": pd.to_timedelta([90, None], unit="min"),
            "data": [b"\xff\x00", None],
            "key": [uuid.UUID(int=1), uuid.UUID(int=2)],
            "price": [Decimal("1.10"), None],
            "many": [1 << 70, 1],
            "day": [dt.date(2020, 2, 29), dt.datetime(2020, 2, 29, 5)],  # noqa: DTZ001  it has no zone, and keeps none
            "clock": [dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC)],  # noqa: DTZ001  same
            "mixed": [b"a", "b"],
            "blank": [{}, {}],
            "few": pd.arrays.SparseArray([0, 1]),
            "list": pd.Series([[1, None], None], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
            "moment": pd.to_datetime(["2020-03-29T01:30:00.25Z", None]).tz_convert("Europe/Oslo"),
        }
    )


RARE = {
    "month": "2020-01",
    "class": "(0, 3]",
    "span": "P0DT1H30M0S",
    "data": "/wA=",
    "key": "00000000-0000-0000-0000-000000000001",
    "price": 1.1,
    "many": 1 << 70,
    "day": "2020-02-29",
    "clock": "2020-01-01T00:00:00",
    "mixed": "YQ==",
    "blank": {},
    "few": 0,
    "list": [1, None],
    "moment": "2020-03-29T03:30:00.250000+02:00",
}


def test_rare_columns_have_one_meaning_in_json() -> None:
    """Moments, spans and periods are ISO 8601, bytes base64, integers exact however long."""
    first, second = json.loads(write(rare_columns(), "json"))

    assert first == RARE
    assert (second["day"], second["clock"]) == ("2020-02-29T05:00:00", "2020-01-01T00:00:00+00:00")


def test_rare_columns_have_one_meaning_in_csv() -> None:
    """What JSON says is what CSV says, but for moments, which stand with a blank."""
    rows = list(csv.DictReader(StringIO(write(rare_columns(), "csv").decode())))

    texts = {
        name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for name, value in RARE.items()
    }
    assert rows[0] == texts | {"price": "1.10", "moment": "2020-03-29 03:30:00.250+0200"}
    assert rows[1]["moment"] == ""


def test_rare_columns_come_back_from_parquet() -> None:
    """What Parquet and pandas both have keeps its type; what mixes types is text, and nothing is cut or bent."""
    table = rare_columns()

    read = pd.read_parquet(BytesIO(write(table, "parquet")))

    same = ["month", "span", "data", "price", "moment", "few"]
    assert_frame_equal(read[same], table[same].assign(few=[0, 1]), check_dtype=False)
    assert read["many"].tolist() == [str(1 << 70), "1"]
    assert read["day"].tolist() == ["2020-02-29", "2020-02-29T05:00:00"]
    assert read["clock"].tolist() == ["2020-01-01T00:00:00", "2020-01-01T00:00:00+00:00"]
    assert read["mixed"].tolist() == ["YQ==", "b"]


@pytest.mark.parametrize("name", ["parquet", "feather", "csv", "json", "xlsx", "xml", "html"])
def test_what_no_table_can_carry_names_its_column(name: str) -> None:
    """Complex numbers have no meaning in any of these formats."""
    with pytest.raises(UdfSerializationError, match="'z'"):
        write(pd.DataFrame({"a": [1], "z": [1 + 2j]}), name)


@pytest.mark.parametrize("name", ["parquet", "csv"])
def test_half_a_character_is_an_error_that_names_its_column(name: str) -> None:
    """UTF-8 has no lone surrogates."""
    with pytest.raises(UdfSerializationError, match="'t'.*surrogate"):
        write(pd.DataFrame({"t": pd.Series(["\ud800"], dtype=object)}), name)


def test_csv_of_one_column_has_a_line_for_each_row() -> None:
    """Most readers skip empty lines; a missing value alone in its row must not be one."""
    body = write(pd.Series([1, None, 3], dtype="Int64"), "csv")

    assert pd.read_csv(BytesIO(body))["value"].tolist() == pytest.approx([1, np.nan, 3], nan_ok=True)


@pytest.mark.parametrize(
    ("index", "columns"),
    [
        (pd.Index(["x"]), ["index_1", "index", "level_0", "1", "1_1", "a_b"]),
        (pd.MultiIndex.from_tuples([("x", 1)]), ["level_0_1", "level_1", "index", "level_0", "1", "1_1", "a_b"]),
        (pd.MultiIndex.from_tuples([("x", 1)], names=[5, "index"]), ["5", "index", "level_0", "1", "1_1", "a_b"]),
    ],
)
def test_no_name_is_given_twice(index: pd.Index, columns: list[str]) -> None:
    """Neither by an index without names, nor by numbers and tuples that read like another name."""
    names = pd.Index(["index", "level_0", 1, "1", ("a", "b")], tupleize_cols=False)
    table = pd.DataFrame([[1, 2, 3, 4, 5]], columns=names, index=index)

    assert list(json.loads(write(table, "json"))[0]) == columns


def test_geometry_survives_odd_column_names() -> None:
    """The active geometry is found again after its name has become a text."""
    table = gpd.GeoDataFrame({0: [1], ("g", 1): [shapely.Point(1, 2)]}, geometry=("g", 1), crs=4326)

    feature = json.loads(write(table, "geojson"))["features"][0]

    assert feature["geometry"]["coordinates"] == [1, 2]
    assert feature["properties"] == {"0": 1}


def test_a_crs_without_a_way_to_degrees_is_an_error() -> None:
    """Coordinates of a building site are nowhere on Earth."""
    site = 'LOCAL_CS["site",UNIT["metre",1]]'

    with pytest.raises(UdfSerializationError, match="site"):
        write(gpd.GeoSeries([shapely.Point(1, 2)], crs=site), "geojson")


def test_crs84_is_taken_as_it_is() -> None:
    """The same degrees in the same order as EPSG:4326 have in GeoPandas; no digit changes."""
    table = gpd.GeoSeries([shapely.Point(1 / 3, 2 / 3)], crs="OGC:CRS84")

    read = gpd.read_parquet(BytesIO(write(table, "parquet")))

    assert read.crs.to_epsg() == 4326
    assert read.geometry[0] == shapely.Point(1 / 3, 2 / 3)


WHOLE = st.integers(-(1 << 63), (1 << 63) - 1)
ZONES = st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=30))])
MOMENTS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001  by `timezones`
COLUMNS: dict[str, tuple[st.SearchStrategy[Any], str]] = {
    "whole": (WHOLE, "Int64"),
    "real": (st.floats(), "float64"),
    "yes": (st.booleans(), "boolean"),
    "text": (st.text(st.characters(codec="utf-8")), "object"),
    "data": (st.binary(), "object"),
    "numbers": (st.lists(WHOLE | st.none()), "object"),
    "moment": (MOMENTS, "datetime64[us, UTC]"),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, list[Any]], pd.DataFrame]:
    """Columns as lists, what is missing None; and the table that a UDF returns."""
    count = draw(st.integers(1, 5))
    values = {
        name: draw(st.lists(cells | st.none(), min_size=count, max_size=count)) for name, (cells, _) in COLUMNS.items()
    }
    series = {name: pd.Series(values[name], dtype=dtype) for name, (_, dtype) in COLUMNS.items()}
    values["real"] = [None if cell is None or np.isnan(cell) else cell for cell in values["real"]]
    return values, pd.DataFrame(series)


@settings(max_examples=40, deadline=None)
@given(tables())
def test_any_table_survives_arrow_files(given_table: tuple[dict[str, list[Any]], pd.DataFrame]) -> None:
    """Integers with gaps, infinite numbers, zones, bytes, any text: all are what they were."""
    values, table = given_table

    for read in (
        pq.read_table(BytesIO(write(table, "parquet"))),
        pa.feather.read_table(BytesIO(write(table, "feather"))),
    ):
        assert {name: read[name].to_pylist() for name in values} == values


@settings(max_examples=40, deadline=None)
@given(tables())
def test_any_table_survives_texts(given_table: tuple[dict[str, list[Any]], pd.DataFrame]) -> None:
    """CSV and JSON say the same; only an infinite number has no JSON, and an empty text no CSV."""
    values, table = given_table

    lines = list(csv.DictReader(StringIO(write(table, "csv").decode(), newline="")))
    records = json.loads(write(table, "json"))

    for position, (line, record) in enumerate(zip(lines, records, strict=True)):
        for name, column in values.items():
            cell = column[position]
            if cell is None:
                assert (line[name], record[name]) == ("", None)
                continue
            assert READ_CSV[name](line[name]) == cell
            infinite = name == "real" and np.isinf(cell)
            assert record[name] is None if infinite else READ_JSON.get(name, lambda read: read)(record[name]) == cell


READ_JSON: dict[str, Any] = {"data": b64decode, "moment": dt.datetime.fromisoformat}
READ_CSV = READ_JSON | {
    "whole": int,
    "real": float,
    "yes": {"true": True, "false": False}.get,
    "text": str,
    "numbers": json.loads,
}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(max_size=5) | st.none(), min_size=1, max_size=3),
    st.sampled_from(["parquet", "feather", "csv", "json", "xlsx", "xml", "html", "geojson"]),
)
def test_no_text_crashes_an_encoder(texts: list[str | None], name: str) -> None:
    """Not NUL, not half a character: there is a body or an error that says why not."""
    table = gpd.GeoDataFrame({"t": pd.Series(texts, dtype=object)}, geometry=[None] * len(texts), crs=4326)

    if any("\ud800" <= character <= "\udfff" for text in texts for character in text or ""):
        with suppress(FusedError):
            assert write(table, name)
    else:
        assert write(table, name)
