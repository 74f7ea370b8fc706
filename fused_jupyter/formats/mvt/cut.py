"""Which geometries a rectangle shows, and the part of them that it shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from fused_jupyter.formats.mvt.protobuf import Ints

Geometries = NDArray[np.object_]
Floats = NDArray[np.float64]
Frame = tuple[float, float, float, float]
"""(west, south, east, north) in the units of the geometries."""

_COLLECTION: Final = 7
_IS_AREA: Final = np.isin(np.arange(-1, 8), (3, 6))
"""By shapely's type number plus one; missing ones have -1."""
_ROUNDING: Final = 1e-7
"""Of the frame's area: a polygon's cut may differ by this much from what it should cover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Geometries, none of them empty or a collection, in the order of the table."""

    rows: Ints
    """The row of the table that each comes from."""
    shapes: Geometries
    bounds: Floats
    """Of the whole geometry, before it was cut; shape (shapes, 4)."""
    types: NDArray[np.integer[Any]]
    """shapely's type number of each."""

    def take(self, chosen: NDArray[Any]) -> Shown:
        """Those chosen by number or mask."""
        return Shown(
            rows=self.rows[chosen], shapes=self.shapes[chosen], bounds=self.bounds[chosen], types=self.types[chosen]
        )


def find_shown(geometries: Geometries, frame: Frame, *, world: float) -> Shown:
    """What of the geometries is in the frame; members of collections stand alone.

    Args:
        geometries: shapely geometries or None.
        frame: what they are cut to.
        world: the way around the Earth; what lies one world to the east or west of the frame is moved into it.
    """
    shown = _split_collections(_candidates(geometries, frame, world), frame)
    west, south, east, north = frame
    left, bottom, right, top = shown.bounds.T
    is_inside = (left >= west) & (right <= east) & (bottom >= south) & (top <= north)
    # Cut before projecting and only what crosses the edge, some percent: cutting is the dearest step.
    if is_inside.all():
        return shown
    crossing = np.flatnonzero(~is_inside)
    shapes, types, is_drawn = shown.shapes.copy(), shown.types.copy(), is_inside
    shapes[crossing] = cut = _cut(shapes[crossing], frame)
    types[crossing] = shapely.get_type_id(cut)
    is_drawn[crossing] = ~(shapely.is_empty(cut) | shapely.is_missing(cut))
    return replace(shown, shapes=shapes, types=types).take(is_drawn)


def _candidates(geometries: Geometries, frame: Frame, world: float) -> Shown:
    bounds = shapely.bounds(geometries)
    found = _within(geometries, bounds, frame)
    west, south, east, north = frame
    most_west, most_east = np.fmin.reduce(bounds[:, 0], initial=np.inf), np.fmax.reduce(bounds[:, 2], initial=-np.inf)
    for shift in (-world, world):
        if most_west <= east - shift and most_east >= west - shift:
            found = _join(found, _moved(_within(geometries, bounds, (west - shift, south, east - shift, north)), shift))
    return found


def _within(geometries: Geometries, bounds: Floats, frame: Frame) -> Shown:
    west, south, east, north = frame
    left, bottom, right, top = bounds.T
    # Missing and empty geometries have NaN bounds, which no comparison lets through.
    is_within = (left <= east) & (right >= west) & (bottom <= north) & (top >= south)
    rows = np.flatnonzero(is_within)
    if not is_within.all():
        geometries, bounds = geometries[rows], bounds[rows]
    return Shown(rows=rows, shapes=geometries, bounds=bounds, types=shapely.get_type_id(geometries))


def _moved(shown: Shown, shift: float) -> Shown:
    shapes = shapely.transform(shown.shapes, lambda points: points + np.array([shift, 0.0]))
    return replace(shown, shapes=shapes, bounds=shown.bounds + np.array([shift, 0.0, shift, 0.0]))


def _join(first: Shown, second: Shown) -> Shown:
    rows = np.concatenate([first.rows, second.rows])
    return Shown(
        rows=rows,
        shapes=np.concatenate([first.shapes, second.shapes]),
        bounds=np.concatenate([first.bounds, second.bounds]),
        types=np.concatenate([first.types, second.types]),
    ).take(np.argsort(rows, kind="stable"))


