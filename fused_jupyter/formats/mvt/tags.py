"""Columns → the keys, values and tags of a vector tile layer (MVT 2.1, sections 4.1 and 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.mvt.kernels import Kernel
from fused_jupyter.formats.mvt.protobuf import Ints, Tokens, write_unsigned
from fused_jupyter.formats.tabular.columns import as_text, plain_values

if TYPE_CHECKING:
    import pyarrow as pa

_VALUES_FIELD: Final = 0x22
_FLOAT, _DOUBLE, _BOOL = 0x15, 0x19, 0x38
_MANY_VALUES: Final = 128
"""Fewer are told apart at once; of more, a sample says whether that is worth it."""


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


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of a column."""

    codes: Ints
    """The number of each row's value, -1 for none."""
    body: bytes
    """The values' fields, one after another."""
    count: int


def encode_tags(columns: Mapping[str, pd.Series[Any]], count: int, kernel: Kernel) -> Tags:
    """The attributes of `count` features, one row each; what is missing has no tag.

    Raises:
        UdfSerializationError: a value without a meaning in JSON; the message names the column.
    """
    encoded = {name: _encode_named(name, column, kernel) for name, column in columns.items()}
    encoded = {name: values for name, values in encoded.items() if values.count and (values.codes >= 0).any()}
    keys = tuple(encoded)
    # Columns of few values come first: their numbers are in all features, and should be short ones.
    order = sorted(range(len(keys)), key=lambda position: encoded[keys[position]].count)
    pairs = np.empty((count, len(keys), 2), np.uint32)
    pairs[:, :, 0] = np.arange(len(keys), dtype=np.uint32)
    is_present = np.ones((count, len(keys)), bool)
    base = 0
    for position in order:
        values = encoded[keys[position]]
        pairs[:, position, 1] = values.codes + base
        np.greater_equal(values.codes, 0, out=is_present[:, position])
        base += values.count
    return Tags(
        keys=keys,
        fields=b"".join(encoded[keys[position]].body for position in order),
        tokens=pairs.ravel() if is_present.all() else pairs[is_present].ravel(),
        counts=2 * is_present.sum(axis=1, dtype=np.int64),
    )


def _encode_named(name: str, column: pd.Series[Any], kernel: Kernel) -> _Values:
    try:
        return _encode_column(column, kernel)
    except UdfSerializationError as exc:
        raise UdfSerializationError(f"Column {name!r}: {exc.message}") from exc


def _encode_column(column: pd.Series[Any], kernel: Kernel) -> _Values:
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in _FIXED:
        return _encode_fixed(column.to_numpy().astype(dtype.newbyteorder("="), copy=False), kernel)
    if str(dtype) == "category":
        return _encode_categories(column, kernel)
    if dtype.kind in _FIXED:
        is_present = column.notna().to_numpy()
        values = column[is_present].to_numpy(_PLAIN[dtype.kind])
        return _with_gaps(_encode_fixed(values, kernel), is_present)
    if dtype.kind in "mM":
        codes, moments = pd.factorize(column)
        return _Values(codes.astype(np.int64), _encode_strings(_moment_texts(moments), kernel), len(moments))
    return _encode_texts(column, kernel) or _encode_objects(column, kernel)


def _with_gaps(values: _Values, is_present: NDArray[np.bool_]) -> _Values:
    if is_present.all():
        return values
    codes = np.full(len(is_present), -1, np.int64)
    codes[is_present] = values.codes
    return _Values(codes, values.body, values.count)


def _encode_fixed(values: NDArray[Any], kernel: Kernel) -> _Values:
    if values.dtype.kind == "f" and (is_missing := np.isnan(values)).any():
        return _with_gaps(_encode_fixed(values[~is_missing], kernel), ~is_missing)
    if values.dtype.kind != "b" and _seem_distinct(values):
        codes, distinct = np.arange(len(values)), values
    else:
        codes, distinct = pd.factorize(values)
    return _Values(codes.astype(np.int64, copy=False), _FIXED[values.dtype.kind](distinct, kernel), len(distinct))


