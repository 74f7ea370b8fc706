"""Values ⇄ bytes: what a UDF returned becomes the body of a response.

`encode` is the one door. Importing this package costs nothing heavy: the host reads `Wanted` and `FORMATS`, only a
worker loads an encoder.
"""

from __future__ import annotations

from fused_jupyter.formats.catalog import FORMATS, Format
from fused_jupyter.formats.encoding import Encoded, encode
from fused_jupyter.formats.frame import TileFrame
from fused_jupyter.formats.kinds import Kind, is_html, kind_of
from fused_jupyter.formats.negotiation import Wanted
from fused_jupyter.formats.style import STYLE_NAMES, Style
from fused_jupyter.formats.target import Target

__all__ = [
    "FORMATS",
    "STYLE_NAMES",
    "Encoded",
    "Format",
    "Kind",
    "Style",
    "Target",
    "TileFrame",
    "Wanted",
    "encode",
    "is_html",
    "kind_of",
]
