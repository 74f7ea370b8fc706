"""Tables as Parquet, Arrow files, CSV, GeoJSON and records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from fused_jupyter.formats.tabular._geojson import geometry_pieces
from fused_jupyter.formats.tabular.columns import json_texts, weave
from fused_jupyter.formats.tabular.frames import geometry_columns, to_frame, with_wkt

if TYPE_CHECKING:
    import pyarrow as pa

    from fused_jupyter.formats.target import Target

_ROWS_OF_A_GROUP: Final = 131_072
"""Who reads a file by ranges takes whole groups of rows; smaller ones compress worse."""


def encode_parquet(value: Any, target: Target | None = None) -> bytes:
    """Parquet, GeoParquet 1.1 where there are geometries, zstd-compressed."""
    del target
    import pyarrow as pa
    from pyarrow import parquet

    from fused_jupyter.formats.tabular.arrow import repeating_texts, to_table

    table = to_table(value)
    sink = pa.BufferOutputStream()
    parquet.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=1,
        # A dictionary of WKB or measurements is larger than the values themselves, and takes longer to build.
        use_dictionary=repeating_texts(table) or False,
        row_group_size=_ROWS_OF_A_GROUP,
    )
    return _content(sink)


def encode_feather(value: Any, target: Target | None = None) -> bytes:
    """An Arrow IPC file (Feather V2), lz4-compressed; geometries as in `encode_parquet`."""
    del target
    import pyarrow as pa
    from pyarrow import feather

    from fused_jupyter.formats.tabular.arrow import to_table

    sink = pa.BufferOutputStream()
    feather.write_feather(to_table(value).unify_dictionaries(), sink, compression="lz4")
    return _content(sink)


def encode_csv(value: Any, target: Target | None = None) -> bytes:
    """CSV with a header line, UTF-8, texts quoted; geometries as WKT in EPSG:4326, lists and dicts as JSON.

    Values are written as they are, also those that begin with ``=``: CSV is read by programs, and an apostrophe before
    a value would be another value. For a spreadsheet there is xlsx, where a text is never a formula.
    """
    del target
    import pyarrow as pa
    from pyarrow import csv

    from fused_jupyter.formats.tabular.arrow import to_flat_table

    table = to_flat_table(value)
    if not table.num_columns:
        return b""
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink)
    return _content(sink)


def encode_geojson(value: Any, target: Target | None = None) -> bytes:
    """A FeatureCollection by RFC 7946 in EPSG:4326; further geometry columns as WKT. Infinite places are null."""
    del target
    frame = to_frame(value)
    names = geometry_columns(frame)
    shapes = geometry_pieces(frame[names[0]].to_numpy()) if names else ["null"]
    # Of a plain DataFrame: each look at a column of a GeoDataFrame costs what a thousand values do.
    others = with_wkt(frame) if len(names) > 1 else pd.DataFrame(frame)
    properties = _members(others, [name for name in frame.columns if name not in names[:1]])
    pieces = ['{"type":"Feature","geometry":', *shapes, ',"properties":{', *properties, "}}"]
    around = ('{"type":"FeatureCollection","features":[', "]}")
    return weave(pieces, len(frame), between=",", around=around).encode()


def encode_records(value: Any, target: Target | None = None) -> bytes:
    """The rows as a JSON list of objects; geometries as GeoJSON geometries."""
    del target
    frame = to_frame(value)
    return weave(["{", *_members(frame, list(frame.columns)), "}"], len(frame), between=",", around=("[", "]")).encode()


def _members(frame: pd.DataFrame, names: list[str]) -> list[str | list[str]]:
    """What stands between the braces of each row's object, as pieces for `weave`."""
    from fused_jupyter.formats.plain import dump

    pieces: list[str | list[str]] = []
    for name in names:
        column = frame[name]
        is_shape = str(column.dtype) == "geometry"
        values = geometry_pieces(column.to_numpy()) if is_shape else (json_texts(column),)
        pieces += [f"{',' if pieces else ''}{dump(name).decode()}:", *values]
    return pieces


def _content(sink: pa.BufferOutputStream) -> bytes:
    return bytes(sink.getvalue())
