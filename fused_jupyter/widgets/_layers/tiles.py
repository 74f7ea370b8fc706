"""The tiles of a UDF: pictures or features, by zoom and place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Literal, get_args

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets._layers.base import LayerType
from fused_jupyter.widgets._layers.udf import UdfLayer

LayerKind = Literal["auto", "raster", "vector"]


@dataclass(frozen=True, slots=True)
class TileLayer(UdfLayer):
    """The tiles of one UDF on a map.

    Raises:
        ArgumentError: a value that does not fit; the message says what would.

    >>> TileLayer("quakes", params={"min_mag": 6}, style={"color": "#e03131"}).name
    'quakes'
    """

    type: ClassVar[LayerType] = "tiles"

    _: KW_ONLY
    kind: LayerKind = "auto"
    """What the UDF gives; "auto" finds out from one tile."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Values for this layer alone; they win over the map's. Also how it is drawn: `rescale`, `colormap`, `nodata`."""
    max_zoom: int = 22
    """Further in, tiles of this zoom are enlarged."""
    tile_size: Literal[256, 512] = 256
    """Pixels of a raster tile on the screen."""
    bounds: Sequence[float] | None = None
    """Outside nothing is asked for."""

    def _check(self) -> None:
        if self.kind not in get_args(LayerKind):
            raise ArgumentError(f"kind: got {self.kind!r}, need one of {', '.join(get_args(LayerKind))}")
        if self.tile_size not in {256, 512}:
            raise ArgumentError(f"tile_size: got {self.tile_size!r}, need 256 or 512")
        UdfLayer._check(self)  # noqa: SLF001  super() knows no class with slots

    def to_json(self) -> dict[str, Any]:
        """As in the base; the twin is `TileSpec`."""
        return UdfLayer.to_json(self) | {"kind": self.kind, "tile_size": self.tile_size}
