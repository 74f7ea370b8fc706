from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from fused_jupyter.formats.tabular._geojson import geometry_pieces

NUMBERS = st.floats(-180, 180)
PLACES = st.tuples(NUMBERS, NUMBERS)
SQUARES = st.builds(lambda x, y, size: shapely.box(x, y, x + size, y + size), NUMBERS, NUMBERS, st.floats(0.1, 9))
HOLED = SQUARES.map(lambda square: square - shapely.affinity.scale(square, 0.5, 0.5))
PARTS = st.integers(1, 3).map(
    lambda count: shapely.MultiPolygon([shapely.box(n, n, n + 0.5, n + 0.5) for n in range(count)])
)
SHAPES = st.one_of(
    st.none(),
    st.builds(shapely.Point, NUMBERS, NUMBERS),
    st.builds(shapely.Point, NUMBERS, NUMBERS, NUMBERS),
    st.lists(PLACES, min_size=2, max_size=4).map(shapely.LineString),
    st.lists(PLACES, min_size=1, max_size=3).map(shapely.MultiPoint),
    SQUARES,
    SQUARES.map(shapely.reverse),
    HOLED,
    PARTS,
    PARTS.map(shapely.reverse),
    st.just(shapely.MultiPolygon([shapely.box(0, 0, 9, 9) - shapely.box(1, 1, 2, 2), shapely.box(10, 0, 11, 1)])),
    st.just(shapely.Polygon()),
    st.just(shapely.GeometryCollection([shapely.Point(1, 2)])),
    st.just(shapely.LinearRing([(0, 0), (1, 0), (1, 1)])),
)


def read(shapes: list[Any]) -> list[Any]:
    head, parts, tail = geometry_pieces(np.array(shapes, dtype=object))
    return [json.loads(f"{head}{part}{tail}") for part in parts]


@settings(max_examples=150, deadline=None)
@given(st.lists(SHAPES, min_size=1, max_size=5))
def test_any_mix_of_shapes_reads_back(shapes: list[Any]) -> None:
    """Every digit and every height is there, in the order of the rows; only rings may be turned."""
    for shape, found in zip(shapes, read(shapes), strict=True):
        if shape is None:
            assert found is None
            continue
        back = shapely.geometry.shape(found)
        assert shapely.equals_identical(back, shapely.orient_polygons(_as_line(shape))), (shape, found)


def _as_line(shape: Any) -> Any:
    return shapely.LineString(shape) if shape.geom_type == "LinearRing" else shape


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(SQUARES, HOLED, PARTS, PARTS.map(shapely.reverse), SQUARES.map(shapely.reverse)),
        min_size=1,
        max_size=5,
    )
)
def test_rings_run_as_the_standard_wants(shapes: list[Any]) -> None:
    """Outer rings counterclockwise, holes clockwise (RFC 7946, 3.1.6)."""
    for found in read(shapes):
        for polygon in found["coordinates"] if found["type"] == "MultiPolygon" else [found["coordinates"]]:
            assert [shapely.LinearRing(ring).is_ccw for ring in polygon] == [True] + [False] * (len(polygon) - 1)


@pytest.mark.parametrize("shape", [shapely.Point(np.inf, 1), shapely.LineString([(0, 0), (np.inf, np.inf)])])
def test_a_place_at_infinity_is_no_geometry(shape: Any) -> None:
    """Failed projections leave such; JSON has no number for them, and the other rows are as they were."""
    assert read([shape, shapely.Point(1, 2)]) == [None, {"type": "Point", "coordinates": [1.0, 2.0]}]
    assert read([shape]) == [None]


def test_an_unknown_height_is_left_out() -> None:
    """NaN is no JSON either, but the place is known."""
    known, unknown = read([shapely.Point(1, 2, 3), shapely.Point(1, 2, np.nan)])

    assert (known["coordinates"], unknown["coordinates"]) == ([1.0, 2.0, 3.0], [1.0, 2.0])
