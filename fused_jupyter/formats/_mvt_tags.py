"""Columns → the keys, values and tags of a vector tile layer (MVT 2.1, sections 4.1 and 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fused_jupyter.formats._mvt_numpy import Ints, Tokens, spread, varint_sizes, write_varints
from fused_jupyter.formats.columns import as_text, plain_values

if TYPE_CHECKING:
    import pyarrow as pa

_VALUES_FIELD: Final = 0x22
_STRING, _FLOAT, _DOUBLE, _UINT, _SINT, _BOOL = 0x0A, 0x15, 0x19, 0x28, 0x30, 0x38


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """The attributes of all features."""

    keys: tuple[str, ...]
    fields: bytes
    """The layer's ``values`` fields, ready."""
    tokens: Tokens
    """Key number, value number, … of all features."""
    counts: Ints
    """How many tokens each feature has."""


def encode_tags(columns: Mapping[str, pd.Series[Any]], count: int) -> Tags:
    """The attributes of `count` features, one row each; what is missing has no tag."""
    keys, blobs, numbers = [], [], []
    base = 0
    for name, column in columns.items():
        codes, values = _encode_column(column)
        if values.count and (codes >= 0).any():
            keys.append(name)
            numbers.append(np.where(codes >= 0, codes + base, -1))
            blobs.append(values.body)
            base += values.count
    pairs = np.empty((count, len(keys), 2), np.int64)
    pairs[:, :, 0] = np.arange(len(keys))
    for position, codes in enumerate(numbers):
        pairs[:, position, 1] = codes
    present = pairs[:, :, 1] >= 0
    tokens = pairs.astype(np.uint32).ravel() if present.all() else pairs[present].astype(np.uint32).ravel()
    return Tags(keys=tuple(keys), fields=b"".join(blobs), tokens=tokens, counts=2 * present.sum(axis=1, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class _Values:
    """Some values of the layer: their fields, one after another, and how many they are."""

    body: bytes
    count: int


def _encode_column(column: pd.Series[Any]) -> tuple[Ints, _Values]:
    """The number of each row's value, -1 for none, and the values."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in _FIXED:
        codes, uniques = pd.factorize(column.to_numpy())
        return codes.astype(np.int64), _Values(_FIXED[dtype.kind](uniques), len(uniques))
    if str(dtype) == "category":
        return _encode_categories(column)
    if dtype.kind in _FIXED:
        return _encode_nullable(column)
    if dtype.kind in "mM":
        return _encode_moments(column)
    return _encode_texts(column) or _encode_objects(column)


def _encode_nullable(column: pd.Series[Any]) -> tuple[Ints, _Values]:
    missing = column.isna().to_numpy()
    present = column[~missing].to_numpy(_PLAIN[column.dtype.kind])
    codes = np.full(len(column), -1, np.int64)
    codes[~missing], values = _encode_column(pd.Series(present))
    return codes, values


def _encode_moments(column: pd.Series[Any]) -> tuple[Ints, _Values]:
    codes, moments = pd.factorize(column)
    body = _encode_strings([moment.isoformat() for moment in cast("Iterable[Any]", moments)])
    return codes.astype(np.int64), _Values(body, len(moments))


def _encode_categories(column: pd.Series[Any]) -> tuple[Ints, _Values]:
    codes, values = _encode_column(column.cat.categories.to_series())
    own = column.cat.codes.to_numpy().astype(np.int64)
    return np.where(own < 0, -1, codes[own] if len(codes) else -1), values


def _encode_texts(column: pd.Series[Any]) -> tuple[Ints, _Values] | None:
    """As `_encode_column`, for texts; None if the column has anything else."""
    import pyarrow as pa

    try:
        array = pa.array(column.array, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return None
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return None
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    encoded = array.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, _Values(_encode_strings(encoded.dictionary), len(encoded.dictionary))


def _encode_booleans(values: NDArray[np.bool_]) -> bytes:
    return b"".join(_field(bytes((_BOOL, value))) for value in values.tolist())


def _encode_integers(values: NDArray[np.integer[Any]]) -> bytes:
    if values.dtype.kind == "i":
        values = values.astype(np.int64)
    negative = values < 0
    numbers = np.where(negative, ~(values << 1), values).astype(np.uint64)
    fields = np.empty((len(values), 4), np.uint64)
    fields[:, 0] = _VALUES_FIELD
    fields[:, 2] = np.where(negative, _SINT, _UINT)
    fields[:, 3] = numbers
    fields[:, 1] = 1 + varint_sizes(numbers)
    return write_varints(fields.ravel())


def _encode_floats(values: NDArray[np.floating[Any]]) -> bytes:
    values = values.astype(np.float32 if values.dtype.itemsize <= 4 else np.float64)
    width = values.dtype.itemsize
    fields = np.empty((len(values), 3 + width), np.uint8)
    fields[:, :3] = _VALUES_FIELD, 1 + width, _FLOAT if width == 4 else _DOUBLE
    fields[:, 3:] = values.astype(values.dtype.newbyteorder("<")).view(np.uint8).reshape(-1, width)
    return fields.tobytes()


def _encode_strings(texts: Sequence[str] | pa.Array) -> bytes:
    import pyarrow as pa

    array = texts.cast(pa.large_string()) if isinstance(texts, pa.Array) else pa.array(texts, pa.large_string())
    _, offsets, data = array.buffers()
    begins = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    sizes = np.diff(begins)
    prefix = np.empty((len(sizes), 4), np.uint64)
    prefix[:, 0], prefix[:, 1] = _VALUES_FIELD, 1 + varint_sizes(sizes) + sizes
    prefix[:, 2], prefix[:, 3] = _STRING, sizes
    prefix_sizes = 2 + varint_sizes(prefix[:, 1]) + varint_sizes(sizes)
    fields = np.empty(int((prefix_sizes + sizes).sum()), np.uint8)
    at = np.cumsum(prefix_sizes + sizes) - prefix_sizes - sizes
    fields[spread(at, prefix_sizes)] = np.frombuffer(write_varints(prefix.ravel()), np.uint8)
    fields[spread(at + prefix_sizes, sizes)] = np.frombuffer(data or b"", np.uint8)[begins[0] : begins[-1]]
    return fields.tobytes()


def _encode_objects(column: pd.Series[Any]) -> tuple[Ints, _Values]:
    """Columns of mixed types: each value as what it is, equal only to its like (1, 1.0 and True are three values)."""
    numbers: dict[bytes, int] = {}
    codes = np.full(len(column), -1, np.int64)
    for row, value in enumerate(plain_values(column)):
        if value is not None:
            codes[row] = numbers.setdefault(_encode_any(value), len(numbers))
    return codes, _Values(b"".join(numbers), len(numbers))


def _encode_any(value: Any) -> bytes:
    if isinstance(value, bool | np.bool_):
        return _field(bytes((_BOOL, bool(value))))
    if isinstance(value, int | np.integer) and -(1 << 63) <= value < (1 << 63):
        return _encode_integers(np.array([int(value)], np.int64))
    if isinstance(value, float | np.floating):
        return _encode_floats(np.array([float(value)]))
    return _encode_strings([as_text(value)])


def _field(message: bytes) -> bytes:
    return bytes((_VALUES_FIELD,)) + varint(len(message)) + message


def varint(value: int) -> bytes:
    """One protobuf varint."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


_FIXED: Final[dict[str, Callable[[NDArray[Any]], bytes]]] = {
    "b": _encode_booleans,
    "i": _encode_integers,
    "u": _encode_integers,
    "f": _encode_floats,
}
_PLAIN: Final[dict[str, Any]] = {"b": np.bool_, "i": np.int64, "u": np.uint64, "f": np.float64}
