"""`_mvt_numpy` as compiled loops: the same arguments, the same bytes, a fifth of the CPU.

Needs numba, the extra ``fast``. The first import on a machine compiles for some seconds; the result is kept on disk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fused_jupyter.formats._mvt_numpy import HOLE, LINE, OUTER, POINTS, Ints, Tokens

_compiled: Any = njit(cache=True, nogil=True)  # Any: what numba makes of a function has no type


def _collect_path(points: Ints, begin: int, end: int, role: int, out: Ints) -> int:
    """Copy a path without repeated points, an open ring; gives the number of points."""
    count = 0
    for i in range(begin, end):
        x, y = points[i, 0], points[i, 1]
        if count and role != POINTS and out[count - 1, 0] == x and out[count - 1, 1] == y:
            continue
        out[count, 0], out[count, 1] = x, y
        count += 1
    return count - 1 if role >= OUTER and count > 1 else count


def _doubled_area(path: Ints, count: int) -> int:
    area = 0
    for i in range(count):
        j = i + 1 if i + 1 < count else 0
        area += path[i, 0] * path[j, 1] - path[j, 0] * path[i, 1]
    return area


collect_path = _compiled(_collect_path)
doubled_area = _compiled(_doubled_area)


def _write_path(path: Ints, count: int, role: int, order: int, cursor: Ints, tokens: Tokens, at: int) -> int:
    """Write the commands of one path at `at`, in order or backwards, and move the cursor; gives the next free place."""
    tokens[at] = (count if role == POINTS else 1) << 3 | 1
    at += 1
    for k in range(count):
        if k == 1 and role != POINTS:
            tokens[at] = (count - 1) << 3 | 2
            at += 1
        i = k if order > 0 else count - 1 - k
        for axis in range(2):
            step = path[i, axis] - cursor[axis]
            tokens[at] = (step << 1) ^ (step >> 63)
            cursor[axis] = path[i, axis]
            at += 1
    if role >= OUTER:
        tokens[at] = 15
        at += 1
    return at


write_path = _compiled(_write_path)


def _encode_paths(points: Ints, starts: Ints, roles: NDArray[np.int8], features: Ints) -> tuple[Tokens, Ints]:
    paths = len(roles)
    tokens = np.empty(2 * len(points) + 3 * paths, np.uint32)
    counts = np.zeros(len(features) - 1, np.int64)
    longest = 0
    for i in range(paths):
        longest = max(longest, starts[i + 1] - starts[i])
    path = np.empty((longest, 2), np.int64)
    cursor = np.zeros(2, np.int64)
    at = 0
    for feature in range(len(features) - 1):
        begin = at
        cursor[:] = 0
        has_outer = False
        for i in range(features[feature], features[feature + 1]):
            role = roles[i]
            count = collect_path(points, starts[i], starts[i + 1], role, path)
            area = doubled_area(path, count) if role >= OUTER else 0
            is_kept = count >= 2 if role == LINE else role == POINTS or (count >= 3 and area != 0)
            if role == OUTER:
                has_outer = is_kept
            if is_kept and (role != HOLE or has_outer):
                order = -1 if role >= OUTER and (area > 0) != (role == OUTER) else 1
                at = write_path(path, count, role, order, cursor, tokens, at)
        counts[feature] = at - begin
    return tokens[:at], counts


def _varint_size(value: int) -> int:
    size = 1
    while value > 0x7F:
        value >>= 7
        size += 1
    return size


def _put_varint(out: NDArray[np.uint8], at: int, value: int) -> int:
    while value > 0x7F:
        out[at] = (value & 0x7F) | 0x80
        value >>= 7
        at += 1
    out[at] = value
    return at + 1


varint_size = _compiled(_varint_size)
put_varint = _compiled(_put_varint)


def _put_list(out: NDArray[np.uint8], at: int, values: Tokens, begin: int, end: int, size: int) -> int:
    """Write one packed field's length and values."""
    at = put_varint(out, at, size)
    for i in range(begin, end):
        at = put_varint(out, at, np.int64(values[i]))
    return at


def _sizes(values: Tokens, counts: Ints) -> Ints:
    sizes = np.zeros(len(counts), np.int64)
    i = 0
    for feature in range(len(counts)):
        for _ in range(counts[feature]):
            sizes[feature] += varint_size(np.int64(values[i]))
            i += 1
    return sizes


put_list = _compiled(_put_list)
list_sizes = _compiled(_sizes)


def _write_features(
    kinds: Tokens, geometry: Tokens, geometry_counts: Ints, tags: Tokens, tag_counts: Ints
) -> NDArray[np.uint8]:
    tag_bytes, geometry_bytes = list_sizes(tags, tag_counts), list_sizes(geometry, geometry_counts)
    # Each feature: two field numbers and lengths around it and around each of its lists, at most 5 bytes a length.
    out = np.empty(tag_bytes.sum() + geometry_bytes.sum() + 24 * len(kinds), np.uint8)
    at, tag, command = 0, 0, 0
    for feature in range(len(kinds)):
        tags_here, commands_here = tag_counts[feature], geometry_counts[feature]
        tag_size = 1 + varint_size(tag_bytes[feature]) + tag_bytes[feature] if tags_here else 0
        out[at] = 0x12
        size = tag_size + 3 + varint_size(geometry_bytes[feature]) + geometry_bytes[feature]
        at = put_varint(out, at + 1, size)
        if tags_here:
            out[at] = 0x12
            at = put_list(out, at + 1, tags, tag, tag + tags_here, tag_bytes[feature])
        out[at], out[at + 1], out[at + 2] = 0x18, kinds[feature], 0x22
        at = put_list(out, at + 3, geometry, command, command + commands_here, geometry_bytes[feature])
        tag, command = tag + tags_here, command + commands_here
    return out[:at]


encode_paths = _compiled(_encode_paths)
_features_array = _compiled(_write_features)


def encode_features(kinds: Tokens, geometry: Tokens, geometry_counts: Ints, tags: Tokens, tag_counts: Ints) -> bytes:
    """See `_mvt_numpy.encode_features`."""
    written: NDArray[Any] = _features_array(kinds, geometry, geometry_counts, tags, tag_counts)
    return written.tobytes()


def _compile() -> None:
    """Run both loops on one point: a worker's template imports this module, and its workers then find them compiled."""
    one, spans = np.zeros((1, 2), np.int64), np.array([0, 1], np.int64)
    tokens, counts = encode_paths(one, spans, np.zeros(1, np.int8), spans)
    encode_features(np.ones(1, np.uint32), tokens, counts, np.zeros(2, np.uint32), np.array([2], np.int64))


_compile()
