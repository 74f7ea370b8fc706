"""JSON of everything that has a meaning in it; what is missing or no number is null, bytes in a table are base64."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.kinds import Kind, kind_of, type_name

if TYPE_CHECKING:
    from fused_jupyter.formats.target import Target


def encode_json(value: Any, target: Target | None = None) -> bytes:
    """The value as JSON; tables as a list of records, geometries as GeoJSON geometries in EPSG:4326.

    Arrays are nested lists; those of xarray have their dimensions, coordinates and attributes, as its ``to_dict`` and
    ``from_dict`` have them. A chart is its specification.

    Raises:
        UdfSerializationError: a part of the value has no meaning in JSON, or a number does not fit 64 bits.
    """
    del target
    write = dump if value is None else _WRITERS.get(kind_of(value), dump)
    return write(value)


def dump(value: Any) -> bytes:
    """The value as JSON; see `encode_json`."""
    import orjson

    option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(value, _plain, option)
    except orjson.JSONEncodeError as exc:
        if (plain := _plainer(value)) is not value:
            return dump(plain)
        raise _explain(value, exc) from exc


def dump_lines(values: list[Any]) -> list[str]:
    """Each value as a JSON text of its own; see `encode_json`."""
    import orjson

    if not values:
        return []
    option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    try:
        # Indented, each value stands on a line of its own, and no text has a line break in it: ten times as fast as to
        # write each by itself.
        text = orjson.dumps(values, _plain, option | orjson.OPT_INDENT_2).decode()
    except orjson.JSONEncodeError:
        return [_digits(value) if type(value) is int else dump(value).decode() for value in values]
    if "\n    " in text:  # values that have lines of their own
        return [orjson.dumps(value, _plain, option).decode() for value in values]
    return text[4:-2].split(",\n  ")


def _digits(number: int) -> str:
    """The number in full: in a table it may have more than the 64 bits to which orjson holds itself."""
    return str(number)


def _explain(value: Any, error: Exception) -> UdfSerializationError:
    if isinstance(error.__cause__, UdfSerializationError):
        return error.__cause__
    return UdfSerializationError(f"The UDF returned {type_name(value)} that JSON cannot carry: {error}")


def _plain(part: Any) -> Any:
    """What stands for a value that orjson does not know."""
    for base in type(part).__mro__:
        if (replace := _REPLACEMENTS.get((base.__module__.partition(".")[0], base.__name__))) is not None:
            return replace(part)
    if hasattr(part, "__arrow_c_stream__") or hasattr(part, "__arrow_c_array__"):
        return _fragment(_table(part))
    raise UdfSerializationError(f"The UDF returned a value with {type_name(part)} inside, which JSON cannot carry")


def _plainer(value: Any) -> Any:
    """The value without those keys and arrays that orjson refuses although they mean something; itself if none are."""
    if isinstance(value, Mapping):
        plain: Any = {_plain_key(key): _plainer(member) for key, member in value.items()}
        return value if list(map(id, _flatten(plain))) == list(map(id, _flatten(value))) else plain
    if isinstance(value, list | tuple):
        plain = [_plainer(member) for member in value]
        return value if all(new is old for new, old in zip(plain, value, strict=True)) else plain
    # Arrays of another machine's byte order, and moments of which some are missing.
    dtype: Any = getattr(value, "dtype", None)
    is_refused = hasattr(dtype, "isnative") and (dtype.kind in "mM" or not dtype.isnative)
    return _list(value) if is_refused and hasattr(value, "strides") else value


def _flatten(entries: Mapping[Any, Any]) -> Iterator[Any]:
    return chain.from_iterable(entries.items())


def _plain_key(key: Any) -> Any:
    if type(key).__module__.partition(".")[0] not in {"numpy", "pandas"}:
        return key
    plain = _plain(key)
    plain = _isoformat(plain) if hasattr(plain, "isoformat") else plain
    return plain if isinstance(plain, str | int | float) else key


def _fragment(text: bytes | str) -> Any:
    """What is JSON already."""
    import orjson

    return orjson.Fragment(text)


def _isoformat(moment: Any) -> str:
    return str(moment.isoformat())


def _list(array: Any) -> Any:
    import numpy as np

    kind = array.dtype.kind
    if array.dtype.names and array.ndim == 1:
        return [dict(zip(array.dtype.names, row, strict=True)) for row in array.tolist()]
    if kind in "cV":
        raise UdfSerializationError(
            f"The UDF returned an array of {array.dtype}, which JSON cannot carry; return its parts, such as .real"
        )
    if kind in "mM":
        return [_list(row) for row in array] if array.ndim else _moment(array[()])
    if isinstance(array, np.ma.MaskedArray):
        return array.filled(np.nan) if kind == "f" and array.ndim else array.tolist()
    if kind not in "biuf" or not array.ndim:
        return array.tolist()
    native = array.dtype.newbyteorder("=") if array.dtype.itemsize <= 8 else np.dtype("f8")
    return np.ascontiguousarray(array, dtype=native)


def _scalar(number: Any) -> Any:
    if number.dtype.kind in "mM":
        return _moment(number)
    return float(number) if number.dtype.kind == "f" else _list(number.reshape(()))


def _moment(number: Any) -> Any:
    import pandas as pd

    return pd.Series([number])[0]


def _data_array(array: Any) -> Any:
    if array.ndim < 2:
        return _list(array.values)
    return _variable(array) | {"name": array.name, "coords": _variables(array.coords)}


def _dataset(dataset: Any) -> Any:
    return {
        "dims": dict(dataset.sizes),
        "attrs": dataset.attrs,
        "coords": _variables(dataset.coords),
        "data_vars": _variables(dataset.data_vars),
    }


def _variables(variables: Any) -> dict[str, Any]:
    return {str(name): _variable(variable) for name, variable in variables.items()}


def _variable(variable: Any) -> dict[str, Any]:
    return {"dims": variable.dims, "attrs": variable.attrs, "data": variable.to_numpy()}


def _image(image: Any) -> Any:
    import numpy as np

    return np.asarray(image)


def _decimal(number: Any) -> Any:
    return _fragment(str(number)) if number.is_finite() else None


def _mapping(geometry: Any) -> Any:
    import numpy as np

    from fused_jupyter.formats.tabular._geojson import geometry_pieces

    head, (text,), tail = geometry_pieces(np.array([geometry], dtype=object))
    return _fragment(f"{head}{text}{tail}")


def _chart(chart: Any) -> bytes:
    from fused_jupyter.formats.charts import chart_json

    return chart_json(chart)


def _table(table: Any) -> bytes:
    from fused_jupyter.formats.tabular.tables import encode_records

    return encode_records(table)


def _null(missing: Any) -> None:
    del missing


def _base64(data: Any) -> str:
    return b64encode(data).decode()


_WRITERS: Final[dict[Kind, Callable[[Any], bytes]]] = {
    Kind.TABLE: _table,
    Kind.GEOMETRIES: _table,
    Kind.CHART: _chart,
}
"""The kinds of value that are more than a nest of plain data."""

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
    ("pandas", "DataFrame"): lambda table: _fragment(_table(table)),
    ("shapely", "BaseGeometry"): _mapping,
    ("numpy", "ndarray"): _list,
    ("numpy", "generic"): _scalar,
    ("xarray", "DataArray"): _data_array,
    ("xarray", "Dataset"): _dataset,
    ("PIL", "Image"): _image,
    ("matplotlib", "Figure"): lambda chart: _fragment(_chart(chart)),
    ("matplotlib", "Artist"): lambda chart: _fragment(_chart(chart)),
    ("altair", "TopLevelMixin"): lambda chart: _fragment(_chart(chart)),
    ("plotly", "BaseFigure"): lambda chart: _fragment(_chart(chart)),
    ("datetime", "timedelta"): lambda span: span.total_seconds(),
    ("decimal", "Decimal"): _decimal,
    ("builtins", "bytes"): _base64,
    ("builtins", "bytearray"): _base64,
    ("builtins", "memoryview"): _base64,
    ("_io", "BytesIO"): lambda stream: _base64(stream.getvalue()),
    ("builtins", "tuple"): list,
    ("pathlib", "PurePath"): str,
}
"""(top package, class name) → what orjson can write; the most derived class decides."""
