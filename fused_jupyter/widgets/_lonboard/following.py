"""What the layers of all UDFs have in common: parameters, and an ear for the cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import new_class
from typing import Any, Self

import traitlets
from ipywidgets import Widget

from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.widgets._registry import current_runtime, follow

Check = Callable[[Mapping[str, Any]], None]
"""Raises where a parameter cannot be."""


class Following(Widget):  # type: ignore[misc] # ipywidgets has no types
    """The part of a lonboard layer that knows its UDF."""

    params = traitlets.Dict()
    """Values of the UDF's parameters, and how its tiles are drawn. Another dict draws the layer anew where it is:
    `layer.params = {**layer.params, "min_mag": 5}`. `ipywidgets` and `traitlets.dlink` can write it.

    - Type: `dict`
    - Default: `{}`, which leaves every parameter at its default
    """

    visible: Any
    """As lonboard has it."""
    _check: Check | None = None
    _draw: Callable[[Self], object] | None = None
    _unfollow: Callable[[], object] | None = None
    _hidden: bool = False
    """Whether it was taken out of sight here, and not by the user."""

    def start(self, name: str, *, params: Mapping[str, Any], check: Check, draw: Callable[[Self], object]) -> None:
        """Be drawn anew when the UDF of this name changes, or the parameters.

        Args:
            name: the UDF.
            params: those of now.
            check: of what `params` are set to.
            draw: asks for what the layer is to show; must not hold the layer.
        """
        self._check = check
        self.params = dict(params)
        self._draw = draw

        def hear(layer: Self, definition: UdfDefinition) -> None:
            if definition.name == name:
                draw(layer)

        self._unfollow = follow(current_runtime().registry, self, callback=hear)

    def close(self) -> None:
        """Take the layer off all pages, and follow the UDF no more."""
        if self._unfollow is not None:
            self._unfollow()
        super().close()

    def hide(self) -> None:
        """Show nothing for now."""
        if self.visible:
            self._hidden, self.visible = True, False

    def show(self) -> None:
        """Show it again, unless the user hid it."""
        if self._hidden:
            self._hidden, self.visible = False, True

    @traitlets.validate("params")
    def _check_params(self, proposal: Any) -> Any:  # a traitlets Bunch
        if self._check is not None:
            self._check(proposal["value"])
        return proposal["value"]

    @traitlets.observe("params")
    def _draw_params(self, _: object) -> None:
        if self._draw is not None:
            self._draw(self)


@cache
def following(kind: Any) -> Any:
    """The class of lonboard with `params`; its page knows no difference."""
    return new_class(kind.__name__, (Following, kind))