def _seem_distinct(values: NDArray[Any]) -> bool:
    """Whether it is not worth looking for equal values, by those beside one another and a sample.

    Two equal values more cost a tile some bytes; to find all equal ones costs a column most of its time.
    """
    count = len(values)
    if count < _MANY_VALUES or np.count_nonzero(values[1:] == values[:-1]) * 20 > count:
        return False
    sample = values[:: max(1, count // _sample_size(count))]
    return len(np.unique(sample)) == len(sample)


def _sample_size(count: int) -> int:
    """Of so many values of which each is there twice, a sample of this size has a pair for all but certain."""
    return max(_MANY_VALUES, 4 * isqrt(count))


def _moment_texts(moments: Any) -> Sequence[str] | pa.Array:
    """Each as `isoformat` has it; whole seconds by Arrow, which has the same in a twentieth of the time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(moments, pd.DatetimeIndex) and str(moments.tz) in {"None", "UTC"}:
        values = moments.tz_localize(None).to_numpy()
        seconds = values.astype("datetime64[s]")
        if ((seconds == values) & (seconds >= np.datetime64("1000")) & (seconds < np.datetime64("10000"))).all():
            texts = pc.replace_substring(pa.array(seconds).cast(pa.string()), " ", "T")
            return texts if moments.tz is None else pc.binary_join_element_wise(texts, "+00:00", "")
    return [moment.isoformat() for moment in moments]


def _encode_categories(column: pd.Series[Any], kernel: Kernel) -> _Values:
    own = column.cat.codes.to_numpy()
    is_present = own >= 0
    used, codes = np.unique(own[is_present], return_inverse=True)
    values = _encode_column(column.cat.categories[used].to_series(), kernel)
    return _with_gaps(_Values(values.codes[codes], values.body, values.count), is_present)


def _encode_texts(column: pd.Series[Any], kernel: Kernel) -> _Values | None:
    """As `_encode_column`, for texts; None if the column has anything else."""
    import pyarrow as pa

    try:
        array = pa.array(column.array, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return None
    if pa.types.is_string_view(array.type):
        array = array.cast(pa.large_string())
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return None
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if array.null_count:
        present = _encode_text_array(array.drop_null(), kernel)
        return _with_gaps(present, array.is_valid().to_numpy(zero_copy_only=False))
    return _encode_text_array(array, kernel)


def _encode_text_array(array: pa.Array, kernel: Kernel) -> _Values:
    count = len(array)
    if count >= _MANY_VALUES:
        sample = array.take(np.arange(0, count, max(1, count // _sample_size(count))))
        beside = array[: _sample_size(count)]
        if all(len(some.dictionary_encode().dictionary) == len(some) for some in (sample, beside)):
            return _Values(np.arange(count), _encode_strings(array, kernel), count)
    encoded = array.dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)
    return _Values(codes, _encode_strings(encoded.dictionary, kernel), len(encoded.dictionary))


def _encode_booleans(values: NDArray[np.bool_], kernel: Kernel) -> bytes:
    del kernel
    return b"".join(_field(bytes((_BOOL, value))) for value in values.tolist())


def _encode_integers(values: NDArray[np.integer[Any]], kernel: Kernel) -> bytes:
    if values.dtype == np.uint64 and values.max(initial=0) > np.iinfo(np.int64).max:
        return write_unsigned(values)
    return kernel.write_integers(values.astype(np.int64))


def _encode_floats(values: NDArray[np.floating[Any]], kernel: Kernel) -> bytes:
    del kernel
    values = values.astype(np.float32 if values.dtype.itemsize <= 4 else np.float64)
    width = values.dtype.itemsize
    fields = np.empty((len(values), 3 + width), np.uint8)
    fields[:, :3] = _VALUES_FIELD, 1 + width, _FLOAT if width == 4 else _DOUBLE
    fields[:, 3:] = values.astype(values.dtype.newbyteorder("<")).view(np.uint8).reshape(-1, width)
    return fields.tobytes()


def _encode_strings(texts: Sequence[str] | pa.Array, kernel: Kernel) -> bytes:
    import pyarrow as pa

    array = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.large_string())
    _, offsets, data = array.buffers()
    width = np.int64 if pa.types.is_large_string(array.type) else np.int32
    begins = np.frombuffer(offsets, width)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    return kernel.write_texts(np.frombuffer(data or b"", np.uint8), begins)


def _encode_objects(column: pd.Series[Any], kernel: Kernel) -> _Values:
    """Columns of mixed types: each value as what it is, equal only to its like (1, 1.0 and True are three values)."""
    numbers: dict[bytes, int] = {}
    codes = np.full(len(column), -1, np.int64)
    for row, value in enumerate(plain_values(column)):
        if value is not None:
            codes[row] = numbers.setdefault(_encode_any(value, kernel), len(numbers))
    return _Values(codes, b"".join(numbers), len(numbers))


def _encode_any(value: Any, kernel: Kernel) -> bytes:
    if isinstance(value, bool | np.bool_):
        return _field(bytes((_BOOL, bool(value))))
    if isinstance(value, int | np.integer) and -(1 << 63) <= value < (1 << 64):
        return _encode_integers(np.array([int(value)], np.uint64 if value >> 63 > 0 else np.int64), kernel)
    if isinstance(value, float | np.floating):
        return _encode_floats(np.array([float(value)]), kernel)
    return _encode_strings([as_text(value)], kernel)


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


_FIXED: Final[dict[str, Callable[[NDArray[Any], Kernel], bytes]]] = {
    "b": _encode_booleans,
    "i": _encode_integers,
    "u": _encode_integers,
    "f": _encode_floats,
}
_PLAIN: Final[dict[str, Any]] = {"b": np.bool_, "i": np.int64, "u": np.uint64, "f": np.float64}
