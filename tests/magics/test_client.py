from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from fused_jupyter.errors import NoServerError
from fused_jupyter.magics.client import (
    VARIABLES,
    ClientAccess,
    describe,
    describe_with_key,
    drop_environment,
    set_environment,
)
from fused_jupyter.runtime import KernelRuntime
from fused_jupyter.runtime.server import BASE_URL_VARIABLE
from fused_jupyter.settings import Options, is_secret

KEY = "the-secret-key"

FAKE_CLIENT = """
import os
def _env(address):
    print(address, *(os.environ[f"FUSED_{name}"] for name in ("AUTH_TOKEN", "AUTH_TOKEN_TYPE", "SYSTEM_TRUST")))
"""


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: Options) -> KernelRuntime:
    """One whose server has left what kernels look for; its host never starts."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JPY_PARENT_PID", "77")
    monkeypatch.setenv(BASE_URL_VARIABLE, "/base/")
    (tmp_path / "jpserver-77.json").write_text(
        json.dumps({"base_url": "/base/", "hostname": "localhost", "port": 8888, "pid": 77, "token": "t"})
    )
    own = {"pid": 77, "url": "http://127.0.0.1:8888/base/", "base_url": "/base/", "key": KEY}
    (tmp_path / "jpfused-77.json").write_text(json.dumps(own))
    runtime = KernelRuntime(options)
    runtime.directory = tmp_path
    return runtime


@pytest.mark.parametrize("tell", [describe, describe_with_key])
def test_three_lines_set_up_the_client(tell: types.FunctionType, runtime: KernelRuntime, tmp_path: Path) -> None:
    """As they are printed, in a program of its own: the address of the API, the key, its scheme."""
    (tmp_path / "fused.py").write_text(FAKE_CLIENT)
    printed = tell(runtime)
    start = printed.index("import json")
    lines = "\n".join(printed[start:].splitlines()[:3])

    done = subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["http://127.0.0.1:8888/base/fused/server/v1", KEY, "Fused-Env-Bearer", "0"]


def test_key_is_printed_only_when_asked_for(runtime: KernelRuntime) -> None:
    """A notebook keeps what a cell prints; what shows it says what it is."""
    access = ClientAccess.of(runtime)

    assert KEY not in describe(runtime)
    assert KEY not in set_environment(runtime) + drop_environment(runtime)
    assert KEY not in f"{access!r} {access}"
    assert KEY in describe_with_key(runtime)
    assert "Clear this output" in describe_with_key(runtime)


def test_variables_are_for_children_of_the_kernel(runtime: KernelRuntime) -> None:
    """Not for UDFs, which may be somebody else's code; they can be taken away again."""
    set_environment(runtime)
    try:
        child = subprocess.run(
            [sys.executable, "-c", "import os; print(os.environ['FUSED_AUTH_TOKEN'], os.environ['FUSED_ENV'])"],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        drop_environment(runtime)

    assert child.stdout.split() == [KEY, "http://127.0.0.1:8888/base/fused/server/v1"]
    assert is_secret("FUSED_AUTH_TOKEN")
    assert not os.environ.keys() & set(VARIABLES)


def test_no_server_is_told(runtime: KernelRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nowhere to come to."""
    monkeypatch.delenv("JPY_PARENT_PID")

    with pytest.raises(NoServerError, match="not started by a Jupyter server"):
        describe(runtime)


def test_older_server_is_told(runtime: KernelRuntime, tmp_path: Path) -> None:
    """It writes no key."""
    (tmp_path / "jpfused-77.json").unlink()

    with pytest.raises(NoServerError, match="runs an older fused_jupyter"):
        set_environment(runtime)
