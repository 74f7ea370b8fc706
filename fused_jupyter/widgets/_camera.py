"""Where a map looks, and how Python moves it."""

from __future__ import annotations

from collections.abc import Sequence

import anywidget
import traitlets

from fused_jupyter.types import Bounds
from fused_jupyter.widgets._protocol import FIT
from fused_jupyter.widgets._traits import BoundsTrait, CenterTrait


class Camera(anywidget.AnyWidget):
    """The part of a map that knows its place; its twin is js/src/view/camera.ts."""

    center = CenterTrait().tag(sync=True)
    """Where the map starts: longitude, latitude in degrees.

    - Type: two `float` or `None`
    - Default: `None`
    """

    zoom = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)
    """How near the map starts.

    - Type: `float` or `None`
    - Default: `None`
    """

    bounds = BoundsTrait().tag(sync=True)
    """What the map shows at the start and whenever this changes: (west, south, east, north) in degrees.

    - Type: `fused.types.Bounds` or `None`
    - Default: `None`
    """

    view_state = traitlets.Dict(read_only=True).tag(sync=True)
    """Where the user looks. The page writes it.

    - Type: `dict` with `longitude`, `latitude`, `zoom`
    - Default: `{}` until a page shows the map
    """

    def fit_bounds(self, bounds: Sequence[float]) -> None:
        """Show this rectangle: (west, south, east, north) in degrees.

        Raises:
            ArgumentError: these are no bounds.
        """
        wanted = Bounds([*bounds])
        if self.bounds == wanted:
            self.send({"kind": FIT})  # the trait does not change, but the user has moved since
        self.bounds = wanted
