"""Two maps beside each other, from Python's side."""

from __future__ import annotations

from typing import Any

import pytest

from fused_jupyter.errors import ArgumentError, UnknownUdfError
from fused_jupyter.widgets import FusedMap, MapComparison, compare, sync, unsync


def group(shown: FusedMap) -> str:
    """The name without the rank."""
    return shown.sync_group.partition("/")[0]


def test_synced_maps_share_a_group_that_nobody_else_has(registry: Any) -> None:
    """Each call makes a group of its own, and leaves those before it."""
    one, other, third = (FusedMap("quakes") for _ in range(3))

    sync(one, other)
    first = group(one)
    assert first == group(other) != ""
    assert [one.sync_group[-2:], other.sync_group[-2:]] == ["/0", "/1"], "the first one leads"
    assert third.sync_group == ""

    sync(other, third)
    assert group(one) == first != group(other) == group(third)
    unsync(one, other)
    assert one.sync_group == other.sync_group == ""


def test_less_than_two_maps_are_refused(registry: Any) -> None:
    """Also the same one twice."""
    one = FusedMap("quakes")

    for maps in ((one,), (one, one), ()):
        with pytest.raises(ArgumentError, match="need two or more that differ"):
            sync(*maps)


def test_a_comparison_shows_maps_and_makes_them_from_udfs(registry: Any) -> None:
    """They look at the same place; the height is that of the left one."""
    left = FusedMap("quakes", height=300)

    comparison = compare(left, "quakes", mode="side by side")

    assert isinstance(comparison, MapComparison)
    assert comparison.maps[0] is left
    assert [layer.name for layer in comparison.maps[1].layers] == ["quakes"]
    assert group(left) == group(comparison.maps[1]) != ""
    assert (comparison.mode, comparison.height, comparison.position) == ("side by side", "300px", 0.5)
    state = comparison.get_state()
    assert state["maps"] == [f"IPY_MODEL_{one.model_id}" for one in comparison.maps]


def test_what_does_not_fit_is_refused(registry: Any) -> None:
    """Modes, positions and names."""
    with pytest.raises(ArgumentError, match="mode: got 'flip', need one of 'swipe', 'side by side'"):
        compare("quakes", "quakes", mode="flip")  # type: ignore[arg-type]  that is the point
    with pytest.raises(UnknownUdfError):
        compare("quakes", "nothing")
    comparison = compare("quakes", "quakes")
    with pytest.raises(ArgumentError, match="position: got 2"):
        comparison.position = 2.0
