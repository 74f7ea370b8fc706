"""Where the map looks, asked for and told."""

from __future__ import annotations

from typing import Any

import geopandas
import pytest
import shapely

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets import FusedMap, TileLayer


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Messages to the page."""
    messages: list[Any] = []
    monkeypatch.setattr(FusedMap, "send", lambda _self, content, **_: messages.append(content))
    return messages


def test_a_flight_is_told_and_is_where_new_views_start(registry: Any, sent: list[Any]) -> None:
    """Bounds would win over the center in a view that comes later, so they go."""
    shown = FusedMap("quakes", bounds=[0, 0, 1, 1])

    shown.fly_to(4.9, 52.4, 11)

    assert (shown.center, shown.zoom, shown.bounds) == ([4.9, 52.4], 11, None)
    assert sent == [{"kind": "fly"}]
    with pytest.raises(ArgumentError, match="longitude comes first"):
        shown.fly_to(52.4, 152)


def test_a_flight_without_zoom_keeps_that_of_the_user(registry: Any, sent: list[Any]) -> None:
    """What the page told last."""
    shown = FusedMap("quakes", zoom=3)
    shown.set_trait("view_state", {"longitude": 0, "latitude": 0, "zoom": 7.5})

    shown.fly_to(4.9, 52.4)

    assert shown.zoom == 7.5
    assert len(sent) == 1


@pytest.mark.parametrize(
    "target",
    [
        [1, 2, 3, 4],
        "1,2,3,4",
        shapely.box(1, 2, 3, 4),
        geopandas.GeoDataFrame(geometry=[shapely.box(1, 2, 3, 4)], crs=4326).to_crs(3857),
        "LINESTRING (1 2, 3 4)",
    ],
    ids=["bounds", "text", "geometry", "frame", "wkt"],
)
def test_fit_takes_whatever_has_a_place(registry: Any, target: Any) -> None:
    """In any CRS that it knows."""
    shown = FusedMap("quakes")

    shown.fit(target)

    assert shown.bounds == pytest.approx([1, 2, 3, 4])


def test_fit_knows_the_layers(registry: Any, parameter: Any) -> None:
    """By their own bounds, else by the default of their UDF; one without either says what to do."""
    registry.register("zones", parameter(name="bounds", is_spatial=True, default=[5, 6, 7, 8]))
    shown = FusedMap("quakes", "zones", TileLayer("quakes", name="near", bounds=[1, 2, 3, 4]))

    shown.fit("near")
    assert shown.bounds == [1, 2, 3, 4]
    shown.fit("zones")
    assert shown.bounds == [5, 6, 7, 8]
    with pytest.raises(ArgumentError, match="layer 'quakes' says nowhere where it lies"):
        shown.fit("quakes")
    with pytest.raises(ArgumentError, match="got 'nowhere'"):
        shown.fit("nowhere")


def test_the_area_is_what_the_page_shows(registry: Any) -> None:
    """Before there is a page, what it will start with; without that, an error that says so."""
    shown = FusedMap("quakes")
    with pytest.raises(ArgumentError, match="no page shows this map yet"):
        _ = shown.area

    shown.bounds = [0, 0, 1, 1]
    assert shown.area == [0, 0, 1, 1]
    shown.set_trait("view_bounds", [170, 0, -170, 1])
    assert shown.area.west == 170
