"""Who runs next: a fixed number of slots; the newest tile first, the oldest file first, in turns."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from fused_jupyter.errors import BusyError


class RunQueue:
    """Slots for runs.

    Of waiting tiles the newest goes first: it is the one that the user is looking at after a pan. Files keep their
    order. The two take turns, so that neither starves the other.
    """

    def __init__(self, *, slots: int, length: int, timeout: float) -> None:
        self._free = slots
        self._length = length
        self._timeout = timeout
        self._tiles: deque[asyncio.Future[None]] = deque()
        self._files: deque[asyncio.Future[None]] = deque()
        self._tile_is_next = True

    @property
    def waiting(self) -> int:
        """How many runs wait."""
        return len(self._tiles) + len(self._files)

    @contextlib.asynccontextmanager
    async def slot(self, *, is_tile: bool) -> AsyncIterator[None]:
        """Hold a slot.

        Raises:
            BusyError: the queue is full, or no slot came free in time.
        """
        await self._take(is_tile=is_tile)
        try:
            yield
        finally:
            self._give()

    async def _take(self, *, is_tile: bool) -> None:
        if self._free > 0:
            self._free -= 1
            return
        if self.waiting >= self._length:
            raise BusyError(f"{self.waiting} calls wait already; try again, or raise FUSED_QUEUE_LENGTH", retry_after=2)
        line = self._tiles if is_tile else self._files
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            async with asyncio.timeout(self._timeout):  # not wait_for, which forgets a cancel that comes with the turn
                await asyncio.shield(turn)
        except BaseException as exc:  # also a cancelled wait: the slot, if it came at that moment, goes on
            if turn.done() and not turn.cancelled():
                self._give()
            else:
                line.remove(turn)
            if isinstance(exc, TimeoutError):
                message = f"no worker became free within {self._timeout:g} s; try again, or raise FUSED_WORKERS"
                raise BusyError(message, retry_after=5) from exc
            raise

    def _give(self) -> None:
        first, second = (self._tiles, self._files) if self._tile_is_next else (self._files, self._tiles)
        line = first or second
        if not line:
            self._free += 1
            return
        is_tile = line is self._tiles
        self._tile_is_next = not is_tile
        (line.pop() if is_tile else line.popleft()).set_result(None)
