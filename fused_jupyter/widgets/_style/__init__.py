"""How layers look: what users write becomes one value, which the page draws and explains in its legend."""

from __future__ import annotations

from fused_jupyter.widgets._style.legend import LegendLike, legend_to_json
from fused_jupyter.widgets._style.spec import PALETTE, Style, StyleLike, free_color, recolored
from fused_jupyter.widgets._style.vizconfig import VizConfig, is_vizconfig, read_vizconfig

__all__ = [
    "PALETTE",
    "LegendLike",
    "Style",
    "StyleLike",
    "VizConfig",
    "free_color",
    "is_vizconfig",
    "legend_to_json",
    "read_vizconfig",
    "recolored",
]
