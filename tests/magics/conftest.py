"""A real IPython shell with the extension loaded, in a directory of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import fused_jupyter
from fused_jupyter import _alias
from fused_jupyter.runtime import current, shut_down


class Notebook:
    """Runs cells."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    def run(self, cell: str) -> Any:
        """The value of a cell; what it raises is raised."""
        result = self.shell.run_cell(cell, store_history=False)
        result.raise_error()
        return result.result

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.shell.user_ns


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InteractiveShell]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        patch.setenv("FUSED_PRELOAD", "numpy,fused_jupyter.formats,fused_jupyter.engines.worker,fused_jupyter.api")
        patch.delenv("JPY_PARENT_PID", raising=False)
        shut_down()
        config = Config()
        config.HistoryManager.enabled = False
        InteractiveShell.clear_instance()
        made = InteractiveShell.instance(config=config)
        yield made
        InteractiveShell.clear_instance()
        shut_down()
        _alias.uninstall()


@pytest.fixture
def notebook(shell: InteractiveShell, tmp_path: Path) -> Iterator[Notebook]:
    """A fresh registry and fresh variables; the host is shared."""
    before = Path.cwd()
    os.chdir(tmp_path)
    shell.reset(new_session=False)
    shell.extension_manager.load_extension("fused_jupyter")
    shell.user_ns["fused"] = fused_jupyter
    current().registry._definitions.clear()
    yield Notebook(shell)
    os.chdir(before)
