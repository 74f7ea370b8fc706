"""Arrow data of any library (polars, DuckDB, geoarrow, pyarrow itself), read through the Arrow PyCapsule interface."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from pyarrow import compute, types

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.kinds import type_name

if TYPE_CHECKING:
    import pandas as pd

_CAPSULES: Final = ("__arrow_c_stream__", "__arrow_c_array__")
_NAME: Final = b"ARROW:extension:name"
_DETAILS: Final = b"ARROW:extension:metadata"
_VALUE, _GEOMETRY = "value", "geometry"
_OTHERS: Final = frozenset({"pandas", "xarray", "PIL"})
"""Packages whose objects hand themselves over as Arrow data too, but have more to them than that."""
_VIEWS: Final = {"string_view": pa.large_string(), "binary_view": pa.large_binary()}
_LISTS: Final = {
    "list": pa.list_,
    "list_view": pa.list_,
    "large_list": pa.large_list,
    "large_list_view": pa.large_list,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryField:
    """How one Arrow column holds geometries."""

    encoding: str
    """As GeoArrow calls it: ``wkb``, ``wkt``, ``point``, ``polygon``, …"""
    crs: Any
    """A PROJJSON object or any text that pyproj takes; None where nothing is said."""


def is_arrow(value: Any) -> bool:
    """Whether the value is Arrow data and no more; what pandas hands over as such is read in its own way.

    >>> import pandas, pyarrow
    >>> is_arrow(pyarrow.table({"a": [1]})), is_arrow(pandas.DataFrame())
    (True, False)
    """
    if not any(hasattr(value, name) for name in _CAPSULES):
        return False
    return not any(base.__module__.partition(".")[0] in _OTHERS for base in type(value).__mro__)


def settle(value: Any) -> Any:
    """Arrow data as a table, for a stream can be read only once; any other value as it is."""
    return read_arrow(value) if is_arrow(value) else value


def read_arrow(value: Any) -> pa.Table:
    """Arrow data as a table with distinct names; an array or series is its one column, ``value`` or ``geometry``.

    Views and run-end encoded columns, which few readers know, become the ordinary types of the same values.

    Raises:
        UdfSerializationError: a type that is not Arrow's, as polars has some.
    """
    try:
        table = _read(value)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        raise UdfSerializationError(
            f"The UDF returned {type_name(value)} with a column of a type that pyarrow cannot read ({exc}); cast it"
        ) from exc
    for position, field in enumerate(table.schema):
        if (kind := _ordinary(field.type)) != field.type:
            column = _cast(table.column(position), kind)
            table = table.set_column(position, field.with_type(column.type), column)
    names = distinct(table.column_names)
    return table if names == table.column_names else table.rename_columns(names)


def distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that came before.

    >>> distinct(["a", "a", "a_1"])
    ['a', 'a_2', 'a_1']
    """
    taken = set(names)
    seen: set[str] = set()
    found = []
    for name in names:
        free = name
        if name in seen:
            free = next(other for number in count(1) if (other := f"{name}_{number}") not in taken)
        taken.add(free)
        seen.add(free)
        found.append(free)
    return found


def geometry_fields(schema: pa.Schema) -> dict[str, GeometryField]:
    """The columns of geometries, the primary one first; told by GeoArrow's types or GeoParquet's metadata."""
    import orjson

    described = orjson.loads((schema.metadata or {}).get(b"geo", b"{}"))
    found = {
        name: GeometryField(encoding=str(column.get("encoding", "wkb")).lower(), crs=column.get("crs"))
        for name, column in described.get("columns", {}).items()
        if name in schema.names
    }
    for field in schema:
        if field.name not in found and (geometry := _geometry_field(field)) is not None:
            found[field.name] = geometry
    primary = described.get("primary_column")
    return dict(sorted(found.items(), key=lambda item: item[0] != primary))


def frame_of_arrow(table: pa.Table) -> pd.DataFrame:
    """The table as a DataFrame, or as a GeoDataFrame where it has geometries; integers with gaps stay integers."""
    fields = geometry_fields(table.schema)
    plain = table.drop_columns(list(fields)) if fields else table
    by_value = [field.name for field in plain.schema if not _has_numpy_type(field.type)]
    frame: Any = plain.drop_columns(by_value).to_pandas() if by_value else plain.to_pandas()
    for name, numpy_dtype in _nullable(plain).items():
        if name in frame.columns:
            frame[name] = plain[name].to_pandas(types_mapper={plain[name].type: numpy_dtype}.get)
    for name in by_value:
        frame.insert(min(plain.column_names.index(name), frame.shape[1]), name, _objects(plain[name], frame.index))
    if not fields:
        return frame  # type: ignore[no-any-return]  # pyarrow has no types
    import geopandas as gpd

    for name, field in fields.items():
        shapes = _read_geometries(table[name], field)
        frame.insert(min(table.column_names.index(name), frame.shape[1]), name, shapes.set_axis(frame.index))
    return gpd.GeoDataFrame(frame, geometry=next(iter(fields)))  # type: ignore[no-any-return]  # no types


