"""The adapter to lonboard."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from fused_jupyter.widgets import bitmap_tile_layer


def test_the_layer_follows_its_udf(registry: Any) -> None:
    """A new version of the UDF gives a new URL, which is what makes lonboard fetch again."""
    layer = bitmap_tile_layer(
        "quakes", url=lambda: f"http://h/{{z}}/{{x}}/{{y}}.png?v={registry.get('quakes').digest}", opacity=0.5
    )
    assert layer.data == "http://h/{z}/{x}/{y}.png?v=1"
    assert (layer.tile_size, layer.opacity) == (256, 0.5)

    registry.register("quakes", digest="2")
    registry.register("other", digest="9")

    assert layer.data == "http://h/{z}/{x}/{y}.png?v=2"


def test_a_closed_layer_is_collected(registry: Any) -> None:
    """The registry keeps no layer alive."""
    layer = bitmap_tile_layer("quakes", url=lambda: "http://h/{z}/{x}/{y}.png")
    reference = weakref.ref(layer)

    layer.close()
    del layer
    gc.collect()

    assert reference() is None
    assert registry.listeners == []
