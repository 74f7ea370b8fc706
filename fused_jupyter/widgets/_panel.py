"""The parameters of a map and the panel that moves them; the twin is js/src/panel/controls.ts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

import anywidget
import traitlets

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs import Parameter
from fused_jupyter.udfs.controls import Control, as_control, controls_of, starts_of
from fused_jupyter.widgets._traits import ParamsTrait


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Which controls a map is to have."""

    given: Mapping[str, Control | None]
    """What some are to be like; None hides one."""
    names: tuple[str, ...] | None
    """These alone, in this order; None means all."""

    @classmethod
    def of(cls, controls: Any) -> Wishes:
        """From what users write: a bool, a list of names, or a dict by name.

        Raises:
            ArgumentError: something else.
        """
        if isinstance(controls, bool):
            return cls(given={}, names=None if controls else ())
        if isinstance(controls, Mapping):
            return cls(given={name: as_control(each, name=name) for name, each in controls.items()}, names=None)
        if isinstance(controls, (list, tuple)) and all(isinstance(name, str) for name in controls):
            return cls(given={}, names=tuple(controls))
        raise ArgumentError(
            f"controls: got {controls!r}, need True, False, a list of names, or a dict such as "
            "{'min_mag': (0, 10, 0.5)}"
        )

    def pick(self, parameters: Iterable[Parameter]) -> list[Parameter]:
        """The parameters that get a control, in order."""
        if self.names is None:
            return [*parameters]
        return sorted(
            (parameter for parameter in parameters if parameter.name in self.names),
            key=lambda parameter: (self.names or ()).index(parameter.name),
        )

    def check(self, parameters: Iterable[Parameter]) -> None:
        """Raise ArgumentError for a name that no layer takes."""
        own = (each.name for each in parameters if not each.is_spatial and each.kind != "variadic")
        names = [*dict.fromkeys(own)]
        for name in (*self.given, *(self.names or ())):
            if name not in names:
                similar = get_close_matches(name, names, n=1)
                hint = f"did you mean {similar[0]!r}?" if similar else f"there are {', '.join(names) or 'none'}"
                raise ArgumentError(f"controls: no layer leaves a parameter {name!r} open; {hint}")


class Panel(anywidget.AnyWidget):
    """The part of a map that has parameters and controls for them."""

    params = ParamsTrait().tag(sync=True)
    """Values of parameters, for all layers that take one of that name; the panel writes them too.

    - Type: `dict`
    - Default: `{}`, which leaves every parameter at its default
    """

    controls = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    """The controls of the panel, made from the signatures of the UDFs. Change them with `set_controls`.

    - Type: list of `dict` with `name`, `kind`, `type`, `value`, `label`, `optional`, `min`, `max`, `step`, `options`,
      `play`
    - Default: `[]`, which shows no panel
    """

    _wishes = Wishes(given={}, names=None)

    def set_controls(self, controls: bool | Iterable[str] | Mapping[str, Any]) -> None:  # noqa: FBT001 - as in FusedMap
        """Show other controls: all, none, those of these names, or what a dict says of some of them.

        Raises:
            ArgumentError: no layer has such a parameter, or no control is like that.
        """
        wishes = Wishes.of(controls)
        wishes.check(self._free_parameters())
        self._wishes = wishes
        self._show_controls()

    def _show_controls(self) -> None:
        """Make the controls anew, and set what they show where the UDF itself would start with something else."""
        parameters = self._wishes.pick(self._free_parameters())
        specs = controls_of(parameters, self._wishes.given)
        with self.hold_sync():
            self.set_trait("controls", [asdict(spec) for spec in specs])
            if new := {name: value for name, value in starts_of(parameters, specs).items() if name not in self.params}:
                self.params = {**self.params, **new}

    def _with_starts(self, params: Any) -> Any:  # what a user gives; the trait says if it is no dict
        """The params, and where controls start with another value than the UDF."""
        return {**self.params, **params} if isinstance(params, Mapping) else params

    def _free_parameters(self) -> Iterable[Parameter]:
        """Those that the map may set, because the layer has no value of its own."""
        return ()

    @traitlets.validate("params")
    def _keep_types(self, proposal: Any) -> dict[str, Any]:  # a traitlets Bunch
        """JSON has one kind of number: what a control of floats writes as 5 is 5.0 here."""
        floats = {control["name"] for control in self.controls if control["type"] == "float"}
        values: dict[str, Any] = proposal["value"]
        return {name: _as_float(value) if name in floats else value for name, value in values.items()}


def _as_float(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_float(each) for each in value]
    return float(value) if type(value) is int else value
