"""A UDF as a layer of a lonboard map."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fused_jupyter.widgets._registry import UdfDefinition, current_runtime, follow

if TYPE_CHECKING:
    from lonboard import BitmapTileLayer

_DEFAULTS: dict[str, Any] = {
    # lonboard's 512 would ask for tiles of one zoom less and stretch them.
    "tile_size": 256,
    "max_zoom": 22,
}


def bitmap_tile_layer(name: str, *, url: Callable[[], str], **kw: Any) -> BitmapTileLayer:
    """A lonboard layer of a UDF's raster tiles, which follows the UDF when its cell runs again.

    lonboard sends no headers with its requests and loads parts of itself from a CDN: the URL has to be one that works
    without a login, and the browser needs the internet. `FusedMap` needs neither.

    Args:
        name: the UDF.
        url: gives the URL template for the present version of the UDF, with ``{z}``, ``{x}``, ``{y}``.
        **kw: what `lonboard.BitmapTileLayer` takes.
    """
    from lonboard import BitmapTileLayer

    def refresh(layer: BitmapTileLayer, definition: UdfDefinition) -> None:
        if definition.name == name:
            layer.data = url()

    layer = BitmapTileLayer(data=url(), **{**_DEFAULTS, **kw})
    follow(current_runtime().registry, layer, callback=refresh)
    return layer
