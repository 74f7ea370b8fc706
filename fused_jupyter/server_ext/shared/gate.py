"""Few requests with tokens at a time, so that the event loop of the server gets to the owner's in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_WIDTH = 4
_SECONDS = 0.02


class Gate:
    """Lets requests in, in the order in which they came.

    The loop takes steps of all requests in turn. Fifty that ask for what is kept need no run and nobody's worker, but at
    each step the owner's request would wait for fifty others. A request that waits for its run costs the loop nothing,
    and makes room after a moment.

    Args:
        width: how many are in at a time.
        seconds: for which one of them is counted at most.
    """

    def __init__(self, width: int = _WIDTH, *, seconds: float = _SECONDS) -> None:
        self._room = asyncio.Semaphore(width)
        self._seconds = seconds

    async def enter(self) -> Callable[[], None]:
        """Wait for room; gives what to call when done, any number of times."""
        await self._room.acquire()
        is_in = True

        def leave() -> None:
            nonlocal is_in
            if is_in:
                is_in = False
                timer.cancel()
                self._room.release()

        timer = asyncio.get_running_loop().call_later(self._seconds, leave)
        return leave
