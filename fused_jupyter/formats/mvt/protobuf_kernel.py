"""`protobuf` as compiled loops: the same arguments, the same bytes, a fifth of the CPU.

Needs numba, the extra ``fast``. The first import on a machine compiles for some seconds; the result is kept on disk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from fused_jupyter.formats.mvt.protobuf import NO_ID, OUTER, POINTS, Bytes, Ints, Roles, Tokens
from fused_jupyter.formats.mvt.thin_kernel import compile_outlines

_compiled: Any = njit(cache=True, nogil=True)  # Any: what numba makes of a function has no type


def _doubled_area(points: Ints, begin: int, end: int) -> int:
    area = 0
    for i in range(begin, end):
        j = i + 1 if i + 1 < end else begin
        area += points[i, 0] * points[j, 1] - points[j, 0] * points[i, 1]
    return area


def _write_path(points: Ints, begin: int, count: int, role: int, order: int, cursor: Ints, tokens: Tokens) -> int:
    """Write the commands of one path, in order or backwards, and move the cursor; gives how many."""
    tokens[0] = (count if role == POINTS else 1) << 3 | 1
    at = 1
    for k in range(count):
        if k == 1 and role != POINTS:
            tokens[at] = (count - 1) << 3 | 2
            at += 1
        i = begin + (k if order > 0 else count - 1 - k)
        for axis in range(2):
            step = points[i, axis] - cursor[axis]
            tokens[at] = (step << 1) ^ (step >> 63)
            cursor[axis] = points[i, axis]
            at += 1
    if role >= OUTER:
        tokens[at] = 15
        at += 1
    return at


doubled_area = _compiled(_doubled_area)
write_path = _compiled(_write_path)


def _encode_paths(points: Ints, starts: Ints, roles: Roles, features: Ints) -> tuple[Tokens, Ints]:
    tokens = np.empty(2 * len(points) + 3 * len(roles), np.uint32)
    counts = np.zeros(len(features) - 1, np.int64)
    cursor = np.zeros(2, np.int64)
    at = 0
    for feature in range(len(features) - 1):
        begin = at
        cursor[:] = 0
        for i in range(features[feature], features[feature + 1]):
            role = roles[i]
            is_turned = role >= OUTER and (doubled_area(points, starts[i], starts[i + 1]) > 0) != (role == OUTER)
            count = starts[i + 1] - starts[i]
            at += write_path(points, starts[i], count, role, -1 if is_turned else 1, cursor, tokens[at:])
        counts[feature] = at - begin
    return tokens[:at], counts


def _varint_size(value: np.uint64) -> int:
    size = 1
    while value > np.uint64(0x7F):
        value >>= np.uint64(7)
        size += 1
    return size


def _put_varint(out: Bytes, at: int, value: np.uint64) -> int:
    while value > np.uint64(0x7F):
        out[at] = (value & np.uint64(0x7F)) | np.uint64(0x80)
        value >>= np.uint64(7)
        at += 1
    out[at] = value
    return at + 1


varint_size = _compiled(_varint_size)
put_varint = _compiled(_put_varint)


def _put_list(out: Bytes, at: int, values: Tokens, begin: int, end: int, size: int) -> int:
    """Write one packed field's length and values."""
    at = put_varint(out, at, np.uint64(size))
    for i in range(begin, end):
        at = put_varint(out, at, np.uint64(values[i]))
    return at


def _sizes(values: Tokens, counts: Ints) -> Ints:
    sizes = np.zeros(len(counts), np.int64)
    i = 0
    for feature in range(len(counts)):
        for _ in range(counts[feature]):
            sizes[feature] += varint_size(np.uint64(values[i]))
            i += 1
    return sizes


put_list = _compiled(_put_list)
list_sizes = _compiled(_sizes)


