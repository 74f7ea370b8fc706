"""What a notebook shows: maps of UDFs with their parameters. Importing it imports no widget library."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fused_jupyter.widgets._layer import TileLayer
    from fused_jupyter.widgets._lonboard import bitmap_tile_layer
    from fused_jupyter.widgets._map import FusedMap
    from fused_jupyter.widgets._top import LiveTop

__all__ = ["FusedMap", "LiveTop", "TileLayer", "bitmap_tile_layer"]

_HOMES = {"FusedMap": "_map", "LiveTop": "_top", "TileLayer": "_layer", "bitmap_tile_layer": "_lonboard"}


def __getattr__(name: str) -> Any:  # a module's attributes have no common type
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__]
