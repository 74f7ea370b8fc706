"""Tables as GeoJSON, CSV, Parquet and records."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from fused_jupyter.formats._geojson import geometry_texts
from fused_jupyter.formats.columns import as_text, plain_values
from fused_jupyter.formats.frames import geometry_columns, to_frame
from fused_jupyter.formats.plain import dump_each

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from fused_jupyter.formats.target import Target


def encode_geojson(value: Any, target: Target | None = None) -> bytes:
    """A FeatureCollection by RFC 7946: EPSG:4326, outer rings counterclockwise; further geometry columns as WKT."""
    del target
    import shapely

    frame = to_frame(value)
    if not (names := geometry_columns(frame)):
        return b'{"type":"FeatureCollection","features":[]}'
    geometries = geometry_texts(shapely.orient_polygons(frame[names[0]].to_numpy()))
    properties = _rows(_with_wkt(frame.drop(columns=names[0])), len(frame))
    # One join of ready texts: twice as fast as a JSON writer that is handed the geometries as fragments.
    features = (
        f'{{"type":"Feature","geometry":{geometry or "null"},"properties":{row}}}'
        for geometry, row in zip(geometries, properties, strict=True)
    )
    return f'{{"type":"FeatureCollection","features":[{",".join(features)}]}}'.encode()


def encode_csv(value: Any, target: Target | None = None) -> bytes:
    """CSV with a header line, UTF-8, strings quoted; geometries as WKT in EPSG:4326, lists and dicts as JSON."""
    del target
    import pyarrow as pa
    from pyarrow import csv

    frame = _with_wkt(to_frame(value))
    if not len(frame.columns):
        return b""
    table = pa.table({name: _flat(_arrow_column(frame[name])) for name in frame.columns})
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink)
    return bytes(sink.getvalue())


def encode_parquet(value: Any, target: Target | None = None) -> bytes:
    """Parquet, GeoParquet where there are geometries, zstd-compressed."""
    del target
    frame = to_frame(value)
    strings = [name for name in frame.columns if _is_text(frame[name])]
    mixed = {name: _arrow_column(frame[name]) for name in frame.columns if frame[name].dtype == object}
    frame = frame.assign(**{name: column.to_pandas() for name, column in mixed.items() if _is_arrow_text(column)})
    sink = BytesIO()
    # A dictionary of WKB or measurements is larger than the values themselves, and takes longer to build.
    frame.to_parquet(sink, compression="zstd", compression_level=1, index=False, use_dictionary=strings or False)
    return sink.getvalue()


def to_records(value: Any) -> list[dict[str, Any]]:
    """The rows as dicts; geometries as GeoJSON geometries."""
    import orjson

    frame = to_frame(value)
    columns = {}
    for name in frame.columns:
        if str(frame[name].dtype) == "geometry":
            texts = geometry_texts(frame[name].to_numpy())
            columns[name] = [None if text is None else orjson.Fragment(text) for text in texts]
        else:
            columns[name] = plain_values(frame[name])
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rows(frame: pd.DataFrame, count: int) -> list[str]:
    names = list(frame.columns)
    if not names:
        return ["{}"] * count
    columns = [plain_values(frame[name]) for name in names]
    return dump_each([dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)])


def _with_wkt(frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd
    import shapely

    names = geometry_columns(frame)
    if not names:
        return frame
    texts = {name: shapely.to_wkt(frame[name].to_numpy(), rounding_precision=-1) for name in names}
    return pd.DataFrame(frame).assign(**texts)


def _arrow_column(column: pd.Series[Any]) -> pa.Array | pa.ChunkedArray:
    import pyarrow as pa

    if str(column.dtype).startswith(("period", "interval")):
        column = column.astype(object)
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        # Mixed types in one column, e.g. numbers and texts, or objects of Python's: each as its JSON text.
        texts = [None if value is None else as_text(value) for value in plain_values(column)]
        return pa.array(texts, type=pa.string())


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    if types.is_nested(column.type) or types.is_duration(column.type):
        values = column.to_pylist()
        return pa.array([None if value is None else as_text(value) for value in values], type=pa.string())
    return column


def _is_text(column: pd.Series[Any]) -> bool:
    return column.dtype == object or str(column.dtype) in {"str", "string", "category"}


def _is_arrow_text(column: pa.Array | pa.ChunkedArray) -> bool:
    from pyarrow import types

    return bool(types.is_string(column.type))
