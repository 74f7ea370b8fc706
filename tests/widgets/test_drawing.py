"""Shapes between the page and GeoPandas."""

from __future__ import annotations

from typing import Any

import geopandas
import pytest
import shapely

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets import FusedMap

SQUARE = shapely.box(10, 20, 30, 40)


@pytest.fixture
def shown(registry: Any) -> FusedMap:
    """A map of the UDF quakes."""
    assert registry
    return FusedMap("quakes")


def feature(geometry: Any, kind: str = "polygon") -> dict[str, Any]:
    """As the page writes it."""
    return {"type": "Feature", "properties": {"kind": kind}, "geometry": shapely.geometry.mapping(geometry)}


def from_page(shown: FusedMap, *features: dict[str, Any]) -> None:
    """The page drew these."""
    data = {"method": "update", "state": {"shapes": [*features]}, "buffer_paths": []}
    shown._handle_msg({"content": {"data": data}, "buffers": []})


def test_what_was_drawn_is_a_frame(shown: FusedMap) -> None:
    """In EPSG:4326, with what drew it; without shapes a frame without rows."""
    assert len(shown.drawn) == 0
    assert shown.drawn.crs == "EPSG:4326"

    from_page(shown, feature(SQUARE, "box"), feature(SQUARE.buffer(1)))

    assert shown.drawn.crs == "EPSG:4326"
    assert shown.drawn["kind"].tolist() == ["box", "polygon"]
    assert shown.drawn.geometry.iloc[0].equals(SQUARE)


def test_callbacks_hear_of_hands_not_of_python(shown: FusedMap) -> None:
    """What is drawn and cleared on the page is told; what Python puts there Python knows."""
    heard: list[int] = []
    shown.on_draw(lambda drawn: heard.append(len(drawn)))

    from_page(shown, feature(SQUARE))
    shown.draw(SQUARE)
    shown.clear_drawn()
    from_page(shown, feature(SQUARE), feature(SQUARE))
    from_page(shown)

    assert heard == [1, 2, 0]


def test_shapes_of_python_keep_their_columns_and_lose_their_crs(shown: FusedMap) -> None:
    """Whatever they come as; a second call replaces the first."""
    frame = geopandas.GeoDataFrame(
        {"name": ["here"], "day": [geopandas.pd.Timestamp("2024-05-01")]}, geometry=[SQUARE], crs=4326
    )
    shown.draw(shapely.Point(1, 2))
    shown.draw(frame.to_crs(3857))

    (row,) = shown.drawn.itertuples()
    assert (row.name, row.day[:10]) == ("here", "2024-05-01")
    assert row.geometry.equals_exact(SQUARE, 1e-6)

    for value in (SQUARE, geopandas.GeoSeries([SQUARE]), shapely.geometry.mapping(SQUARE), SQUARE.wkt, SQUARE.bounds):
        shown.draw(value)
        assert shown.drawn.geometry.iloc[0].equals(SQUARE)
    with pytest.raises(ArgumentError, match="draw: got str, need a GeoDataFrame"):
        shown.draw("here")


def test_rows_without_geometry_are_left_out(shown: FusedMap) -> None:
    """There is nothing of them to draw."""
    shown.draw(geopandas.GeoDataFrame({"n": [1, 2]}, geometry=[None, SQUARE], crs=4326))

    assert shown.drawn["n"].tolist() == [2]


def test_a_shape_across_the_antimeridian_is_in_two_parts(shown: FusedMap) -> None:
    """The page counts on to 190; a frame has -170, and the same area."""
    from_page(shown, feature(shapely.box(170, 0, 190, 5)))

    (shape,) = shown.drawn.geometry
    assert shape.equals(shapely.union_all([shapely.box(170, 0, 180, 5), shapely.box(-180, 0, -170, 5)]))


def test_a_crossed_polygon_becomes_valid(shown: FusedMap) -> None:
    """A bow tie drawn by hand can be used to clip."""
    from_page(shown, feature(shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])))

    (shape,) = shown.drawn.geometry
    assert shape.is_valid
    assert shape.area == pytest.approx(2)
