from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import duckdb
import geoarrow.rust.core as geoarrow
import geopandas as gpd
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import shapely
import xarray as xr
from PIL import Image

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats import Wanted, encode
from fused_jupyter.formats.tabular.capsules import is_arrow, read_arrow

EXACT = (1 << 62) + 1
"""An integer that a float cannot hold."""


def write(value: Any, name: str) -> bytes:
    return encode(value, wanted=Wanted(formats=(name,))).body


def relation() -> Any:
    return duckdb.connect().sql(f"select * from (values ({EXACT}, 'a'), (null, 'b')) as t(n, name)")


TABLES: dict[str, Any] = {
    "pyarrow Table": lambda: pa.table({"n": [EXACT, None], "name": ["a", "b"]}),
    "pyarrow RecordBatch": lambda: pa.record_batch({"n": [EXACT, None], "name": ["a", "b"]}),
    "pyarrow reader": lambda: pa.table({"n": [EXACT, None], "name": ["a", "b"]}).to_reader(),
    "array of structs": lambda: pa.array([{"n": EXACT, "name": "a"}, {"n": None, "name": "b"}]),
    "polars": lambda: pl.DataFrame({"n": [EXACT, None], "name": ["a", "b"]}),
    "DuckDB": relation,
    "DuckDB reader": lambda: relation().to_arrow_reader(),
}


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_arrow_data_of_any_library_is_a_table(make: Any) -> None:
    """A UDF need not turn it into a DataFrame; integers with gaps keep every digit in every format."""
    rows = [{"n": EXACT, "name": "a"}, {"n": None, "name": "b"}]

    assert json.loads(write(make(), "json")) == rows
    assert pq.read_table(BytesIO(write(make(), "parquet"))).to_pylist() == rows
    assert write(make(), "csv").decode() == f'"n","name"\n{EXACT},"a"\n,"b"\n'


@pytest.mark.parametrize("value", [pa.array([1, None]), pa.chunked_array([[1], [None]]), pl.Series("a", [1, None])])
def test_one_arrow_column_is_called_value(value: Any) -> None:
    """As a Series without a name is."""
    assert json.loads(write(value, "json")) == [{"value": 1}, {"value": None}]


def test_nested_and_rare_types_keep_their_values() -> None:
    """Views, categories, structs, lists with gaps, run-end encoding: other readers find the same values."""
    table = pl.DataFrame(
        {
            "words": [["a", None], None],
            "struct": [{"text": "x", "n": EXACT}, {"text": None, "n": None}],
            "kind": pl.Series(["q", "q"], dtype=pl.Categorical),
            "data": [b"\xff", None],
        }
    )
    arrow = pa.table(table).append_column("run", pc.run_end_encode(pa.array([7, 7])))
    rows = table.with_columns(run=7).to_dicts()

    assert pq.read_table(BytesIO(write(arrow, "parquet"))).to_pylist() == rows
    assert json.loads(write(arrow, "json")) == [rows[0] | {"data": "/w=="}, rows[1]]


def test_names_that_repeat_are_told_apart() -> None:
    """Arrow allows what Parquet and JSON do not."""
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])

    assert json.loads(write(table, "json")) == [{"a": 1, "a_1": 2}]


def geoparquet(table: gpd.GeoDataFrame, **options: Any) -> pa.Table:
    sink = BytesIO()
    table.to_parquet(sink, **options)
    return pq.read_table(sink)


def geometries() -> dict[str, Any]:
    metres = gpd.GeoDataFrame({"n": [1, 2]}, geometry=shapely.points([(1e5, 2e5), (3e5, 4e5)]), crs=3857)
    with duckdb.connect() as connection:
        from_duckdb = connection.sql("select 1 as n, 'POINT(1 2)'::geometry as geometry").to_arrow_table()
    return {
        "geopandas to_arrow": metres.to_arrow(),
        "geopandas, native": metres.to_arrow(geometry_encoding="geoarrow"),
        "GeoParquet": geoparquet(metres),
        "GeoParquet, native": geoparquet(metres, geometry_encoding="geoarrow"),
        "geoarrow array": geoarrow.from_shapely(metres.geometry.to_numpy(), crs="EPSG:3857"),
        "GeoSeries to_arrow": metres.geometry.to_arrow(),
        "DuckDB": from_duckdb,
    }


@pytest.mark.parametrize("name", geometries())
def test_arrow_geometries_are_geometries(name: str) -> None:
    """In whatever encoding and CRS; they leave as degrees, and other columns are as they were."""
    value = geometries()[name]
    degrees = gpd.GeoSeries(shapely.points([(1e5, 2e5), (3e5, 4e5)]), crs=3857).to_crs(4326)
    expected = [shapely.Point(1, 2)] if name == "DuckDB" else degrees.tolist()

    features = json.loads(write(value, "geojson"))["features"]
    read = gpd.read_parquet(BytesIO(write(value, "parquet")))

    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    assert shapely.equals_exact(shapes, expected, 1e-12).all()
    assert shapely.equals_exact(read.geometry.to_numpy(), expected, 1e-12).all()
    assert (read.geometry.name, read.crs.to_epsg()) == ("geometry", 4326)
    if "n" in read:
        assert [feature["properties"]["n"] for feature in features] == read["n"].tolist() == [1, 2][: len(read)]


def test_several_arrow_geometries_keep_their_places() -> None:
    """Each column has its own CRS; the columns stay in order."""
    table = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(1, 2)], crs=4326)
    table["far"] = gpd.GeoSeries([shapely.Point(0, 0)], crs=32632)
    table["z"] = [5]

    read = gpd.read_parquet(BytesIO(write(table.to_arrow(), "parquet")))

    assert list(read.columns) == ["a", "geometry", "far", "z"]
    assert read["far"].crs.to_epsg() == 4326
    assert read["far"][0].x == pytest.approx(4.51, abs=0.01)


def test_metadata_of_a_geometry_that_is_gone_mislead_nobody() -> None:
    """A selection of columns leaves the metadata of all."""
    whole = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(1, 2)], crs=4326)
    table = geoparquet(whole).select(["a"])

    assert json.loads(write(table, "json")) == [{"a": 1}]
    assert b"geo" not in (pq.read_schema(BytesIO(write(table, "parquet"))).metadata or {})


def test_a_type_that_is_not_arrows_is_an_error_that_says_so() -> None:
    """Polars has integers of 128 bits, Arrow has none."""
    with pytest.raises(UdfSerializationError, match="cast it"):
        read_arrow(pl.DataFrame({"a": pl.Series([1], dtype=pl.Int128)}))


@pytest.mark.parametrize("value", [xr.DataArray(np.zeros((2, 2))), Image.new("L", (2, 2)), gpd.GeoSeries([])])
def test_rasters_and_frames_are_more_than_arrow_data(value: Any) -> None:
    """They hand themselves over as such, but without their coordinates, their shape or their CRS."""
    assert not is_arrow(value)
