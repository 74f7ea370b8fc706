from __future__ import annotations

import asyncio
from itertools import count

import pytest

from fused_jupyter.errors import RateError, ShareError, UdfRuntimeError
from fused_jupyter.server_ext.shared import guard as module
from fused_jupyter.server_ext.shared.guard import NOTHING, Guard

MISSES = 5


class Clock:
    """Time as a test wants it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Door:
    """A guard, and how often somebody got past it to look a token up."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.looks = 0
        self.told: set[str] = set()

    async def knock(self, share: str, *, opens: bool = False, address: str = "192.0.2.1") -> bool:
        try:
            async with self.guard.watch(address, share):
                self._look(opens=opens)
        except ShareError as exc:
            self.told.add(f"{exc} {exc.__cause__} {exc.__suppress_context__}")
            return False
        return True

    def _look(self, *, opens: bool) -> None:
        self.looks += 1
        if not opens:
            raise ShareError(f"number {self.looks} was revoked on Monday")

    def wrong(self, times: int, *, address: str = "192.0.2.1") -> None:
        async def try_all() -> None:
            for _ in range(times):
                assert not await self.knock(f"wrong {next(_NUMBERS)}", address=address)

        asyncio.run(try_all())


_NUMBERS = count()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Door:
    """It lets an address try five wrong tokens a minute, and answers fast."""
    monkeypatch.setattr(module, "_STEP_SECONDS", 0.001)
    return Door(Guard(MISSES, clock=clock))


def test_who_guesses_is_soon_not_looked_at(door: Door) -> None:
    """The answer stays the same."""
    door.wrong(MISSES + 20)

    assert door.looks == MISSES
    assert door.told == {f"{NOTHING} None True"}


def test_a_guess_that_is_right_opens_nothing_then(door: Door) -> None:
    """Or there would be an end to guessing."""
    door.wrong(MISSES)

    assert not asyncio.run(door.knock("never seen", opens=True))


def test_tokens_that_were_good_before_go_on(door: Door) -> None:
    """Also those of others behind the same address."""
    assert asyncio.run(door.knock("good", opens=True, address="192.0.2.77"))
    door.wrong(MISSES + 5)

    assert asyncio.run(door.knock("good", opens=True))


def test_other_addresses_go_on(door: Door) -> None:
    """One who guesses shuts nobody else out."""
    door.wrong(MISSES + 5)

    assert asyncio.run(door.knock("new", opens=True, address="192.0.2.2"))


def test_after_a_minute_all_is_forgotten(door: Door, clock: Clock) -> None:
    """A quiet minute, that is: who goes on gets no new tries."""
    door.wrong(MISSES)
    clock.now += 30
    door.wrong(MISSES)
    clock.now += 31
    assert not asyncio.run(door.knock("new", opens=True))

    clock.now += 61

    assert asyncio.run(door.knock("new", opens=True))


def test_slow_guessing_never_closes(door: Door, clock: Clock) -> None:
    """Fewer than so many a minute are mistakes, not guesses."""
    for _ in range(4 * MISSES):
        door.wrong(1)
        clock.now += 60 / MISSES + 0.1

    assert door.looks == 4 * MISSES


def test_a_map_with_a_dead_token_is_one_miss(door: Door) -> None:
    """It asks for tile after tile; the map of the new kernel beside it, in the same browser, has to work."""

    async def tiles() -> None:
        for _ in range(10 * MISSES):
            await door.knock("dead")

    asyncio.run(tiles())

    assert asyncio.run(door.knock("new", opens=True))


def test_an_ipv6_user_is_one_address(door: Door) -> None:
    """Who has one address there has 2^64; they count as one."""
    for number in range(MISSES):
        door.wrong(1, address=f"2001:db8:0:1::{number:x}")

    assert not asyncio.run(door.knock("new", opens=True, address="2001:db8:0:1:ffff::1"))
    assert asyncio.run(door.knock("new", opens=True, address="2001:db8:0:2::1"))


def test_zero_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """For who has a limiter of their own before the server."""
    monkeypatch.setattr(module, "_STEP_SECONDS", 0.001)
    door = Door(Guard(0))
    door.wrong(100)

    assert door.looks == 100


def test_memory_is_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of addresses and tokens."""
    monkeypatch.setattr(module, "_MOST_CLIENTS", 10)
    monkeypatch.setattr(module, "_MOST_TOKENS", 10)

    async def many() -> None:
        for number in range(50):
            await door.knock(f"good {number}", opens=True, address=f"198.51.100.{number}")
            for again in range(2 * MISSES):
                await door.knock(f"wrong {again}", address=f"192.0.2.{number}")

    asyncio.run(many())

    assert len(door.guard._good) == len(door.guard._tried) == 10
    assert {len(tried) for tried in door.guard._tried.values()} == {MISSES}


@pytest.mark.parametrize("error", [UdfRuntimeError("it failed"), RateError("too often")])
def test_all_that_is_no_wrong_token_passes(error: Exception, door: Door) -> None:
    """It is told by others, at once."""

    async def fail() -> None:
        async with door.guard.watch("192.0.2.1", "share"):
            raise error

    for _ in range(2 * MISSES):
        with pytest.raises(type(error)) as caught:
            asyncio.run(fail())
        assert caught.value is error
    assert asyncio.run(door.knock("new", opens=True))


@pytest.mark.parametrize("work", [0.0, 0.004, 0.013, 0.021, 3.021])
def test_answers_come_at_full_steps_of_time(work: float, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether nothing was looked up, or a file was read, or a process started."""
    monkeypatch.setattr(module, "_STEP_SECONDS", 0.05)
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(seconds)

    async def look() -> None:
        async with Guard(1, clock=clock).watch("192.0.2.1", "share"):
            clock.now += work
            raise ShareError("unknown")

    monkeypatch.setattr(asyncio, "sleep", note)
    with pytest.raises(ShareError):
        asyncio.run(look())
    steps = (work + waited[0]) / 0.05
    assert steps == pytest.approx(round(steps))
    assert 0 < waited[0] <= 0.05
