"""All that is a table, as an Arrow table that Parquet and Arrow files can hold, with GeoParquet metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from math import isfinite, nan
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from pyarrow import types

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.tabular.capsules import geometry_fields, is_arrow, read_arrow
from fused_jupyter.formats.tabular.columns import as_text, naming, plain_values
from fused_jupyter.formats.tabular.frames import WGS84, geometry_columns, to_frame

Column = Any
"""A pyarrow Array or ChunkedArray, which have no types."""
Shapes = NDArray[np.object_]

_TYPES: Final = (
    *("Point", "LineString", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon"),
    "GeometryCollection",
)
"""GeoParquet's names, by GEOS's numbers; a ring is written as a line."""


def to_table(value: Any) -> pa.Table:
    """The value as a table with geometries as WKB in EPSG:4326, described as GeoParquet 1.1 wants.

    Arrow data keep their types, but for those that Parquet has not: they become JSON texts. DataFrames keep what pandas
    needs to restore its own types. See `to_frame` for the index and the names.

    Raises:
        UdfSerializationError: a column that no Arrow type can hold.
    """
    table, frame = _read(value)
    if not is_arrow(value):
        table = table.replace_schema_metadata(_pandas_metadata(frame))
    return _with_geometries(table, frame)


def to_flat_table(value: Any) -> pa.Table:
    """As `to_table`, for formats of lines and cells: geometries as WKT, all that is nested or binary as JSON text."""
    table, frame = _read(value)
    for name in geometry_columns(frame):
        texts = shapely.to_wkt(frame[name].to_numpy(), rounding_precision=-1)
        table = table.set_column(table.column_names.index(name), name, pa.array(texts, type=pa.string()))
    columns = [_flat(column) for column in table.columns]
    if len(columns) == 1 and columns[0].null_count:
        # An empty text, for a line without anything is no row to most readers.
        columns = [columns[0].cast(pa.large_string()).fill_null("")]
    return pa.table(columns, names=table.column_names)


def repeating_texts(table: pa.Table) -> list[str]:
    """The columns of texts that come more than once, as far as the first thousand rows tell."""
    found = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        sample = column.slice(0, 1000)
        is_text = types.is_string(column.type) or types.is_large_string(column.type)
        if types.is_dictionary(column.type) or (is_text and len(sample.unique()) * 2 <= len(sample)):
            found.append(name)
    return found


def _read(value: Any) -> tuple[pa.Table, pd.DataFrame]:
    """The table, with empty columns where geometries belong, and a frame with at least the geometries."""
    if not is_arrow(value):
        frame = to_frame(value)
        return _table_of_frame(frame), frame
    table = read_arrow(value)
    fields = list(geometry_fields(table.schema))
    frame = to_frame(table.select(fields)) if fields else to_frame(None)
    for position, field in enumerate(table.schema):
        if field.name in fields:
            table = table.set_column(position, field.name, pa.nulls(len(table)))
        elif not _is_writable(field.type):
            table = table.set_column(position, field.name, _texts(table.column(position).to_pylist()))
    described = {key: text for key, text in (table.schema.metadata or {}).items() if key != b"geo"}
    return table.replace_schema_metadata(described), frame


def _table_of_frame(frame: pd.DataFrame) -> pa.Table:
    shapes = geometry_columns(frame)
    plain = pd.DataFrame(frame)  # which gives its columns faster than a GeoDataFrame
    columns = [pa.nulls(len(frame)) if name in shapes else _arrow_column(plain[name]) for name in frame.columns]
    return pa.table(columns, names=list(frame.columns))


def _pandas_metadata(frame: pd.DataFrame) -> Mapping[bytes, bytes]:
    """What pandas needs to restore its types."""
    # pyarrow writes it for a frame without rows too, and so without looking at values.
    shapes = geometry_columns(frame)
    bare = pd.DataFrame(frame)[[name for name in frame.columns if name not in shapes]].iloc[:0]
    if lost := [name for name, dtype in bare.dtypes.items() if not _is_restored(dtype)]:
        bare = bare.astype(dict.fromkeys(lost, object))
    metadata: Mapping[bytes, bytes] = pa.Table.from_pandas(bare, preserve_index=False).schema.metadata
    return metadata


def _is_restored(dtype: Any) -> bool:
    """Whether pandas finds the type by its name; it stops reading a file that names nested types of Arrow."""
    if not isinstance(dtype, pd.ArrowDtype):
        return True
    try:
        return bool(pd.api.types.pandas_dtype(str(dtype)) == dtype)
    except (TypeError, NotImplementedError):
        return False


def _with_geometries(table: pa.Table, frame: pd.DataFrame) -> pa.Table:
    names = geometry_columns(frame)
    if not names:
        return table
    described = {}
    for name in names:
        shapes = frame[name].to_numpy()
        described[name] = _describe(shapes)
        column = pa.array(shapely.to_wkb(shapes, flavor="iso"), type=pa.binary())
        table = table.set_column(table.column_names.index(name), name, column)
    import orjson

    geo = orjson.dumps({"version": "1.1.0", "primary_column": names[0], "columns": described})
    return table.replace_schema_metadata({**(table.schema.metadata or {}), b"geo": geo})


def _describe(shapes: Shapes) -> Mapping[str, Any]:
    """The metadata of one column by GeoParquet 1.1."""
    import orjson

    found = np.unique(shapely.get_type_id(shapes) * 2 + shapely.has_z(shapes)).tolist()
    described = {
        "encoding": "WKB",
        "geometry_types": list(dict.fromkeys(_TYPES[kind // 2] + " Z" * (kind % 2) for kind in found if kind >= 0)),
        "crs": orjson.Fragment(_wgs84()),
    }
    bounds = shapely.total_bounds(shapes).tolist() if len(shapes) else [nan]
    return described | ({"bbox": bounds} if all(map(isfinite, bounds)) else {})


@lru_cache(maxsize=1)
def _wgs84() -> str:
    from pyproj import CRS

    return str(CRS.from_epsg(WGS84).to_json())


def _arrow_column(column: pd.Series[Any]) -> Column:
    with naming(column):
        return _convert(column)


def _convert(column: pd.Series[Any]) -> Column:
    """The column as Arrow infers it; as texts where it mixes types, or where values would come out as others."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufM":
        return pa.array(column.to_numpy(), from_pandas=True)
    found = _infer(column)
    return found if found is not None else _texts(plain_values(column))


