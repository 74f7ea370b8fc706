"""Tables that say where their rows lie without a geometry: by H3 cells, or by latitude and longitude."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.tabular.frames import WGS84, geometry_columns, to_frame

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

CELL_NAMES: Final = ("hex", "h3", "h3_index", "h3index", "h3_cell", "hex_id", "h3_id", "cell_id", "cell")
"""What tables call their column of H3 cells, in any case; the first that is there and holds cells counts."""
POINT_NAMES: Final = (("lat", "lng"), ("lat", "lon"), ("latitude", "longitude"), ("lat", "long"), ("y", "x"))
"""What tables call their latitude and longitude, in any case; ``y`` and ``x`` count if they are degrees."""

_HEADER: Final = 13
"""Bytes of a WKB polygon of one ring before its coordinates."""
_POINT: Final = 16
_HALF_TURN, _TURN, _POLE = 180.0, 360.0, 90.0
_SAMPLE: Final = 20
"""Cells that are looked at to tell whether a column holds any."""

Shapes = NDArray[np.object_]


def with_geometry(value: Any) -> gpd.GeoDataFrame | None:
    """The table with a geometry for each row; None if nothing in it says where its rows lie.

    Cells stay as a column of texts, since browsers read large numbers inexactly; what is no cell, or no place on Earth,
    has no geometry.

    Raises:
        UdfSerializationError: it has cells, and the library that knows where they lie is missing.
    """
    import geopandas as gpd

    frame = to_frame(value)
    if geometry_columns(frame):
        return None
    if (name := cell_column(frame)) is not None:
        texts, shapes = _hexagons(frame[name])
        return gpd.GeoDataFrame(frame.assign(**{name: texts}), geometry=shapes, crs=WGS84)
    if (names := _point_columns(frame)) is not None:
        return gpd.GeoDataFrame(frame, geometry=_points(frame, *names), crs=WGS84)
    return None


def cell_column(frame: pd.DataFrame) -> str | None:
    """The name of the column that holds H3 cells, as integers or as hexadecimal texts; None if there is none.

    >>> import pandas as pd
    >>> cell_column(pd.DataFrame({"value": [1.5], "hex": ["8928308280fffff"]}))
    'hex'
    """
    by_name = _by_lower_name(frame)
    return next((by_name[name] for name in CELL_NAMES if name in by_name and _holds_cells(frame[by_name[name]])), None)


def _point_columns(frame: pd.DataFrame) -> tuple[str, str] | None:
    by_name = _by_lower_name(frame)
    for pair in POINT_NAMES:
        if all(name in by_name and frame[by_name[name]].dtype.kind in "iuf" for name in pair):
            latitude, longitude = (by_name[name] for name in pair)
            if pair != ("y", "x") or _are_degrees(frame[latitude], frame[longitude]):
                return latitude, longitude
    return None


def _are_degrees(latitudes: pd.Series[Any], longitudes: pd.Series[Any]) -> bool:
    return bool((latitudes.abs().max() <= _POLE) and (longitudes.abs().max() <= _HALF_TURN))


def _by_lower_name(frame: pd.DataFrame) -> dict[str, str]:
    return {str(name).lower(): str(name) for name in reversed(frame.columns)}


def _holds_cells(column: pd.Series[Any]) -> bool:
    """Told by the bits that every cell has: mode 1, and a resolution from 0 to 15."""
    values = column.dropna().head(_SAMPLE).tolist()
    # Most of them: a zero or an empty text often stands for no cell.
    return bool(values) and 2 * sum(map(_is_cell, values)) >= len(values)


def _is_cell(value: object) -> bool:
    if isinstance(value, str):
        try:
            value = int(value, 16)
        except ValueError:
            return False
    return isinstance(value, int) and not isinstance(value, bool) and value > 0 and value >> 59 == 1


def _points(frame: pd.DataFrame, latitude: str, longitude: str) -> Shapes:
    import shapely

    columns = [frame[name].to_numpy(np.float64, na_value=np.nan) for name in (longitude, latitude)]
    places = np.column_stack(columns)
    shapes = np.full(len(frame), None, np.object_)
    is_there = np.isfinite(places).all(axis=1) & (np.abs(places[:, 1]) <= _POLE)
    shapes[is_there] = shapely.points(places[is_there])
    return shapes


def _hexagons(column: pd.Series[Any]) -> tuple[NDArray[np.object_], Shapes]:
    """The cells as texts, and their polygons."""
    try:
        import h3ronpy
        from h3ronpy import vector
    except ImportError as exc:
        raise UdfSerializationError(
            f"The UDF returned H3 cells in column {column.name!r}; to draw them as hexagons, install the library that "
            'knows them: pip install "fused-jupyter[h3]" (or h3ronpy)'
        ) from exc
    import pyarrow as pa

    cells = cell_numbers(column)
    valid = np.asarray(pa.array(h3ronpy.cells_valid(cells, booleanarray=True)).to_numpy(zero_copy_only=False), np.bool_)
    shapes = np.full(len(cells), None, np.object_)
    texts = np.full(len(cells), None, np.object_)
    shapes[valid] = _polygons(pa.array(vector.cells_to_wkb_polygons(cells[valid])))
    texts[valid] = pa.array(h3ronpy.cells_to_string(cells[valid])).to_pylist()
    return texts, shapes


def cell_numbers(column: pd.Series[Any]) -> NDArray[np.uint64]:
    """The cells as numbers, 0 where there is none."""
    if column.dtype.kind in "iu":
        return np.asarray(column.fillna(0).to_numpy(), np.int64).view(np.uint64)
    return np.fromiter((_number(value) for value in column.tolist()), np.uint64, len(column))


def _number(value: object) -> int:
    if isinstance(value, str) and _is_cell(value):
        return int(value, 16)
    return value if isinstance(value, int) and _is_cell(value) else 0


def _polygons(wkb: Any) -> Shapes:
    """Polygons of one ring each, read all at once: ten times as fast as one by one."""
    import shapely

    if not len(wkb):
        return np.empty(0, np.object_)
    chunk = wkb.cast("large_binary")
    offsets = np.frombuffer(chunk.buffers()[1], np.int64, len(chunk) + 1, chunk.offset * 8)
    content = np.frombuffer(chunk.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    starts = offsets[:-1] - offsets[0]
    is_coordinate = np.ones(len(content), np.bool_)
    is_coordinate[(starts[:, None] + np.arange(_HEADER)).ravel()] = False
    points = content[is_coordinate].view("<f8").reshape(-1, 2)
    ends = np.append(0, np.cumsum((np.diff(offsets) - _HEADER) // _POINT))
    spans = np.maximum.reduceat(points[:, 0], ends[:-1]) - np.minimum.reduceat(points[:, 0], ends[:-1])
    is_across = spans > _HALF_TURN
    # Rings across the antimeridian go on beyond 180 degrees instead of around the globe.
    moved = points.copy()
    moved[:, 0] += np.where(np.repeat(is_across, np.diff(ends)) & (points[:, 0] < 0), _TURN, 0)
    rings = (ends, np.arange(len(ends)))
    shapes: Shapes = np.asarray(shapely.from_ragged_array(shapely.GeometryType.POLYGON, moved, rings), np.object_)
    for row in np.flatnonzero(is_across).tolist():
        ring = points[ends[row] : ends[row + 1] - 1]
        if _goes_around(ring[:, 0]):
            shapes[row] = _cap(ring)
    return shapes


def _cap(ring: NDArray[np.float64]) -> Any:
    """A cell with a pole in it: what lies between its points and the pole."""
    import shapely

    ring = ring[np.argsort(ring[:, 0])]
    pole = _POLE if ring[0, 1] > 0 else -_POLE
    edge = float(ring[[0, -1], 1].mean())
    corners = [(-_HALF_TURN, edge), *ring.tolist(), (_HALF_TURN, edge), (_HALF_TURN, pole), (-_HALF_TURN, pole)]
    return shapely.Polygon(corners)


def _goes_around(longitudes: NDArray[np.float64]) -> bool:
    ordered = np.sort(longitudes)
    gaps = np.diff(np.append(ordered, ordered[0] + _TURN))
    return bool(gaps.max() < _HALF_TURN)
