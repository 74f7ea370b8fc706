"""Equal requests at one time are one computation: who comes later joins, and the last to leave stops it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from fused_jupyter.errors import FusedError
from fused_jupyter.wire import Failure, Reply

Made = TypeVar("Made")
OnText = Callable[[Any, str], None]

_PIECE = 1 << 16
"""Characters of output in one message."""


class Flights(Generic[Made]):
    """The computations that go on, by key."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[Made]] = {}

    def has(self, key: Hashable) -> bool:
        """Whether there is one to join; one that is being stopped is none."""
        flight = self._flights.get(key)
        return flight is not None and not flight.is_abandoned

    async def join(self, key: Hashable) -> Made:
        """What the computation gives."""
        return await self._flights[key].join()

    async def begin(
        self, key: Hashable, make: Callable[[OnText | None], Coroutine[Any, Any, Made]], on_text: OnText | None
    ) -> Made:
        """Compute; `make` is given what takes the output, for as long as the caller waits."""
        voice = None if on_text is None else _Voice(on_text)
        flight = self._flights[key] = _Flight(asyncio.create_task(make(voice)))
        flight.task.add_done_callback(lambda _: self._land(key, flight))
        try:
            return await flight.join()
        finally:
            if voice is not None:
                voice.on_text = None

    def _land(self, key: Hashable, flight: _Flight[Made]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


class _Voice:
    """Hands on what is printed until nobody listens."""

    def __init__(self, on_text: OnText) -> None:
        self.on_text: OnText | None = on_text

    def __call__(self, stream: Any, text: str) -> None:
        if self.on_text is not None:
            self.on_text(stream, text)


class _Flight(Generic[Made]):
    """One computation with all who wait for it."""

    def __init__(self, task: asyncio.Task[Made]) -> None:
        self.task = task
        self.is_abandoned = False
        """Whether it is being stopped: who comes now needs another one."""
        self._waiters = 0

    async def join(self) -> Made:
        self._waiters += 1
        try:
            return await asyncio.shield(self.task)
        finally:
            self._waiters -= 1
            if self._waiters == 0 and not self.task.done():
                self.is_abandoned = True
                self.task.cancel()
                with contextlib.suppress(asyncio.CancelledError, FusedError):
                    await self.task


def tell(on_text: OnText | None, answer: Reply | Failure | FusedError) -> None:
    """Give somebody who did not hear a run what it printed."""
    if on_text is None:
        return
    for stream, text in (("stdout", answer.stdout), ("stderr", answer.stderr)):
        for start in range(0, len(text), _PIECE):
            on_text(stream, text[start : start + _PIECE])
