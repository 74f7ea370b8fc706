from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from typing import Any

import psutil
import pytest
from processes import still_running

import fused_jupyter
from fused_jupyter import _alias
from fused_jupyter.runtime import current

# In the notebook: `%load_ext`, `%unload_ext`, and the name `fused`.


def test_loading_gives_the_name_fused(notebook: Any) -> None:
    """As a variable and as an import, whichever way it is imported."""
    notebook.run("import fused, fused.api, fused.errors as e\nfrom fused.types import Bounds\nfrom fused import run")

    assert notebook["fused"] is fused_jupyter
    assert notebook.run("fused.api") is sys.modules["fused_jupyter.api"]
    assert notebook["Bounds"] is fused_jupyter.types.Bounds
    assert notebook["run"] is fused_jupyter.run
    assert notebook.run("e.FusedError") is fused_jupyter.errors.FusedError


def test_alias_makes_no_second_copy(notebook: Any) -> None:
    """Each module is one object under two names; one that is not there is not found."""
    names = ["api", "api.udf", "tiles", "wire.messages", "udfs.parsing"]

    for name in names:
        assert importlib.import_module(f"fused.{name}") is importlib.import_module(f"fused_jupyter.{name}")
    with pytest.raises(ModuleNotFoundError, match=r"fused\.nothing"):
        importlib.import_module("fused.nothing")


def test_importing_a_module_by_its_second_name_hides_no_function() -> None:
    """`fused.api.udf` is a module and `fused.udf` a function; importing the one leaves the other."""
    for first in ("import fused.api.udf", "import fused_jupyter.api.udf", "import fused.api", "import fused"):
        code = (
            f"import fused_jupyter._alias; fused_jupyter._alias.install(); {first}; import fused.api.udf, fused.api.run"
        )
        printed = fresh(
            f"{code}; print(type(fused.udf).__name__, type(fused.api.run).__name__, type(fused.run).__name__)"
        )

        assert printed.split() == ["function"] * 3


def test_alias_is_installed_once(notebook: Any) -> None:
    """However often the extension is loaded."""
    assert _alias.install()
    assert _alias.install()

    assert sum(isinstance(finder, _alias._Finder) for finder in sys.meta_path) == 1


def test_loading_says_one_quiet_line(notebook: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Version, host, server."""
    notebook.run("%reload_ext fused_jupyter")

    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"fused_jupyter {fused_jupyter.__version__} · host starting · no Jupyter server")


def test_unloading_stops_the_host_and_takes_the_names_away(notebook: Any) -> None:
    """Loading again starts afresh; nothing hangs in between."""
    notebook.run("%%fused_udf --run\ndef f(): return 1")
    host = psutil.Process(current().link.pid)

    notebook.run("%unload_ext fused_jupyter")

    assert not still_running([host])
    assert "fused" not in notebook
    assert "fused" not in sys.modules
    assert "fused_udf" not in notebook.shell.magics_manager.magics["cell"]
    notebook.run("%load_ext fused_jupyter")
    assert notebook.run("%%fused_udf --run\ndef f(): return 2") == 2


def fresh(code: str) -> str:
    """What a new interpreter prints; its host is that of no test."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LOAD = """
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)
shell.extension_manager.load_extension("fused_jupyter")
"""


def test_official_package_that_was_imported_before_stays() -> None:
    """Code that uses it must not change under its feet; the line says so."""
    printed = fresh(
        """
        import sys, types
        official = sys.modules["fused"] = types.ModuleType("fused")
        """
        + textwrap.indent(LOAD, " " * 8)
        + """
        import fused
        print(fused is official, shell.user_ns["fused"].__name__)
        shell.extension_manager.unload_extension("fused_jupyter")
        print(sys.modules["fused"] is official)
        """
    )

    first, *rest = printed.splitlines()
    assert "stays the official package" in first
    assert rest == ["True fused_jupyter", "True"]


def test_kernel_that_ends_after_loading_says_nothing() -> None:
    """And leaves no host."""
    printed = fresh(
        LOAD
        + "import time\nfrom fused_jupyter.runtime import current\n"
        + "while not current().link.pid: time.sleep(0.05)\nprint(current().link.pid)"
    )

    assert not psutil.pid_exists(int(printed.splitlines()[-1]))
