"""What a notebook shows: maps of UDFs with their parameters. Importing it imports no widget library."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fused_jupyter.widgets._compare import MapComparison, compare, sync, unsync
    from fused_jupyter.widgets._layers import FeatureLayer, FileLayer, ImageLayer, TileLayer, udf_layer
    from fused_jupyter.widgets._lonboard import FeatureTable, bitmap_tile_layer, feature_table, vector_layer
    from fused_jupyter.widgets._map import FusedMap
    from fused_jupyter.widgets._style import read_vizconfig
    from fused_jupyter.widgets._top import LiveTop

__all__ = [
    "FeatureLayer",
    "FeatureTable",
    "FileLayer",
    "FusedMap",
    "ImageLayer",
    "LiveTop",
    "MapComparison",
    "TileLayer",
    "bitmap_tile_layer",
    "compare",
    "feature_table",
    "read_vizconfig",
    "sync",
    "udf_layer",
    "unsync",
    "vector_layer",
]

_HOMES = {
    "FeatureLayer": "_layers",
    "FeatureTable": "_lonboard",
    "FileLayer": "_layers",
    "FusedMap": "_map",
    "ImageLayer": "_layers",
    "LiveTop": "_top",
    "MapComparison": "_compare",
    "TileLayer": "_layers",
    "bitmap_tile_layer": "_lonboard",
    "compare": "_compare",
    "feature_table": "_lonboard",
    "read_vizconfig": "_style",
    "sync": "_compare",
    "udf_layer": "_layers",
    "unsync": "_compare",
    "vector_layer": "_lonboard",
}


def __getattr__(name: str) -> Any:  # a module's attributes have no common type
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__]
