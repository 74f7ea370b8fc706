"""One tile of the web map grid, and its rectangle in degrees and in metres."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, degrees, log, pi, radians, sinh, tan

from fused_jupyter.errors import TileError
from fused_jupyter.types import Bounds

MERCATOR_HALF_WIDTH = pi * 6378137.0
"""Half the width of the EPSG:3857 square, metres."""

MAX_ZOOM = 30
"""Beyond it a tile is smaller than a millimetre and 2^z leaves the range that clients use."""

_ROUNDING = 1e-12
"""Of the width of the world: a thousandth of the smallest tile, some thousand times what a float loses."""

_MAX_LATITUDE = degrees(atan(sinh(pi)))


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: zoom `z`, column `x` from the west, row `y` from the north.

    Raises:
        TileError: the indices are outside the grid.

    >>> Tile(0, 0, 0).bounds
    Bounds(west=-180.0, south=-85.0511287798066, east=180.0, north=85.0511287798066)
    """

    z: int
    x: int
    y: int

    def __post_init__(self) -> None:
        if not 0 <= self.z <= MAX_ZOOM:
            raise TileError(f"tile {self.z}/{self.x}/{self.y}: z must be between 0 and {MAX_ZOOM}")
        side = 1 << self.z
        if not (0 <= self.x < side and 0 <= self.y < side):
            raise TileError(f"tile {self.z}/{self.x}/{self.y}: x and y must be between 0 and {side - 1} at z={self.z}")

    @property
    def bounds(self) -> Bounds:
        """(west, south, east, north) in degrees, EPSG:4326."""
        return grid_bounds(self.z, self.x, self.y)

    @property
    def mercator_bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in metres, EPSG:3857."""
        width = 2 * MERCATOR_HALF_WIDTH / (1 << self.z)
        west = self.x * width - MERCATOR_HALF_WIDTH
        north = MERCATOR_HALF_WIDTH - self.y * width
        return west, north - width, west + width, north


def grid_bounds(z: int, x: int, y: int) -> Bounds:
    """The rectangle of a cell of the grid, which may lie outside of the world that tiles show.

    >>> round(grid_bounds(1, 1, 2).north, 2)
    -85.05
    """
    side = 1 << z
    return Bounds.of(
        x / side * 360.0 - 180.0,
        _latitude((y + 1) / side),
        (x + 1) / side * 360.0 - 180.0,
        _latitude(y / side),
    )


def bounding_tile(bounds: Bounds) -> Tile:
    """The smallest tile that holds the rectangle, its sides included: that of `tile.bounds` is `tile`.

    The whole world where it crosses the antimeridian; what lies beyond the grid is cut off.

    >>> bounding_tile(Bounds([-122.45, 37.74, -122.42, 37.78]))
    Tile(z=11, x=327, y=791)
    """
    if bounds.west > bounds.east:
        return Tile(0, 0, 0)
    left, right = _inside(_column(bounds.west), _column(bounds.east))
    top, bottom = _inside(_row(bounds.north), _row(bounds.south))
    for z in range(MAX_ZOOM, 0, -1):
        side = 1 << z
        x, y = int(left * side), int(top * side)
        if x == int(right * side) and y == int(bottom * side):
            return Tile(z, x, y)
    return Tile(0, 0, 0)


def _inside(low: float, high: float) -> tuple[float, float]:
    """Both ends moved inwards by what rounding may have moved them outwards, into a neighbouring tile."""
    low, high = low + _ROUNDING, high - _ROUNDING
    if low > high:  # a point or nearly one
        low = high = (low + high) / 2
    return min(max(low, 0.0), 1 - _ROUNDING), min(max(high, 0.0), 1 - _ROUNDING)


def _latitude(fraction_from_north: float) -> float:
    return degrees(atan(sinh(pi * (1 - 2 * fraction_from_north))))


def _column(longitude: float) -> float:
    return (longitude + 180.0) / 360.0


def _row(latitude: float) -> float:
    clipped = min(max(latitude, -_MAX_LATITUDE), _MAX_LATITUDE)
    return (1 - log(tan(pi / 4 + radians(clipped) / 2)) / pi) / 2
