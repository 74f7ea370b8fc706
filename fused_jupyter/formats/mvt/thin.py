"""Paths in tile units → the same with fewer points, by whole arrays; `thin_kernel` does the same faster.

Rounding leaves points on points, points on straight lines, and spikes of no width; none of them is drawn. Coastlines
have far more points than pixels besides: paths that are that crowded lose every point that is within a unit of the
line through those that stay (Douglas and Peucker), an eighth of a pixel where a tile is 512 pixels wide.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.formats.mvt.protobuf import LINE, OUTER, Ints, Roles, spread

MANY_POINTS: Final = 16
"""Paths with fewer points are not simplified: they cost little, and a house should keep its corners."""
CROWDED: Final = 8
"""Units between points: of paths that are this crowded, a pixel has more than one."""
TOLERANCE: Final = 1
"""Units that a dropped point may have been off the line."""
DEEPEST: Final = 64
"""Halvings of a path after which all points stay: of use only against paths made to be slow."""


def thin_paths(points: Ints, starts: Ints, roles: Roles, crowded: int) -> tuple[Ints, Ints]:
    """Drop the points that nobody sees.

    Args:
        points: tile coordinates, shape (points, 2).
        starts: where each path begins in `points`, and the end of the last one; no path is empty, rings are closed.
        roles: role of each path: lines, outer rings and holes.
        crowded: units; paths whose points are nearer to one another than this, on average and by axes, are simplified.

    Returns:
        The points, and how many each path has; rings are open. Rings without width and lines of one place have none.
    """
    simple = _simplified(points, starts, crowded)
    kept, counts = _drop_straight(points, starts, roles, simple)
    lost = np.logical_or.reduceat(~simple, starts[:-1]) & (counts == 0)
    if lost.any():
        # Simplified away: what is narrower than the tolerance is not to vanish by that.
        simple |= np.repeat(lost, np.diff(starts))
        kept, counts = _drop_straight(points, starts, roles, simple)
    return points[kept], counts


def are_suspicious(points: Ints, starts: Ints, roles: Roles, features: Ints) -> NDArray[np.bool_]:
    """Features whose polygons may be invalid; the others certainly are valid.

    Args:
        points: tile coordinates, no three in a row on a line.
        starts: where each ring begins in `points`, and the end of the last one; rings are open.
        roles: outer rings and holes.
        features: where each feature begins in the rings, and the end of the last one.
    """
    del roles  # of rings that enclose one another; to the compiled loops they say more
    is_one = np.diff(features) == 1
    suspicious: NDArray[np.bool_] = ~is_one | ~_are_convex(points, starts)[features[:-1]]
    return suspicious


def _are_convex(points: Ints, starts: Ints) -> NDArray[np.bool_]:
    (x, y), (last_x, last_y) = _steps(points, starts)
    turns = np.sign(last_x * y - last_y * x)
    # All turns to one side, and once around: along each axis a convex ring goes there and back once.
    ways, last_ways = np.sign(np.where(x != 0, x, y)), np.sign(np.where(last_x != 0, last_x, last_y))
    reversals = np.add.reduceat((ways != last_ways).astype(np.int64), starts[:-1])
    turning = np.add.reduceat(turns, starts[:-1])
    convex: NDArray[np.bool_] = (np.abs(turning) == np.diff(starts)) & (reversals == 2)
    return convex


def _steps(points: Ints, starts: Ints) -> tuple[Ints, Ints]:
    """From each point of open rings to the next one, and to it from the one before; shape (2, points), x and y."""
    firsts, lasts = starts[:-1], starts[1:] - 1
    step, last_step = np.empty((2, len(points)), np.int64), np.empty((2, len(points)), np.int64)
    for axis in range(2):
        place = points[:, axis].copy()
        np.subtract(place[1:], place[:-1], out=step[axis, :-1])
        step[axis, lasts] = place[firsts] - place[lasts]
        last_step[axis, 1:] = step[axis, :-1]
        last_step[axis, firsts] = step[axis, lasts]
    return step, last_step


def _simplified(points: Ints, starts: Ints, crowded: int) -> NDArray[np.bool_]:
    """Which points stay."""
    counts = np.diff(starts)
    is_crowded = (counts >= MANY_POINTS) & (_lengths(points, starts) < crowded * counts)
    keep = np.repeat(~is_crowded, counts)
    low, high = starts[:-1][is_crowded], starts[1:][is_crowded] - 1
    keep[low] = keep[high] = True
    places = points.T.copy()
    for _ in range(DEEPEST):
        is_open = high - low > 1
        low, high = low[is_open], high[is_open]
        if not len(low):
            return keep
        middle, is_far = _farthest(places, low, high)
        keep[middle[is_far]] = True
        low, high = (
            np.concatenate([low[is_far], middle[is_far]]),
            np.concatenate([middle[is_far], high[is_far]]),
        )
    keep[spread(low, high - low)] = True
    return keep


def _lengths(points: Ints, starts: Ints) -> Ints:
    """The length of each path along the axes."""
    steps = np.zeros(len(points), np.int64)
    for axis in range(2):
        place = points[:, axis].copy()
        steps[1:] += np.abs(np.diff(place))
    steps[starts[:-1]] = 0
    lengths: Ints = np.add.reduceat(steps, starts[:-1])
    return lengths


def _farthest(places: Ints, low: Ints, high: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Of the points between two ends, the first of those farthest from the line, and whether that is too far.

    `places` has the points' x and y in rows.
    """
    counts = high - low - 1
    at = spread(low + 1, counts)
    x, y = (place[at] - np.repeat(place[low], counts) for place in places)
    way_x, way_y = (np.repeat(place[high] - place[low], counts) for place in places)
    along, length = x * way_x + y * way_y, way_x**2 + way_y**2
    # Squared distances times the squared length: whole numbers, so that both kernels decide alike.
    distances = (x * way_y - y * way_x) ** 2
    beside = np.flatnonzero((along <= 0) | (along >= length))
    is_beyond = along[beside] > 0
    from_x, from_y = x[beside] - is_beyond * way_x[beside], y[beside] - is_beyond * way_y[beside]
    distances[beside] = np.maximum(length[beside], 1) * (from_x**2 + from_y**2)
    begins = np.cumsum(counts) - counts
    worst = np.maximum.reduceat(distances, begins)
    hits = np.flatnonzero(distances == np.repeat(worst, counts))
    first: Ints = at[hits[np.searchsorted(hits, begins)]]
    return first, worst > TOLERANCE**2 * np.maximum(length[begins], 1)


