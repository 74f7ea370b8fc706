"""`thin` as compiled loops: the same arguments, the same points.

numba keeps what it compiled until this file changes: whoever changes a number of `thin` touches this one too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fused_jupyter.formats.mvt.protobuf import LINE, OUTER, Ints, Roles
from fused_jupyter.formats.mvt.thin import DEEPEST, MANY_POINTS, TOLERANCE

Flags = NDArray[np.bool_]

_compiled: Any = njit(cache=True, nogil=True)  # Any: what numba makes of a function has no type

_FEW_SEGMENTS = 24
"""Up to here all pairs are compared; beyond, only those that a sweep from the west finds side by side."""
_MANY_RINGS = 32
"""From here on GEOS and its indices are faster."""


def _farthest(points: Ints, low: int, high: int) -> tuple[int, bool]:
    way_x, way_y = points[high, 0] - points[low, 0], points[high, 1] - points[low, 1]
    length = way_x * way_x + way_y * way_y
    worst, first = np.int64(-1), low
    for i in range(low + 1, high):
        x, y = points[i, 0] - points[low, 0], points[i, 1] - points[low, 1]
        along = x * way_x + y * way_y
        if along <= 0:
            distance = max(length, 1) * (x * x + y * y)
        elif along >= length:
            distance = length * ((x - way_x) ** 2 + (y - way_y) ** 2)
        else:
            distance = (x * way_y - y * way_x) ** 2
        if distance > worst:
            worst, first = distance, i
    return first, worst > TOLERANCE * TOLERANCE * max(length, 1)


farthest = _compiled(_farthest)


def _simplify(points: Ints, begin: int, end: int, keep: Flags, stack: Ints) -> None:
    """Mark the points of a path that stay."""
    keep[begin:end] = False
    keep[begin], keep[end - 1] = True, True
    stack[0, 0], stack[0, 1], stack[0, 2] = begin, end - 1, 0
    waiting = 1
    while waiting:
        waiting -= 1
        low, high, level = stack[waiting, 0], stack[waiting, 1], stack[waiting, 2]
        if high - low < 2:
            continue
        if level == DEEPEST:
            keep[low:high] = True
            continue
        middle, is_far = farthest(points, low, high)
        if is_far:
            keep[middle] = True
            stack[waiting, 0], stack[waiting, 1], stack[waiting, 2] = low, middle, level + 1
            stack[waiting + 1, 0], stack[waiting + 1, 1], stack[waiting + 1, 2] = middle, high, level + 1
            waiting += 2


def _is_crowded(points: Ints, begin: int, end: int, crowded: int) -> bool:
    length = 0
    for i in range(begin + 1, end):
        length += abs(points[i, 0] - points[i - 1, 0]) + abs(points[i, 1] - points[i - 1, 1])
    return length < crowded * (end - begin)


simplify = _compiled(_simplify)
is_crowded = _compiled(_is_crowded)


def _drop_straight(path: Ints, count: int, role: int, drop: Flags) -> int:
    """Drop points of `path` on a line between two others, in place; gives how many are left."""
    is_line = role == LINE
    while count >= (2 if is_line else 3):
        dropped = 0
        for i in range(count):
            before, after = (i or count) - 1, i + 1 if i + 1 < count else 0
            last_x, last_y = path[i, 0] - path[before, 0], path[i, 1] - path[before, 1]
            x, y = path[after, 0] - path[i, 0], path[after, 1] - path[i, 1]
            is_straight = last_x * y == last_y * x
            if is_line and is_straight:
                is_straight = 0 < i < count - 1 and last_x * x + last_y * y >= 0
            drop[i] = is_straight and not (i and drop[i - 1]) and not (i == count - 1 and drop[0])
            dropped += drop[i]
        if not dropped:
            break
        at = 0
        for i in range(count):
            if not drop[i]:
                path[at, 0], path[at, 1] = path[i, 0], path[i, 1]
                at += 1
        count = at
    if is_line:
        return 0 if count <= 2 and path[0, 0] == path[count - 1, 0] and path[0, 1] == path[count - 1, 1] else count
    return count if count >= 3 else 0


drop_straight = _compiled(_drop_straight)


def _copy_path(points: Ints, begin: int, end: int, role: int, keep: Flags, path: Ints) -> int:
    """Copy the points that stay, but for the one that closes a ring; gives how many."""
    if role >= OUTER and end - begin > 1:
        end -= 1
    count = 0
    for i in range(begin, end):
        if keep[i]:
            path[count, 0], path[count, 1] = points[i, 0], points[i, 1]
            count += 1
    return count


copy_path = _compiled(_copy_path)


def _thin_paths(points: Ints, starts: Ints, roles: Roles, crowded: int) -> tuple[Ints, Ints]:
    out = np.empty((len(points), 2), np.int64)
    counts = np.zeros(len(roles), np.int64)
    keep = np.ones(len(points), np.bool_)
    drop = np.zeros(len(points), np.bool_)
    stack = np.empty((DEEPEST + 2, 3), np.int64)
    at = 0
    for i in range(len(roles)):
        begin, end = starts[i], starts[i + 1]
        simplified = end - begin >= MANY_POINTS and is_crowded(points, begin, end, crowded)
        if simplified:
            simplify(points, begin, end, keep, stack)
        count = drop_straight(out[at:], copy_path(points, begin, end, roles[i], keep, out[at:]), roles[i], drop)
        if simplified and not count:
            keep[begin:end] = True
            count = drop_straight(out[at:], copy_path(points, begin, end, roles[i], keep, out[at:]), roles[i], drop)
        counts[i] = count
        at += count
    return out[:at], counts


thin_paths = _compiled(_thin_paths)


def _is_convex(points: Ints, begin: int, end: int) -> bool:
    count = end - begin
    reversals, side = 0, 0
    last_x, last_y = points[begin, 0] - points[end - 1, 0], points[begin, 1] - points[end - 1, 1]
    last_way = np.sign(last_x) if last_x else np.sign(last_y)
    for i in range(count):
        after = begin + i + 1 if i + 1 < count else begin
        x, y = points[after, 0] - points[begin + i, 0], points[after, 1] - points[begin + i, 1]
        turn = np.sign(last_x * y - last_y * x)
        if turn in (0, -side):
            return False
        side = turn
        way = np.sign(x) if x else np.sign(y)
        reversals += way != last_way
        last_x, last_y, last_way = x, y, way
    return reversals == 2


def _touch(points: Ints, a: int, b: int, c: int, d: int) -> bool:
    """Whether the segments from a to b and from c to d have a point in common; their bounds have."""
    way_x, way_y = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1]
    other_x, other_y = points[d, 0] - points[c, 0], points[d, 1] - points[c, 1]
    x, y = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1]
    side_c = way_x * y - way_y * x
    side_d = side_c + way_x * other_y - way_y * other_x
    if (side_c > 0 and side_d > 0) or (side_c < 0 and side_d < 0):
        return False
    side_a = other_y * x - other_x * y
    side_b = side_a + other_x * way_y - other_y * way_x
    return not ((side_a > 0 and side_b > 0) or (side_a < 0 and side_b < 0))


is_convex = _compiled(_is_convex)
touch = _compiled(_touch)


def _bounded(points: Ints, starts: Ints, first: int, last: int) -> tuple[Ints, Ints]:
    """The segments of some rings: both ends of each, and its (west, north, east, south)."""
    count = starts[last] - starts[first]
    ends, bounds = np.empty((count, 2), np.int64), np.empty((count, 4), np.int64)
    i = 0
    for ring in range(first, last):
        for a in range(starts[ring], starts[ring + 1]):
            b = a + 1 if a + 1 < starts[ring + 1] else starts[ring]
            ends[i, 0], ends[i, 1] = a, b
            for axis in range(2):
                bounds[i, axis] = min(points[a, axis], points[b, axis])
                bounds[i, axis + 2] = max(points[a, axis], points[b, axis])
            i += 1
    return ends, bounds


bounded = _compiled(_bounded)


def _do_rings_touch(points: Ints, starts: Ints, first: int, last: int) -> bool:
    """Whether any two segments of some rings meet, but for neighbours at their common end."""
    ends, bounds = bounded(points, starts, first, last)
    if len(ends) > _FEW_SEGMENTS:
        order = np.argsort(bounds[:, 0])
        ends, bounds = ends[order], bounds[order]
    for i in range(len(ends)):
        for j in range(i + 1, len(ends)):
            if bounds[j, 0] > bounds[i, 2]:
                if len(ends) > _FEW_SEGMENTS:
                    break
                continue
            if bounds[j, 2] < bounds[i, 0] or bounds[j, 1] > bounds[i, 3] or bounds[j, 3] < bounds[i, 1]:
                continue
            # Neighbours meet at their end, and no more: no three points in a row are on a line.
            are_neighbours = ends[i, 1] == ends[j, 0] or ends[j, 1] == ends[i, 0]
            if not are_neighbours and touch(points, ends[i, 0], ends[i, 1], ends[j, 0], ends[j, 1]):
                return True
    return False


def _is_inside(points: Ints, begin: int, end: int, x: int, y: int) -> bool:
    """Whether a ring has a place in it that is not on its line."""
    inside = False
    j = end - 1
    for i in range(begin, end):
        if (points[i, 1] > y) != (points[j, 1] > y):
            way_x, way_y = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
            if (way_x * (y - points[i, 1]) > (x - points[i, 0]) * way_y) == (way_y > 0):
                inside = not inside
        j = i
    return inside


do_rings_touch = _compiled(_do_rings_touch)
is_inside = _compiled(_is_inside)


def _are_nested(points: Ints, starts: Ints, roles: Roles, first: int, last: int) -> bool:
    """Whether rings that do not touch are polygons: holes in their own outer ring alone, islands in holes."""
    shell = first
    for ring in range(first, last):
        is_hole = roles[ring] != OUTER
        shell = shell if is_hole else ring
        x, y = points[starts[ring], 0], points[starts[ring], 1]
        around, around_in_polygon = 0, 0
        other_shell = first
        for other in range(first, last):
            other_shell = other if roles[other] == OUTER else other_shell
            if other != ring and is_inside(points, starts[other], starts[other + 1], x, y):
                around += 1
                around_in_polygon += other_shell == shell
        if around % 2 != is_hole or around_in_polygon != is_hole:
            return False
    return True


are_nested = _compiled(_are_nested)


def _are_suspicious(points: Ints, starts: Ints, roles: Roles, features: Ints) -> Flags:
    suspicious = np.zeros(len(features) - 1, np.bool_)
    for feature in range(len(features) - 1):
        first, last = features[feature], features[feature + 1]
        if last - first == 1 and is_convex(points, starts[first], starts[last]):
            continue
        suspicious[feature] = (
            last - first > _MANY_RINGS
            or do_rings_touch(points, starts, first, last)
            or not are_nested(points, starts, roles, first, last)
        )
    return suspicious


are_suspicious = _compiled(_are_suspicious)


def compile_outlines() -> None:
    """Run both loops once."""
    triangle = np.array([[0, 0], [0, 2], [2, 0], [0, 0]], np.int64)
    points, counts = thin_paths(triangle, np.array([0, 4], np.int64), np.full(1, OUTER, np.int8), 0)
    starts = np.append(0, counts)
    are_suspicious(points, starts, np.full(1, OUTER, np.int8), np.array([0, 1], np.int64))
