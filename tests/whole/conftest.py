"""A real server with real kernels, shared where a test does no harm to them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from real_jupyter import JupyterServer, Kernel

_STARTING = re.compile(
    r'Traceback \(most recent call last\):\n(?:  File "<frozen runpy>"[^\n]*\n)+[^\n]*ipykernel_launcher\.py"[^\n]*\n'
    r" *from ipykernel import kernelapp as app\n(?:(?!Traceback)[^\n]*\n)*?KeyboardInterrupt\n"
)
"""A kernel that Jupyter restarts, and a test ends while it still imports ipykernel: nothing of ours is there yet."""


@pytest.fixture(scope="session")
def server() -> Iterator[JupyterServer]:
    """A server; afterwards its log must hold no traceback, whatever was done to it."""
    with JupyterServer() as server:
        yield server
        log = server.log
    assert "Traceback" not in _STARTING.sub("", log), log


@pytest.fixture(scope="session")
def kernel(server: JupyterServer) -> Iterator[Kernel]:
    """A kernel that stays alive."""
    with server.running_kernel() as kernel:
        kernel.define("def echo(n: int = 1):\n    return {'n': n}")
        assert server.get("fused/run/file/echo.json").json() == {"n": 1}
        yield kernel


@pytest.fixture
def mortal(server: JupyterServer) -> Iterator[Kernel]:
    """A kernel for one test, which may do to it what it likes; its UDF `mortal_echo` answers for no other kernel."""
    with server.running_kernel() as kernel:
        kernel.define("def mortal_echo(n: int = 1):\n    return {'n': n}")
        assert server.get(f"fused/run/file/mortal_echo.json?kernel={kernel.id}").json() == {"n": 1}
        yield kernel
