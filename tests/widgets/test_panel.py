"""The parameters of a map, as Python sees them."""

from __future__ import annotations

from typing import Any

import pytest

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs.controls import Control
from fused_jupyter.widgets import FusedMap, TileLayer


@pytest.fixture
def weather(registry: Any, parameter: Any) -> Any:
    """A registry with `weather(bounds, hour: int, threshold: float = 2, band='a', near=(1, 2))`."""
    registry.register(
        "weather",
        parameter(name="bounds", annotation="fused.types.Bounds", is_spatial=True),
        parameter(name="hour", annotation="int", has_default=False),
        parameter(name="threshold", annotation="float", default=2),
        parameter(name="band", annotation="Literal['a', 'b']", default="a"),
        parameter(name="near", annotation="tuple[float, float]", default=(1, 2)),
    )
    return registry


def shown(fused_map: FusedMap) -> list[str]:
    return [control["name"] for control in fused_map.controls]


def test_numbers_of_the_page_keep_their_type(weather: Any) -> None:
    """JSON has one kind of number: the trait gives floats where the control is one of floats."""
    fused_map = FusedMap("weather")

    fused_map.set_state({"params": {"hour": 5, "threshold": 3, "band": "b", "near": [1, 3]}})

    assert repr(fused_map.params) == "{'hour': 5, 'threshold': 3.0, 'band': 'b', 'near': [1.0, 3.0]}"


def test_a_map_shows_the_controls_that_it_is_told_to(weather: Any) -> None:
    """All, none, some in an order, or all with changes."""
    assert shown(FusedMap("weather")) == ["hour", "threshold", "band", "near"]
    assert shown(FusedMap("weather", controls=False)) == []
    assert shown(FusedMap("weather", controls=["band", "threshold"])) == ["band", "threshold"]

    changed = FusedMap("weather", controls={"threshold": (0, 10, 0.5), "near": None, "hour": Control(0, 23, play=True)})

    assert shown(changed) == ["hour", "threshold", "band"]
    hour, threshold, _ = changed.controls
    assert (hour["kind"], hour["play"]) == ("slider", {"seconds": 1.0, "loop": True})
    assert (threshold["min"], threshold["max"], threshold["step"], threshold["value"]) == (0, 10, 0.5, 2.0)


def test_what_has_no_default_starts_where_its_control_does(weather: Any) -> None:
    """The map would fail otherwise, and the panel would lie; what the user gives wins."""
    controls = {"hour": (6, 18), "threshold": (5, 9)}

    assert FusedMap("weather", controls=controls).params == {"hour": 6, "threshold": 5.0}
    assert FusedMap("weather", controls=controls, params={"hour": 12}).params == {"hour": 12, "threshold": 5.0}


def test_controls_change_later(weather: Any) -> None:
    """And stay as they were told when a cell runs again or a layer comes."""
    fused_map = FusedMap(TileLayer("quakes"), controls=["min_mag"])
    fused_map.add("weather")
    assert shown(fused_map) == ["min_mag"]

    fused_map.set_controls({"hour": range(24), "band": None, "near": None})

    assert shown(fused_map) == ["min_mag", "hour", "threshold"]
    assert fused_map.params == {"hour": 0}


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"treshold": (0, 1)}, "did you mean 'threshold'"),
        (["nothing"], "there are hour, threshold, band, near"),
        ({"hour": object()}, "need .min, max."),
        ("hour", "need True, False, a list of names"),
    ],
)
def test_controls_that_cannot_be_are_refused(weather: Any, controls: Any, message: str) -> None:
    """With what would be possible; and `set_controls` leaves the map as it is."""
    with pytest.raises(ArgumentError, match=message):
        FusedMap("weather", controls=controls)

    fused_map = FusedMap("weather")
    with pytest.raises(ArgumentError, match=message):
        fused_map.set_controls(controls)
    assert shown(fused_map) == ["hour", "threshold", "band", "near"]
