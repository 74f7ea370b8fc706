"""Folders that hold what is cached: private ones, on a local disk, within a size."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import random
import re
import time
import warnings
from collections.abc import Iterable
from pathlib import Path

from fused_jupyter.errors import ArgumentError

DRAFT = ".tmp"
"""How the name of a file ends that is being written."""
STALE_AFTER = 3600.0
"""Seconds after which a draft has no writer any more."""

_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|afs|ceph|lustre|gpfs|beegfs|glusterfs|fuse\.(sshfs|s3fs|gcsfuse|rclone).*"
)
_MOUNTS = Path("/proc/self/mountinfo")


def private(directory: Path) -> Path:
    """The directory, made if need be; what lies there is unpickled, so nobody else may write to it.

    Raises:
        ArgumentError: others can.
        OSError: it cannot be made.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = directory.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise ArgumentError(
            f"FUSED_CACHE_DIRECTORY: others can write to {directory}; choose a private one, or chmod go-w it"
        )
    return directory


def evict(files: Iterable[Path], *, size: int) -> None:
    """Bring files below a size on disk, those used longest ago first; drafts of dead writers go too."""
    found = []
    for path in files:
        with contextlib.suppress(OSError):
            status = path.stat()
            if path.suffix == DRAFT and time.time() - status.st_mtime > STALE_AFTER:
                path.unlink()
            else:
                found.append((status.st_mtime, status.st_blocks * 512, path))
    used = sum(length for _, length, _ in found)
    for _, length, path in sorted(found):
        if used <= size:
            return
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)  # another process may be at it
            used -= length


def is_sweep_due(written: int, *, size: int) -> bool:
    """Whether who has written so many bytes had better look at the folder's size.

    On average once for each twentieth of the size, however many processes write how little each.
    """
    return random.random() * size / 20 < written  # noqa: S311 - a die


def sweep(lock: Path, files: Iterable[Path], *, size: int) -> None:
    """`evict`, by one process at a time: the others have better things to do."""
    with contextlib.suppress(OSError), lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        evict(files, size=size)


@functools.cache
def warn_of_network(directory: Path) -> None:
    """Say once in each process that a cache is where machines share files."""
    kind = network_file_system(directory)
    if kind is not None:
        warnings.warn(
            f"the cache directory {directory} is on a network file system ({kind}), where equal calls may run "
            "more than once; set FUSED_CACHE_DIRECTORY to a local one",
            stacklevel=3,
        )


def network_file_system(directory: Path) -> str | None:
    """The kind of file system, if it is one that machines share: renaming works there, but locks may not."""
    try:
        lines = _MOUNTS.read_text().splitlines()
    except OSError:  # not Linux
        return None
    place = directory.resolve()
    # 36 35 98:0 /root /mount/point rw,noatime master:1 - ext4 /dev/root rw; spaces in names are \040
    mounts = [(Path(_plain(line.split()[4])), line.partition(" - ")[2].split()[0]) for line in lines if " - " in line]
    around = [(len(point.parts), kind) for point, kind in mounts if place.is_relative_to(point)]
    kind = max(around, default=(0, ""))[1]
    return kind if _NETWORK.fullmatch(kind) else None


def _plain(text: str) -> str:
    return re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), text)
