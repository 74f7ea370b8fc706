"""Which features a tile keeps that may not have them all."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fused_jupyter.formats.mvt.cut import Floats
from fused_jupyter.formats.mvt.protobuf import Ints

_STEP: Final = 2.0
"""Features are of one size if their widths are within this factor: of a grid's cells, all alike but for the
projection, not the northern ones should stay."""
_SPREAD: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def most_visible(kinds: Ints, widths: Floats, places: Floats, limit: int) -> Ints:
    """The positions of the features to keep, in their order: each kind in proportion, and of it the largest.

    Those of one size, as all points are, are chosen by a number made from the place alone: a chance, but the same one
    at every zoom. So what is chosen is spread as the features are, and stays when one zooms in.

    Args:
        kinds: points, lines, or polygons.
        widths: how wide each feature is on the screen.
        places: a place of each feature that is the same in all tiles; shape (features, 2).
        limit: how many to keep.
    """
    chances = _chances(places)
    classes = np.floor(np.log(np.maximum(widths, 1e-300)) / np.log(_STEP))
    classes[widths <= 0] = -np.inf
    ranks = np.empty(len(kinds))
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        order = np.lexsort((chances[members], -classes[members]))
        ranks[members[order]] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(np.argsort(ranks, kind="stable")[:limit])


def _chances(places: Floats) -> NDArray[np.uint64]:
    """Numbers that seem random (splitmix64), but are those of the place."""
    x, y = np.ascontiguousarray(places.T).view(np.uint64)
    return _mix(_mix(x) ^ y)


def _mix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _SPREAD[0]
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _SPREAD[1]
    return numbers ^ (numbers >> np.uint64(31))
