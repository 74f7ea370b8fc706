from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from fused_jupyter.runtime.remains import SOCKET, remove_remains, socket_directory
from fused_jupyter.wire.announcement import process_started

GONE = "fused-4194304-17-abcd1234"
"""Of a process that cannot be: pids are below 2^22."""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "t"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def left_behind(directory: Path) -> Path:
    """A socket directory as a killed host leaves it."""
    directory.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(directory / SOCKET))
    return directory


def test_the_socket_of_a_killed_host_is_removed(temporary: Path, tmp_path: Path) -> None:
    """It would lie there until the machine is started again."""
    code = (
        "import os, signal, socket; from fused_jupyter.runtime.remains import *; kept = socket_directory();"
        "s = socket.socket(socket.AF_UNIX); s.bind(f'{kept.name}/{SOCKET}'); s.listen();"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(temporary)}, check=False)
    assert len(list(temporary.iterdir())) == 1

    remove_remains(tmp_path)

    assert not list(temporary.iterdir())


def test_a_pid_that_is_somebody_elses_by_now_keeps_nothing(temporary: Path, tmp_path: Path) -> None:
    """The start of the process tells them apart."""
    pid = os.getpid()
    left_behind(temporary / f"fused-{pid}-{process_started(pid) - 1:.0f}-abcd1234")

    remove_remains(tmp_path)

    assert not list(temporary.iterdir())


def test_the_socket_of_a_living_host_stays(temporary: Path, tmp_path: Path) -> None:
    """Even before it listens."""
    with socket_directory() as own:
        remove_remains(tmp_path)

        assert Path(own).is_dir()


def test_a_socket_that_somebody_listens_to_stays(temporary: Path, tmp_path: Path) -> None:
    """Processes of another container cannot be seen, but may share the directory."""
    directory = temporary / GONE
    directory.mkdir()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(directory / SOCKET))
        sock.listen()

        remove_remains(tmp_path)

        assert (directory / SOCKET).exists()


@pytest.mark.parametrize("name", ["fused-jupyter-a1", "fused-1", "fused-x-1-abc", f"{GONE}.bak"])
def test_what_is_not_named_like_ours_stays(temporary: Path, tmp_path: Path, name: str) -> None:
    """Others may use the word."""
    left_behind(temporary / name)

    remove_remains(tmp_path)

    assert (temporary / name / SOCKET).exists()


def test_nothing_but_a_socket_is_ever_removed(temporary: Path, tmp_path: Path) -> None:
    """A link to a directory of the user's, and one with other files in it."""
    precious = left_behind(tmp_path / "precious")
    (temporary / GONE).symlink_to(precious)
    filled = left_behind(temporary / "fused-4194305-17-abcd1234")
    (filled / "notes.txt").write_text("mine")

    remove_remains(tmp_path)

    assert (precious / SOCKET).exists()
    assert (filled / "notes.txt").exists()


def test_old_logs_go_with_their_kernels(temporary: Path, tmp_path: Path) -> None:
    """One of each kernel that ever was would fill the directory; that of a kernel with an announcement stays."""
    for name, days in {"a": 8, "b": 8, "c": 1}.items():
        log = tmp_path / f"fused-{name}.log"
        log.touch()
        os.utime(log, (time.time() - days * 86400,) * 2)
    (tmp_path / "fused-b.json").touch()

    remove_remains(tmp_path)

    assert sorted(path.name for path in tmp_path.glob("*.log")) == ["fused-b.log", "fused-c.log"]
