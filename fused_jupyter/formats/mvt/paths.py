"""Shapely geometries → the paths of a vector tile: cut to its frame, in its coordinates, as flat arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from fused_jupyter.formats.mvt.cut import Floats, Frame, Geometries, Shown, find_shown
from fused_jupyter.formats.mvt.limit import most_visible
from fused_jupyter.formats.mvt.protobuf import HOLE, LINE, OUTER, POINTS, Ints, Roles, spread

if TYPE_CHECKING:
    from fused_jupyter.formats.frame import TileFrame

EXTENT: Final = 4096
"""Units across a tile."""
BUFFER: Final = 64
"""Units beyond the edge that are kept, so that outlines along the cut are drawn outside."""

POLYGONS: Final = 3
"""The kind of polygons; lines are 2 and points 1, as the specification numbers them."""

_RADIUS: Final = 6378137.0
_DEGREES: Final = 4326
_HIGHEST_LATITUDE: Final = 89.99
_KIND_OF_TYPE: Final = np.array([1, 2, 2, POLYGONS, 1, 2, POLYGONS])
"""By shapely's type number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Features of one kind."""

    kind: int
    """1 points, 2 lines, 3 polygons."""
    rows: Ints
    """Which row of the table each feature shows."""
    points: Ints
    """Tile units from its north-west corner, shape (points, 2), x then y."""
    starts: Ints
    """Where each path begins in `points`, and the end of the last one."""
    roles: Roles
    """Role of each path; holes follow their outer ring. All points of a feature are one path."""
    features: Ints
    """Where each feature begins in the paths, and the end of the last one."""

    def take(self, chosen: Ints) -> Paths:
        """Some of the features, in this order."""
        numbers = np.diff(self.features)[chosen]
        paths = spread(self.features[chosen], numbers)
        counts = np.diff(self.starts)[paths]
        return Paths(
            kind=self.kind,
            rows=self.rows[chosen],
            points=self.points[spread(self.starts[paths], counts)],
            starts=np.append(0, np.cumsum(counts)),
            roles=self.roles[paths],
            features=np.append(0, np.cumsum(numbers)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What of a table is in a tile."""

    families: list[Paths]
    """Polygons before lines before points, as maps paint them. Rings are closed; what rounding broke is broken."""
    total: int
    """Features within the tile, before any limit."""


def collect_paths(geometries: Geometries, tile: TileFrame, *, epsg: int, limit: int | None = None) -> Found:
    """The parts of geometries that are within the tile and its buffer.

    What lies past 180 degrees is moved by one world, so that it is seen on the other side; and so is what the buffer
    shows of the other side.

    Args:
        geometries: shapely geometries or None.
        tile: the tile.
        epsg: 4326 or 3857, what the coordinates are in.
        limit: how many features there may be at most.
    """
    world = 360.0 if epsg == _DEGREES else 2 * pi * _RADIUS
    shown = find_shown(geometries, _frame(tile, epsg), world=world)
    kinds = _KIND_OF_TYPE[shown.types]
    total = len(kinds)
    if limit is not None and total > limit:
        kept = most_visible(kinds, _widths(shown.bounds, kinds, tile, epsg), shown.bounds[:, :2], limit)
        kinds, shown = kinds[kept], shown.take(kept)
    families = [
        _read(kind, shown if chosen.all() else shown.take(chosen), tile, epsg)
        for kind in (POLYGONS, 2, 1)
        if (chosen := kinds == kind).any()
    ]
    return Found(families=families, total=total)


def _frame(tile: TileFrame, epsg: int) -> Frame:
    """The tile with its buffer in the source CRS; mercator keeps axes apart, so it is a rectangle in degrees too."""
    west, south, east, north = tile.mercator_bounds
    margin = (east - west) * BUFFER / EXTENT
    west, south, east, north = west - margin, south - margin, east + margin, north + margin
    if epsg != _DEGREES:
        return west, south, east, north
    latitudes = np.degrees(np.arctan(np.sinh(np.array([south, north]) / _RADIUS)))
    scale = 180.0 / (pi * _RADIUS)
    return west * scale, float(latitudes[0]), east * scale, float(latitudes[1])


def _widths(bounds: Floats, kinds: Ints, tile: TileFrame, epsg: int) -> Floats:
    """Of polygons the side of a square as large as their bounds, of lines the diagonal, of points nothing."""
    corners = bounds.reshape(-1, 2)
    if epsg == _DEGREES:
        corners = np.clip(corners, [-np.inf, -_HIGHEST_LATITUDE], [np.inf, _HIGHEST_LATITUDE])
    (west, east), (south, north) = _to_units(corners, tile, epsg).reshape(2, -1, 2).transpose(0, 2, 1)
    width, height = np.abs(east - west), np.abs(south - north)
    sizes: Floats = np.where(kinds == POLYGONS, np.sqrt(width * height), np.hypot(width, height))
    sizes[kinds == 1] = 0
    return sizes


def _read(kind: int, shown: Shown, tile: TileFrame, epsg: int) -> Paths:
    # Single points are their bounds, which are at hand; but not if they are what was cut out of several.
    is_bounds = not shown.types.any() and np.array_equal(shown.bounds[:, :2], shown.bounds[:, 2:])
    coordinates = shown.bounds[:, :2] if is_bounds else shapely.get_coordinates(shown.shapes)
    if not np.isfinite(coordinates.sum()):
        coordinates, of = shapely.get_coordinates(shown.shapes, return_index=True)
        is_finite = np.ones(len(shown.shapes), bool)
        is_finite[of[~np.isfinite(coordinates).all(axis=1)]] = False
        shown = shown.take(is_finite)
        coordinates = shapely.get_coordinates(shown.shapes)
    counts, roles, paths = _LAYOUTS[kind](shown.shapes, shown.types)
    return Paths(
        kind=kind,
        rows=shown.rows,
        points=_rounded(_to_units(coordinates, tile, epsg)),
        starts=np.append(0, np.cumsum(counts)).astype(np.int64),
        roles=roles,
        features=np.append(0, np.cumsum(paths)).astype(np.int64),
    )


def _to_units(coordinates: Floats, tile: TileFrame, epsg: int) -> Floats:
    """Tile units; shape (2, points), x and y: all steps then run through memory in order."""
    west, south, east, north = tile.mercator_bounds
    units = coordinates.T.copy()
    x, y = units
    if epsg == _DEGREES:
        x *= pi * _RADIUS / 180.0
        np.radians(y, out=y)
        np.arctanh(np.sin(y, out=y), out=y)
        y *= _RADIUS
    x -= west
    x *= EXTENT / (east - west)
    np.subtract(north, y, out=y)
    y *= EXTENT / (north - south)
    return units


def _rounded(units: Floats) -> Ints:
    points = np.empty((units.shape[1], 2), np.int64)
    np.rint(units, out=units)
    points[:, 0], points[:, 1] = units
    return points


Layout = tuple[Ints, Roles, Ints]
"""Points of each path, role of each path, paths of each feature."""


def _lay_out_points(shapes: Geometries, types: NDArray[Any]) -> Layout:
    del types
    count = len(shapes)
    return (
        shapely.get_num_coordinates(shapes).astype(np.int64),
        np.full(count, POINTS, np.int8),
        np.ones(count, np.int64),
    )


def _lay_out_lines(shapes: Geometries, types: NDArray[Any]) -> Layout:
    is_plain = types != 5
    lines, of = shapely.get_parts(shapes[~is_plain], return_index=True)
    return _merge(shapes, is_plain, lines, of, roles=np.full(len(lines), LINE, np.int8), plain_role=LINE)


def lay_out_polygons(shapes: Geometries, types: NDArray[Any]) -> Layout:
    """The rings of polygons and multipolygons, none of them empty."""
    is_plain = (types == 3) & (shapely.get_num_interior_rings(shapes) == 0)
    polygons, of = shapely.get_parts(shapes[~is_plain], return_index=True)
    rings, polygon_of = shapely.get_rings(polygons, return_index=True)
    roles = np.where(np.append(True, np.diff(polygon_of) > 0)[: len(rings)], OUTER, HOLE).astype(np.int8)
    return _merge(shapes, is_plain, rings, of[polygon_of], roles=roles, plain_role=OUTER)


def _merge(
    shapes: Geometries, is_plain: NDArray[np.bool_], paths: Geometries, of: Ints, *, roles: Roles, plain_role: int
) -> Layout:
    """The layout of shapes of which some are one path each, and the others are taken apart: most need not be."""
    counts = shapely.get_num_coordinates(shapes).astype(np.int64)
    if is_plain.all():
        return counts, np.full(len(shapes), plain_role, np.int8), np.ones(len(shapes), np.int64)
    sizes = shapely.get_num_coordinates(paths)
    of, roles, sizes = of[sizes > 0], roles[sizes > 0], sizes[sizes > 0]
    numbers = np.ones(len(shapes), np.int64)
    numbers[~is_plain] = np.bincount(of, minlength=int((~is_plain).sum()))
    begins = np.cumsum(numbers) - numbers
    all_counts, all_roles = np.empty(int(numbers.sum()), np.int64), np.full(int(numbers.sum()), plain_role, np.int8)
    at = spread(begins[~is_plain], numbers[~is_plain])
    all_counts[begins[is_plain]] = counts[is_plain]
    all_counts[at], all_roles[at] = sizes, roles
    return all_counts, all_roles, numbers


_LAYOUTS: Final[dict[int, Callable[[Geometries, NDArray[Any]], Layout]]] = {
    1: _lay_out_points,
    2: _lay_out_lines,
    POLYGONS: lay_out_polygons,
}
