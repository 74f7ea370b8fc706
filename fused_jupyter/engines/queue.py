"""Who runs next: clients in turns; of one client the newest tile and the oldest file first, in turns too."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import NoReturn, Self

from fused_jupyter.errors import BusyError
from fused_jupyter.settings import Options
from fused_jupyter.wire import Run

KERNEL = "kernel"
"""The client that the notebook itself is."""

_LONGEST_WAIT = 60
"""Seconds after which whoever was turned away may come again at the latest."""

_OWNERS_TURNS = 3
"""Slots that go to the owner's clients for each one that goes to a token, while both wait."""

_Turn = asyncio.Future[None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf a run is."""

    client: str = KERNEL
    """Those who take turns: a map, a page, a program. Opaque."""
    token: str = ""
    """The share token that opened the UDF, by its digest; empty for the owner."""
    slots: int = 0
    """Slots that this token may hold, where it has a bound of its own."""

    @classmethod
    def of(cls, run: Run) -> Self:
        """Who sent a run; the notebook, where no server has said anything else."""
        return cls(client=run.client or KERNEL, token=run.share or "", slots=run.slots)


_NOTEBOOK = Caller()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueBounds:
    """How much there is, and how much of it one may have."""

    slots: int
    """Runs at the same time."""
    length: int
    """Calls that may wait; those with tokens, together, half as many."""
    client_length: int
    """Calls of one client that may wait."""
    token_slots: int = 0
    """Slots that one token may hold; 0 is all but one. Together, tokens hold no more than this or all but one."""
    timeout: float
    """Seconds that a call may wait."""

    @classmethod
    def of(cls, options: Options) -> Self:
        """Those of the settings."""
        return cls(
            slots=options.workers,
            length=options.queue_length,
            client_length=options.client_queue_length,
            token_slots=options.token_workers,
            timeout=options.queue_timeout,
        )

    @property
    def of_token(self) -> int:
        """Slots that one token may hold, at least one."""
        return max(1, min(self.token_slots or self.slots - 1, self.slots))

    def of_caller(self, caller: Caller) -> int:
        """Slots that the token of a caller may hold: no more than it says itself."""
        return min(caller.slots or self.of_token, self.of_token)

    @property
    def of_tokens(self) -> int:
        """Slots that all tokens together may hold: the last one is the owner's, unless the settings say otherwise."""
        return max(self.of_token, self.slots - 1)


class RunQueue:
    """Slots for runs.

    Clients that wait take turns, whatever each of them has waiting, so that a map that asks for 500 tiles delays
    nobody else by more than a run for each client. Of the waiting tiles of one client the newest goes first: it is the
    one that the user is looking at after a pan. Files keep their order. The two take turns. Of every four slots that
    both the owner and those with tokens wait for, the owner has three.

    No slot is free while a call waits that may have it.
    """

    def __init__(self, bounds: QueueBounds) -> None:
        self._bounds = bounds
        self._free = bounds.slots
        self._lines: OrderedDict[Caller, _Line] = OrderedDict()
        """Of those who wait, in the order of their turns."""
        self._waiting = 0
        self._waiting_with_token = 0
        self._held: Counter[str] = Counter()
        """Slots, by token."""
        self._owners_turns = 0
        """Since somebody with a token had one."""
        self._pace = _Pace()

    @property
    def waiting(self) -> int:
        """How many runs wait."""
        return self._waiting

    @property
    def has_room(self) -> bool:
        """Whether a run of the owner could begin at once."""
        return self._free > 0

    @contextlib.asynccontextmanager
    async def slot(self, caller: Caller = _NOTEBOOK, *, is_tile: bool) -> AsyncIterator[None]:
        """Hold a slot.

        Raises:
            BusyError: too many wait already, or no slot came free in time.
        """
        if self._free > 0 and (not caller.token or self._may_hold(caller)):
            self._hold(caller.token)
        else:
            await self._wait(caller, is_tile=is_tile)
        try:
            yield
        finally:
            self._give_back(caller.token)

    def _may_hold(self, caller: Caller) -> bool:
        return self._held[caller.token] < self._bounds.of_caller(caller) and self._held.total() < self._bounds.of_tokens

    def _hold(self, token: str) -> None:
        self._free -= 1
        if token:
            self._held[token] += 1

    def _give_back(self, token: str) -> None:
        self._free += 1
        if token:
            self._held[token] -= 1
            if not self._held[token]:
                del self._held[token]
        self._hand_out()

    def _hand_out(self) -> None:
        """Give free slots to those whose turn it is."""
        while self._free > 0 and (line := self._next_line()) is not None:
            turn = line.pop()
            if line.waiting:
                self._lines.move_to_end(line.caller)
            else:
                del self._lines[line.caller]
            self._owners_turns = 0 if line.caller.token else self._owners_turns + 1
            self._count(line.caller, -1)
            self._hold(line.caller.token)
            self._pace.note()
            turn.set_result(None)

    def _next_line(self) -> _Line | None:
        """Of those who may have a slot the first; a bound that somebody else has met costs them no place."""
        may_tokens = self._held.total() < self._bounds.of_tokens
        owner = guest = None
        for line in self._lines.values():
            caller = line.caller
            if not caller.token:
                owner = owner or line
            elif may_tokens and guest is None and self._held[caller.token] < self._bounds.of_caller(caller):
                guest = line
            if owner is not None and (guest is not None or not may_tokens):
                break
        if owner is None or guest is None:
            return owner or guest
        return guest if self._owners_turns >= _OWNERS_TURNS else owner

    async def _wait(self, caller: Caller, *, is_tile: bool) -> None:
        line = self._lines.get(caller)
        self._check_bounds(caller, 0 if line is None else line.waiting)
        if line is None:
            line = self._lines[caller] = _Line(caller=caller)
        if not self._waiting:
            self._pace.begin()
        turn: _Turn = asyncio.get_running_loop().create_future()
        line.add(turn, is_tile=is_tile)
        self._count(caller, 1)
        try:
            # Not wait_for, which forgets a cancel that comes with the turn.
            async with asyncio.timeout(self._bounds.timeout):
                await asyncio.shield(turn)
        except BaseException as exc:  # also a cancelled wait: the slot, if it came at that moment, goes on
            if turn.done() and not turn.cancelled():
                self._give_back(caller.token)
            else:
                self._leave(line, turn)
            if isinstance(exc, TimeoutError):
                self._refuse_late(caller, exc)
            raise

    def _leave(self, line: _Line, turn: _Turn) -> None:
        line.remove(turn)
        self._count(line.caller, -1)
        if not line.waiting:
            del self._lines[line.caller]

    def _count(self, caller: Caller, change: int) -> None:
        self._waiting += change
        if caller.token:
            self._waiting_with_token += change

    def _check_bounds(self, caller: Caller, waiting: int) -> None:
        bounds = self._bounds
        if waiting >= bounds.client_length:
            message = (
                f"{waiting} calls of this client wait already; ask for fewer at a time, or raise "
                "FUSED_CLIENT_QUEUE_LENGTH"
            )
            raise BusyError(message, retry_after=self._pace.seconds_for(waiting * len(self._lines)))
        if caller.token and self._waiting_with_token >= max(1, bounds.length // 2):
            message = f"{self._waiting_with_token} calls of tokens wait already; try again later"
            raise BusyError(message, retry_after=self._pace.seconds_for(self._waiting))
        if self._waiting >= bounds.length:
            message = f"{self._waiting} calls wait already; try again, or raise FUSED_QUEUE_LENGTH"
            raise BusyError(message, retry_after=self._pace.seconds_for(self._waiting))

    def _refuse_late(self, caller: Caller, cause: TimeoutError) -> NoReturn:
        late = f"no worker became free within {self._bounds.timeout:g} s"
        what = "try again, or raise FUSED_WORKERS"
        if caller.token and not self._may_hold(caller):
            late += f", as those that tokens may hold ({self._bounds.of_caller(caller)} for each one) are busy"
            what = "ask for fewer at a time, or raise FUSED_TOKEN_WORKERS"
        raise BusyError(f"{late}; {what}", retry_after=self._pace.seconds_for(self._waiting)) from cause


@dataclass(slots=True, kw_only=True)
class _Line:
    """The calls of one client that wait."""

    caller: Caller
    tiles: OrderedDict[_Turn, None] = field(default_factory=OrderedDict)
    files: OrderedDict[_Turn, None] = field(default_factory=OrderedDict)
    tile_is_next: bool = True

    @property
    def waiting(self) -> int:
        return len(self.tiles) + len(self.files)

    def add(self, turn: _Turn, *, is_tile: bool) -> None:
        (self.tiles if is_tile else self.files)[turn] = None

    def remove(self, turn: _Turn) -> None:
        del (self.tiles if turn in self.tiles else self.files)[turn]

    def pop(self) -> _Turn:
        is_tile = bool(self.tiles) and (self.tile_is_next or not self.files)
        self.tile_is_next = not is_tile
        turn, _ = self.tiles.popitem() if is_tile else self.files.popitem(last=False)
        return turn


class _Pace:
    """How fast those who wait get their slots."""

    def __init__(self) -> None:
        self._seconds = 1.0
        self._last = 0.0

    def begin(self) -> None:
        """From now on somebody waits."""
        self._last = time.monotonic()

    def note(self) -> None:
        """Somebody got a slot."""
        now = time.monotonic()
        self._seconds += 0.2 * (min(now - self._last, _LONGEST_WAIT) - self._seconds)
        self._last = now

    def seconds_for(self, count: int) -> int:
        """When so many will have got theirs, in whole seconds."""
        return min(_LONGEST_WAIT, max(1, math.ceil(count * self._seconds)))
