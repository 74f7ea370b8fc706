"""Both halves of the map name the same things."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from anywidget import AnyWidget

from fused_jupyter.widgets import FusedMap, TileLayer, _protocol
from fused_jupyter.widgets._controls import Control

SOURCE = (Path(__file__).parents[2] / "js" / "src" / "protocol.ts").read_text()


def constant(name: str) -> set[str]:
    """The values of an object literal in protocol.ts."""
    body = re.search(rf"export const {name} = \{{(.*?)\}} as const", SOURCE, re.DOTALL)
    assert body, f"{name} is not in protocol.ts"
    return set(re.findall(r'^\s*\w+: "(\w+)"', body[1], re.MULTILINE))


def interface(name: str) -> set[str]:
    """The fields of an interface in protocol.ts."""
    body = re.search(rf"export interface {name} \{{(.*?)\n\}}", SOURCE, re.DOTALL)
    assert body, f"{name} is not in protocol.ts"
    return set(re.findall(r"^\s*(\w+): ", body[1], re.MULTILINE))


def test_trait_names_are_the_same() -> None:
    """Every synced trait of ours is in protocol.ts, and none beside."""
    ours = set(FusedMap.class_traits(sync=True)) - set(AnyWidget.class_traits(sync=True))

    assert constant("TRAITS") == ours


def test_message_kinds_are_the_same() -> None:
    """Every kind exists once on each side."""
    kinds = {value for name, value in vars(_protocol).items() if name.isupper()}

    assert constant("MESSAGES") == kinds


def test_layers_and_controls_have_the_same_shape() -> None:
    """What Python sends is what the page expects."""
    layer: dict[str, Any] = TileLayer("quakes").to_json()

    assert interface("LayerSpec") == set(layer)
    assert interface("ControlSpec") == {field.name for field in fields(Control)}
