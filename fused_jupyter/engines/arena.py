"""Memory that a worker shares with the kernel: a result of some hundred kilobytes crosses over in two plain copies.

Through a socket the system copies it page by page, and wakes the reader for the first of them: 256 kB took 0.17 ms.
Only on Linux; elsewhere, and for what is smaller or larger, there is the socket.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Sequence

SIZE = 4 << 20
"""Bytes. Pages that were never written to take no room."""

_LEAST = 48 << 10
"""Bytes from which it is worth it."""

IS_SUPPORTED = sys.platform.startswith("linux")


class Arena:
    """The memory, in the worker that makes it, or in the kernel that gets its descriptor.

    Args:
        descriptor: of an arena that is there already.

    >>> arena = Arena()
    >>> arena.fits(60_000), arena.fits(100)
    (True, False)
    >>> arena.put([b"ab", memoryview(b"c")])
    >>> bytes(arena.take(3))
    b'abc'
    """

    def __init__(self, descriptor: int | None = None) -> None:
        if descriptor is None:
            descriptor = os.memfd_create("fused-arena", os.MFD_CLOEXEC)
            os.ftruncate(descriptor, SIZE)
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, SIZE)

    def fits(self, length: int) -> bool:
        """Whether so many bytes should go this way."""
        return _LEAST <= length <= SIZE

    def put(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Write pieces one behind the other; what was there before has been read."""
        end = 0
        for piece in pieces:
            start, end = end, end + len(piece)
            self._memory[start:end] = piece

    def take(self, length: int) -> memoryview:
        """A copy of what was written, which may be changed."""
        with memoryview(self._memory) as whole:
            return memoryview(bytearray(whole[:length]))

    def close(self) -> None:
        """Let go of it."""
        self._memory.close()
        os.close(self.descriptor)
