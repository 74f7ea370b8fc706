from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from fused_jupyter.errors import ProtocolError
from fused_jupyter.wire import Announcement
from fused_jupyter.wire.announcement import announcements, process_started

linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems do not tell when a process started"
)


def test_announcement_reads_as_it_was_written(announcement: Announcement, tmp_path: Path) -> None:
    """Every field survives."""
    path = announcement.write(tmp_path)

    assert Announcement.read(path) == announcement
    assert path == Announcement.path_for(tmp_path, "kernel-1")


def test_file_is_private_whatever_the_umask(announcement: Announcement, tmp_path: Path) -> None:
    """It holds the secret."""
    before = os.umask(0)
    try:
        path = announcement.write(tmp_path / "runtime")
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_file_is_replaced_whole(announcement: Announcement, tmp_path: Path) -> None:
    """Who has the old one open reads the old one to its end; no draft stays behind."""
    path = announcement.write(tmp_path)
    with path.open("rb") as old:
        replace(announcement, address="elsewhere").write(tmp_path)

        assert orjson.loads(old.read())["address"] == announcement.address
    assert Announcement.read(path).address == "elsewhere"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602])
def test_file_that_others_can_open_is_refused(announcement: Announcement, tmp_path: Path, mode: int) -> None:
    """Somebody else may know the secret, or have written it."""
    path = announcement.write(tmp_path)
    path.chmod(mode)

    with pytest.raises(ProtocolError, match="private"):
        Announcement.read(path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_file_of_another_user_is_refused(announcement: Announcement, tmp_path: Path) -> None:
    """It would lead us to his socket."""
    path = announcement.write(tmp_path)
    os.chown(path, 65534, 65534)

    with pytest.raises(ProtocolError, match="this user"):
        Announcement.read(path)


def test_link_is_refused(announcement: Announcement, tmp_path: Path) -> None:
    """What it leads to may change."""
    path = announcement.write(tmp_path / "elsewhere")
    link = tmp_path / "fused-link.json"
    link.symlink_to(path)

    with pytest.raises(ProtocolError):
        Announcement.read(link)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"protocol":1}', b"\xff", b'{"protocol":"x"}', b"null"])
def test_file_of_another_kind_is_passed_over(tmp_path: Path, announcement: Announcement, content: bytes) -> None:
    """Reading one says so; listing all gives the others."""
    good = announcement.write(tmp_path)
    bad = tmp_path / "fused-bad.json"
    bad.touch(0o600)
    bad.write_bytes(content)

    with pytest.raises(ProtocolError, match="no announcement"):
        Announcement.read(bad)
    assert list(announcements(tmp_path)) == [(good, announcement)]


def test_fields_of_the_wrong_kind_are_refused(tmp_path: Path, announcement: Announcement) -> None:
    """A pid that is none would fail later, in the server's loop."""
    path = announcement.write(tmp_path)
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), "pid": "me"}))

    with pytest.raises(ProtocolError, match="no announcement"):
        Announcement.read(path)


def test_what_is_no_file_is_passed_over(tmp_path: Path, announcement: Announcement) -> None:
    """A directory or a pipe of that name stops nobody."""
    good = announcement.write(tmp_path)
    (tmp_path / "fused-directory.json").mkdir(0o700)
    os.mkfifo(tmp_path / "fused-pipe.json", 0o600)

    assert list(announcements(tmp_path)) == [(good, announcement)]


def test_fields_of_a_newer_version_are_passed_over(tmp_path: Path, announcement: Announcement) -> None:
    """What this version needs is there."""
    path = announcement.write(tmp_path)
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), "color": "blue"}))

    assert Announcement.read(path) == announcement


def test_running_process_is_alive(announcement: Announcement) -> None:
    """By pid and start, or by pid alone where the system tells no start."""
    own = replace(announcement, pid=os.getpid(), pid_started=process_started(os.getpid()))

    assert own.is_alive
    assert replace(own, pid_started=0.0).is_alive


@linux
def test_reused_pid_is_not_alive(announcement: Announcement) -> None:
    """The same number, started at another time, is another process."""
    assert not replace(announcement, pid=os.getpid(), pid_started=process_started(os.getpid()) - 1).is_alive


def test_ended_process_is_not_alive(announcement: Announcement) -> None:
    """Neither when it is gone, nor while its parent has not noticed."""
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        ended = replace(announcement, pid=process.pid, pid_started=0.0)
        assert process.stdout is not None
        process.stdout.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        if sys.platform.startswith("linux"):
            assert not ended.is_alive
    assert not ended.is_alive
