"""The result cache: an LRU in memory over plain files, safe for many processes on one local disk.

A file is written in its place, by one process at a time, and its header carries lengths and a checksum: what is half
written, by a process that lives, was killed or lost its power, is a miss, and the reader who finds it deletes what
nobody writes any more. A draft and a rename would cost several times
as much, as the journal of the file system takes part in both. Age is tested when an entry is read: the same result may
be asked for with another maximum age.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fused_jupyter.caching.checksum import crc32
from fused_jupyter.caching.folders import DRAFT, is_sweep_due, private, sweep

_MAGIC = b"FUSEDR2\n"
_HEADER = struct.Struct("!8sI")
"""Magic, checksum of all that follows."""
_INDEX = struct.Struct("!dIIQ")
"""Created (seconds since the epoch), and the lengths of about, meta and body, which follow."""
_BEGINNING = struct.Struct("!8sIdIIQ")
"""Both."""

_SMALL = 1 << 16
"""Bytes of the first read; what lies beyond is read part by part."""
_TOUCH_AFTER = 60.0
"""Seconds between two notes that a file was used; what was used longest ago goes first."""

_LONGEST_ABOUT = 2048

Matches = Callable[[bytes], bool]
"""Whether an entry is meant, by its `about`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One result: what describes it, and its bytes."""

    created: float
    """Seconds since the epoch."""
    meta: bytes
    body: bytes
    about: bytes = b""
    """What lists show of it, and what it is deleted by."""

    @property
    def age(self) -> float:
        """Seconds since it was made; never negative, whatever the clock did."""
        return max(0.0, time.time() - self.created)

    @property
    def size(self) -> int:
        """Bytes of content."""
        return len(self.about) + len(self.meta) + len(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An entry on disk, without its content."""

    key: str
    about: bytes
    created: float
    """Seconds since the epoch."""
    size: int
    """Bytes of content."""


