"""Which values the ends of a ramp of colours stand for: as it was said, else as the data has them.

On tiles all must agree, or there are seams. So the first tile of a layer settles a range that is rounded outwards, and
those that come after it are told.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.formats.rasters.raster import Mask
from fused_jupyter.formats.target import Target

_LEAST_LENGTH: Final = 1e-290
"""Below, powers of ten are no numbers any more."""

_SLACK: Final = 1e-9
"""What a quotient may be beside a whole number and still be it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The least and greatest value that have a colour of their own."""

    low: float
    high: float
    is_settled_here: bool = False
    """Whether this tile chose it, so that its neighbours should be told."""

    def __str__(self) -> str:
        return f"{_short(self.low)},{_short(self.high)}"


def settle(band: NDArray[Any], missing: Mask | None, *, said: tuple[float, float] | None, target: Target) -> Range:
    """The range to draw a band over.

    Args:
        band: the values, shape (height, width).
        missing: where they are none.
        said: the range by the request, the colour map or the data's author.
        target: a tile that comes after another one knows what that one chose.
    """
    if known := said or target.domain:
        return Range(low=known[0], high=known[1])
    found = _extent(band, missing)
    if found is None:
        return Range(low=0.0, high=1.0)
    # A tile of one value, of the sea for example, says nothing about the others.
    if target.tile is None or found[0] == found[1]:
        return Range(low=found[0], high=found[1])
    low, high = widen(*found)
    return Range(low=low, high=high, is_settled_here=True)


def widen(low: float, high: float) -> tuple[float, float]:
    """The range rounded outwards to two significant digits of its length, so that neighbours mostly fit in.

    >>> widen(-10994.5, 8848.9), widen(0.3012, 0.7018)
    ((-11000.0, 9000.0), (0.3, 0.71))
    """
    length = high - low
    if not isfinite(length) or length < _LEAST_LENGTH:
        return low, high
    digits = 1 - floor(log10(length))
    step = 10.0**-digits
    # By digits, not by the step: 3 * 0.1 is not the nearest number to 0.3.
    lower = round(floor(low / step + _SLACK) * step, digits)
    upper = round(ceil(high / step - _SLACK) * step, digits)
    return (min(low, lower), max(high, upper)) if isfinite(lower) and isfinite(upper) else (low, high)


def _extent(band: NDArray[Any], missing: Mask | None) -> tuple[float, float] | None:
    """The least and greatest finite value; None where there is none."""
    if not band.size or (missing is not None and missing.all()):
        return None
    if band.dtype.kind != "f":
        limits = np.iinfo(band.dtype)
        low = band.min() if missing is None else np.where(missing, limits.max, band).min()
        high = band.max() if missing is None else np.where(missing, limits.min, band).max()
        return float(low), float(high)
    values = band if missing is None else np.where(missing, np.nan, band)
    low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
    if np.isinf(low) or np.isinf(high):
        values = np.where(np.isfinite(values), values, np.nan)
        low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
    return None if np.isnan(low) else (float(low), float(high))


def _short(number: float) -> str:
    return repr(number).removesuffix(".0")
