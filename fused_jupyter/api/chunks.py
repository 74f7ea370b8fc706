"""`fused.get_chunks_metadata` and `fused.get_chunk_from_table`: tables that Fused's ingestion has written."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fused_jupyter.errors import ArgumentError, MissingFileError
from fused_jupyter.storage import fd

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

_SAMPLE = "_sample"
_VERSION, _CHUNKS = b"fused:format_version", b"fused:_metadata"
_SIDES = ("bbox_minx", "bbox_miny", "bbox_maxx", "bbox_maxy")
_CRS = "EPSG:4326"
_EXTRA = slice(20, 40)
"""What stands in the embedded file of version 4, and is no part of it."""


def get_chunks_metadata(url: str) -> gpd.GeoDataFrame:
    """Where the chunks of a table lie: one row for each, with `file_id`, `chunk_id` and its rectangle.

    Args:
        url: the directory of the table: a path, `file://`, `fd://` or `s3://`; or one Parquet file that says it of
            itself.

    Returns:
        Rectangles in EPSG:4326, and all other columns that the table keeps of its chunks.

    Raises:
        MissingFileError: there is no such table.
        ArgumentError: it is none of Fused's, or of a version that is not known.
    """
    import geopandas as gpd
    import pyarrow.parquet as pq
    import shapely

    place = url if url.endswith((".parquet", ".pq")) else f"{url.rstrip('/')}/{_SAMPLE}"
    told = _schema(place).metadata or {}
    version, embedded = told.get(_VERSION, b"").decode(), told.get(_CHUNKS)
    if embedded is None or version not in {"4", "5"}:
        found = f"version {version!r}" if version else "no version"
        raise ArgumentError(f"{place} is of {found}; a table of Fused is of version 4 or 5")
    content = base64.b64decode(embedded)
    if version == "4":
        content = content[: _EXTRA.start] + content[_EXTRA.stop :]
    rows: pd.DataFrame = pq.read_table(io.BytesIO(content)).to_pandas()
    if missing := [name for name in _SIDES if name not in rows]:
        raise ArgumentError(f"{place} says no rectangles of its chunks: it has no column {', '.join(missing)}")
    return gpd.GeoDataFrame(rows, geometry=shapely.box(*(rows[name] for name in _SIDES)), crs=_CRS)


def get_chunk_from_table(
    url: str,
    file_id: str | int | None,
    chunk_id: int | None,
    *,
    columns: Sequence[str] | None = None,
) -> gpd.GeoDataFrame | pd.DataFrame:
    """One chunk of a table.

    Args:
        url: the directory of the table. Without `file_id` it is a file.
        file_id: the file, as `get_chunks_metadata` names it.
        chunk_id: the row group in it; None reads all of the file.
        columns: which ones; None is all.

    Returns:
        A GeoDataFrame where the file has geometries and `columns` leaves one in, in EPSG:4326 if it says no other; else
        a DataFrame.

    Raises:
        MissingFileError: there is no such file.
        ArgumentError: it has no such chunk.
    """
    import pyarrow.parquet as pq

    place = url if file_id is None else f"{url.rstrip('/')}/{file_id}.parquet"
    filesystem, path = _filesystem(place)
    with _Missing(place), pq.ParquetFile(path, filesystem=filesystem) as file:
        wanted = None if columns is None else list(columns)
        if chunk_id is None:
            table = file.read(columns=wanted)
        elif not 0 <= int(chunk_id) < file.num_row_groups:
            raise ArgumentError(f"chunk_id: got {chunk_id}, and {place} has {file.num_row_groups} chunks, from 0")
        else:
            table = file.read_row_group(int(chunk_id), columns=wanted)
    return _frame(table)


def _frame(table: Any) -> Any:  # a table of pyarrow → of pandas or geopandas
    import geopandas as gpd
    import orjson

    told = (table.schema.metadata or {}).get(b"geo")
    about = orjson.loads(told) if told else {}
    names = [name for name in about.get("columns", {}) if name in table.column_names]
    if not names:
        return table.to_pandas()
    frame = table.to_pandas()
    for name in names:
        crs = about["columns"][name].get("crs") or _CRS
        frame[name] = gpd.GeoSeries.from_wkb(frame[name], crs=crs)
    primary = about.get("primary_column")
    return gpd.GeoDataFrame(frame, geometry=primary if primary in names else names[0])


def _schema(place: str) -> Any:
    import pyarrow.parquet as pq

    filesystem, path = _filesystem(place)
    with _Missing(place):
        return pq.read_schema(path, filesystem=filesystem)


class _Missing:
    """Says which file is not there; pyarrow names a part of its path."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: object) -> None:
        if isinstance(exc, FileNotFoundError):
            raise MissingFileError(f"{self._place} is not there; give the directory of a table of Fused") from exc


def _filesystem(place: str) -> tuple[Any, str]:
    """What pyarrow reads it with, and what it is called there."""
    from pyarrow.fs import FileSystem, LocalFileSystem

    files = fd.current_files()
    if place.startswith(("fd://", "/mount/", "/mnt/cache/")):
        return LocalFileSystem(), str(files.place(place).path)
    if (path := files.stands_for(place)) is not None:
        return LocalFileSystem(), str(path)
    if "://" not in place:
        return LocalFileSystem(), place
    if place.startswith(("http://", "https://")):
        import fsspec
        from pyarrow.fs import FSSpecHandler, PyFileSystem

        return PyFileSystem(FSSpecHandler(fsspec.filesystem("https"))), place
    filesystem, path_there = FileSystem.from_uri(place)
    return filesystem, path_there
