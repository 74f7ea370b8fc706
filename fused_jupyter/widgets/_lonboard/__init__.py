"""UDFs as layers of lonboard, which follow their cells. `FusedMap` needs none of this."""

from fused_jupyter.widgets._lonboard.features import FeatureTable, feature_table
from fused_jupyter.widgets._lonboard.tiles import bitmap_tile_layer
from fused_jupyter.widgets._lonboard.vectors import vector_layer

__all__ = ["FeatureTable", "bitmap_tile_layer", "feature_table", "vector_layer"]
