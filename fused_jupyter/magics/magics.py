"""`%%fused_udf`, `%fused_udfs`, `%fused_env`, `%fused_top`, `%fused_client` and `%fused_doctor`."""

from __future__ import annotations

import os
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from fused_jupyter.api.headers import header_modules
from fused_jupyter.api.udf import Udf
from fused_jupyter.api.variables import use_variables
from fused_jupyter.errors import ArgumentError, UdfDefinitionError
from fused_jupyter.magics.client import describe, describe_with_key, drop_environment, set_environment
from fused_jupyter.magics.doctor import Doctor
from fused_jupyter.magics.environment import EnvironmentListing, choose_environment
from fused_jupyter.magics.listing import UdfListing
from fused_jupyter.magics.top import Cells, Top, live_top
from fused_jupyter.runtime import KernelRuntime
from fused_jupyter.udfs import KERNEL_ENGINE, Choices, declared_uses, names_to_use, parse, parse_max_age

_ENGINES = ("local", KERNEL_ENGINE)
_CLIENT = {"env": set_environment, "drop": drop_environment, "show": describe_with_key}
"""Options of `%fused_client`."""


@magics_class
class FusedMagics(Magics):
    """The magics of one notebook."""

    def __init__(self, shell: InteractiveShell, runtime: KernelRuntime) -> None:
        super().__init__(shell)
        self._runtime = runtime
        self._cells = Cells(shell)
        runtime.in_kernel.quiet = lambda: self._cells.quiet

    @magic_arguments()
    @argument(
        "name", nargs="?", help="What the UDF is called in URLs and in the notebook; the function's name by default."
    )
    @argument("--run", action="store_true", help="Run it and show what it returns.")
    @argument("--map", action="store_true", help="Show its tiles on a map.")
    @argument(
        "--cache-max-age", metavar="AGE", help="How long a result answers for itself: 10s, 5m, 48h, 7d; 0 keeps none."
    )
    @argument(
        "--engine",
        help="Where it runs: local (worker processes of this machine), or kernel (here, where it sees all variables).",
    )
    @argument(
        "--use",
        action="append",
        default=[],
        metavar="NAMES",
        help="Variables of the notebook that it may use in its worker, with commas, as they are now.",
    )
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
        choices = Choices(
            name=said.name,
            cache_max_age=_max_age(said.cache_max_age),
            headers=header_modules(said.header),
            placement=_placement(said.engine),
            directory=os.getcwd(),  # noqa: PTH109 - a string is what travels
        )
        # The magic's own line counts in the editor, so it does in the UDF: errors then name the line that one sees.
        definition = parse("\n" + cell, choices)
        names = (*names_to_use(",".join(said.use)), *declared_uses("\n" + cell, definition.entrypoint))
        definition = use_variables(definition, tuple(dict.fromkeys(names)), self._shell.user_ns)
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
    def fused_env(self, line: str) -> EnvironmentListing | None:
        """Choose variables that UDFs get, from their next run on: `%fused_env NAME=value OTHER --drop OLD`.

        A name alone takes the value that the kernel has; without arguments the names are listed, not the values.
        """
        return choose_environment(self._runtime, line)

    @magic_arguments()
    @argument("--once", action="store_true", help="Show the present state as text; nothing follows it.")
    @line_magic
    def fused_top(self, line: str) -> Any:
        """Show what runs and waits, what was kept, how long UDFs take, memory, and the last errors.

        In a notebook it is looked at every second, also while a cell runs, and each run has a button that stops it.
        """
        said = parse_argstring(self.fused_top, line)
        return Top.of(self._runtime) if said.once else live_top(self._runtime, self._cells)

    @magic_arguments()
    @argument("--env", action="store_true", help="Set its variables for processes that this kernel starts.")
    @argument("--drop", action="store_true", help="Take these variables away again.")
    @argument("--show", action="store_true", help="Print the lines with the key in them; clear the output afterwards.")
    @line_magic
    def fused_client(self, line: str) -> None:
        """Print three lines with which Fused's own client, in another program, uses this server.

        The key that it needs stays out of the notebook, unless `--show` asks for it.
        """
        said = parse_argstring(self.fused_client, line)
        for name, tell in _CLIENT.items():
            if getattr(said, name):
                print(tell(self._runtime))  # noqa: T201 - its purpose
                return
        print(describe(self._runtime))  # noqa: T201 - its purpose

    @line_magic
    def fused_doctor(self, line: str) -> Doctor:
        """Go the way that a browser's request takes, hop by hop, and name the one that fails."""
        return Doctor.examine(self._runtime)

    @property
    def _shell(self) -> InteractiveShell:
        assert self.shell is not None
        return self.shell


def _placement(engine: str | None) -> dict[str, str]:
    if engine is None:
        return {}  # as the decorator says
    if engine not in _ENGINES:
        raise UdfDefinitionError(f"--engine {engine}: there is no such engine; there is {', '.join(_ENGINES)}")
    return {"engine": engine}


def _max_age(text: str | None) -> int | None:
    try:
        return None if text is None else parse_max_age(text)
    except ArgumentError as exc:
        raise UdfDefinitionError(f"--cache-max-age {text}: {exc.message}") from exc
