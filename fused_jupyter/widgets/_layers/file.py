"""The features that a UDF gives as one file."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Self

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.widgets._layers.base import LayerType
from fused_jupyter.widgets._layers.udf import UdfLayer


@dataclass(frozen=True, slots=True)
class FileLayer(UdfLayer):
    """The result of one run of a UDF on a map: points, lines, polygons or hexagons.

    Raises:
        ArgumentError: a value that does not fit; the message says what would.

    >>> FileLayer("trails", follow=True, opacity=0.5).follow
    True
    """

    type: ClassVar[LayerType] = "file"

    _: KW_ONLY
    follow: bool = False
    """Whether the UDF runs again with the map's view as its `bounds` when the map has come to rest."""
    viewport: str = ""
    """Name of the parameter that takes the view. The map fills it in."""

    def of(self, definition: UdfDefinition) -> Self:
        """The same layer for this version of its UDF.

        Raises:
            ArgumentError: it is to follow the view, and the UDF takes none.
        """
        spatial = next((parameter.name for parameter in definition.parameters if parameter.is_spatial), "")
        if self.follow and not spatial:
            raise ArgumentError(
                f"follow: UDF {definition.name!r} takes no bounds; give it a parameter `bounds: fused.types.Bounds`, "
                "or leave follow out"
            )
        return replace(UdfLayer.of(self, definition), viewport=spatial if self.follow else "")

    def to_json(self) -> dict[str, Any]:
        """As in the base; the twin is `FileSpec`."""
        return UdfLayer.to_json(self) | {"viewport": self.viewport}
