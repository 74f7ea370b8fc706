"""`--use` and `use=`: variables of the notebook that travel with a UDF."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from fused_jupyter.errors import UdfDefinitionError
from fused_jupyter.runtime import KernelRuntime, current
from fused_jupyter.udfs import UdfDefinition, using


def use_variables(definition: UdfDefinition, names: Sequence[str], notebook: Mapping[str, Any]) -> UdfDefinition:
    """The UDF with the values that variables of the notebook have now.

    Raises:
        UdfDefinitionError: there is no such variable, its value cannot travel, or a parameter hides it.
    """
    runtime = current()
    if not names or not isinstance(runtime, KernelRuntime):  # inside a UDF, which sees the variables already
        return definition
    for name in names:
        if name not in notebook:
            near = difflib.get_close_matches(name, [each for each in notebook if not each.startswith("_")], n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else "run the cell that makes it first"
            raise UdfDefinitionError(f"--use {name}: the notebook has no variable {name!r}; {hint}")
    using(definition, dict.fromkeys(names, ""), directory="")  # what is wrong with the names is said first
    return using(
        definition,
        runtime.variables.keep({name: notebook[name] for name in names}),
        directory=runtime.variables.directory,
    )


def warn_of_variables(definition: UdfDefinition) -> None:
    """Say that what is saved of a UDF is not all that it needs."""
    if definition.uses:
        warnings.warn(
            f"{definition.name} uses variables of the notebook ({', '.join(definition.uses)}), and only its code is "
            "saved: load the data inside it, or pass it as an argument",
            stacklevel=3,
        )