class ResultCache:
    """Results by key, for many processes and threads.

    Reading a file blocks for some microseconds; callers with an event loop use a thread.

    Args:
        directory: only its user may write there.
        memory_size: bytes in memory.
        disk_size: bytes on disk, about.
    """

    def __init__(self, directory: Path, *, memory_size: int, disk_size: int) -> None:
        self._directory = private(private(directory) / "results")
        self._turns = private(directory / "turns")
        self._root = f"{self._directory}{os.sep}"
        self._lock = threading.Lock()
        self._memory: OrderedDict[str, Entry] = OrderedDict()
        self._memory_size = memory_size
        self._memory_used = 0
        self._disk_size = disk_size
        self._mark = self._directory / "deleted"
        self._marked = self._mark_time()
        self.generation = 0
        """Grows when entries are deleted: what was asked for before is not to be kept after."""

    # -- reading and writing

    def in_memory(self, key: str, *, max_age: float) -> Entry | None:
        """The result, if memory holds it and it is young enough."""
        entry = self._memory.get(key)
        if entry is None or entry.age >= max_age:
            return None
        with self._lock, contextlib.suppress(KeyError):
            self._memory.move_to_end(key)
        return entry

    def on_disk(self, key: str, *, max_age: float) -> Entry | None:
        """The result, if a whole file holds it and it is young enough."""
        path, generation = self._path(key), self.generation
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            status = os.fstat(file)
            entry = _read(file, status.st_size)
            if entry is None:
                _remove_broken(file, path)
        except OSError:
            return None
        finally:
            os.close(file)
        now = time.time()
        if entry is None or now - entry.created >= max_age:
            return None
        if now - status.st_mtime > _TOUCH_AFTER:
            with contextlib.suppress(OSError):
                os.utime(path)
        if self._memory_size:
            self.remember(key, entry, generation=generation)
        return entry

    def remember(self, key: str, entry: Entry, *, generation: int | None = None) -> None:
        """Keep a result in memory; the one used longest ago makes room.

        Args:
            key: its place.
            entry: the result.
            generation: that of when it was asked for; nothing is kept where entries were deleted since.
        """
        with self._lock:
            if generation not in {None, self.generation}:
                return
            self._forget(key)
            if entry.size > self._memory_size // 4:
                return
            self._memory[key] = entry
            self._memory_used += entry.size
            while self._memory_used > self._memory_size:
                self._forget(next(iter(self._memory)))

    def write(self, key: str, entry: Entry, *, generation: int | None = None) -> None:
        """Put a result on disk, as `remember` does. A full or read-only disk costs the cache, never the result."""
        path = self._path(key)
        index = _INDEX.pack(entry.created, len(entry.about), len(entry.meta), len(entry.body))
        checksum = crc32(entry.body, crc32(index + entry.about + entry.meta))
        pieces = [_HEADER.pack(_MAGIC, checksum), index, entry.about, entry.meta, entry.body]
        with contextlib.suppress(OSError):
            try:
                self._put(path, pieces)
            except FileNotFoundError:  # the first one there, or the user has thrown the cache away
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                (self._directory / key[:2]).mkdir(mode=0o700, exist_ok=True)
                self._put(path, pieces)
            if generation not in {None, self.generation}:
                os.unlink(path)  # noqa: PTH108 - as above
            if is_sweep_due(entry.size, size=self._disk_size):
                self.evict()

    def evict(self) -> None:
        """Bring the files under their limit, those used longest ago first; what dead processes left goes too."""
        lock = self._directory / "evict.lock"
        sweep(lock, self._directory.glob("*/*"), size=self._disk_size * 9 // 10)
        sweep(lock, self._turns.glob("*"), size=self._disk_size)

    def turn(self, key: str) -> str:
        """The file to lock by whoever makes the result of this key."""
        return f"{self._turns}{os.sep}{key}{DRAFT}"

    # -- looking through it

    @property
    def in_use(self) -> tuple[int, int]:
        """Entries and bytes in memory."""
        return len(self._memory), self._memory_used

    def listed(self) -> Iterator[Listed]:
        """Every entry on disk, in no order."""
        for path in self._directory.glob("*/*"):
            with contextlib.suppress(OSError, struct.error):
                yield self._described(path)

    def delete(self, matches: Matches) -> dict[str, bytes]:
        """Delete entries on disk and in memory; gives keys and `about` of those. What runs now is not kept later."""
        with self._lock:
            self.generation += 1
            deleted = {key: entry.about for key, entry in self._memory.items() if matches(entry.about)}
            for key in deleted:
                self._forget(key)
        for entry in self.listed():
            if matches(entry.about):
                with contextlib.suppress(OSError):
                    os.unlink(self._path(entry.key))  # noqa: PTH108 - as above
                    deleted[entry.key] = entry.about
        with contextlib.suppress(OSError):
            self._mark.touch(mode=0o600)
        self._marked = self._mark_time()
        return deleted

    def note_deletions(self) -> bool:
        """Whether another process has deleted entries since the last look; then memory is empty from now on."""
        marked = self._mark_time()
        if marked == self._marked:
            return False
        self._marked = marked
        with self._lock:
            self.generation += 1
            self._memory.clear()
            self._memory_used = 0
        return True

    def _forget(self, key: str) -> None:
        """Called with the lock."""
        if (old := self._memory.pop(key, None)) is not None:
            self._memory_used -= old.size

    def _described(self, path: Path) -> Listed:
        with path.open("rb", buffering=0) as file:
            head = file.read(_BEGINNING.size + _LONGEST_ABOUT)
            if not head.startswith(_MAGIC):
                raise OSError("a file of another kind")
            created, about, meta, body = _INDEX.unpack_from(head, _HEADER.size)
            text = head[_BEGINNING.size : _BEGINNING.size + about]
            return Listed(key=path.name, about=text, created=created, size=about + meta + body)

    def _put(self, path: str, pieces: list[bytes]) -> None:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _is_locked(file):
                return  # who has it writes an equal result, from an equal run
            written = os.writev(file, pieces)
            if os.fstat(file).st_size > written:
                os.ftruncate(file, written)  # the result before was longer
            if written < sum(map(len, pieces)):  # the disk is full
                os.unlink(path)  # noqa: PTH108 - as above
        finally:
            os.close(file)

    def _mark_time(self) -> int:
        try:
            return self._mark.stat().st_mtime_ns
        except OSError:
            return 0

    def _path(self, key: str) -> str:
        return f"{self._root}{key[:2]}{os.sep}{key}"


def _is_locked(file: int) -> bool:
    """Whether nobody else writes to a file, as far as its file system can tell."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # one without locks: the checksum has to do
        return True
    return True


def _remove_broken(file: int, path: str) -> None:
    """Delete what a writer left half written when it ended; one that still writes has the lock."""
    if not _is_locked(file):
        return
    status = os.fstat(file)
    if _read(file, status.st_size) is None and os.path.samestat(os.stat(path), status):  # noqa: PTH116 - as above
        os.unlink(path)  # noqa: PTH108 - as above


def _read(file: int, size: int) -> Entry | None:
    """The entry; None where the file is not whole, or none of ours."""
    head = os.pread(file, _SMALL, 0)
    if len(head) < _BEGINNING.size:
        return None
    magic, checksum, created, about, meta, body = _BEGINNING.unpack_from(head)
    meta_start = _BEGINNING.size + about
    body_start = meta_start + meta
    if magic != _MAGIC or size != body_start + body:
        return None
    if body_start > len(head):  # it printed much
        head += os.pread(file, body_start - len(head), len(head))
    if size == len(head):
        found, content = crc32(memoryview(head)[_HEADER.size :]), head[body_start:]
    else:
        content = os.pread(file, body, body_start)
        found = crc32(content, crc32(memoryview(head)[_HEADER.size : body_start]))
    if found != checksum:
        return None
    return Entry(
        created=created, about=head[_BEGINNING.size : meta_start], meta=head[meta_start:body_start], body=content
    )
