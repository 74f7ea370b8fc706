"""Values of functions as files: a pickle and, beside it, the arrays as they lie in memory (PEP 574).

As with results, a file is written beside its place and renamed into it, its header carries lengths and a checksum, and
age is tested when it is read. Large ones are mapped, not read: each reader gets pages of its own and may write to them.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import pickle
import time
from collections.abc import Iterable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from fused_jupyter.caching.folders import DRAFT, is_sweep_due, network_file_system, private, sweep, warn_of_network
from fused_jupyter.caching.packing import Packed, Piece, packed

_MAPPED = 512 * 1024
"""Bytes from which mapping is faster: 10 MB in 0.4 ms, against 1.0 ms for reading them."""
_TOUCH_AFTER = 60.0
"""Seconds between two notes that a file was used; what was used longest ago goes first."""


class TooLargeError(Exception):
    """The value alone would need more than all values may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A value that was kept."""

    value: Any  # of the user's
    created: float
    """Seconds since the epoch."""


class KeptValues:
    """Values by folder and key, for many processes and threads on one local disk.

    Args:
        directory: only its user may write there.
        size: bytes of all values together.
    """

    def __init__(self, directory: Path, *, size: int) -> None:
        self._directories = directory, directory / "functions", directory / "turns"
        self._make_directories()
        self._size = size
        self._numbers = itertools.count()
        self._may_map = network_file_system(directory) is None
        """A file that another machine deletes takes its pages along, and the process with them."""
        warn_of_network(directory)

    def read(self, folder: str, key: str, *, oldest: float) -> Kept | None:
        """The value, if a whole file holds it that was made at a point in time or later."""
        path = self._path(folder, key)
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - hot path, no Path object needed
                status = os.fstat(file.fileno())
                kept = _parse(self._content(file, status.st_size), oldest=oldest)
        except (OSError, ValueError):  # ValueError: it is shorter than a moment ago
            return None
        if kept is not None and time.time() - status.st_mtime > _TOUCH_AFTER:
            with contextlib.suppress(OSError):
                os.utime(path)
        return kept

    def write(self, folder: str, key: str, value: Any) -> None:  # Any: of the user's
        """Keep a value. A full or read-only disk costs the cache, never the value.

        Raises:
            TooLargeError: there is no room for it.
            Exception: it cannot be pickled; whatever its class raises.
        """
        pieces = _pieces(value, created=time.time())
        length = sum(len(piece) for piece in pieces)
        if length > self._size:
            raise TooLargeError(f"it takes {length:,} bytes, and FUSED_CACHE_SIZE is {self._size:,}")
        path = Path(self._path(folder, key))
        with contextlib.suppress(OSError):
            try:
                self._put(path, pieces)
            except FileNotFoundError:  # the first one there, or the user has thrown the cache away
                self._make_directories()
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._put(path, pieces)
            if is_sweep_due(length, size=self._size):
                self.evict()

    def evict(self) -> None:
        """Bring the files under their limit, those used longest ago first; what dead processes left goes too."""
        root, values, turns = self._directories
        sweep(root / "functions.lock", values.glob("*/*/*"), size=self._size * 9 // 10)
        sweep(root / "functions.lock", turns.glob("*"), size=self._size)

    def usage(self) -> tuple[int, int]:
        """How many values there are, and their bytes on disk."""
        sizes = []
        for path in self._directories[1].glob("*/*/*"):
            with contextlib.suppress(OSError):
                if path.suffix != DRAFT:
                    sizes.append(path.stat().st_blocks * 512)
        return len(sizes), sum(sizes)

    def clear(self) -> int:
        """Delete all values; gives how many there were."""
        count = 0
        for path in self._directories[1].glob("*/*/*"):
            with contextlib.suppress(OSError):
                if path.suffix != DRAFT:  # whoever writes that renames it in a moment
                    path.unlink()
                    count += 1
        return count

    def turn(self, key: str) -> str:
        """The file to lock by whoever makes the value of this key."""
        return f"{self._directories[2]}/{key}{DRAFT}"

    def _path(self, folder: str, key: str) -> str:
        return f"{self._directories[1]}/{folder}/{key[:2]}/{key}"

    def _make_directories(self) -> None:
        for directory in self._directories:
            private(directory)

    def _put(self, path: Path, pieces: Iterable[Piece]) -> None:
        draft = path.with_name(f"{path.name}.{os.getpid()}.{next(self._numbers)}{DRAFT}")
        try:
            with draft.open("wb") as file:
                file.writelines(pieces)
            draft.replace(path)
        except BaseException:  # also Ctrl-C: a draft that nobody finishes is rubbish
            draft.unlink(missing_ok=True)
            raise

    def _content(self, file: FileIO, length: int) -> memoryview:
        if length >= _MAPPED and self._may_map:
            return memoryview(mmap.mmap(file.fileno(), length, access=mmap.ACCESS_COPY))
        content = bytearray(length)
        file.readinto(content)
        return memoryview(content)


def _pieces(value: Any, *, created: float) -> list[Piece]:
    found: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(value, protocol=5, buffer_callback=found.append)
    return packed(stream, found, created=created)


def _parse(content: memoryview, *, oldest: float) -> Kept | None:
    file = Packed(content)
    if file.created < oldest or not file.is_intact:
        return None
    stream, buffers = file.parts
    try:
        return Kept(value=pickle.loads(stream, buffers=buffers), created=file.created)  # noqa: S301 - from a private directory
    except Exception:  # noqa: BLE001 - made by other versions of the classes in it
        return None
