"""The form of a file that holds a value: a pickle and, beside it, the arrays as they lie in memory (PEP 574)."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from fused_jupyter.caching.checksum import crc32

Piece = bytes | memoryview

_HEADER = struct.Struct("!8sI")
"""Magic, checksum of all that follows."""
_MAGIC = b"FUSEDV1\n"
_INDEX = struct.Struct("!dIQ")
"""Created (seconds since the epoch), number of buffers, length of the pickle; then the length of each buffer."""
_ALIGN = 64
"""Buffers begin at its multiples, as the widest instructions of CPUs like it."""


def packed(stream: bytes, buffers: Sequence[pickle.PickleBuffer], *, created: float) -> list[Piece]:
    """The whole file, in pieces that are not copied together.

    Args:
        stream: a pickle.
        buffers: what lies outside of it.
        created: seconds since the epoch.

    >>> content = memoryview(b"".join(packed(pickle.dumps(5), [], created=1.0)))
    >>> Packed(content).is_intact, Packed(content).created, pickle.loads(Packed(content).parts[0])
    (True, 1.0, 5)
    """
    raw = [buffer.raw() for buffer in buffers]
    lengths = struct.pack(f"!{len(raw)}Q", *map(len, raw))
    pieces: list[Piece] = [_INDEX.pack(created, len(raw), len(stream)) + lengths, stream]
    end = _HEADER.size + sum(map(len, pieces))
    for buffer in raw:
        pieces += [bytes(-end % _ALIGN), buffer]
        end += -end % _ALIGN + len(buffer)
    checksum = 0
    for piece in pieces:
        checksum = crc32(piece, checksum)
    return [_HEADER.pack(_MAGIC, checksum), *pieces]


@dataclass(frozen=True, slots=True)
class Packed:
    """The content of such a file."""

    content: memoryview

    @property
    def is_intact(self) -> bool:
        """Whether it is one, and whole; reads all of it."""
        if len(self.content) < _HEADER.size + _INDEX.size:
            return False
        magic, checksum = _HEADER.unpack_from(self.content)
        return bool(magic == _MAGIC) and crc32(self.content[_HEADER.size :]) == checksum

    @property
    def created(self) -> float:
        """Seconds since the epoch; -inf where there is not even a head."""
        if len(self.content) < _HEADER.size + _INDEX.size:
            return float("-inf")
        created: float = _INDEX.unpack_from(self.content, _HEADER.size)[0]
        return created

    @property
    def parts(self) -> tuple[memoryview, list[memoryview]]:
        """The pickle and its buffers, of a file that is intact."""
        _, count, length = _INDEX.unpack_from(self.content, _HEADER.size)
        lengths = struct.unpack_from(f"!{count}Q", self.content, _HEADER.size + _INDEX.size)
        end = _HEADER.size + _INDEX.size + 8 * count + length
        stream = self.content[end - length : end]
        buffers = []
        for length in lengths:
            start = end + -end % _ALIGN
            end = start + length
            buffers.append(self.content[start:end])
        return stream, buffers
