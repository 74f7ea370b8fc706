"""Polygons that rounding broke → valid ones at whole units that cover about the same."""

from __future__ import annotations

import numpy as np
import shapely

from fused_jupyter.formats.mvt.cut import Geometries, make_valid
from fused_jupyter.formats.mvt.protobuf import Ints


def mend(polygons: Geometries) -> Geometries:
    """Valid multipolygons at whole units; of some nothing is left, and they are empty.

    Each polygon for itself at first, then those together that touch: a country's mainland need not be taken apart
    because two of its islands have become one.
    """
    parts, of = shapely.get_parts(polygons, return_index=True)
    mended = _grouped(_mend_each(parts), of, len(polygons))
    broken = np.flatnonzero(~shapely.is_valid(mended))
    if len(broken):
        mended[broken] = _merge_touching(mended[broken])
    return mended


def _mend_each(polygons: Geometries) -> Geometries:
    broken = np.flatnonzero(~shapely.is_valid(polygons))
    if not len(broken):
        return polygons
    polygons, valid = polygons.copy(), make_valid(polygons[broken])
    rounded = shapely.transform(valid, np.rint)
    # New corners, where lines crossed, may have broken it again by being rounded. GEOS can round and keep valid what it
    # rounds, but that takes three times as long.
    is_broken = ~shapely.is_valid(rounded)
    rounded[is_broken] = shapely.set_precision(valid[is_broken], 1.0)
    polygons[broken] = rounded
    return polygons


def _merge_touching(polygons: Geometries) -> Geometries:
    parts, of = shapely.get_parts(polygons, return_index=True)
    first, second = shapely.STRtree(parts).query(parts, predicate="intersects")
    touching = np.zeros(len(parts), bool)
    touching[first[(first != second) & (of[first] == of[second])]] = True
    heaps, heap_of = np.unique(of[touching], return_inverse=True)
    merged = _mend_each(_grouped(parts[touching], heap_of, len(heaps)))
    order = np.argsort(all_of := np.concatenate([of[~touching], heaps]), kind="stable")
    together = _grouped(np.concatenate([parts[~touching], merged])[order], all_of[order], len(polygons))
    is_broken = ~shapely.is_valid(together)
    together[is_broken] = shapely.set_precision(make_valid(together[is_broken]), 1.0)
    return together


def _grouped(polygons: Geometries, of: Ints, count: int) -> Geometries:
    """A multipolygon of all polygons with the same number."""
    parts, polygon_of = shapely.get_parts(polygons, return_index=True)
    is_there = ~shapely.is_empty(parts)
    grouped = np.full(count, shapely.MultiPolygon(), object)
    shapely.multipolygons(parts[is_there], indices=of[polygon_of[is_there]], out=grouped)
    return grouped
