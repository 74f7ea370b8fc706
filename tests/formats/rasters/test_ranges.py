from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.formats import Target, TileFrame
from fused_jupyter.formats.rasters.ranges import Range, settle, widen
from fused_jupyter.tiles import Tile

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def frame() -> TileFrame:
    place = Tile(5, 16, 10)
    return TileFrame(z=5, x=16, y=10, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


TILE = Target(tile=frame())
FILE = Target()


def extent(values: Any, missing: Any = None, *, target: Target = FILE) -> tuple[float, float]:
    span = settle(np.asarray(values), missing, said=None, target=target)
    return span.low, span.high


@given(low=FLOATS, high=FLOATS)
def test_a_wider_range_encloses_the_range_and_not_much_more(low: float, high: float) -> None:
    """A tenth of its length at each end at most."""
    low, high = sorted([low, high])

    lower, upper = widen(low, high)

    assert lower <= low <= high <= upper
    length = high / 2 - low / 2
    assert low / 2 - lower / 2 <= 0.1000001 * length
    assert upper / 2 - high / 2 <= 0.1000001 * length


@given(low=st.floats(-1e6, 1e6), length=st.floats(0.01, 1e6))
def test_widening_twice_is_widening_once_or_nearly(low: float, length: float) -> None:
    """So tiles that see the same data agree."""
    once = widen(low, low + length)

    twice = widen(*once)

    assert twice[0] <= once[0]
    assert twice[1] >= once[1]
    assert twice[1] - twice[0] <= 1.21 * (once[1] - once[0])


@pytest.mark.parametrize(
    "values",
    [
        np.array([[3, np.nan, -np.inf], [np.inf, 7, 5]]),
        np.array([[3, 7, 5]], np.float16),
        np.array([[3, 7, 5]], np.uint64),
        np.array([[3, 7, 5]], np.int8),
    ],
)
def test_a_file_is_drawn_over_all_that_it_has(values: Any) -> None:
    """From its least to its greatest finite value."""
    assert extent(values) == (3, 7)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_missing_pixels_have_no_say(dtype: Any) -> None:
    """Nor do they count as zero."""
    values, missing = np.array([[5, 9, 200, 1]], dtype), np.array([[False, False, True, True]])

    assert extent(values, missing) == (5, 9)
    assert extent(values, np.ones_like(missing)) == (0, 1)


def test_the_first_tile_settles_the_range_of_its_layer() -> None:
    """Rounded outwards, and told to its neighbours."""
    span = settle(np.array([[0.123, 97.3]]), None, said=None, target=TILE)

    assert span == Range(low=0, high=98, is_settled_here=True)


def test_later_tiles_are_drawn_as_the_first() -> None:
    """Whatever their own values are; what the request says goes before."""
    later = Target(tile=frame(), domain=(0, 98))

    assert settle(np.array([[500.0, 900.0]]), None, said=None, target=later) == Range(low=0, high=98)
    assert settle(np.array([[500.0, 900.0]]), None, said=(1, 2), target=later) == Range(low=1, high=2)


@pytest.mark.parametrize("values", [[[np.nan, np.nan]], [[4.0, 4.0]], np.zeros((0, 4))])
def test_a_tile_that_tells_nothing_settles_nothing(values: Any) -> None:
    """Empty tiles, and tiles of the open sea."""
    assert not settle(np.asarray(values), None, said=None, target=TILE).is_settled_here


@pytest.mark.parametrize(
    ("span", "text"),
    [((0, 98), "0,98"), ((-0.5, 1e21), "-0.5,1e+21"), ((0.1, 0.30000000000000004), "0.1,0.30000000000000004")],
)
def test_the_text_is_what_rescale_takes(span: tuple[float, float], text: str) -> None:
    """Without loss."""
    assert str(Range(low=float(span[0]), high=float(span[1]))) == text
