"""Work that somebody asks after: begun once for each id, kept until its result was fetched and a little longer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fused_jupyter.errors import ArgumentError, BusyError, UnknownRunError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how much is kept, in seconds and bytes."""

    abandoned: float = 60.0
    """Work that nobody has asked after for so long is stopped."""
    unfetched: float = 300.0
    """So long a result waits to be fetched."""
    fetched: float = 30.0
    """So long it stays then: a client that did not get the answer asks again."""
    works: int = 4000
    """Under way and kept."""
    size: int = 256 << 20
    """Of all results."""


class Polling(Generic[T]):
    """Works by their ids.

    Args:
        size_of: the bytes of a result.
        patience: how long and how much is kept.
    """

    def __init__(self, size_of: Callable[[T], int], patience: Patience | None = None) -> None:
        self._size_of = size_of
        self._patience = patience or Patience()
        self._works: dict[str, _Work[T]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._works)

    def begin(self, work_id: str, work: Callable[[], Coroutine[Any, Any, T]], *, fingerprint: str) -> None:
        """Begin a work, unless it has begun or ended already.

        Args:
            work_id: who sends it a second time means the same work.
            work: what is to be done.
            fingerprint: of what was asked for.

        Raises:
            ArgumentError: the id is that of something else.
            BusyError: too much is under way.
        """
        known = self._works.get(work_id)
        if known is not None:
            if known.fingerprint != fingerprint:
                raise ArgumentError(f"the run {work_id} was asked for with other code or arguments; use a new id")
            return
        self._sweep()
        if len(self._works) >= self._patience.works:
            raise BusyError(f"{len(self._works)} runs are under way or wait to be fetched; try again", retry_after=2)
        begun = _Work(task=asyncio.ensure_future(work()), fingerprint=fingerprint, asked_at=time.monotonic())
        self._works[work_id] = begun
        begun.task.add_done_callback(lambda _: self._note_end(begun))
        self._sweep_later()

    async def result(self, work_id: str, *, patience: float) -> T | None:
        """The result, or None if the work still goes on after so many seconds.

        Raises:
            UnknownRunError: no such work was begun, or what it gave is not kept any more.
            Exception: what the work raised, each time.
        """
        work = self._works.get(work_id)
        if work is None:
            raise UnknownRunError(f"there is no run {work_id}, or its result was kept for too long; run it again")
        work.listeners += 1
        try:
            await asyncio.wait({work.task}, timeout=patience)
        finally:
            work.listeners -= 1
            work.asked_at = time.monotonic()
        if not work.task.done():
            return None
        if work.task.cancelled():
            raise UnknownRunError(f"the run {work_id} was stopped, as nobody asked after it; run it again")
        work.fetched_at = time.monotonic()
        return work.task.result()

    def forget(self, work_id: str) -> None:
        """Let a work be begun anew under its id."""
        if (work := self._works.pop(work_id, None)) is not None:
            work.task.cancel()

    async def close(self) -> None:
        """Stop all."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        works, self._works = self._works, {}
        for work in works.values():
            work.task.cancel()
        await asyncio.gather(*(work.task for work in works.values()), return_exceptions=True)

    def _note_end(self, work: _Work[T]) -> None:
        work.ended_at = time.monotonic()
        # Asking for the exception is what tells asyncio that somebody will care.
        if not work.task.cancelled() and work.task.exception() is None:
            work.size = self._size_of(work.task.result())
            self._make_room()

    def _sweep_later(self) -> None:
        if self._sweeping is None and self._works:
            soonest = min(self._patience.abandoned, self._patience.fetched) / 2
            self._sweeping = asyncio.get_running_loop().call_later(soonest, self._sweep_again)

    def _sweep_again(self) -> None:
        self._sweeping = None
        self._sweep()
        self._sweep_later()

    def _sweep(self) -> None:
        now = time.monotonic()
        for work_id in [each for each, work in self._works.items() if work.is_over(now, self._patience)]:
            self._works.pop(work_id).task.cancel()

    def _make_room(self) -> None:
        """What was fetched goes first, then what has waited longest."""
        taken = sum(work.size for work in self._works.values())
        if taken <= self._patience.size:
            return
        ended = [(each, work) for each, work in self._works.items() if work.ended_at is not None]
        for work_id, work in sorted(ended, key=lambda pair: (pair[1].fetched_at is None, pair[1].ended_at)):
            if taken <= self._patience.size or len(self._works) == 1:
                return  # the newest stays, however long it is: somebody is about to fetch it
            taken -= work.size
            del self._works[work_id]


@dataclass(slots=True, kw_only=True, eq=False)
class _Work(Generic[T]):
    task: asyncio.Task[T]
    fingerprint: str
    asked_at: float
    listeners: int = 0
    ended_at: float | None = None
    fetched_at: float | None = None
    size: int = 0

    def is_over(self, now: float, patience: Patience) -> bool:
        """Whether nobody will ask for it any more."""
        if self.listeners:
            return False
        if self.ended_at is None:
            return now - self.asked_at > patience.abandoned
        if self.fetched_at is not None:
            return now - max(self.fetched_at, self.asked_at) > patience.fetched
        return now - self.ended_at > patience.unfetched
