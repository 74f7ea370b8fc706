from __future__ import annotations

import json
from pathlib import Path

from real_jupyter import JupyterServer, Kernel

import fused_jupyter
from fused_jupyter.runtime import server as kernel_side
from fused_jupyter.server_ext import app
from fused_jupyter.server_ext.app import FusedExtension
from fused_jupyter.server_ext.hosts import Hosts

CONFIG = Path(__file__).parents[2] / "jupyter-config" / "jupyter_server_config.d" / "fused_jupyter.json"


def test_both_sides_call_the_base_url_the_same() -> None:
    """The server sets the variable, its kernels read it."""
    assert app.BASE_URL_VARIABLE == kernel_side.BASE_URL_VARIABLE


def test_jupyter_finds_the_extension_by_the_name_of_the_package() -> None:
    """What the wheel's file enables is what the package offers."""
    (point,) = fused_jupyter._jupyter_server_extension_points()

    assert json.loads(CONFIG.read_text()) == {"ServerApp": {"jpserver_extensions": {point["module"]: True}}}
    assert point["app"] is FusedExtension
    assert FusedExtension.version == fused_jupyter.__version__


def test_a_server_that_serves_nobody_is_idle(runtime_directory: Path) -> None:
    """Jupyter asks before it ends for idleness (`shutdown_no_activity_timeout`)."""
    extension = FusedExtension()
    extension.hosts = Hosts(runtime_directory, is_served=lambda _: True, has_kernel=lambda _: False)

    assert not extension.current_activity()


def test_the_extension_loads_without_a_word_of_warning(server: JupyterServer, kernel: Kernel) -> None:
    """Neither at the start nor for requests of a login."""
    server.get("fused/run/file/echo")

    lines = [
        line for line in server.log.splitlines() if "fused_jupyter" in line and line.startswith(("[W", "[E", "[C"))
    ]
    assert not lines
