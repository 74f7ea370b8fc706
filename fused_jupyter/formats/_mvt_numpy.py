"""Paths and tags → the bytes of vector tile features, by whole arrays; `_mvt_kernel` gives the same bytes faster.

A feature is a protobuf message in which lengths come before contents. As field numbers, lengths and values are all
varints, a whole layer is one long list of numbers ("tokens"), of which only the lengths must be known before; so one
pass turns it into bytes.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Tokens = NDArray[np.uint32]

POINTS, LINE, OUTER, HOLE = 0, 1, 2, 3
"""The roles of a path. All points of a feature are one path."""

_MOVE_TO, _LINE_TO, _CLOSE_PATH = 1, 2, 15
_MORE: Final = 0x80


def encode_paths(points: Ints, starts: Ints, roles: NDArray[np.int8], features: Ints) -> tuple[Tokens, Ints]:
    """The geometry commands of features (MVT 2.1, section 4.3).

    Repeated points, lines of one point and rings without area are dropped; outer rings come out with positive area,
    holes with negative area, in tile coordinates with y down.

    Args:
        points: tile coordinates, shape (points, 2), x then y.
        starts: where each path begins in `points`, and the end of the last one; no path is empty, rings are closed.
        roles: role of each path; holes follow their outer ring.
        features: where each feature begins in the paths, and the end of the last one; no feature is empty.

    Returns:
        The commands of all features, and how many each feature has: 0 if nothing was left of it.
    """
    points, counts = _drop_repeated(points, starts, roles)
    areas = _doubled_areas(points, counts)
    kept = _kept_paths(counts, areas, roles)
    points = _turn(points, counts, (roles >= OUTER) & ((areas > 0) != (roles == OUTER)))
    points, counts_kept = points[np.repeat(kept, counts)], counts[kept]
    feature_of_path = np.repeat(np.arange(len(features) - 1), np.diff(features))[kept]
    steps = _zigzag_steps(points, counts_kept, feature_of_path)
    return _commands(steps, counts_kept, roles[kept], feature_of_path, len(features) - 1)


def encode_features(kinds: Tokens, geometry: Tokens, geometry_counts: Ints, tags: Tokens, tag_counts: Ints) -> bytes:
    """The features of a layer as protobuf fields.

    Args:
        kinds: geometry type of each feature, 1 points, 2 lines, 3 polygons.
        geometry: commands of all features.
        geometry_counts: how many of them each feature has, at least one.
        tags: key and value numbers of all features.
        tag_counts: how many of them each feature has.
    """
    if not len(kinds):
        return b""
    tag_bytes = _sum_by_count(varint_sizes(tags), tag_counts)
    geometry_bytes = _sum_by_count(varint_sizes(geometry), geometry_counts)
    has_tags = tag_counts > 0
    tag_sizes = np.where(has_tags, 1 + varint_sizes(tag_bytes) + tag_bytes, 0)
    total_bytes = tag_sizes + 3 + varint_sizes(geometry_bytes) + geometry_bytes
    sizes = 6 + 2 * has_tags + tag_counts + geometry_counts
    begins = np.cumsum(sizes) - sizes
    tokens = np.empty(int(sizes.sum()), np.uint32)
    tokens[begins], tokens[begins + 1] = 0x12, total_bytes
    tagged = begins[has_tags]
    tokens[tagged + 2], tokens[tagged + 3] = 0x12, tag_bytes[has_tags]
    tokens[spread(begins + 4, tag_counts)] = tags
    rest = begins + 2 + 2 * has_tags + tag_counts
    tokens[rest], tokens[rest + 1] = 0x18, kinds
    tokens[rest + 2], tokens[rest + 3] = 0x22, geometry_bytes
    tokens[spread(rest + 4, geometry_counts)] = geometry
    return write_varints(tokens)


def varint_sizes(values: NDArray[Any]) -> Ints:
    """How many bytes each unsigned number takes as a varint."""
    sizes = np.ones(len(values), np.int64)
    largest, bits = int(values.max(initial=0)), 7
    while largest >> bits:
        sizes += values >= np.asarray(1 << bits, values.dtype)
        bits += 7
    return sizes


def write_varints(values: NDArray[np.unsignedinteger[Any]]) -> bytes:
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


def _drop_repeated(points: Ints, starts: Ints, roles: NDArray[np.int8]) -> tuple[Ints, Ints]:
    counts = np.diff(starts)
    keep = np.ones(len(points), bool)
    keep[1:] = (points[1:] != points[:-1]).any(axis=1)
    keep[starts[:-1]] = True
    if (roles == POINTS).any():
        keep |= np.repeat(roles == POINTS, counts)
    # A ring ends where it began; ClosePath says so, not a point. It is the last point that was kept.
    kept = np.add.reduceat(keep, starts[:-1], dtype=np.int64)
    points = points[keep]
    closing = (np.cumsum(kept) - 1)[(roles >= OUTER) & (kept > 1)]
    kept[(roles >= OUTER) & (kept > 1)] -= 1
    return np.delete(points, closing, axis=0), kept


def _doubled_areas(points: Ints, counts: Ints) -> Ints:
    begins = np.cumsum(counts) - counts
    following = np.arange(1, len(points) + 1)
    following[begins + counts - 1] = begins
    x, y = points[:, 0], points[:, 1]
    areas: Ints = np.add.reduceat(x * y[following] - x[following] * y, begins)
    return areas


def _kept_paths(counts: Ints, areas: Ints, roles: NDArray[np.int8]) -> NDArray[np.bool_]:
    kept: NDArray[np.bool_] = np.where(roles >= OUTER, (counts >= 3) & (areas != 0), (counts >= 2) | (roles == POINTS))
    holes = roles == HOLE
    if holes.any():
        outer_of = np.maximum.accumulate(np.where(roles == OUTER, np.arange(len(roles)), 0))
        kept &= ~holes | kept[outer_of]
    return kept


def _turn(points: Ints, counts: Ints, backwards: NDArray[np.bool_]) -> Ints:
    if not backwards.any():
        return points
    begins = np.cumsum(counts) - counts
    order = np.arange(len(points))
    mirrored = np.repeat(2 * begins + counts - 1, counts) - order
    return points[np.where(np.repeat(backwards, counts), mirrored, order)]


def _zigzag_steps(points: Ints, counts: Ints, feature_of_path: Ints) -> Tokens:
    """Each point relative to the one before it in its feature, in the numbers that keep small steps short."""
    steps = points.copy()
    steps[1:] -= points[:-1]
    if len(counts):
        is_first = np.append(True, feature_of_path[1:] != feature_of_path[:-1])
        firsts = (np.cumsum(counts) - counts)[is_first]
        steps[firsts] = points[firsts]
    return ((steps << 1) ^ (steps >> 63)).astype(np.uint32)


def _commands(
    steps: Tokens, counts: Ints, roles: NDArray[np.int8], feature_of_path: Ints, feature_count: int
) -> tuple[Tokens, Ints]:
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
    return tokens, np.bincount(feature_of_path, weights=sizes, minlength=feature_count).astype(np.int64)


def _sum_by_count(values: Ints, counts: Ints) -> Ints:
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
    last = np.cumsum(counts)
    sums: Ints = ends[last] - ends[last - counts]
    return sums
