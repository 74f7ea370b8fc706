from __future__ import annotations

import base64
import io
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

import fused_jupyter as fused
from fused_jupyter.errors import ArgumentError, MissingFileError


def parquet(table: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    table.to_parquet(stream)
    return stream.getvalue()


@pytest.fixture(params=["4", "5"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two files of two chunks of two points each, in both versions of the official layout."""
    place = tmp_path / "table"
    place.mkdir()
    rows = []
    for file_id in range(2):
        points = gpd.GeoDataFrame(
            {"n": range(4), "file": file_id}, geometry=[shapely.Point(10 * file_id + n, n) for n in range(4)], crs=4326
        )
        points.to_parquet(place / f"{file_id}.parquet", row_group_size=2)
        for chunk_id in range(2):
            west, south, east, north = points.iloc[2 * chunk_id : 2 * chunk_id + 2].total_bounds
            box = {"bbox_minx": west, "bbox_miny": south, "bbox_maxx": east, "bbox_maxy": north}
            rows.append({"file_id": str(file_id), "chunk_id": chunk_id, **box, "num_rows": 2})
    content = parquet(pd.DataFrame(rows))
    if request.param == "4":  # with twenty bytes too many
        content = content[:20] + bytes(20) + content[20:]
    told = {b"fused:format_version": request.param.encode(), b"fused:_metadata": base64.encodebytes(content)}
    pq.write_table(pa.table({"a": []}).replace_schema_metadata(told), place / "_sample")
    return place


def test_chunks_are_rectangles(table: Path) -> None:
    """One for each, in degrees; what else is known of them stays."""
    chunks = fused.get_chunks_metadata(f"{table}/")

    assert chunks.crs.to_epsg() == 4326
    assert chunks[["file_id", "chunk_id", "num_rows"]].to_numpy().tolist() == [
        ["0", 0, 2], ["0", 1, 2], ["1", 0, 2], ["1", 1, 2],
    ]  # fmt: skip
    assert chunks.total_bounds.tolist() == [0, 0, 13, 3]


def test_chunk_is_its_rows(table: Path) -> None:
    """All of the public pattern: look which chunks a rectangle touches, and read those."""
    chunks = fused.get_chunks_metadata(str(table))
    near = chunks[chunks.intersects(shapely.box(11.5, 0, 20, 20))]

    parts = [
        fused.get_chunk_from_table(str(table), file, chunk) for file, chunk in near[["file_id", "chunk_id"]].to_numpy()
    ]

    assert pd.concat(parts).n.tolist() == [2, 3]
    assert isinstance(parts[0], gpd.GeoDataFrame)
    assert parts[0].crs.to_epsg() == 4326


def test_columns_and_whole_files_are_read(table: Path) -> None:
    """Without geometry it is a plain table; without a file the address is one."""
    assert type(fused.get_chunk_from_table(str(table), 1, 0, columns=["n"])) is pd.DataFrame
    assert len(fused.get_chunk_from_table(str(table), "1", None)) == 4
    whole = fused.core.get_chunk_from_table(str(table / "0.parquet"), None, None)
    pd.testing.assert_frame_equal(whole, gpd.read_parquet(table / "0.parquet"))


def test_tables_lie_at_addresses_too(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of `fd://`, `file://`, and of a bucket that a directory stands for; from a worker as well."""
    monkeypatch.setenv("FUSED_FILES_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("FUSED_BUCKETS", f"s3://public={tmp_path}")

    for place in ("fd://table", table.as_uri(), "s3://public/table/"):
        assert len(fused.get_chunks_metadata(place)) == 4
        assert len(fused.get_chunk_from_table(place, "0", 1)) == 2


def test_what_is_no_such_table_says_so(table: Path, tmp_path: Path) -> None:
    """What came, what was wanted."""
    with pytest.raises(MissingFileError, match="nowhere/_sample is not there"):
        fused.get_chunks_metadata(str(tmp_path / "nowhere"))
    pq.write_table(pa.table({"a": [1]}), tmp_path / "plain.parquet")
    with pytest.raises(ArgumentError, match="is of no version; a table of Fused is of version 4 or 5"):
        fused.get_chunks_metadata(str(tmp_path / "plain.parquet"))
    with pytest.raises(ArgumentError, match="chunk_id: got 7, and .*0.parquet has 2 chunks"):
        fused.get_chunk_from_table(str(table), "0", 7)
    with pytest.raises(MissingFileError, match="9.parquet is not there"):
        fused.get_chunk_from_table(str(table), "9", 0)
