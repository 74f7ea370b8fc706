"""JSON of everything that has a meaning in it; what is missing or no number is null, bytes in a table are base64."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.kinds import Kind, kind_of, type_name

if TYPE_CHECKING:
    from fused_jupyter.formats.target import Target

_TABULAR: Final = frozenset({Kind.TABLE, Kind.GEOMETRIES})


def encode_json(value: Any, target: Target | None = None) -> bytes:
    """The value as JSON; tables as a list of records, geometries as GeoJSON geometries in EPSG:4326.

    Raises:
        UdfSerializationError: a part of the value has no meaning in JSON, or a number does not fit 64 bits.
    """
    del target
    if value is not None and kind_of(value) in _TABULAR:
        from fused_jupyter.formats.tables import to_records

        value = to_records(value)
    return dump(value)


def dump(value: Any) -> bytes:
    """The value as JSON; see `encode_json`."""
    import orjson

    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as exc:
        raise _explain(value, exc) from exc


def dump_each(rows: list[dict[str, Any]]) -> list[str]:
    """Each row as a JSON text of its own; see `encode_json`."""
    import orjson

    write, option = orjson.dumps, orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    try:
        return [write(row, _plain, option).decode() for row in rows]
    except orjson.JSONEncodeError as exc:
        raise _explain(rows, exc) from exc


def _explain(value: Any, error: Exception) -> UdfSerializationError:
    if isinstance(error.__cause__, UdfSerializationError):
        return error.__cause__
    return UdfSerializationError(f"The UDF returned {type_name(value)} that JSON cannot carry: {error}")


def _plain(part: Any) -> Any:
    """What stands for a value that orjson does not know."""
    kind = type(part)
    for base in kind.__mro__:
        if (replace := _REPLACEMENTS.get((base.__module__.partition(".")[0], base.__name__))) is not None:
            return replace(part)
    raise UdfSerializationError(f"The UDF returned a value with {type_name(part)} inside, which JSON cannot carry")


def _records(table: Any) -> Any:
    from fused_jupyter.formats.tables import to_records

    return to_records(table)


def _isoformat(moment: Any) -> str:
    return str(moment.isoformat())


def _list(array: Any) -> Any:
    if array.dtype.kind in "cV":
        raise UdfSerializationError(f"The UDF returned an array of {array.dtype}, which JSON cannot carry")
    return array.tolist()


def _mapping(geometry: Any) -> Any:
    from shapely.geometry import mapping

    return mapping(geometry)


def _null(missing: Any) -> None:
    del missing


_REPLACEMENTS: Final[dict[tuple[str, str], Callable[[Any], Any]]] = {
    ("pandas", "NaTType"): _null,
    ("pandas", "NAType"): _null,
    ("numpy", "MaskedConstant"): _null,
    ("pandas", "Timestamp"): _isoformat,
    ("pandas", "Timedelta"): _isoformat,
    ("pandas", "Period"): str,
    ("pandas", "Interval"): str,
    ("pandas", "Index"): list,
    ("pandas", "Series"): list,
    ("pandas", "DataFrame"): _records,
    ("pyarrow", "Table"): _records,
    ("shapely", "BaseGeometry"): _mapping,
    ("numpy", "ndarray"): _list,
    ("xarray", "DataArray"): lambda array: _list(array.values),
    ("datetime", "timedelta"): lambda span: span.total_seconds(),
    ("decimal", "Decimal"): float,
    ("builtins", "bytes"): lambda data: b64encode(data).decode(),
    ("pathlib", "PurePath"): str,
}
"""(top package, class name) → what orjson can write; the most derived class decides."""
