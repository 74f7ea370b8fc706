"""Values ⇄ bytes: what a UDF returned becomes the body of a response.

`encode` is the one door. Importing this package costs nothing heavy: the host reads `Wanted` and `FORMATS`, only a
worker loads an encoder.
"""

from __future__ import annotations

from fused_jupyter.formats.catalog import FORMATS, Format
from fused_jupyter.formats.encoding import Encoded, encode
from fused_jupyter.formats.frame import TileFrame
from fused_jupyter.formats.kinds import Kind, kind_of
from fused_jupyter.formats.negotiation import Wanted

__all__ = ["FORMATS", "Encoded", "Format", "Kind", "TileFrame", "Wanted", "encode", "kind_of"]
