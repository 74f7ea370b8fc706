"""`udf.to_lonboard()`: a layer of lonboard over the UDF's raster tiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fused_jupyter.api.addresses import as_query
from fused_jupyter.api.given import carried, split
from fused_jupyter.runtime import current_kernel

if TYPE_CHECKING:
    from lonboard import BitmapTileLayer

    from fused_jupyter.udfs import UdfDefinition


def lonboard_of(definition: UdfDefinition, given: Mapping[str, Any]) -> BitmapTileLayer:
    """A layer that follows the UDF of this name, by addresses with a token of its own.

    Args:
        definition: the UDF.
        given: its arguments, how its tiles are drawn, and what the layer takes.

    Raises:
        NoServerError: this kernel was not started by a Jupyter server with the extension.
    """
    from fused_jupyter.widgets import bitmap_tile_layer

    arguments, drawing, rest = split(definition, given)
    runtime = current_kernel()
    base_url = runtime.server().base_url
    token = runtime.grant(definition.name)
    texts = as_query(carried(definition, arguments) | drawing)

    def url() -> str:
        version = runtime.registry.get(definition.name).digest
        query = urlencode({**texts, "v": version})
        return f"{base_url}fused/{token}/run/tiles/{{z}}/{{x}}/{{y}}.png?{query}"

    return bitmap_tile_layer(definition.name, url=url, **rest)
