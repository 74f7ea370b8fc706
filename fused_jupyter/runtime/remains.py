"""What a host that was killed leaves on the disk; the next host takes it away."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import tempfile
import time
from pathlib import Path

from fused_jupyter.wire.announcement import Announcement, is_running, process_started

SOCKET = "host.sock"

_OF_HOST = re.compile(r"fused-(\d+)-(\d+)-\w+")
"""Process and its start, so that whoever finds the directory can tell whether its host lives."""
_LOG = re.compile(r"fused-([0-9a-f-]+)\.log")
_LOG_SECONDS = 7 * 86400
"""For how long the log of a kernel that has ended may still be read."""


def socket_directory() -> tempfile.TemporaryDirectory[str]:
    """A private directory for the socket of this process."""
    pid = os.getpid()
    # Not in the runtime directory: a socket's path is limited to 104 bytes, and homes may be on a network.
    return tempfile.TemporaryDirectory(prefix=f"fused-{pid}-{process_started(pid):.0f}-", ignore_cleanup_errors=True)


def remove_remains(runtime_directory: Path) -> None:
    """Remove the socket directories of hosts that died, and the logs of kernels that ended days ago."""
    for directory in Path(tempfile.gettempdir()).glob("fused-*"):
        if (found := _OF_HOST.fullmatch(directory.name)) is not None:
            with contextlib.suppress(OSError):  # another host is at it, or it is not ours
                if not is_running(int(found[1]), float(found[2])):
                    _remove(directory)
    for log in runtime_directory.glob("fused-*.log"):
        if (found := _LOG.fullmatch(log.name)) is not None:
            with contextlib.suppress(OSError):
                is_old = time.time() - log.stat().st_mtime > _LOG_SECONDS
                if is_old and not Announcement.path_for(runtime_directory, found[1]).exists():
                    log.unlink()


def _remove(directory: Path) -> None:
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or _is_listening(directory / SOCKET):
        return
    (directory / SOCKET).unlink(missing_ok=True)
    directory.rmdir()  # nothing else is ever in it


def _is_listening(path: Path) -> bool:
    """Whether somebody is there all the same: processes of another container, with the same /tmp, do not show here."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # noqa: FBT003 - how the method has it
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True
