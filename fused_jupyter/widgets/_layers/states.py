"""What the user chose in the layer panel, and how it stays when cells run again; twin: layers/states.ts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any, TypeVar

from fused_jupyter.widgets._layers.base import Layer
from fused_jupyter.widgets._style import recolored

AnyLayer = TypeVar("AnyLayer", bound=Layer)


def merged(layers: Sequence[Layer], states: Iterable[Mapping[str, Any]]) -> list[Layer]:
    """The layers in the order and with the looks that the states say; those that no state knows lie on top.

    What a state says that no panel could say is passed over: it comes from a page.
    """
    by_name = {str(state.get("name")): (place, state) for place, state in enumerate(states)}
    ordered = sorted(layers, key=lambda layer: by_name.get(layer.name, (len(by_name), {}))[0])
    return [_with_state(layer, by_name[layer.name][1]) if layer.name in by_name else layer for layer in ordered]


def kept(new: AnyLayer, *, written: Layer | None, now: Layer | None) -> AnyLayer:
    """A layer that a cell makes again, with what the user chose since; where the cell says something new, that wins."""
    if written is None or now is None or written.type != new.type:
        return new
    if new.opacity == written.opacity:
        new = replace(new, opacity=now.opacity)
    if new.visible == written.visible:
        new = replace(new, visible=now.visible)
    if now.style != written.style and new.style == written.style:
        new = replace(new, style=now.style)
    return new


def _with_state(layer: Layer, state: Mapping[str, Any]) -> Layer:
    opacity, color = state.get("opacity"), state.get("color")
    changes: dict[str, Any] = {"visible": state.get("visible", layer.visible) is not False}
    if isinstance(opacity, (int, float)) and isfinite(opacity):
        changes["opacity"] = min(1.0, max(0.0, float(opacity)))
    if isinstance(color, str):
        changes["style"] = recolored(layer.style, color)
    is_new = any(getattr(layer, name) != value for name, value in changes.items())
    return replace(layer, **changes) if is_new else layer
