"""The file by which a host is found: `jupyter_runtime_dir()/fused-<kernel id>.json`, 0600, written by rename."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from fused_jupyter.errors import ProtocolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Where a host listens, for which kernel, and how to prove that one may call."""

    protocol: int
    package_version: str
    kernel_id: str
    pid: int
    """Process of the host."""
    pid_started: float
    """Its start, in clock ticks since boot: tells a reused pid from the real one. 0 where the system does not say."""
    kernel_pid: int
    server_pid: int
    """Process of the Jupyter server that started the kernel; 0 if none did."""
    address: str
    """Path of a Unix socket, or 127.0.0.1:port."""
    secret: str
    """32 random bytes in hex."""

    @staticmethod
    def path_for(directory: Path, kernel_id: str) -> Path:
        """Where the announcement of that kernel lies."""
        return directory / f"fused-{kernel_id}.json"

    def write(self, directory: Path) -> Path:
        """Put the file into place, whole and readable by this user only."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.path_for(directory, self.kernel_id)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(asdict(self)))
        draft.replace(path)
        return path

    @classmethod
    def read(cls, path: Path) -> Announcement:
        """The announcement in a file.

        Raises:
            ProtocolError: not ours, not this user's, or of a version that writes other fields.
            FileNotFoundError: it went away meanwhile.
        """
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise ProtocolError(f"{path}: not a private file of this user, passed over")
        try:
            fields = orjson.loads(path.read_bytes())
            return cls(**{name: kind(fields[name]) for name, kind in _KINDS.items()})
        except (ValueError, KeyError, TypeError) as exc:
            raise ProtocolError(f"{path}: no announcement that this version understands") from exc

    @property
    def is_alive(self) -> bool:
        """Whether the announcing process still runs."""
        return is_running(self.pid, self.pid_started)


_KINDS = {name: {"str": str, "int": int, "float": float}[kind] for name, kind in Announcement.__annotations__.items()}

_ENDED = -1.0
"""Instead of a start: the process ended, but its parent has not taken note yet."""


def announcements(directory: Path) -> Iterator[tuple[Path, Announcement]]:
    """All announcements that can be read, stale ones included."""
    for path in sorted(directory.glob("fused-*.json")):
        with contextlib.suppress(ProtocolError, FileNotFoundError):
            yield path, Announcement.read(path)


def is_running(pid: int, started: float) -> bool:
    """Whether the process of this user that began at `started` still runs; 0 stands for any beginning."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # the pid is somebody else's by now
    now = process_started(pid)
    return now != _ENDED and started in {0.0, now}


def process_started(pid: int) -> float:
    """Start of a process in clock ticks since boot (proc(5), field 22).

    0 where /proc does not exist, negative for a process that ended and waits for its parent to notice.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    state, *numbers = text.rpartition(")")[2].split()
    return _ENDED if state in {"Z", "X"} else float(numbers[18])
