"""What `%load_ext fused_jupyter` does, and undoes."""

from __future__ import annotations

from typing import Any, Final

from IPython.core.interactiveshell import InteractiveShell

import fused_jupyter
from fused_jupyter import _alias
from fused_jupyter.api.shown import response_as_html
from fused_jupyter.errors import NoServerError
from fused_jupyter.magics.magics import FusedMagics
from fused_jupyter.runtime import KernelRuntime, current, shut_down

_RESPONSE: Final = ("starlette.responses", "Response")
"""Found by name: whoever has no such response need not have Starlette."""


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics, start the host in the background, and give the notebook the name `fused`."""
    runtime = current()
    assert isinstance(runtime, KernelRuntime)  # workers have no IPython
    runtime.notebook_has = lambda name: name in shell.user_ns
    runtime.in_kernel.notebook = lambda: shell.user_ns
    runtime.start()
    shell.register_magics(FusedMagics(shell, runtime))
    shell.user_ns["fused"] = fused_jupyter
    _html_formatter(shell).for_type_by_name(*_RESPONSE, response_as_html)
    notes = [f"fused_jupyter {fused_jupyter.__version__}", "host starting"]
    try:
        notes.append(f"server at {runtime.server().base_url}")
    except NoServerError:
        notes.append("no Jupyter server: UDFs run, but have no URL")
    if not _alias.install():
        notes.append(
            "`import fused` stays the official package, which was imported before; `fused` in this notebook is ours"
        )
    print(" · ".join(notes))  # noqa: T201 - the one quiet line


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Stop the host and take the names away again; `%reload_ext` starts afresh."""
    shut_down()
    for kind, names in FusedMagics.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    _html_formatter(shell).pop(".".join(_RESPONSE), None)
    _alias.uninstall()
    if shell.user_ns.get("fused") is fused_jupyter:
        del shell.user_ns["fused"]


def _html_formatter(shell: InteractiveShell) -> Any:
    assert shell.display_formatter is not None
    return shell.display_formatter.formatters["text/html"]
