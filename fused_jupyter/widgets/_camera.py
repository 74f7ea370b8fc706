"""Where a map looks, and how Python moves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import traitlets

from fused_jupyter.errors import ArgumentError
from fused_jupyter.types import Bounds
from fused_jupyter.widgets._protocol import FIT, FLY
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

    view_bounds = BoundsTrait(read_only=True).tag(sync=True)
    """What the user sees: (west, south, east, north) in degrees; west exceeds east across the antimeridian. The page
    writes it when the map has come to rest.

    - Type: `fused.types.Bounds` or `None`
    - Default: `None` until a page shows the map
    """

    sync_group = traitlets.Unicode(read_only=True).tag(sync=True)
    """Maps of one page with the same name before the slash look at the same place; see `fused.sync`.

    - Type: `str`
    - Default: `""`, which follows nobody
    """

    @property
    def area(self) -> Bounds:
        """What the map shows: `view_bounds`, or before a page shows it the bounds that it will start with.

        Raises:
            ArgumentError: nobody knows yet.
        """
        known = self.view_bounds or self.bounds
        if known is None:
            raise ArgumentError(
                "no page shows this map yet, so it has no viewport; show it in a cell, or set its bounds"
            )
        return Bounds(known)

    def fit_bounds(self, bounds: Sequence[float]) -> None:
        """Show this rectangle: (west, south, east, north) in degrees.

        Raises:
            ArgumentError: these are no bounds.
        """
        wanted = Bounds([*bounds])
        if self.bounds == wanted:
            self.send({"kind": FIT})  # the trait does not change, but the user has moved since
        self.bounds = wanted

    def fit(self, target: Any) -> None:
        """Show all of this.

        Args:
            target: a GeoDataFrame or geometry, bounds, GeoJSON or WKT; or the name of a layer that has bounds of its
                own or whose UDF has some as its default.

        Raises:
            ArgumentError: it means no place; or nobody knows where the layer lies.
        """
        self.fit_bounds(self._place_of(target))

    def fly_to(self, longitude: float, latitude: float, zoom: float | None = None) -> None:
        """Move there, also where no page shows the map yet: then it starts there.

        Args:
            longitude: in degrees.
            latitude: in degrees.
            zoom: None keeps the zoom that the user has.

        Raises:
            ArgumentError: this is no place.
        """
        with self.hold_sync():
            self.bounds = None  # which would win over the center in a view that is still to come
            self.center = [longitude, latitude]
            if zoom is not None or "zoom" in self.view_state:
                self.zoom = self.view_state["zoom"] if zoom is None else zoom
        self.send({"kind": FLY})

    def _place_of(self, target: Any) -> Bounds:
        from fused_jupyter.engines.spatial import Area

        return Area.of(target).bounds
