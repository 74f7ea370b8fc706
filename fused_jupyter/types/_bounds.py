"""Bounds: four numbers that print, index and unpack like the list that official UDFs expect."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from math import isfinite
from typing import Self

from fused_jupyter.errors import ArgumentError


class Bounds(list[float]):
    """A rectangle as ``[west, south, east, north]`` in degrees, EPSG:4326.

    It is a list, because UDFs written for Fused test for one, and it knows its sides by name. ``west`` may exceed
    ``east``: then the rectangle crosses the antimeridian.

    Raises:
        ArgumentError: not four finite numbers, or south > north.

    >>> bounds = Bounds([-10, 50, 2, 59])
    >>> bounds.north, bounds[3], list(bounds)
    (59.0, 59.0, [-10.0, 50.0, 2.0, 59.0])
    """

    def __init__(self, sides: Sequence[float]) -> None:
        if isinstance(sides, str) or not isinstance(sides, Sized):
            raise ArgumentError(f"bounds: got {sides!r}, need four numbers west,south,east,north, e.g. -10,50,2,59")
        if len(sides) != 4:
            raise ArgumentError(
                f"bounds: got {len(sides)} numbers in {sides!r}, need west,south,east,north, e.g. -10,50,2,59"
            )
        try:
            super().__init__(float(side) for side in sides)
        except (TypeError, ValueError) as exc:
            raise ArgumentError(
                f"bounds: got {sides!r}, need four numbers west,south,east,north, e.g. -10,50,2,59"
            ) from exc
        if not all(isfinite(side) for side in self):
            raise ArgumentError(
                f"bounds: got {sides!r}, need four finite numbers west,south,east,north, e.g. -10,50,2,59"
            )
        if self.south > self.north:
            raise ArgumentError(
                f"bounds: south {self.south} is above north {self.north}; the order is west,south,east,north"
            )

    @classmethod
    def of(cls, west: float, south: float, east: float, north: float) -> Self:
        """The rectangle with these sides."""
        return cls([west, south, east, north])

    @property
    def west(self) -> float:
        """Left side, degrees."""
        return self[0]

    @property
    def south(self) -> float:
        """Lower side, degrees."""
        return self[1]

    @property
    def east(self) -> float:
        """Right side, degrees."""
        return self[2]

    @property
    def north(self) -> float:
        """Upper side, degrees."""
        return self[3]

    def __repr__(self) -> str:
        return f"Bounds(west={self.west}, south={self.south}, east={self.east}, north={self.north})"

    def __str__(self) -> str:
        # UDFs put bounds into URLs and SQL with f-strings; there it has to read as the plain list.
        return str(list(self))