def _split_collections(shown: Shown, frame: Frame) -> Shown:
    is_collection = shown.types == _COLLECTION
    if not is_collection.any():
        return shown
    collections = shown.take(is_collection)
    parts, of = shapely.get_parts(collections.shapes, return_index=True)
    inner = _within(parts, shapely.bounds(parts), frame)
    members = replace(inner, rows=collections.rows[of[inner.rows]])
    return _split_collections(_join(shown.take(~is_collection), members), frame)


def _cut(shapes: Geometries, frame: Frame) -> Geometries:
    is_finite = np.isfinite(shapely.bounds(shapes)).all(axis=1)
    shapes = shapes.copy()
    shapes[~is_finite] = None
    areas = np.flatnonzero(_IS_AREA[shapely.get_type_id(shapes) + 1])
    try:
        cut: Geometries = shapely.clip_by_rect(shapes, *frame)
    except shapely.errors.GEOSException:
        shapes[areas] = make_valid(shapes[areas])
        return np.asarray(shapely.clip_by_rect(shapes, *frame))
    # GEOS may take the outside of a self-crossing ring for its inside. Asking all rings whether they are valid costs
    # ten times as much as cutting them; that what is left has the right area tells the same of those that matter.
    width, height = frame[2] - frame[0], frame[3] - frame[1]
    is_wrong = np.abs(shapely.area(cut[areas]) - covered_area(shapes[areas], frame)) > _ROUNDING * width * height
    if is_wrong.any():
        cut[areas[is_wrong]] = shapely.clip_by_rect(make_valid(shapes[areas[is_wrong]]), *frame)
    return cut


def make_valid(polygons: Geometries) -> Geometries:
    """Valid polygons that cover the same; second layers add nothing, lines and points are left out.

    Ten times faster than shapely's default, which takes second layers for holes.
    """
    valid: Geometries = shapely.make_valid(polygons, method="structure", keep_collapsed=False)
    return valid


def covered_area(polygons: Geometries, frame: Frame) -> Floats:
    """The area that valid polygons cover of a frame, without cutting them; for others some other number.

    By Green's theorem: along a ring, the height above the frame's south, cut at its north, is summed over the
    way east within the frame.
    """
    parts, polygon_of_part = shapely.get_parts(polygons, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    points, ring_of_point = shapely.get_coordinates(rings, return_index=True)
    west, south, east, north = frame
    x, y = (points - [(west + east) / 2, (south + north) / 2]).T
    half_width, half_height = (east - west) / 2, (north - south) / 2
    is_edge = ring_of_point[1:] == ring_of_point[:-1]
    sums = _below(x, y, half_width, half_height)[is_edge]
    areas = np.abs(np.bincount(ring_of_point[1:][is_edge], weights=sums, minlength=len(rings)))
    is_shell = np.append(True, part_of_ring[1:] != part_of_ring[:-1])[: len(rings)]
    signed = np.where(is_shell, areas, -areas)
    return np.bincount(polygon_of_part[part_of_ring], weights=signed, minlength=len(polygons)).astype(np.float64)


def _below(x: Floats, y: Floats, half_width: float, half_height: float) -> Floats:
    """The integral of the height over the way east, of each step between two points."""
    inside = np.clip(x, -half_width, half_width)
    way, rise = np.diff(x), np.diff(y)
    way[way == 0] = 1  # straight up: no way east, so nothing is below
    first = y[:-1] + (inside[:-1] - x[:-1]) / way * rise
    last = y[:-1] + (inside[1:] - x[:-1]) / way * rise
    cut_first, cut_last = np.clip(first, -half_height, half_height), np.clip(last, -half_height, half_height)
    # The integral of a clipped height h(t) over t is h * (t - h / 2).
    total = cut_last * (last - cut_last / 2) - cut_first * (first - cut_first / 2)
    is_flat = np.abs(last - first) < 1e-9 * half_height
    heights = np.where(is_flat, (cut_first + cut_last) / 2, total / np.where(is_flat, 1, last - first))
    below: Floats = heights * np.diff(inside)
    return below
