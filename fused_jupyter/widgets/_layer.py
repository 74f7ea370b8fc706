"""One layer of a map: which UDF, with which values, drawn how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from math import isfinite
from typing import Any, Literal, Protocol, Self, get_args

from fused_jupyter.errors import ArgumentError
from fused_jupyter.tiles import MAX_ZOOM
from fused_jupyter.types import Bounds
from fused_jupyter.widgets._paint import paint_of
from fused_jupyter.widgets._params import plain_params
from fused_jupyter.widgets._registry import UdfDefinition

LayerKind = Literal["auto", "raster", "vector"]


class NamedUdf(Protocol):
    """A UDF as users hold it."""

    @property
    def name(self) -> str:
        """What it is called in URLs."""


def name_of(udf: str | NamedUdf) -> str:
    """The name of a UDF given by name or as an object."""
    return udf if isinstance(udf, str) else udf.name


@dataclass(frozen=True, slots=True)
class TileLayer:
    """The tiles of one UDF on a map.

    Raises:
        ArgumentError: a value that does not fit; the message says what would.

    >>> TileLayer("quakes", params={"min_mag": 6}, style={"color": "#e03131"}).name
    'quakes'
    """

    udf: str | NamedUdf
    """The UDF, or its name."""
    _: KW_ONLY
    name: str = ""
    """What the layer is called on the map; empty means like the UDF."""
    kind: LayerKind = "auto"
    """What the UDF gives; "auto" finds out from one tile."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Values for this layer alone; they win over the map's. Also how it is drawn: `rescale`, `colormap`, `nodata`."""
    style: Mapping[str, Any] = field(default_factory=dict)
    """``color``, and MapLibre paint properties such as ``fill_opacity`` or ``circle-radius``."""
    opacity: float = 1.0
    """0 to 1, of everything in the layer."""
    visible: bool = True
    min_zoom: int = 0
    """Further out nothing is drawn."""
    max_zoom: int = 22
    """Further in, tiles of this zoom are enlarged."""
    tile_size: Literal[256, 512] = 256
    """Pixels of a raster tile on the screen."""
    bounds: Bounds | None = None
    """Outside nothing is asked for."""
    version: str = ""
    """Digest of the UDF's code. The map fills it in."""
    parameters: tuple[str, ...] | None = ()
    """Names that the UDF takes; None means all. The map fills it in."""

    def __post_init__(self) -> None:
        put = object.__setattr__  # frozen for users, not for its own birth
        put(self, "name", self.name or name_of(self.udf))
        put(self, "params", plain_params(self.params))
        put(self, "style", dict(self.style))
        put(self, "bounds", None if self.bounds is None else Bounds(self.bounds))
        self._check()
        paint_of(self.style)

    def _check(self) -> None:
        if self.kind not in get_args(LayerKind):
            raise ArgumentError(f"kind: got {self.kind!r}, need one of {', '.join(get_args(LayerKind))}")
        if not (isfinite(self.opacity) and 0 <= self.opacity <= 1):
            raise ArgumentError(f"opacity: got {self.opacity!r}, need a number from 0 to 1")
        if not 0 <= self.min_zoom <= self.max_zoom <= MAX_ZOOM:
            raise ArgumentError(
                f"min_zoom, max_zoom: got {self.min_zoom}, {self.max_zoom}; need 0 <= min <= max <= {MAX_ZOOM}"
            )
        if self.tile_size not in {256, 512}:
            raise ArgumentError(f"tile_size: got {self.tile_size!r}, need 256 or 512")

    def of(self, definition: UdfDefinition) -> Self:
        """The same layer for this version of its UDF."""
        takes_all = any(parameter.kind == "variadic" for parameter in definition.parameters)
        names = None if takes_all else tuple(p.name for p in definition.parameters if not p.is_spatial)
        return replace(self, version=definition.digest, parameters=names)

    def with_color(self, color: str) -> Self:
        """The same layer in this colour, unless it has one of its own."""
        return self if "color" in self.style else replace(self, style={**self.style, "color": color})

    def to_json(self) -> dict[str, Any]:
        """What the page gets; its twin is `LayerSpec` in js/src/protocol.ts."""
        return {
            "name": self.name,
            "udf": name_of(self.udf),
            "kind": self.kind,
            "version": self.version,
            "parameters": None if self.parameters is None else [*self.parameters],
            "params": dict(self.params),
            "paint": paint_of(self.style),
            "opacity": self.opacity,
            "visible": self.visible,
            "min_zoom": self.min_zoom,
            "max_zoom": self.max_zoom,
            "tile_size": self.tile_size,
            "bounds": None if self.bounds is None else [*self.bounds],
        }
