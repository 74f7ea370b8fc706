"""Values by key within a number of bytes; what was used longest ago makes room."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")

_OVERHEAD = 1000
"""Bytes of what a value needs beside its content, about: empty ones must not be kept without end."""


class Lru(Generic[V]):
    """A dict of limited size. Used from one event loop only."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._values: OrderedDict[bytes, tuple[V, int]] = OrderedDict()

    def get(self, key: bytes) -> V | None:
        """The value, which was used now."""
        if (found := self._values.get(key)) is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: bytes, value: V, size: int) -> None:
        """Keep a value of that many bytes, in place of the one that has its key."""
        self._drop(key)
        self._values[key] = (value, size + _OVERHEAD)
        self._used += size + _OVERHEAD
        while self._used > self._size:
            self._drop(next(iter(self._values)))

    def _drop(self, key: bytes) -> None:
        if (found := self._values.pop(key, None)) is not None:
            self._used -= found[1]
