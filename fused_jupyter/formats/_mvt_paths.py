"""Shapely geometries → the paths of a vector tile: cut to its frame, in its coordinates, as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.formats._mvt_numpy import HOLE, LINE, OUTER, POINTS, Ints

if TYPE_CHECKING:
    from fused_jupyter.formats.frame import TileFrame

EXTENT: Final = 4096
"""Units across a tile."""
BUFFER: Final = 64
"""Units beyond the edge that are kept, so that outlines along the cut are drawn outside."""

_RADIUS: Final = 6378137.0
_DEGREES: Final = 4326
_HIGHEST_LATITUDE: Final = 89.99
_COLLECTION: Final = 7
_FAMILIES: Final = {"polygons": (3, 6), "lines": (1, 2, 5), "points": (0, 4)}
"""Type numbers of shapely by family; tiles hold them in this order, as maps paint them."""

Geometries = NDArray[np.object_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Features of one family; see `_mvt_numpy.encode_paths` for the arrays."""

    kind: int
    """1 points, 2 lines, 3 polygons."""
    rows: Ints
    """Which row of the table each feature shows."""
    points: Ints
    starts: Ints
    roles: NDArray[np.int8]
    features: Ints


def collect_paths(geometries: Geometries, tile: TileFrame, *, epsg: int) -> list[Paths]:
    """The parts of geometries that are within the tile and its buffer.

    Args:
        geometries: shapely geometries or None.
        tile: the tile.
        epsg: 4326 or 3857, what the coordinates are in.
    """
    rows, shown = _cut(geometries, _frame(tile, epsg))
    kinds, rows, shown = _split_collections(rows, shown)
    found = []
    for family, numbers in _FAMILIES.items():
        chosen = np.isin(kinds, numbers)
        if chosen.any():
            found.append(_READERS[family](rows[chosen], shown[chosen], tile, epsg))
    return found


def _frame(tile: TileFrame, epsg: int) -> tuple[float, float, float, float]:
    """The tile with its buffer in the source CRS; mercator keeps axes apart, so it is a rectangle in degrees too."""
    west, south, east, north = tile.mercator_bounds
    margin = (east - west) * BUFFER / EXTENT
    west, south, east, north = west - margin, south - margin, east + margin, north + margin
    if epsg != _DEGREES:
        return west, south, east, north
    latitudes = np.degrees(np.arctan(np.sinh(np.array([south, north]) / _RADIUS)))
    scale = 180.0 / (pi * _RADIUS)
    return west * scale, float(latitudes[0]), east * scale, float(latitudes[1])


def _cut(geometries: Geometries, frame: tuple[float, float, float, float]) -> tuple[Ints, Geometries]:
    import shapely

    west, south, east, north = frame
    left, bottom, right, top = shapely.bounds(geometries).T
    # Missing and empty geometries have NaN bounds, which no comparison lets through.
    rows = np.flatnonzero((left <= east) & (right >= west) & (bottom <= north) & (top >= south))
    if not len(rows):
        return rows, geometries[:0]
    is_inside = (left[rows] >= west) & (right[rows] <= east) & (bottom[rows] >= south) & (top[rows] <= north)
    shown = geometries[rows]
    # Cut before projecting and only what crosses the edge, some percent: cutting is the dearest step.
    if not is_inside.all():
        shown[~is_inside] = _clip(shown[~is_inside], frame)
    drawn = ~shapely.is_empty(shown) & ~shapely.is_missing(shown)
    return (rows, shown) if drawn.all() else (rows[drawn], shown[drawn])


def _clip(geometries: Geometries, frame: tuple[float, float, float, float]) -> Geometries:
    import shapely

    finite = np.isfinite(shapely.bounds(geometries)).all(axis=1)
    geometries = geometries.copy()
    geometries[~finite] = None
    try:
        clipped: Geometries = shapely.clip_by_rect(geometries, *frame)
    except shapely.errors.GEOSException:
        # Self-crossing rings; repairing all costs far more than repairing the few tables that have them.
        clipped = shapely.intersection(shapely.make_valid(geometries), shapely.box(*frame))
    return clipped


