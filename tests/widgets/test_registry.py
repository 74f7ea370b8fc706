"""Following a registry without being kept alive by it."""

from __future__ import annotations

import gc
from typing import Any

from fused_jupyter.widgets._registry import follow


class Owner:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def hear(self, definition: Any) -> None:
        self.heard.append(definition.digest)


def test_a_living_owner_hears_each_registration(registry: Any) -> None:
    """Until it ends that, twice being once."""
    owner = Owner()
    end = follow(registry, owner, callback=Owner.hear)

    registry.register("quakes", digest="2")
    end()
    end()
    registry.register("quakes", digest="3")

    assert owner.heard == ["2"]


def test_a_dropped_owner_is_unsubscribed(registry: Any) -> None:
    """The registry keeps neither it nor the subscription."""
    owner = Owner()
    follow(registry, owner, callback=Owner.hear)

    del owner
    gc.collect()

    assert registry.listeners == []
