"""The layers of a map: what they show, and how; one module each."""

from __future__ import annotations

from fused_jupyter.widgets._layers.base import Layer
from fused_jupyter.widgets._layers.features import FeatureLayer
from fused_jupyter.widgets._layers.file import FileLayer
from fused_jupyter.widgets._layers.image import ImageLayer
from fused_jupyter.widgets._layers.made import udf_layer
from fused_jupyter.widgets._layers.tiles import TileLayer
from fused_jupyter.widgets._layers.udf import NamedUdf, UdfLayer, name_of

__all__ = [
    "FeatureLayer",
    "FileLayer",
    "ImageLayer",
    "Layer",
    "NamedUdf",
    "TileLayer",
    "UdfLayer",
    "name_of",
    "udf_layer",
]
