"""Geometries as GeoJSON texts, thrice as fast as GEOS writes them: all numbers at once, then cut at the brackets."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

_TYPES: Final = {0: "Point", 1: "LineString", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString", 6: "MultiPolygon"}
_POLYGONS: Final = frozenset({3, 6})

Shapes = NDArray[np.object_]
Pieces = tuple[str, list[str], str]
"""What all texts begin with, their middles, and what all end with."""
Offsets = NDArray[Any]
"""Where each ring, part or shape begins among the points, rings or parts, and where the last one ends."""


def geometry_pieces(shapes: Shapes) -> Pieces:
    """The GeoJSON text of each geometry by RFC 7946: outer rings counterclockwise, holes clockwise.

    ``null`` stands for no geometry, and for one with infinite coordinates, as a failed projection leaves them: GeoJSON
    has no number for those.
    """
    kinds = shapely.get_type_id(shapes) * 2 + shapely.has_z(shapes)
    kinds[shapely.is_empty(shapes)] = -1
    present = np.unique(kinds).tolist()
    if len(present) == 1:
        return _pieces_of_kind(shapes, present[0])
    texts = ["null"] * len(shapes)
    for kind in present:
        positions = np.flatnonzero(kinds == kind)
        head, parts, tail = _pieces_of_kind(shapes[positions], kind)
        for position, part in zip(positions.tolist(), parts, strict=True):
            texts[position] = f"{head}{part}{tail}"
    return "", texts, ""


def _pieces_of_kind(shapes: Shapes, kind: int) -> Pieces:
    """The texts of shapes that are all of one type, with heights if the number is odd."""
    type_id, has_z = divmod(kind, 2)
    if type_id not in _TYPES:
        return "", _texts_by_geos(shapes), ""
    coordinates, offsets = _ragged(shapes, type_id, has_z=bool(has_z))
    rings = np.diff(offsets[0]) if offsets else None
    if not np.isfinite(coordinates).all() or (rings is not None and not rings.all()):
        return "", _texts_by_geos(shapes), ""
    if type_id in _POLYGONS:
        coordinates = _turn_rings(coordinates, offsets)
    head, parts, tail = _nest(coordinates, offsets)
    return f'{{"type":"{_TYPES[type_id]}","coordinates":{head}', parts, f"{tail}}}"


def _texts_by_geos(shapes: Shapes) -> list[str]:
    """As `geometry_pieces`, for whatever is rare: collections, empty ones, odd coordinates."""
    points, owners = shapely.get_coordinates(shapes, include_z=True, return_index=True)
    unknown_height = np.unique(owners[~np.isfinite(points[:, 2])])
    flat = shapes.copy()
    flat[unknown_height] = shapely.force_2d(flat[unknown_height])
    bounds = shapely.bounds(flat)
    is_placed = np.isfinite(bounds).all(axis=1) | shapely.is_empty(flat)
    flat[~is_placed] = None
    return [text or "null" for text in shapely.to_geojson(shapely.orient_polygons(flat)).tolist()]


def _ragged(shapes: Shapes, type_id: int, *, has_z: bool) -> tuple[NDArray[np.float64], tuple[Offsets, ...]]:
    if type_id == 3 and not shapely.get_num_interior_rings(shapes).any():
        # Without holes, a polygon is its ring: no need to take the rings out.
        ends = np.cumsum(shapely.get_num_coordinates(shapes))
        return shapely.get_coordinates(shapes, include_z=has_z), (np.append(0, ends), np.arange(len(shapes) + 1))
    _, coordinates, offsets = shapely.to_ragged_array(shapes, include_z=has_z)
    return coordinates, offsets or ()


def _turn_rings(coordinates: NDArray[np.float64], offsets: tuple[Offsets, ...]) -> NDArray[np.float64]:
    """The coordinates with those rings reversed that run the wrong way round."""
    begins, sizes = offsets[0][:-1], np.diff(offsets[0])
    # Counted from the ring's first point, or the products would lose what small rings are made of.
    x, y = (coordinates[:, :2] - np.repeat(coordinates[begins, :2], sizes, axis=0)).T
    turns = x[:-1] * y[1:] - x[1:] * y[:-1]
    # Between two rings stands a product of points of both; the first point is zero, so it is one of zeros.
    areas = np.add.reduceat(np.append(turns, 0.0), begins)
    is_outer = np.zeros(len(begins), bool)
    is_outer[offsets[1][:-1][np.diff(offsets[1]) > 0]] = True
    wrong = np.where(is_outer, areas < 0, areas > 0)
    if not wrong.any():
        return coordinates
    order = np.arange(len(coordinates))
    turned = np.repeat(begins + offsets[0][1:] - 1, sizes) - order
    return coordinates[np.where(np.repeat(wrong, sizes), turned, order)]


def _nest(coordinates: NDArray[np.float64], offsets: tuple[Offsets, ...]) -> Pieces:
    """The coordinates of each geometry as nested JSON arrays; the offsets go from points to rings to polygons."""
    import orjson

    written = orjson.dumps(np.ascontiguousarray(coordinates), option=orjson.OPT_SERIALIZE_NUMPY)
    text = written.decode()
    ends = np.flatnonzero(np.frombuffer(written, np.uint8) == ord("]"))[:-1] + 1
    begins = np.append(1, ends[:-1] + 1)
    if not offsets:
        return "", [text[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)], ""
    spans = zip(begins[offsets[0][:-1]].tolist(), ends[offsets[0][1:] - 1].tolist(), strict=True)
    level = [text[begin:end] for begin, end in spans]
    head, tail = "[", "]"
    for outer in offsets[1:]:
        # Polygons of one ring and multipolygons of one part are most of them: their brackets are the same for all.
        if (np.diff(outer) != 1).any():
            level = [f"{head}{part}{tail}" for part in level]
            level = [",".join(level[first:last]) for first, last in pairwise(outer.tolist())]
            head, tail = "", ""
        head, tail = f"[{head}", f"{tail}]"
    return head, level, tail
