from __future__ import annotations

import fcntl
import os
import time
import warnings
from pathlib import Path

import pytest

from fused_jupyter.caching import folders
from fused_jupyter.caching.folders import evict, is_sweep_due, network_file_system, private, sweep, warn_of_network
from fused_jupyter.errors import ArgumentError

MOUNTS = """\
22 1 252:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:26 / /home rw,relatime shared:9 - nfs4 server:/home rw,vers=4.2
31 30 252:1 / /home/scratch rw - xfs /dev/vdb rw
32 22 0:27 / /mnt/with\\040space rw - fuse.sshfs host:/ rw
33 22 0:28 / /mnt/overlay rw - fuse.fuse-overlayfs overlay rw
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/var/cache", None),
        ("/home/me/.cache", "nfs4"),
        ("/home/scratch/me", None),
        ("/homely", None),
        ("/mnt/with space/x", "fuse.sshfs"),
        ("/mnt/overlay/x", None),
    ],
)
def test_innermost_mount_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: str, kind: str | None
) -> None:
    """A local disk below a network's is local."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(folders, "_MOUNTS", mounts)

    assert network_file_system(Path(directory)) == kind


def test_without_a_list_of_mounts_a_disk_is_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.setattr(folders, "_MOUNTS", tmp_path / "none")

    assert network_file_system(tmp_path) is None


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707])
def test_directory_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    """The message says how to close it."""
    tmp_path.chmod(mode)

    with pytest.raises(ArgumentError, match="chmod go-w"):
        private(tmp_path)


def filled(directory: Path, count: int, size: int) -> list[Path]:
    """Files that were used one second after another."""
    paths = [directory / f"{number}" for number in range(count)]
    for used, path in enumerate(paths):
        path.write_bytes(bytes(size))
        os.utime(path, (used, used))
    return paths


def test_eviction_drops_what_was_used_longest_ago(tmp_path: Path) -> None:
    """By the room that it takes on disk."""
    paths = filled(tmp_path, 10, 4096)

    evict(paths, size=4 * 4096)

    assert [path for path in paths if path.exists()] == paths[-4:]


def test_file_that_another_process_evicted_made_room_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at it do not drop twice as much."""
    paths = filled(tmp_path, 10, 4096)
    stat = Path.stat

    def stat_then_lose(path: Path, **options: bool) -> os.stat_result:
        status = stat(path, **options)
        if path in paths[:3]:
            path.unlink()
        return status

    monkeypatch.setattr(Path, "stat", stat_then_lose)
    evict(paths, size=5 * 4096)
    monkeypatch.undo()

    assert [path for path in paths if path.exists()] == paths[-5:]


def test_drafts_of_dead_writers_go(tmp_path: Path) -> None:
    """Not those that may still be written."""
    for name, age in (("old.tmp", 7200), ("new.tmp", 0), ("value", 7200)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)

    evict(tmp_path.glob("*"), size=10**6)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.tmp", "value"]


def test_network_file_system_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kernel has one results' and one values' cache, in one directory."""
    monkeypatch.setattr(folders, "network_file_system", lambda _: "nfs4")

    with pytest.warns(UserWarning, match=r"network file system \(nfs4\).*FUSED_CACHE_DIRECTORY"):
        warn_of_network(tmp_path)
    with warnings.catch_warnings(action="error"):
        warn_of_network(tmp_path)


def test_only_one_process_sweeps(tmp_path: Path) -> None:
    """Who comes second does not wait."""
    paths = filled(tmp_path, 3, 4096)
    lock = tmp_path / "lock"
    with lock.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        sweep(lock, paths, size=0)
        assert all(path.exists() for path in paths)

    sweep(lock, paths, size=0)

    assert not any(path.exists() for path in paths)


def test_sweep_is_due_once_for_each_twentieth_on_average() -> None:
    """However small the pieces are."""
    due = sum(is_sweep_due(10, size=20_000) for _ in range(20_000))

    assert due == pytest.approx(200, abs=80)
    assert is_sweep_due(1000, size=20_000)
