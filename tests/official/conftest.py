"""Fused's own client in a process of its own, against a real Jupyter server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real_jupyter import JupyterServer, Kernel

HERE = Path(__file__).parent
PYTHON = Path(f"{sys.prefix}-client") / "bin" / "python"
PREAMBLE = """
import asyncio
import fused
from fused.api import FusedAPI

api = FusedAPI()

def make(source, name="udf"):
    udf = fused.load(source)
    udf.name = name
    return udf
"""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a snippet gave."""

    value: Any
    error: dict[str, Any] | None
    stdout: str
    stderr: str
    warnings: list[str]


class Client:
    """The client, in one process for all tests, as to load it takes seconds."""

    def __init__(self, server: JupyterServer, lines: str, home: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("FUSED_", "JUPYTER_"))}
        assert PYTHON.exists(), f"there is no {PYTHON}; `make test` makes it, or `make client`"
        self.server = server
        self.process = subprocess.Popen(
            [PYTHON, HERE / "driver.py"],
            env=environment | {"HOME": str(home), "PYTHONWARNINGS": "default"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=home,
        )
        self(lines)
        self(PREAMBLE)

    def __call__(self, code: str) -> Any:
        """The value of the last line of a snippet, which must succeed."""
        said = self.answer(code)
        assert said.error is None, said.error["traceback"]
        return said.value

    def answer(self, code: str) -> Said:
        """All that a snippet gives."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()
        return Said(**json.loads(self.process.stdout.readline()))

    def error(self, code: str) -> dict[str, Any]:
        """The exception that a snippet ends with: `type`, `message`, `child`."""
        said = self.answer(code)
        assert said.error is not None, f"it gave {said.value!r}"
        return said.error

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def jupyter() -> Iterator[JupyterServer]:
    """A server below a path of its own, as on JupyterHub."""
    with JupyterServer(base_url="/user/ada/", environment={"FUSED_FILE_TIMEOUT": "6"}) as server:
        yield server


@pytest.fixture(scope="session")
def notebook(jupyter: JupyterServer) -> Iterator[Kernel]:
    """A notebook of the user whose UDFs these are."""
    with jupyter.running_kernel() as kernel:
        kernel.execute("%load_ext fused_jupyter").check()
        yield kernel


@pytest.fixture(scope="session")
def client(jupyter: JupyterServer, notebook: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The client, told where the server is by the lines that the notebook printed."""
    printed = notebook.execute("%fused_client").check().text
    lines = [line for line in printed.splitlines() if line.startswith(("import ", "fused."))]
    client = Client(jupyter, "\n".join(lines), tmp_path_factory.mktemp("home"))
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def counter(tmp_path: Path) -> Callable[[], int]:
    """How often a UDF ran that adds a line to `tmp_path / "runs"`."""
    path = tmp_path / "runs"
    return lambda: len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture(scope="session")
def quakes(client: Client) -> str:
    """A saved UDF of that name, and `quakes` in the client."""
    client("""
quakes = make('''
@fused.udf
def udf(n: int = 2, bounds: fused.types.Bounds = None):
    import pandas as pd
    return pd.DataFrame({"n": [n], "west": [bounds[0] if bounds else None]})
''', "quakes")
quakes.to_fused(overwrite=True)
None
""")
    return "quakes"
