"""What lies under the pointer, and who wants to hear of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import traitlets

from fused_jupyter.widgets._callbacks import Listener, Listening


class Pointer(Listening):
    """The part of a map that answers the mouse, the finger and the Enter key; its twin is js/src/pointer/."""

    clicked = traitlets.Dict(read_only=True).tag(sync=True)
    """The last click: where, and what lies there. The page writes it.

    `lngLat` is longitude and latitude in degrees. `layer`, `properties`, `id` and `values` are those of the topmost
    layer there, None where there is none: `properties` of a feature, `values` of a raster's pixel, one for each band as
    the UDF returned them, None where there is no data. `features` lists the same for all layers, the topmost first, and
    `time` is in milliseconds since 1970.

    - Type: `dict` with `lngLat`, `layer`, `properties`, `id`, `values`, `features`, `time`
    - Default: `{}` until somebody clicks
    """

    hovered = traitlets.Dict(read_only=True).tag(sync=True)
    """What the pointer is on, in the form of `clicked`. The page writes it when that changes, ten times a second at
    most, and the `values` of a raster when the pointer rests.

    - Type: as `clicked`
    - Default: `{}`, also when the pointer is on nothing
    """

    def on_click(self, callback: Listener) -> Listener:
        """Call this with `clicked` at each click; it can stand before a function as `@map.on_click`.

        It runs in a thread beside that of the cells, so also while a cell runs. What it prints, shows and raises
        appears below the cell that gave it.

        Returns:
            The callback, for `forget`.

        Raises:
            ArgumentError: it is no function, or an async one.
        """
        return self._listen("on_click", callback)

    def on_hover(self, callback: Listener) -> Listener:
        """Call this with `hovered` each time the pointer is on something else; see `on_click`."""
        return self._listen("on_hover", callback)

    def on_tile_error(self, callback: Listener) -> Listener:
        """Call this with each tile that fails, as `tile_errors` has it; see `on_click`."""
        return self._listen("on_tile_error", callback)

    @traitlets.observe("clicked")
    def _tell_click(self, change: Mapping[str, Any]) -> None:
        self._tell("on_click", change["new"])

    @traitlets.observe("hovered")
    def _tell_hover(self, change: Mapping[str, Any]) -> None:
        self._tell("on_hover", change["new"])

    @traitlets.observe("tile_errors")
    def _tell_tile_errors(self, change: Mapping[str, Any]) -> None:
        told = change["old"] if isinstance(change["old"], list) else []
        for failure in change["new"]:
            if failure not in told:
                self._tell("on_tile_error", failure)
