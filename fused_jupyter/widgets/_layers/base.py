"""What all layers have: a name, a look, a range of zooms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, ClassVar, Literal, Self

from fused_jupyter.errors import ArgumentError
from fused_jupyter.tiles import MAX_ZOOM
from fused_jupyter.types import Bounds
from fused_jupyter.widgets._style import PALETTE, LegendLike, Style, StyleLike, legend_to_json
from fused_jupyter.widgets._tooltip import Tooltip, tooltip_to_json

LayerType = Literal["tiles", "file", "features", "image"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of a map; its kinds are its subclasses."""

    type: ClassVar[LayerType]

    name: str = ""
    """What the layer is called on the map."""
    style: StyleLike = None
    """A colour, a palette, a dict such as ``{"column": "mag", "palette": "viridis"}`` or ``{"color": "red",
    "line_width": 2}``, MapLibre paint properties, or a vizConfig. None lets the data decide."""
    legend: LegendLike = None
    """Whether the legend names the layer, or the title that it has there."""
    opacity: float = 1.0
    """0 to 1, of everything in the layer."""
    visible: bool = True
    min_zoom: int = 0
    """Further out nothing is drawn."""
    max_zoom: int = 22
    """Further in nothing is drawn."""
    tooltip: Tooltip = None
    """What the pointer shows: None the first properties, True all, False none, a list these, a dict these with labels.
    Of a raster the labels are those of its bands, in their order."""
    bounds: Sequence[float] | None = None
    """Where it lies: (west, south, east, north) in degrees."""
    color: str = ""
    """The layer's own colour, where neither the style nor the data say one. The map fills it in."""

    def __post_init__(self) -> None:
        put = object.__setattr__  # frozen for users, not for its own birth
        put(self, "style", dict(self.style) if isinstance(self.style, Mapping) else self.style)
        put(self, "bounds", None if self.bounds is None else Bounds(self.bounds))
        self._check()

    def _check(self) -> None:
        if not (isfinite(self.opacity) and 0 <= self.opacity <= 1):
            raise ArgumentError(f"opacity: got {self.opacity!r}, need a number from 0 to 1")
        if not 0 <= self.min_zoom <= self.max_zoom <= MAX_ZOOM:
            raise ArgumentError(
                f"min_zoom, max_zoom: got {self.min_zoom}, {self.max_zoom}; need 0 <= min <= max <= {MAX_ZOOM}"
            )
        tooltip_to_json(self.tooltip)
        legend_to_json(self.legend)
        Style.of(self.style)

    @property
    def extent(self) -> Bounds | None:
        """Where it lies, as far as anybody knows."""
        return None if self.bounds is None else Bounds(self.bounds)

    def with_color(self, color: str) -> Self:
        """The same layer in this colour, unless it has one of its own."""
        return self if self.color else replace(self, color=color)

    @property
    def main_color(self) -> str:
        """The colour that it is known by: of its style, else its own."""
        return Style.of(self.style).main_color or self.color

    def to_json(self) -> dict[str, Any]:
        """What the page gets; its twin is `LayerSpec` in js/src/protocol.ts."""
        return {
            "type": self.type,
            "name": self.name,
            "style": Style.of(self.style).to_json(base=self.color or PALETTE[0]),
            "legend": legend_to_json(self.legend),
            "opacity": self.opacity,
            "visible": self.visible,
            "min_zoom": self.min_zoom,
            "max_zoom": self.max_zoom,
            "tooltip": tooltip_to_json(self.tooltip),
            "bounds": None if self.extent is None else [*self.extent],
        }