def _read(value: Any) -> pa.Table:
    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    if isinstance(value, pa.RecordBatchReader):
        return value.read_all()
    if not hasattr(value, "__arrow_c_stream__"):
        return _table_of_column(pa.chunked_array([pa.array(value)]), _field_of(value))
    try:
        reader = pa.RecordBatchReader.from_stream(value)
    except pa.ArrowInvalid:  # a stream of one column
        return _table_of_column(pa.chunked_array(value), _field_of(getattr(value, "type", None)))
    return reader.read_all()


def _ordinary(kind: pa.DataType) -> pa.DataType:
    """The type of the same values without views and run-end encoding."""
    if types.is_run_end_encoded(kind):
        return _ordinary(kind.value_type)
    if types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _ordinary(kind.value_type), ordered=kind.ordered)
    if types.is_struct(kind):
        return pa.struct([field.with_type(_ordinary(field.type)) for field in kind])
    name, _, _ = str(kind).partition("<")
    if name in _LISTS:
        return _LISTS[name](kind.value_field.with_type(_ordinary(kind.value_type)))
    return _VIEWS.get(name, kind)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if types.is_run_end_encoded(column.type):
        column = compute.run_end_decode(column)
    # pyarrow 26 casts list views to broken lists, and pyarrow 16 views to nothing.
    if "list_view<" not in str(column.type):
        with suppress(pa.ArrowNotImplementedError):
            return column.cast(kind)
    value_type = kind.value_type if types.is_dictionary(kind) else kind
    return pa.chunked_array([pa.array(column.to_pylist(), type=value_type)])


def _field_of(value: Any) -> pa.Field | None:
    """The field of an array or of its type, for its metadata say what plain storage stands for, e.g. geometries."""
    if hasattr(value, "__arrow_c_schema__"):
        capsule = value.__arrow_c_schema__()
    elif hasattr(value, "__arrow_c_array__"):
        capsule = value.__arrow_c_array__()[0]
    else:
        return None
    return pa.Field._import_from_c_capsule(capsule)  # noqa: SLF001  pyarrow's own way


def _table_of_column(column: pa.ChunkedArray, field: pa.Field | None) -> pa.Table:
    metadata = (field.metadata or {}) if field is not None else {}
    if pa.types.is_struct(column.type) and _NAME not in metadata:
        return pa.Table.from_struct_array(column)
    unnamed = pa.field(_VALUE, column.type, metadata=metadata)
    return pa.table([column], schema=pa.schema([unnamed.with_name(_GEOMETRY) if _geometry_field(unnamed) else unnamed]))


def _geometry_field(field: pa.Field) -> GeometryField | None:
    import orjson

    metadata = field.metadata or {}
    name = metadata.get(_NAME, b"").decode() or str(getattr(field.type, "extension_name", ""))
    if not name.startswith("geoarrow."):
        return None
    details = metadata.get(_DETAILS)
    if details is None and hasattr(field.type, "__arrow_ext_serialize__"):
        details = field.type.__arrow_ext_serialize__()
    return GeometryField(encoding=name.removeprefix("geoarrow."), crs=orjson.loads(details or b"{}").get("crs"))


def _read_geometries(column: pa.ChunkedArray, field: GeometryField) -> Any:  # Any: a GeoSeries; geopandas has no types
    import geopandas as gpd
    import orjson

    if isinstance(column.type, pa.BaseExtensionType):
        column = column.cast(column.type.storage_type)
    if field.encoding == "wkb":
        return gpd.GeoSeries.from_wkb(column.to_numpy(), crs=field.crs)
    if field.encoding == "wkt":
        return gpd.GeoSeries.from_wkt(column.to_pylist(), crs=field.crs)
    metadata = {_NAME: f"geoarrow.{field.encoding}".encode(), _DETAILS: orjson.dumps({"crs": field.crs})}
    schema = pa.schema([pa.field(_VALUE, column.type, metadata=metadata)])
    try:
        return gpd.GeoDataFrame.from_arrow(pa.table([column], schema=schema)).geometry
    except TypeError as exc:
        raise UdfSerializationError(
            f"The UDF returned geometries encoded as geoarrow.{field.encoding}, which geopandas cannot read; turn them"
            " into geoarrow.wkb"
        ) from exc


def _has_numpy_type(kind: pa.DataType) -> bool:
    """Whether pandas takes a column of this type without making other values of them."""
    if types.is_dictionary(kind):
        return _has_numpy_type(kind.value_type)
    tests = (types.is_null, types.is_primitive, types.is_decimal, types.is_string, types.is_large_string)
    return any(test(kind) for test in (*tests, types.is_binary, types.is_large_binary)) and not types.is_interval(kind)


def _nullable(table: pa.Table) -> dict[str, Any]:
    """Integers and booleans with gaps → the pandas type that has gaps too; numpy's would make them floats."""
    import pandas as pd

    found: dict[str, Any] = {}
    for field in table.schema:
        if (types.is_integer(field.type) or types.is_boolean(field.type)) and table[field.name].null_count:
            name = str(field.type).title().replace("Ui", "UI")
            found[field.name] = pd.BooleanDtype() if name == "Bool" else pd.api.types.pandas_dtype(name)
    return found


def _objects(column: pa.ChunkedArray, index: pd.Index[Any]) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series(column.to_pylist(), index=index, dtype=object)
