"""`%%fused_udf`, `%fused_udfs` and `%fused_doctor`."""

from __future__ import annotations

import os
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from fused_jupyter.api.headers import header_modules
from fused_jupyter.api.udf import Udf
from fused_jupyter.errors import ArgumentError, UdfDefinitionError
from fused_jupyter.magics.doctor import Doctor
from fused_jupyter.magics.listing import UdfListing
from fused_jupyter.runtime import KernelRuntime
from fused_jupyter.udfs import Choices, parse, parse_max_age

_ENGINES = ("local",)


@magics_class
class FusedMagics(Magics):
    """The magics of one notebook."""

    def __init__(self, shell: InteractiveShell, runtime: KernelRuntime) -> None:
        super().__init__(shell)
        self._runtime = runtime

    @magic_arguments()
    @argument(
        "name", nargs="?", help="What the UDF is called in URLs and in the notebook; the function's name by default."
    )
    @argument("--run", action="store_true", help="Run it and show what it returns.")
    @argument("--map", action="store_true", help="Show its tiles on a map.")
    @argument(
        "--cache-max-age", metavar="AGE", help="How long a result answers for itself: 10s, 5m, 48h, 7d; 0 keeps none."
    )
    @argument("--engine", default="local", help="Where it runs: local (worker processes of this machine).")
    @argument(
        "--header", action="append", default=[], metavar="FILE", help="A Python file that travels with it as a module."
    )
    @cell_magic
    def fused_udf(self, line: str, cell: str) -> Any:
        """Make the cell a UDF: one function, with the imports, constants and helpers beside it.

        The function is marked with `@fused.udf` or is the only one. Running the cell again replaces the UDF: the next
        request, the next tile and every open map use the new code. A cell with a mistake leaves the UDF as it was.
        """
        said = parse_argstring(self.fused_udf, line)
        _check_engine(said.engine)
        choices = Choices(
            name=said.name,
            cache_max_age=_max_age(said.cache_max_age),
            headers=header_modules(said.header),
            directory=os.getcwd(),  # noqa: PTH109 - a string is what travels
        )
        # The magic's own line counts in the editor, so it does in the UDF: errors then name the line that one sees.
        definition = parse("\n" + cell, choices)
        self._runtime.register(definition)
        udf = Udf(definition)
        self._shell.user_ns[definition.name] = udf
        if not (said.run or said.map):
            return udf
        display(udf)
        if said.map:
            display(udf.map())
        return udf() if said.run else None

    @line_magic
    def fused_udfs(self, line: str) -> UdfListing:
        """List the UDFs of this kernel."""
        return UdfListing(tuple(Udf(definition) for definition in self._runtime.registry.all()))

    @line_magic
    def fused_doctor(self, line: str) -> Doctor:
        """Go the way that a browser's request takes, hop by hop, and name the one that fails."""
        return Doctor.examine(self._runtime)

    @property
    def _shell(self) -> InteractiveShell:
        assert self.shell is not None
        return self.shell


def _check_engine(engine: str) -> None:
    if engine not in _ENGINES:
        raise UdfDefinitionError(f"--engine {engine}: there is no such engine; there is {', '.join(_ENGINES)}")


def _max_age(text: str | None) -> int | None:
    try:
        return None if text is None else parse_max_age(text)
    except ArgumentError as exc:
        raise UdfDefinitionError(f"--cache-max-age {text}: {exc.message}") from exc
