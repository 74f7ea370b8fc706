from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from fused_jupyter.errors import ArgumentError
from fused_jupyter.types import Bounds


def test_bounds_are_a_list_with_names() -> None:
    """Official UDFs index it, ours name its sides."""
    bounds = Bounds.of(-10, 50, 2, 59)

    assert isinstance(bounds, list)
    assert bounds == [-10.0, 50.0, 2.0, 59.0]
    assert (bounds.west, bounds.south, bounds.east, bounds.north) == tuple(bounds)


def test_bounds_read_as_a_plain_list_in_text() -> None:
    """An f-string that builds SQL or a URL gets numbers, no class name."""
    assert f"{Bounds([1, 2, 3, 4])}" == "[1.0, 2.0, 3.0, 4.0]"
    assert repr(Bounds([1, 2, 3, 4])) == "Bounds(west=1.0, south=2.0, east=3.0, north=4.0)"


def test_west_may_exceed_east() -> None:
    """Such a rectangle crosses the antimeridian."""
    assert Bounds([170, -20, -170, -10]).west == 170


@pytest.mark.parametrize(
    ("sides", "says"),
    [
        ([1, 2, 3], "got 3 numbers"),
        ([1, 2, 3, 4, 5], "got 5 numbers"),
        (["a", 2, 3, 4], "need four numbers"),
        ([None, 2, 3, 4], "need four numbers"),
        ([float("nan"), 2, 3, 4], "finite"),
        ([1, 2, float("inf"), 4], "finite"),
        ([1, 60, 3, 50], "south 60.0 is above north 50.0"),
        ("1234", "need four numbers"),
        (7, "need four numbers"),
        (None, "need four numbers"),
    ],
)
def test_what_is_no_rectangle_is_refused(sides: Any, says: str) -> None:
    """The message tells what came and what was wanted."""
    with pytest.raises(ArgumentError, match=says):
        Bounds(sides)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value, 5))])
def test_bounds_stay_bounds(again: Any) -> None:
    """Copied and pickled they keep their names: they travel to workers."""
    bounds = again(Bounds([1, 2, 3, 4]))

    assert isinstance(bounds, Bounds)
    assert bounds.north == 4
