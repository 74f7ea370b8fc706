"""Paths and tags → the bytes of vector tile features, by whole arrays; `protobuf_kernel` gives the same bytes faster.

A feature is a protobuf message in which lengths come before contents. As field numbers, lengths and values are all
varints, a whole layer is one long list of numbers ("tokens"), of which only the lengths must be known before; so one
pass turns it into bytes.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Roles = NDArray[np.int8]
Tokens = NDArray[np.uint32]
Bytes = NDArray[np.uint8]

POINTS, LINE, OUTER, HOLE = 0, 1, 2, 3
"""The roles of a path. All points of a feature are one path."""
NO_ID: Final = -1

_MOVE_TO, _LINE_TO, _CLOSE_PATH = 1, 2, 15
_MORE: Final = 0x80


def encode_paths(points: Ints, starts: Ints, roles: Roles, features: Ints) -> tuple[Tokens, Ints]:
    """The geometry commands of features (MVT 2.1, section 4.3).

    Outer rings come out with positive area, holes with negative area, in tile coordinates with y down.

    Args:
        points: tile coordinates, shape (points, 2), x then y.
        starts: where each path begins in `points`, and the end of the last one; no path is empty, rings are open.
        roles: role of each path; holes follow their outer ring.
        features: where each feature begins in the paths, and the end of the last one; no feature is empty.

    Returns:
        The commands of all features, and how many each feature has.
    """
    counts = np.diff(starts)
    if (roles >= OUTER).any():
        areas = _doubled_areas(points, starts)
        points = _turn(points, starts, (roles >= OUTER) & ((areas > 0) != (roles == OUTER)))
    firsts = starts[features[:-1]]
    steps = points.copy()
    steps[1:] -= points[:-1]
    steps[firsts] = points[firsts]
    zigzag = ((steps << 1) ^ (steps >> 63)).astype(np.uint32)
    tokens, sizes = _commands(zigzag, counts, roles)
    return tokens, np.add.reduceat(sizes, features[:-1])


def encode_features(
    kinds: Tokens, ids: Ints, geometry: Tokens, geometry_counts: Ints, tags: Tokens, tag_counts: Ints
) -> bytes:
    """The features of a layer as protobuf fields.

    Args:
        kinds: geometry type of each feature, 1 points, 2 lines, 3 polygons.
        ids: number of each feature, or `NO_ID`.
        geometry: commands of all features.
        geometry_counts: how many of them each feature has, at least one.
        tags: key and value numbers of all features.
        tag_counts: how many of them each feature has.
    """
    tag_bytes = _sum_by_count(varint_sizes(tags), tag_counts)
    geometry_bytes = _sum_by_count(varint_sizes(geometry), geometry_counts)
    has_id, has_tags = ids != NO_ID, tag_counts > 0
    id_sizes = np.where(has_id, 1 + varint_sizes(np.maximum(ids, 0)), 0)
    tag_sizes = np.where(has_tags, 1 + varint_sizes(tag_bytes) + tag_bytes, 0)
    total_bytes = id_sizes + tag_sizes + 3 + varint_sizes(geometry_bytes) + geometry_bytes
    sizes = 6 + 2 * has_id + 2 * has_tags + tag_counts + geometry_counts
    begins = np.cumsum(sizes) - sizes
    tokens = np.empty(int(sizes.sum()), np.uint64 if ids.max(initial=0) >> 32 else np.uint32)
    tokens[begins], tokens[begins + 1] = 0x12, total_bytes
    tokens[begins[has_id] + 2], tokens[begins[has_id] + 3] = 0x08, ids[has_id]
    rest = begins + 2 + 2 * has_id
    tokens[rest[has_tags]], tokens[rest[has_tags] + 1] = 0x12, tag_bytes[has_tags]
    tokens[spread(rest + 2, tag_counts)] = tags
    rest += 2 * has_tags + tag_counts
    tokens[rest], tokens[rest + 1] = 0x18, kinds
    tokens[rest + 2], tokens[rest + 3] = 0x22, geometry_bytes
    tokens[spread(rest + 4, geometry_counts)] = geometry
    return write_varints(tokens)


def write_texts(data: Bytes, begins: Ints) -> bytes:
    """Texts as the ``values`` of a layer.

    Args:
        data: all texts in UTF-8.
        begins: where each text begins in `data`, and the end of the last one.
    """
    sizes = np.diff(begins)
    prefix = np.empty((len(sizes), 4), np.uint64)
    prefix[:, 0], prefix[:, 1] = 0x22, 1 + varint_sizes(sizes) + sizes
    prefix[:, 2], prefix[:, 3] = 0x0A, sizes
    prefix_sizes = 2 + varint_sizes(prefix[:, 1]) + varint_sizes(sizes)
    fields = np.empty(int((prefix_sizes + sizes).sum()), np.uint8)
    at = np.cumsum(prefix_sizes + sizes) - prefix_sizes - sizes
    fields[spread(at, prefix_sizes)] = np.frombuffer(write_varints(prefix.ravel()), np.uint8)
    fields[spread(at + prefix_sizes, sizes)] = data[begins[0] : begins[-1]]
    return fields.tobytes()


def write_integers(values: Ints) -> bytes:
    """Numbers as the ``values`` of a layer: ``sint`` where negative, else ``uint``."""
    negative = values < 0
    return _write_numbers(np.where(negative, 0x30, 0x28), np.where(negative, ~(values << 1), values))


def write_unsigned(values: NDArray[np.integer[Any]]) -> bytes:
    """The same for numbers beyond int64."""
    return _write_numbers(np.full(len(values), 0x28), values)


def _write_numbers(types: Ints, numbers: NDArray[np.integer[Any]]) -> bytes:
    fields = np.empty((len(numbers), 4), np.uint64)
    fields[:, 0], fields[:, 2], fields[:, 3] = 0x22, types, numbers
    fields[:, 1] = 1 + varint_sizes(fields[:, 3])
    return write_varints(fields.ravel())


def varint_sizes(values: NDArray[Any]) -> Ints:
    """How many bytes each unsigned number takes as a varint."""
    sizes = np.ones(len(values), np.int64)
    largest, bits = int(values.max(initial=0)), 7
    while largest >> bits:
        sizes += values >= np.asarray(1 << bits, values.dtype)
        bits += 7
    return sizes


def write_varints(values: NDArray[Any]) -> bytes:
    """Unsigned numbers as protobuf varints, one after another."""
    sizes = varint_sizes(values)
    begins = np.cumsum(sizes) - sizes
    out = np.empty(int(sizes.sum()), np.uint8)
    rest: NDArray[Any] = values
    size_left, at = sizes, begins
    while len(rest):
        longer = size_left > 1
        out[at] = (rest & 0x7F).astype(np.uint8) | (longer * np.uint8(_MORE))
        rest, size_left, at = rest[longer] >> 7, size_left[longer] - 1, at[longer] + 1
    return out.tobytes()


def spread(begins: Ints, counts: Ints, *, step: int = 1) -> Ints:
    """begin, begin + step, … for each begin, as many as its count says."""
    before = np.cumsum(counts) - counts
    numbers: Ints = np.repeat(begins - before * step, counts) + np.arange(int(counts.sum())) * step
    return numbers


def _doubled_areas(points: Ints, starts: Ints) -> Ints:
    following = np.arange(1, len(points) + 1)
    following[starts[1:] - 1] = starts[:-1]
    x, y = points[:, 0], points[:, 1]
    areas: Ints = np.add.reduceat(x * y[following] - x[following] * y, starts[:-1])
    return areas


def _turn(points: Ints, starts: Ints, backwards: NDArray[np.bool_]) -> Ints:
    if not backwards.any():
        return points
    counts = np.diff(starts)
    order = np.arange(len(points))
    mirrored = np.repeat(starts[:-1] + starts[1:] - 1, counts) - order
    return points[np.where(np.repeat(backwards, counts), mirrored, order)]


def _commands(steps: Tokens, counts: Ints, roles: Roles) -> tuple[Tokens, Ints]:
    """The commands of paths, and how many each path has."""
    drawn, closed = roles != POINTS, roles >= OUTER
    sizes = 2 * counts + 1 + drawn + closed
    begins = np.cumsum(sizes) - sizes
    tokens = np.empty(int(sizes.sum()), np.uint32)
    tokens[begins] = np.where(drawn, 1, counts) << 3 | _MOVE_TO
    tokens[begins[drawn] + 3] = (counts[drawn] - 1) << 3 | _LINE_TO
    tokens[(begins + sizes - 1)[closed]] = _CLOSE_PATH
    at = spread(begins + 1 + drawn, counts, step=2)
    at[np.cumsum(counts) - counts] -= drawn
    tokens[at], tokens[at + 1] = steps[:, 0], steps[:, 1]
    return tokens, sizes


def _sum_by_count(values: Ints, counts: Ints) -> Ints:
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
    last = np.cumsum(counts)
    sums: Ints = ends[last] - ends[last - counts]
    return sums
