from __future__ import annotations

import mercantile
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fused_jupyter.errors import TileError
from fused_jupyter.tiles import MAX_ZOOM, Tile, bounding_tile
from fused_jupyter.types import Bounds

METRE = 1e-5
"""In degrees, roughly."""


@st.composite
def tiles(draw: st.DrawFn) -> Tile:
    z = draw(st.integers(0, MAX_ZOOM))
    side = (1 << z) - 1
    return Tile(z, draw(st.integers(0, side)), draw(st.integers(0, side)))


@st.composite
def rectangles(draw: st.DrawFn) -> Bounds:
    west, east = sorted(draw(st.tuples(*[st.floats(-180, 180)] * 2)))
    south, north = sorted(draw(st.tuples(*[st.floats(-85, 85)] * 2)))
    return Bounds.of(west, south, east, north)


@given(tiles())
def test_bounds_are_those_of_mercantile(tile: Tile) -> None:
    """The rectangle in degrees agrees with the library that everybody uses."""
    assert tile.bounds == pytest.approx(mercantile.bounds(tile.x, tile.y, tile.z), abs=1e-9)


@given(tiles())
def test_mercator_bounds_are_those_of_mercantile(tile: Tile) -> None:
    """The rectangle in metres agrees as well."""
    assert tile.mercator_bounds == pytest.approx(mercantile.xy_bounds(tile.x, tile.y, tile.z), abs=1e-6)


@given(tiles())
def test_bounding_tile_of_a_tile_is_that_tile(tile: Tile) -> None:
    """Rounding of the sides moves nothing into a neighbour, at any zoom."""
    assert bounding_tile(tile.bounds) == tile


@given(rectangles())
def test_bounding_tile_holds_the_rectangle(bounds: Bounds) -> None:
    """It covers all four sides."""
    found = bounding_tile(bounds).bounds

    assert found.west - METRE <= bounds.west
    assert found.east + METRE >= bounds.east
    assert found.south - METRE <= bounds.south
    assert found.north + METRE >= bounds.north


@given(tiles(), *[st.floats(0.01, 0.49)] * 2, *[st.floats(0.51, 0.99)] * 2)
def test_bounding_tile_is_that_of_mercantile(tile: Tile, left: float, low: float, right: float, high: float) -> None:
    """A rectangle around the middle of a tile is held by no smaller one; both libraries find it."""
    assume(tile.z <= 22)  # deeper, mercantile rounds
    west, south, east, north = tile.bounds
    width, height = east - west, north - south
    middle = [west + left * width, south + low * height, west + right * width, south + high * height]
    assume(middle[1] < mercantile.ul(2 * tile.x + 1, 2 * tile.y + 1, tile.z + 1).lat < middle[3])

    found, oracle = bounding_tile(Bounds(middle)), mercantile.bounding_tile(*middle)

    assert found == tile
    assert (oracle.z, oracle.x, oracle.y) == (tile.z, tile.x, tile.y)


def test_rectangle_across_the_antimeridian_is_the_world() -> None:
    """No smaller tile holds both ends."""
    assert bounding_tile(Bounds([170, -20, -170, -10])) == Tile(0, 0, 0)


@pytest.mark.parametrize("sides", [[-200, -10, -190, 10], [190, -90, 200, 90], [0, 86, 0, 90], [-180, -90, 180, 90]])
def test_rectangle_outside_the_grid_has_a_tile(sides: list[float]) -> None:
    """What lies beyond is cut off, not an error."""
    assert 0 <= bounding_tile(Bounds(sides)).z <= MAX_ZOOM


@pytest.mark.parametrize("point", [(0, 0), (13.4, 52.5), (-180, 85), (180, -85)])
def test_point_has_the_smallest_tile(point: tuple[float, float]) -> None:
    """A rectangle without size is held at the deepest zoom."""
    assert bounding_tile(Bounds([*point, *point])).z == MAX_ZOOM


@pytest.mark.parametrize("index", [(-1, 0, 0), (31, 0, 0), (0, 1, 0), (0, 0, 1), (3, 8, 0), (3, 0, 8), (3, -1, 0)])
def test_indices_outside_the_grid_are_refused(index: tuple[int, int, int]) -> None:
    """The message names the tile and the range."""
    with pytest.raises(TileError, match="{}/{}/{}".format(*index)):
        Tile(*index)
