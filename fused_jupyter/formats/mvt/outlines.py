"""What becomes of outlines when they are rounded to tile units: thinned, and where they broke, mended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import shapely

from fused_jupyter.formats.mvt.cut import Geometries
from fused_jupyter.formats.mvt.kernels import Kernel
from fused_jupyter.formats.mvt.mend import mend
from fused_jupyter.formats.mvt.paths import POLYGONS, Paths, lay_out_polygons
from fused_jupyter.formats.mvt.protobuf import HOLE, OUTER, Ints, spread
from fused_jupyter.formats.mvt.thin import CROWDED


def tidy_lines(paths: Paths, kernel: Kernel) -> Paths:
    """Lines without the points that nobody sees; those that are one place by now are left out."""
    return _thin(paths, kernel, crowded=CROWDED)


def tidy_polygons(paths: Paths, kernel: Kernel) -> Paths:
    """Valid polygons with open rings, without the points that nobody sees; those that enclose nothing are left out."""
    paths = _thin(paths, kernel, crowded=CROWDED)
    suspicious = np.flatnonzero(kernel.are_suspicious(paths.points, paths.starts, paths.roles, paths.features))
    shapes = _build(paths.take(suspicious))
    is_broken = ~shapely.is_valid(shapes)
    if not is_broken.any():
        return paths
    broken = suspicious[is_broken]
    mended = mend(shapes[is_broken])
    is_left = ~shapely.is_empty(mended)
    patches = _thin(_unbuild(mended[is_left], paths.rows[broken[is_left]]), kernel, crowded=0)
    order = np.arange(len(paths.rows))
    order[broken[is_left]] = len(order) + np.arange(is_left.sum())
    return _joined(paths, patches).take(np.delete(order, broken[~is_left]))


def keep_points(paths: Paths, kernel: Kernel) -> Paths:
    """Points as they are, those at the same place too: each has its attributes."""
    del kernel
    return paths


def _thin(paths: Paths, kernel: Kernel, *, crowded: int) -> Paths:
    points, counts = kernel.thin_paths(paths.points, paths.starts, paths.roles, crowded)
    starts = np.append(0, np.cumsum(counts))
    is_kept = counts > 0
    if is_kept.all():
        return Paths(
            kind=paths.kind, rows=paths.rows, points=points, starts=starts, roles=paths.roles, features=paths.features
        )
    outer_of = np.maximum.accumulate(np.where(paths.roles == HOLE, 0, np.arange(len(is_kept))))
    is_kept &= is_kept[outer_of]
    numbers = np.add.reduceat(is_kept, paths.features[:-1], dtype=np.int64)
    return Paths(
        kind=paths.kind,
        rows=paths.rows[numbers > 0],
        points=points[np.repeat(is_kept, counts)],
        starts=np.append(0, np.cumsum(counts[is_kept])),
        roles=paths.roles[is_kept],
        features=np.append(0, np.cumsum(numbers[numbers > 0])),
    )


def _build(paths: Paths) -> Geometries:
    counts = np.diff(paths.starts) + 1
    ends = np.cumsum(counts)
    at = spread(paths.starts[:-1], counts)
    at[ends - 1] = paths.starts[:-1]
    outers = np.flatnonzero(paths.roles == OUTER)
    offsets = (np.append(0, ends), np.append(outers, len(paths.roles)), np.searchsorted(outers, paths.features))
    coordinates = paths.points[at].astype(np.float64)
    built: Geometries = shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, coordinates, offsets)
    return built


def _unbuild(polygons: Geometries, rows: Ints) -> Paths:
    counts, roles, numbers = lay_out_polygons(polygons, shapely.get_type_id(polygons))
    return Paths(
        kind=POLYGONS,
        rows=rows,
        points=shapely.get_coordinates(polygons).astype(np.int64),
        starts=np.append(0, np.cumsum(counts)),
        roles=roles,
        features=np.append(0, np.cumsum(numbers)),
    )


def _joined(first: Paths, second: Paths) -> Paths:
    return Paths(
        kind=first.kind,
        rows=np.concatenate([first.rows, second.rows]),
        points=np.concatenate([first.points, second.points]),
        starts=np.concatenate([first.starts, first.starts[-1] + second.starts[1:]]),
        roles=np.concatenate([first.roles, second.roles]),
        features=np.concatenate([first.features, first.features[-1] + second.features[1:]]),
    )


TIDY: Final[dict[int, Callable[[Paths, Kernel], Paths]]] = {POLYGONS: tidy_polygons, 2: tidy_lines, 1: keep_points}
"""By kind."""