def _split_collections(rows: Ints, shown: Geometries) -> tuple[NDArray[np.integer[Any]], Ints, Geometries]:
    import shapely

    kinds = shapely.get_type_id(shown)
    while (kinds == _COLLECTION).any():
        is_collection = kinds == _COLLECTION
        parts, of = shapely.get_parts(shown[is_collection], return_index=True)
        drawn = ~shapely.is_empty(parts)
        rows = np.concatenate([rows[~is_collection], rows[is_collection][of[drawn]]])
        shown = np.concatenate([shown[~is_collection], parts[drawn]])
        order = np.argsort(rows, kind="stable")
        rows, shown = rows[order], shown[order]
        kinds = shapely.get_type_id(shown)
    return kinds, rows, shown


def _read_polygons(rows: Ints, shown: Geometries, tile: TileFrame, epsg: int) -> Paths:
    import shapely

    polygons, feature_of = _parts(shown, multi=6)
    if shapely.get_num_interior_rings(polygons).any():
        rings, polygon_of = shapely.get_rings(polygons, return_index=True)
        roles = np.where(np.append(True, np.diff(polygon_of) > 0), OUTER, HOLE).astype(np.int8)
        feature_of = feature_of[polygon_of]
    else:
        rings, roles = polygons, np.full(len(polygons), OUTER, np.int8)
    return _finish(3, rows, rings, feature_of, roles, tile, epsg)


def _read_lines(rows: Ints, shown: Geometries, tile: TileFrame, epsg: int) -> Paths:
    lines, feature_of = _parts(shown, multi=5)
    return _finish(2, rows, lines, feature_of, np.full(len(lines), LINE, np.int8), tile, epsg)


def _read_points(rows: Ints, shown: Geometries, tile: TileFrame, epsg: int) -> Paths:
    return _finish(1, rows, shown, np.arange(len(shown)), np.full(len(shown), POINTS, np.int8), tile, epsg)


def _parts(shown: Geometries, *, multi: int) -> tuple[Geometries, Ints]:
    import shapely

    if not (shapely.get_type_id(shown) == multi).any():
        return shown, np.arange(len(shown))
    parts, feature_of = shapely.get_parts(shown, return_index=True)
    drawn = ~shapely.is_empty(parts)
    return parts[drawn], feature_of[drawn]


def _finish(
    kind: int, rows: Ints, shapes: Geometries, feature_of: Ints, roles: NDArray[np.int8], tile: TileFrame, epsg: int
) -> Paths:
    import shapely

    coordinates = shapely.get_coordinates(shapes)
    counts = shapely.get_num_coordinates(shapes)
    return Paths(
        kind=kind,
        rows=rows,
        points=_to_units(coordinates, tile, epsg),
        starts=np.append(0, np.cumsum(counts)).astype(np.int64),
        roles=roles,
        features=np.append(0, np.cumsum(np.bincount(feature_of, minlength=len(rows)))).astype(np.int64),
    )


def _to_units(coordinates: NDArray[np.float64], tile: TileFrame, epsg: int) -> Ints:
    """Tile units, y from the north, rounded."""
    west, south, east, north = tile.mercator_bounds
    units = np.empty_like(coordinates)
    x, y = coordinates[:, 0], coordinates[:, 1]
    if epsg == _DEGREES:
        x = x * (pi * _RADIUS / 180.0)
        y = np.arctanh(np.sin(np.radians(np.clip(y, -_HIGHEST_LATITUDE, _HIGHEST_LATITUDE)))) * _RADIUS
    np.multiply(x - west, EXTENT / (east - west), out=units[:, 0])
    np.multiply(north - y, EXTENT / (north - south), out=units[:, 1])
    return np.rint(np.nan_to_num(units, copy=False), out=units).astype(np.int64)


_READERS: Final = {"polygons": _read_polygons, "lines": _read_lines, "points": _read_points}
