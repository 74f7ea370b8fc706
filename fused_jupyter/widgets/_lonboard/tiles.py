"""The raster tiles of a UDF as a layer of lonboard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fused_jupyter.widgets._lonboard.following import Check, Following, following

if TYPE_CHECKING:
    from lonboard import BitmapTileLayer

_DEFAULTS: dict[str, Any] = {
    # lonboard's 512 would ask for tiles of one zoom less and stretch them.
    "tile_size": 256,
    "max_zoom": 22,
}


def bitmap_tile_layer(
    name: str, *, url: Callable[[Mapping[str, Any]], str], params: Mapping[str, Any], check: Check, **kw: Any
) -> BitmapTileLayer:
    """A lonboard layer of a UDF's raster tiles, which follows the UDF when its cell runs again.

    lonboard sends no headers with its requests and loads parts of itself from a CDN: the URL has to be one that works
    without a login, and the browser needs the internet. `FusedMap` needs neither.

    Args:
        name: the UDF.
        url: gives the URL template for the present version of the UDF and these parameters, with ``{z}``, ``{x}``,
            ``{y}``.
        params: the layer's first parameters.
        check: of later ones.
        **kw: what `lonboard.BitmapTileLayer` takes.
    """
    from lonboard import BitmapTileLayer

    layer: BitmapTileLayer = following(BitmapTileLayer)(data=url(params), **{**_DEFAULTS, **kw})

    def draw(shown: Following) -> None:
        shown.data = url(shown.params)

    layer.start(name, params=params, check=check, draw=draw)
    return layer
