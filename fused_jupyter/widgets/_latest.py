"""Work beside the cells, of which only the newest is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Lock, Thread
from typing import Generic, TypeVar

from fused_jupyter.widgets._callbacks import Callbacks

Wish = TypeVar("Wish")


class Latest(Generic[Wish]):
    """Does what was asked for last, in a thread that lives as long as there is something to do.

    What it prints and raises is seen below the cell that made it.

    Args:
        name: what an error calls it.
        do: does it. When something newer is asked for, it is cancelled where it waits.
    """

    def __init__(self, name: str, do: Callable[[Wish], Awaitable[None]]) -> None:
        self._do = do
        self._seen = Callbacks(name)
        self._seen.add(lambda _: asyncio.run(self._serve()))
        self._lock = Lock()
        self._wishes: list[Wish] = []
        """One at most."""
        self._cancel: Callable[[], object] | None = None
        self._thread: Thread | None = None

    def ask(self, wish: Wish) -> None:
        """Do this, and nothing of what was asked for before."""
        with self._lock:
            self._wishes = [wish]
            if self._cancel is not None:
                self._cancel()
            if self._thread is None:
                self._thread = Thread(target=self._work, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Do nothing more."""
        with self._lock:
            self._wishes = []
            if self._cancel is not None:
                self._cancel()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._wishes:
                    self._thread = None
                    return
            self._seen.tell(None)

    async def _serve(self) -> None:
        """One after the other, until nothing is left or one fails."""
        while (task := self._next()) is not None:
            try:
                with suppress(asyncio.CancelledError):
                    await task
            finally:
                with self._lock:
                    self._cancel = None

    def _next(self) -> asyncio.Task[None] | None:
        loop = asyncio.get_running_loop()
        with self._lock:
            if not self._wishes:
                return None
            task = loop.create_task(self._carry_out(self._wishes.pop()))
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
            return task

    async def _carry_out(self, wish: Wish) -> None:
        await self._do(wish)