def _drop_straight(points: Ints, starts: Ints, roles: Roles, keep: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Ints]:
    """Drop points between two others on a line, over and over; of neighbours every other one at a time.

    Gives which points stay, and how many each path has. The points that close rings go.
    """
    keep, counts = keep.copy(), np.diff(starts)
    keep[(starts[1:] - 1)[(roles >= OUTER) & (counts > 1)]] = False
    left = np.add.reduceat(keep, starts[:-1], dtype=np.int64)
    paths, at = np.arange(len(roles)), np.flatnonzero(keep)
    while len(paths):
        is_lost = (roles[paths] >= OUTER) & (left[paths] < 3)
        gone = np.repeat(is_lost, left[paths])
        keep[at[gone]] = False
        left[paths[is_lost]] = 0
        at, paths = at[~gone], paths[~is_lost]
        bounds = np.append(0, np.cumsum(left[paths]))
        drop = _straight(points[at], bounds, roles[paths])
        keep[at[drop]] = False
        numbers = np.add.reduceat(drop, bounds[:-1], dtype=np.int64) if len(paths) else bounds[:-1]
        # Only in these may something have become straight by that.
        at, paths = at[~drop & np.repeat(numbers > 0, left[paths])], paths[numbers > 0]
        left[paths] -= numbers[numbers > 0]
    is_nowhere = (roles == LINE) & (left <= 2) & (points[starts[:-1]] == points[starts[1:] - 1]).all(axis=1)
    keep[np.repeat(is_nowhere, counts)] = False
    left[is_nowhere] = 0
    return keep, left


def _straight(points: Ints, starts: Ints, roles: Roles) -> NDArray[np.bool_]:
    if not len(points):
        return np.zeros(0, bool)
    (x, y), (last_x, last_y) = _steps(points, starts)
    straight: NDArray[np.bool_] = last_x * y == last_y * x
    is_line = roles == LINE
    if is_line.any():
        # A line that turns back is meant so; a ring that does has a spike. The ends of lines have one neighbour.
        straight &= (last_x * x + last_y * y >= 0) | np.repeat(~is_line, np.diff(starts))
        straight[starts[:-1][is_line]] = straight[starts[1:][is_line] - 1] = False
    if not straight.any():
        return straight
    order = np.arange(len(points))
    run_begins = np.maximum.accumulate(np.where(straight, -1, order))
    run_begins = np.maximum(run_begins, np.repeat(starts[:-1] - 1, np.diff(starts)))
    drop: NDArray[np.bool_] = straight & ((order - run_begins) % 2 == 1)
    drop[starts[1:] - 1] &= ~drop[starts[:-1]]
    return drop
