"""The result cache: an LRU in memory over plain files, safe for many processes on one local disk.

A file is written beside its place and renamed into it, so a reader sees a whole result or none; its header carries
length and checksum, so what a power cut left is a miss. Age is tested when an entry is read: the same result may be
asked for with another maximum age.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import struct
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from fused_jupyter.errors import ArgumentError

_MAGIC = b"FUSED1\n\x00"
_HEADER = struct.Struct("!8sdII16s")
"""Magic, created (seconds since the epoch), length of meta, length of body, checksum of both."""

_TOUCH_AFTER = 60.0
"""Seconds between two notes that a file was used; what was used longest ago goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One result: what describes it, and its bytes."""

    created: float
    """Seconds since the epoch."""
    meta: bytes
    body: bytes

    @property
    def age(self) -> float:
        """Seconds since it was made; never negative, whatever the clock did."""
        return max(0.0, time.time() - self.created)


class ResultCache:
    """Results by key. Reading a file blocks for some microseconds; callers with an event loop use a thread."""

    def __init__(self, directory: Path, *, memory_size: int, disk_size: int) -> None:
        self._directory = _private(_private(directory) / "results")
        self._memory: OrderedDict[str, Entry] = OrderedDict()
        self._memory_size = memory_size
        self._memory_used = 0
        self._disk_size = disk_size
        self._written = 0
        self._numbers = itertools.count()

    def in_memory(self, key: str, *, max_age: float) -> Entry | None:
        """The result, if memory holds it and it is young enough."""
        entry = self._memory.get(key)
        if entry is None or entry.age >= max_age:
            return None
        self._memory.move_to_end(key)
        return entry

    def on_disk(self, key: str, *, max_age: float) -> Entry | None:
        """The result, if a whole file holds it and it is young enough."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        entry = _parse(content)
        if entry is None or entry.age >= max_age:
            return None
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _TOUCH_AFTER:
                os.utime(path)
        self.remember(key, entry)
        return entry

    def remember(self, key: str, entry: Entry) -> None:
        """Keep a result in memory; the one used longest ago makes room."""
        if (old := self._memory.pop(key, None)) is not None:
            self._memory_used -= len(old.meta) + len(old.body)
        size = len(entry.meta) + len(entry.body)
        if size > self._memory_size // 4:
            return
        self._memory[key] = entry
        self._memory_used += size
        while self._memory_used > self._memory_size:
            _, dropped = self._memory.popitem(last=False)
            self._memory_used -= len(dropped.meta) + len(dropped.body)

    def write(self, key: str, entry: Entry) -> None:
        """Put a result on disk. A full or read-only disk costs the cache, never the result."""
        path = self._path(key)
        checksum = hashlib.blake2b(entry.meta + entry.body, digest_size=16).digest()
        header = _HEADER.pack(_MAGIC, entry.created, len(entry.meta), len(entry.body), checksum)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = path.with_name(f"{path.name}.{os.getpid()}.{next(self._numbers)}.tmp")
            draft.write_bytes(header + entry.meta + entry.body)
            draft.replace(path)
            self._written += len(entry.body)
            if self._written > self._disk_size // 20:
                self._written = 0
                self.evict()

    def evict(self) -> None:
        """Bring the files under their limit, those used longest ago first; drafts of dead writers go too."""
        files = []
        for path in self._directory.glob("*/*"):
            with contextlib.suppress(OSError):
                status = path.stat()
                if path.suffix == ".tmp" and time.time() - status.st_mtime > 3600:
                    path.unlink()
                else:
                    files.append((status.st_mtime, status.st_size, path))
        used = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if used <= self._disk_size * 0.9:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                used -= size

    def _path(self, key: str) -> Path:
        return self._directory / key[:2] / key


def _private(directory: Path) -> Path:
    """The directory, made if need be; results may hold pickles, so nobody else may write there."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = directory.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise ArgumentError(
            f"FUSED_CACHE_DIRECTORY: others can write to {directory}; choose a private one, or chmod go-w it"
        )
    return directory


def _parse(content: bytes) -> Entry | None:
    if len(content) < _HEADER.size:
        return None
    magic, created, meta_length, body_length, checksum = _HEADER.unpack_from(content)
    if magic != _MAGIC or len(content) != _HEADER.size + meta_length + body_length:
        return None
    rest = content[_HEADER.size :]
    if hashlib.blake2b(rest, digest_size=16).digest() != checksum:
        return None
    return Entry(created=created, meta=rest[:meta_length], body=rest[meta_length:])