def _infer(column: pd.Series[Any]) -> Column | None:
    if str(column.dtype) == "category":
        return _encode_categories(column)
    if column.dtype.kind == "c":
        raise UdfSerializationError("complex numbers have no place in a table; return .real and .imag as two columns")
    try:
        array = pa.array(column, from_pandas=True)
    except UnicodeEncodeError:
        raise
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None
    if column.dtype != object:
        return array
    is_alike = _IS_ALIKE.get(array.type.id, _always)
    return array if _is_writable(array.type) and is_alike(column[column.notna()].tolist()) else None


def _encode_categories(column: pd.Series[Any]) -> Column:
    values = _convert(column.cat.categories.to_series())
    if isinstance(values.type, pa.BaseExtensionType):  # intervals, as pandas.cut makes them
        values = _texts(plain_values(column.cat.categories.to_series()))
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    codes = column.cat.codes.to_numpy()
    # Not -1 where a value is missing, as pandas has it: polars looks at the numbers of missing values too.
    indices = pa.array(np.maximum(codes, 0), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, values, ordered=column.cat.ordered)


def _texts(values: list[Any]) -> Column:
    return pa.array([None if value is None else as_text(value) for value in values], type=pa.string())


def _is_writable(kind: pa.DataType) -> bool:
    """Whether Parquet has a home for a column of the type, as readers understand it."""
    if isinstance(kind, pa.BaseExtensionType):
        return str(kind.extension_name).startswith("pandas.")
    if types.is_struct(kind) and kind.num_fields == 0:
        return False
    if types.is_union(kind) or types.is_interval(kind):
        return False
    return all(_is_writable(kind.field(position).type) for position in range(kind.num_fields))


def _are_bytes(values: list[Any]) -> bool:
    return all(isinstance(value, bytes | bytearray | memoryview) for value in values)


def _are_dates(values: list[Any]) -> bool:
    return not any(isinstance(value, datetime) for value in values)


def _have_one_clock(values: list[Any]) -> bool:
    """Whether all moments and times of the day have a zone, or none."""
    return len({getattr(value, "tzinfo", None) is None for value in values}) < 2


def _have_no_zone(values: list[Any]) -> bool:
    return not any(getattr(value, "tzinfo", None) for value in values)


def _always(values: list[Any]) -> bool:
    del values
    return True


_IS_ALIKE: Final[dict[int, Callable[[list[Any]], bool]]] = {
    pa.binary().id: _are_bytes,
    pa.date32().id: _are_dates,
    pa.timestamp("us").id: _have_one_clock,
    pa.time64("us").id: _have_no_zone,
}
"""The type that pyarrow infers from the first value and then bends the others to → whether they are such."""


def _flat(column: Column) -> Column:
    """A column that a line of text can hold."""
    kind = column.type
    if types.is_dictionary(kind):
        return _flat(column.cast(kind.value_type))
    if types.is_timestamp(kind):
        return _without_zeros(column)
    if types.is_duration(kind) or isinstance(kind, pa.BaseExtensionType):
        return _texts(plain_values(pd.Series(column.to_pandas())))
    tests = (types.is_primitive, types.is_decimal, types.is_null, types.is_string, types.is_large_string)
    return column if any(test(kind) for test in tests) else _texts(column.to_pylist())


def _without_zeros(column: Column) -> Column:
    """Moments in the longest unit that tells them all, for CSV writes as many digits as the unit has."""
    for unit in ("s", "ms", "us"):
        try:
            return column.cast(pa.timestamp(unit, column.type.tz))
        except pa.ArrowInvalid:  # it would lose digits
            continue
    return column
