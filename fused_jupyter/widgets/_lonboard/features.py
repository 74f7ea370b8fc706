"""What a UDF gave, as lonboard draws it: rows of one kind of geometry, or H3 cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fused_jupyter.errors import ArgumentError

_COLOR: Final = (28, 159, 176)
"""What a `FusedMap` gives its first layer."""
_FILL: Final = (*_COLOR, 180)
_EDGE: Final = (40, 40, 40, 160)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """One way in which lonboard draws."""

    layer: str
    """The class of lonboard."""
    types: frozenset[int] = frozenset()
    """Of shapely's types of geometries, those that it draws."""
    look: Mapping[str, Any]
    """Where the user says nothing. lonboard's own points are black and two metres wide, its hexagons shaded prisms."""


HEXAGON: Final = "hexagon"
DRAWINGS: Final = {
    "point": Drawing(
        layer="ScatterplotLayer", types=frozenset({0, 4}), look={"get_fill_color": _COLOR, "radius_min_pixels": 4}
    ),
    "line": Drawing(layer="PathLayer", types=frozenset({1, 2, 5}), look={"get_color": _COLOR, "width_min_pixels": 2}),
    "polygon": Drawing(
        layer="PolygonLayer",
        types=frozenset({3, 6}),
        look={"get_fill_color": _FILL, "get_line_color": _EDGE, "line_width_min_pixels": 1},
    ),
    HEXAGON: Drawing(layer="H3HexagonLayer", look={"get_fill_color": _FILL, "stroked": False, "extruded": False}),
}
_GEOMETRIES: Final = tuple(kind for kind, drawing in DRAWINGS.items() if drawing.types)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTable:
    """Rows that one layer of lonboard draws."""

    kind: str
    """One of `DRAWINGS`; empty where there are no rows to tell by."""
    frame: Any = field(repr=False)
    """A GeoDataFrame in degrees; of hexagons a DataFrame."""
    cells: Any = field(default=None, repr=False)
    """Of hexagons, the H3 cell of each row, as uint64."""


def feature_table(value: Any, *, udf: str, geometry: str | None = None) -> FeatureTable | None:
    """What lonboard draws of a value; None where nothing in it says where rows lie.

    Args:
        value: what the UDF returned.
        udf: its name, for errors.
        geometry: take rows of this kind only: `point`, `line` or `polygon`.

    Raises:
        ArgumentError: its geometries are of more than one kind and none was chosen, or lonboard draws none of them.

    >>> import geopandas as gpd, shapely
    >>> feature_table(gpd.GeoSeries([shapely.Point(4, 52)]), udf="towns")
    FeatureTable(kind='point')
    """
    from fused_jupyter.formats.kinds import Kind, kind_of
    from fused_jupyter.formats.tabular.frames import geometry_columns, to_frame
    from fused_jupyter.formats.tabular.places import cell_column, with_geometry

    if geometry not in {None, *_GEOMETRIES}:
        raise ArgumentError(f"geometry: got {geometry!r}, need one of {', '.join(_GEOMETRIES)}")
    if kind_of(value) not in {Kind.GEOMETRIES, Kind.TABLE}:
        return None
    frame: Any = to_frame(value)
    if names := geometry_columns(frame):
        return _shapes(frame.drop(columns=names[1:]).set_geometry(names[0]), udf=udf, geometry=geometry)
    if (name := cell_column(frame)) is not None:
        return _hexagons(frame, name)
    placed = with_geometry(frame)
    return None if placed is None else _shapes(placed, udf=udf, geometry=geometry)


def _hexagons(frame: Any, name: str) -> FeatureTable:
    from fused_jupyter.formats.tabular.places import cell_numbers

    cells = cell_numbers(frame[name])
    is_cell = cells != 0
    # As texts, since browsers show such large integers rounded.
    texts = [f"{cell:x}" for cell in cells[is_cell].tolist()]
    kept = frame[is_cell].reset_index(drop=True).assign(**{name: texts})
    return FeatureTable(kind=HEXAGON if len(kept) else "", frame=kept, cells=cells[is_cell])


def _shapes(frame: Any, *, udf: str, geometry: str | None) -> FeatureTable:
    """Rows of one kind; those without a geometry are left out."""
    import shapely

    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    types = shapely.get_type_id(frame.geometry.to_numpy())
    kinds = [kind for kind in _GEOMETRIES if DRAWINGS[kind].types.intersection(types.tolist())]
    if geometry is None and (len(kinds) > 1 or (len(types) and not kinds)):
        raise ArgumentError(_of_no_one_kind(udf, kinds))
    kind = geometry or (kinds[0] if kinds else "")
    kept = frame[[each in DRAWINGS[kind].types for each in types.tolist()]]
    return FeatureTable(kind=kind if len(kept) else "", frame=kept.reset_index(drop=True))


def _of_no_one_kind(udf: str, kinds: list[str]) -> str:
    if not kinds:
        return f"{udf} gives collections of geometries, which lonboard does not draw; take them apart: gdf.explode()"
    layers = ", ".join(f'{udf}.to_lonboard(geometry="{kind}")' for kind in reversed(kinds))
    return (
        f"{udf} gives {' and '.join(f'{kind}s' for kind in kinds)}, and a layer of lonboard draws one kind; "
        f"make one for each: lonboard.Map([{layers}])"
    )
