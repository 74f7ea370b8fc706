"""Maps that look at the same place: side by side, one over the other, or anywhere on the page."""

from __future__ import annotations

from secrets import token_hex
from typing import Any, ClassVar, Literal, get_args

import anywidget
import traitlets
from ipywidgets import widget_serialization

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets._assets import asset
from fused_jupyter.widgets._layers.stack import Shown
from fused_jupyter.widgets._map import FusedMap
from fused_jupyter.widgets._traits import HeightTrait

Mode = Literal["swipe", "side by side"]


class MapComparison(anywidget.AnyWidget):
    """Two maps of the same place; see `compare`."""

    # Text, not a path: see FusedMap.
    _esm: ClassVar = asset("compare.js").read_text(encoding="utf-8")

    maps = traitlets.List(traitlets.Instance(FusedMap), read_only=True).tag(sync=True, **widget_serialization)
    """The two maps: the left one, and the right one.

    - Type: list of `FusedMap`
    """

    mode = traitlets.Enum(get_args(Mode), default_value="swipe").tag(sync=True)
    """Whether a divider goes over the two maps, or they lie beside each other.

    - Type: `"swipe"` or `"side by side"`
    - Default: `"swipe"`
    """

    position = traitlets.Float(default_value=0.5).tag(sync=True)
    """Where the divider is: 0 at the left edge, 1 at the right one. The page writes it too.

    - Type: `float`
    - Default: `0.5`
    """

    height = HeightTrait().tag(sync=True)
    """Height of both maps, whatever their own is.

    - Type: CSS length as `str`, or pixels as `int`
    - Default: that of the left map
    """

    def __init__(self, left: FusedMap, right: FusedMap, *, mode: Mode, height: str | int | None) -> None:
        super().__init__(mode=mode, height=left.height if height is None else height)
        self.set_trait("maps", [left, right])

    @traitlets.validate("position")
    def _within(self, proposal: Any) -> float:
        if not 0 <= proposal["value"] <= 1:
            raise ArgumentError(f"position: got {proposal['value']!r}, need a number from 0 (left) to 1 (right)")
        return float(proposal["value"])

    def __repr__(self) -> str:
        return f"MapComparison({', '.join(map(repr, self.maps))}, mode={self.mode!r})"


def compare(left: Shown, right: Shown, *, mode: Mode = "swipe", height: str | int | None = None) -> MapComparison:
    """Two maps of the same place, under a divider that can be dragged, or side by side.

    Args:
        left: a map; or whatever a map shows, which gets one.
        right: the same.
        mode: `swipe` or `side by side`; the widget's `mode` changes it later.
        height: pixels, or a CSS length; None takes that of the left map.

    Returns:
        A widget that shows both. They look at the same place, see `sync`.

    Raises:
        ArgumentError: the same map twice, or a mode that there is not.
        UnknownUdfError: nobody registered a UDF of that name.
    """
    if mode not in get_args(Mode):
        raise ArgumentError(f"mode: got {mode!r}, need one of {', '.join(map(repr, get_args(Mode)))}")
    maps = [shown if isinstance(shown, FusedMap) else FusedMap(shown) for shown in (left, right)]
    sync(*maps)
    return MapComparison(*maps, mode=mode, height=height)


def sync(*maps: FusedMap) -> None:
    """Let these maps look at the same place from now on, first at that of the first: who moves one moves all.

    The pages do it among themselves, so it goes on while the kernel is busy. It works for maps on one page: those of a
    front end that puts each output into a frame of its own, as Colab does, do not find each other. A map follows one
    group; one that was in another leaves that.

    Raises:
        ArgumentError: fewer than two different maps.
    """
    _check_different(maps)
    group = token_hex(8)
    for rank, one in enumerate(maps):
        one.set_trait("sync_group", f"{group}/{rank}")


def unsync(*maps: FusedMap) -> None:
    """Let each of these maps look where it likes."""
    for one in maps:
        one.set_trait("sync_group", "")


def _check_different(maps: tuple[FusedMap, ...]) -> None:
    if len({id(one) for one in maps}) < max(2, len(maps)):
        raise ArgumentError(f"got {len(maps)} maps, need two or more that differ; a second one is made by udf.map()")