def _write_features(
    kinds: Tokens, ids: Ints, geometry: Tokens, geometry_counts: Ints, tags: Tokens, tag_counts: Ints
) -> Bytes:
    tag_bytes, geometry_bytes = list_sizes(tags, tag_counts), list_sizes(geometry, geometry_counts)
    # Each feature: two field numbers and lengths around it and around each of its lists, at most 5 bytes a length; and
    # at most 11 bytes of number.
    out = np.empty(tag_bytes.sum() + geometry_bytes.sum() + 35 * len(kinds), np.uint8)
    at, tag, command = 0, 0, 0
    for feature in range(len(kinds)):
        tags_here, commands_here = tag_counts[feature], geometry_counts[feature]
        has_id = ids[feature] != NO_ID
        id_size = 1 + varint_size(np.uint64(ids[feature])) if has_id else 0
        tag_size = 1 + varint_size(np.uint64(tag_bytes[feature])) + tag_bytes[feature] if tags_here else 0
        out[at] = 0x12
        size = id_size + tag_size + 3 + varint_size(np.uint64(geometry_bytes[feature])) + geometry_bytes[feature]
        at = put_varint(out, at + 1, np.uint64(size))
        if has_id:
            out[at] = 0x08
            at = put_varint(out, at + 1, np.uint64(ids[feature]))
        if tags_here:
            out[at] = 0x12
            at = put_list(out, at + 1, tags, tag, tag + tags_here, tag_bytes[feature])
        out[at], out[at + 1], out[at + 2] = 0x18, kinds[feature], 0x22
        at = put_list(out, at + 3, geometry, command, command + commands_here, geometry_bytes[feature])
        tag, command = tag + tags_here, command + commands_here
    return out[:at]


def _write_texts(data: Bytes, begins: Ints) -> Bytes:
    count = len(begins) - 1
    out = np.empty(begins[count] - begins[0] + 22 * count, np.uint8)
    at = 0
    for i in range(count):
        size = begins[i + 1] - begins[i]
        out[at] = 0x22
        at = put_varint(out, at + 1, np.uint64(1 + varint_size(np.uint64(size)) + size))
        out[at] = 0x0A
        at = put_varint(out, at + 1, np.uint64(size))
        for k in range(begins[i], begins[i + 1]):
            out[at] = data[k]
            at += 1
    return out[:at]


def _write_integers(values: Ints) -> Bytes:
    out = np.empty(13 * len(values), np.uint8)
    at = 0
    for value in values:
        number = np.uint64(value) if value >= 0 else np.uint64(~(value << 1))
        out[at], out[at + 1], out[at + 2] = 0x22, 1 + varint_size(number), 0x28 if value >= 0 else 0x30
        at = put_varint(out, at + 3, number)
    return out[:at]


encode_paths = _compiled(_encode_paths)
_features_array = _compiled(_write_features)
_texts_array = _compiled(_write_texts)
_integers_array = _compiled(_write_integers)


def encode_features(
    kinds: Tokens, ids: Ints, geometry: Tokens, geometry_counts: Ints, tags: Tokens, tag_counts: Ints
) -> bytes:
    """See `protobuf.encode_features`."""
    written: Bytes = _features_array(kinds, ids, geometry, geometry_counts, tags, tag_counts)
    return written.tobytes()


def write_texts(data: Bytes, begins: Ints) -> bytes:
    """See `protobuf.write_texts`."""
    written: Bytes = _texts_array(data, begins)
    return written.tobytes()


def write_integers(values: Ints) -> bytes:
    """See `protobuf.write_integers`."""
    written: Bytes = _integers_array(values)
    return written.tobytes()


def _compile() -> None:
    """Run all loops once: a worker's template imports this module, and its workers then find them compiled."""
    one, spans = np.zeros((1, 2), np.int64), np.array([0, 1], np.int64)
    tokens, counts = encode_paths(one, spans, np.zeros(1, np.int8), spans)
    tags, tag_counts = np.zeros(2, np.uint32), np.array([2], np.int64)
    encode_features(np.ones(1, np.uint32), np.full(1, NO_ID), tokens, counts, tags, tag_counts)
    write_texts(np.zeros(1, np.uint8), spans)
    write_integers(np.ones(1, np.int64))
    compile_outlines()


_compile()
