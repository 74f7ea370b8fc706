from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from fused_jupyter.engines.queue import KERNEL, Caller, QueueBounds, RunQueue
from fused_jupyter.errors import BusyError
from fused_jupyter.settings import Options
from fused_jupyter.wire import Run

MAP, PAGE = Caller(client="map"), Caller(client="page")
GUEST = Caller(client="guest", token="t")


def queue_of(
    slots: int = 1, *, length: int = 100, client_length: int = 100, token_slots: int = 0, timeout: float = 10
) -> RunQueue:
    bounds = QueueBounds(
        slots=slots, length=length, client_length=client_length, token_slots=token_slots, timeout=timeout
    )
    return RunQueue(bounds)


def strictly(main: Callable[[], Awaitable[Any]]) -> Any:
    async def guarded() -> Any:
        with blockbuster_ctx():
            return await main()

    return asyncio.run(guarded())


class Log:
    """Runs that take a slot, write their name down and give it back."""

    def __init__(self, queue: RunQueue) -> None:
        self.names: list[str] = []
        self._queue = queue

    async def run(self, name: str, caller: Caller = MAP, *, is_tile: bool = True) -> None:
        async with self._queue.slot(caller, is_tile=is_tile):
            self.names.append(name)
            await asyncio.sleep(0)


def ordered(*waiting: tuple[str, Caller], slots: int = 1) -> list[str]:
    """The order in which runs go that came while no slot was free; a name in capitals is a tile."""

    async def main() -> list[str]:
        queue = queue_of(slots)
        log = Log(queue)
        async with queue.slot(is_tile=False):
            tasks = [asyncio.create_task(log.run(name, who, is_tile=name.isupper())) for name, who in waiting]
            await asyncio.sleep(0)
            assert queue.waiting == len(waiting)
        await asyncio.gather(*tasks)
        assert queue.waiting == 0
        return log.names

    names: list[str] = strictly(main)
    return names


def of_one(*names: str) -> list[str]:
    return ordered(*((name, MAP) for name in names))


# -- of one client


def test_newest_tile_goes_first() -> None:
    """It is what the user looks at after a pan."""
    assert of_one("A", "B", "C") == ["C", "B", "A"]


def test_files_keep_their_order() -> None:
    """Nobody overtakes."""
    assert of_one("a", "b", "c") == ["a", "b", "c"]


def test_tiles_and_files_take_turns() -> None:
    """Neither starves the other."""
    assert of_one("A", "a", "B", "b", "C") == ["C", "a", "B", "b", "A"]


def test_no_more_than_the_slots_run_at_once() -> None:
    """And no fewer, while runs wait."""

    async def main() -> None:
        queue, running, most = queue_of(3), 0, 0

        async def run() -> None:
            nonlocal running, most
            async with queue.slot(is_tile=True):
                running += 1
                most = max(most, running)
                await asyncio.sleep(0.001)
                running -= 1

        await asyncio.gather(*(run() for _ in range(20)))
        assert most == 3

    strictly(main)


# -- between clients


def test_clients_take_turns() -> None:
    """However many tiles one of them has asked for, each gets every n-th slot, in the order in which they came."""
    waiting = [*(("A", MAP) for _ in range(5)), ("B", PAGE), ("B", PAGE), ("c", Caller())]

    assert ordered(*waiting) == ["A", "B", "c", "A", "B", "A", "A", "A"]


def test_who_comes_again_goes_to_the_end() -> None:
    """A client that asks for one tile after the other overtakes nobody, and does not wait for all the rest either."""

    async def main() -> list[str]:
        queue = queue_of()
        log = Log(queue)

        async def one_by_one() -> None:
            for _ in range(4):
                await log.run("one", PAGE)

        async with queue.slot(is_tile=True):
            tasks = [asyncio.create_task(log.run("many", MAP)) for _ in range(4)]
            await asyncio.sleep(0)
            tasks.append(asyncio.create_task(one_by_one()))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        return log.names

    assert strictly(main) == ["many", "one", "many", "many", "one", "many", "one", "one"]


def test_a_run_says_who_sent_it() -> None:
    """What no server has named is the notebook's own; a token is told apart from its owner."""
    assert Caller.of(Run(id=1)) == Caller() == Caller(client=KERNEL)
    assert Caller.of(Run(id=1, client="c")) == Caller(client="c")
    assert Caller.of(Run(id=1, client="c", share="s")) == Caller(client="c", token="s")


# -- bounds


def test_full_queue_is_busy_at_once() -> None:
    """The error says when to come again."""

    async def main() -> None:
        queue = queue_of(length=1)
        async with queue.slot(is_tile=True):
            waiting = asyncio.create_task(queue.slot(is_tile=True).__aenter__())
            await asyncio.sleep(0)
            with pytest.raises(BusyError, match="1 calls wait already.*FUSED_QUEUE_LENGTH") as caught:
                async with queue.slot(PAGE, is_tile=True):
                    pass
            assert caught.value.retry_after
            waiting.cancel()

    strictly(main)


def test_a_client_may_have_only_so_many_waiting() -> None:
    """It is told which bound it met; others are not concerned."""

    async def main() -> None:
        queue = queue_of(length=10, client_length=2)
        log = Log(queue)
        async with queue.slot(is_tile=True):
            tasks = [asyncio.create_task(log.run("map", MAP)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(BusyError, match="2 calls of this client wait.*FUSED_CLIENT_QUEUE_LENGTH") as caught:
                await log.run("map", MAP)
            assert caught.value.retry_after
            tasks.append(asyncio.create_task(log.run("page", PAGE)))
            await asyncio.sleep(0)
            assert queue.waiting == 3
        await asyncio.gather(*tasks)

    strictly(main)


def test_tokens_leave_half_of_the_queue_to_the_owner() -> None:
    """From however many addresses they are used."""

    async def main() -> None:
        queue = queue_of(length=4)
        log = Log(queue)
        async with queue.slot(is_tile=True):
            guests = [Caller(client=f"guest {n}", token=f"t{n}") for n in range(3)]
            tasks = [asyncio.create_task(log.run("guest", guest)) for guest in guests[:2]]
            await asyncio.sleep(0)
            with pytest.raises(BusyError, match="2 calls of tokens wait"):
                await log.run("guest", guests[2])
            tasks += [asyncio.create_task(log.run("owner", MAP)) for _ in range(2)]
            await asyncio.sleep(0)
            assert queue.waiting == 4
        await asyncio.gather(*tasks)

    strictly(main)


@pytest.mark.parametrize(
    ("slots", "token_slots", "of_token", "of_tokens"),
    [(1, 0, 1, 1), (2, 0, 1, 1), (4, 0, 3, 3), (4, 1, 1, 3), (4, 4, 4, 4), (4, 9, 4, 4)],
)
def test_tokens_leave_the_owner_a_worker(slots: int, token_slots: int, of_token: int, of_tokens: int) -> None:
    """Each of them by the setting, all together at least one, unless the setting gives it away or there is only one."""

    async def held(*callers: Caller) -> int:
        queue = queue_of(slots, token_slots=token_slots)
        running, end = 0, asyncio.Event()

        async def run(caller: Caller) -> None:
            nonlocal running
            async with queue.slot(caller, is_tile=True):
                running += 1
                await end.wait()

        tasks = [asyncio.create_task(run(caller)) for caller in callers]
        await asyncio.sleep(0)
        most = running
        assert queue.has_room == (most < slots)
        end.set()
        await asyncio.gather(*tasks)
        assert running == len(callers)
        return most

    async def main() -> None:
        one = [Caller(client=f"guest {n}", token="t") for n in range(8)]
        many = [Caller(client=f"guest {n}", token=f"t{n}") for n in range(8)]
        assert await held(*one) == of_token
        assert await held(*many) == of_tokens
        assert await held(*many, MAP, PAGE) == min(slots, of_tokens + 2)

    strictly(main)


def test_the_owner_does_not_wait_behind_a_token_that_has_enough() -> None:
    """The slot that it may not have goes to who comes next; its own turn is the first one that it may have."""

    async def main() -> None:
        queue = queue_of(2)
        log = Log(queue)
        async with queue.slot(GUEST, is_tile=True):
            guest = asyncio.create_task(log.run("guest", GUEST))
            await asyncio.sleep(0)
            assert (queue.waiting, queue.has_room) == (1, True)
            await log.run("owner", MAP)
            assert log.names == ["owner"]
        await guest
        assert log.names == ["owner", "guest"]

    strictly(main)


def test_of_four_slots_the_owner_has_three() -> None:
    """Whoever came first, and however many clients the tokens have; who waits alone has all."""
    guests = [("g", Caller(client=f"guest {n}", token=f"t{n}")) for n in range(4)]
    owners = [*(("o", MAP) for _ in range(4)), *(("p", PAGE) for _ in range(3))]

    assert "".join(ordered(*guests, *owners)) == "opogpopgogg"
    assert "".join(ordered(*owners, *guests)) == "opogpopgogg"


# -- waits that end


def test_wait_ends_in_time() -> None:
    """Nobody waits longer than the settings say; the place in the queue is given up."""

    async def main() -> None:
        queue = queue_of(timeout=0.01)
        async with queue.slot(is_tile=False):
            with pytest.raises(BusyError, match=r"no worker became free within 0.01 s; .*FUSED_WORKERS"):
                async with queue.slot(is_tile=False):
                    pass
            assert queue.waiting == 0

    strictly(main)


def test_a_token_that_waits_for_its_own_runs_is_told_so() -> None:
    """More workers would not help it."""

    async def main() -> None:
        queue = queue_of(3, token_slots=1, timeout=0.01)
        async with queue.slot(GUEST, is_tile=True):
            with pytest.raises(BusyError, match=r"tokens may hold \(1 for each one\).*FUSED_TOKEN_WORKERS"):
                async with queue.slot(GUEST, is_tile=True):
                    pass

    strictly(main)


def test_retry_after_follows_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is turned away is asked to come when about as many have run as waited, within a minute."""
    now = 0.0
    monkeypatch.setattr("fused_jupyter.engines.queue.time", SimpleNamespace(monotonic=lambda: now))

    async def told(seconds: float) -> int | None:
        nonlocal now
        queue = queue_of(length=10)
        log = Log(queue)
        async with queue.slot(is_tile=True):
            tasks = [asyncio.create_task(log.run("run")) for _ in range(10)]
            await asyncio.sleep(0)
        while len(log.names) < 9:
            now += seconds
            await asyncio.sleep(0)
        async with queue.slot(PAGE, is_tile=True):
            tasks += [asyncio.create_task(log.run("run")) for _ in range(10)]
            await asyncio.sleep(0)
            with pytest.raises(BusyError) as caught:
                await log.run("run", Caller(client="late"))
        await asyncio.gather(*tasks)
        return caught.value.retry_after

    async def main() -> None:
        assert await told(0.0001) == 1
        assert 35 <= (await told(2) or 0) <= 40  # each run takes two turns of the loop
        assert await told(1000) == 60

    asyncio.run(main())


@pytest.mark.parametrize("is_tile", [True, False])
def test_cancelled_wait_gives_its_place_up(is_tile: bool) -> None:
    """Also when its slot came at the very moment of the cancel: no slot is lost."""

    async def main() -> None:
        queue = queue_of()
        log = Log(queue)
        async with queue.slot(is_tile=is_tile):
            early, late = (asyncio.create_task(log.run(name, is_tile=is_tile)) for name in ("early", "late"))
            await asyncio.sleep(0)
            early.cancel()
            await asyncio.wait([early])
            assert queue.waiting == 1
        late.cancel()  # the slot was just handed to it
        await asyncio.wait([late])

        await asyncio.wait_for(log.run("next", is_tile=is_tile), 1)
        assert log.names == ["next"]

    strictly(main)


def test_slot_of_a_run_that_raises_is_free_again() -> None:
    """An error costs no worker."""

    async def main() -> None:
        queue = queue_of(timeout=1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with queue.slot(is_tile=True):
                    1 / 0  # noqa: B018 - it raises

    strictly(main)


def test_bounds_come_from_the_settings() -> None:
    """Each from its own."""
    options = Options(workers=4, queue_length=7, client_queue_length=5, token_workers=2, queue_timeout=3.0)

    assert QueueBounds.of(options) == QueueBounds(slots=4, length=7, client_length=5, token_slots=2, timeout=3.0)


# -- the laws, whatever happens

CALLERS = [Caller(), MAP, PAGE, GUEST, Caller(client="other guest", token="t"), Caller(client="guest of u", token="u")]


class StillLoop(asyncio.SelectorEventLoop):
    """Its clock is turned by hand."""

    now = 0.0

    def time(self) -> float:
        return self.now


@dataclass(eq=False)
class Ticket:
    """A run in the tests' own books."""

    caller: Caller
    end: asyncio.Event
    task: asyncio.Task[None] | None = None
    state: str = "waits"
    grants_seen: int = 0
    clients_seen: int = 0


class Office:
    """A queue, all runs that were ever sent to it, and a clock that stands still until somebody turns it."""

    def __init__(self, loop: StillLoop, bounds: QueueBounds) -> None:
        self.bounds = bounds
        self.queue = RunQueue(bounds)
        self.tickets: list[Ticket] = []
        self._loop = loop

    def of(self, state: str) -> list[Ticket]:
        return [ticket for ticket in self.tickets if ticket.state == state]

    def pick(self, state: str, number: int) -> Iterator[Ticket]:
        """One of the tickets in this state, if there are any."""
        found = self.of(state)
        if found:
            yield found[number % len(found)]

    def cancel(self, state: str, number: int) -> None:
        for ticket in self.pick(state, number):
            assert ticket.task
            ticket.task.cancel()

    def finish(self, number: int) -> None:
        for ticket in self.pick("runs", number):
            ticket.end.set()

    def finish_and_cancel(self, number: int, other: int) -> None:
        """Cancel while the slot may be on its way to the one that is cancelled."""
        self.finish(number)
        self._loop.run_until_complete(asyncio.sleep(0))
        self.cancel("waits", other)

    def turn_clock(self, seconds: float) -> None:
        self._loop.now += seconds

    def come(self, caller: Caller, is_tile: bool) -> None:
        waiting = self.of("waits")
        had_room = len(self.of("runs")) < self.bounds.slots
        full = (
            len(waiting) >= self.bounds.length
            or sum(ticket.caller == caller for ticket in waiting) >= self.bounds.client_length
            or (bool(caller.token) and sum(bool(t.caller.token) for t in waiting) >= max(1, self.bounds.length // 2))
        )
        ticket = Ticket(caller, asyncio.Event())
        self.tickets.append(ticket)
        ticket.task = self._loop.create_task(self._run(ticket, is_tile=is_tile))
        self.settle()
        if not caller.token:
            assert (ticket.state == "refused") == (full and not had_room)
        elif ticket.state == "refused":
            assert full

    async def _run(self, ticket: Ticket, *, is_tile: bool) -> None:
        try:
            async with self.queue.slot(ticket.caller, is_tile=is_tile):
                ticket.state = "runs"
                self._note_grant(ticket)
                await ticket.end.wait()
            ticket.state = "done"
        except BusyError:
            ticket.state = "refused"
        except asyncio.CancelledError:
            ticket.state = "cancelled"

    def _note_grant(self, granted: Ticket) -> None:
        waiting = {ticket.caller for ticket in self.of("waits")} | {granted.caller}
        for ticket in self.of("waits"):
            ticket.grants_seen += 1
            if ticket.caller == granted.caller:
                ticket.grants_seen = 0  # its client has just had a turn
            ticket.clients_seen = max(ticket.clients_seen, len(waiting))

    def settle(self) -> None:
        async def turns() -> None:
            for _ in range(6):
                await asyncio.sleep(0)

        self._loop.run_until_complete(turns())
        self.check()

    def check(self) -> None:
        bounds, waiting, running = self.bounds, self.of("waits"), self.of("runs")
        held = Counter(ticket.caller.token for ticket in running if ticket.caller.token)
        assert self.queue.waiting == len(waiting) <= bounds.length
        assert len(running) <= bounds.slots
        assert self.queue.has_room == (len(running) < bounds.slots), "a slot was lost, or one was made up"
        assert max(held.values(), default=0) <= bounds.of_token
        assert held.total() <= bounds.of_tokens
        assert max(Counter(ticket.caller for ticket in waiting).values(), default=0) <= bounds.client_length
        if len(running) < bounds.slots:
            for ticket in waiting:
                assert ticket.caller.token, "an owner waits beside a free slot"
                assert held[ticket.caller.token] == bounds.of_token or held.total() == bounds.of_tokens
        for ticket in waiting:
            if not ticket.caller.token:
                assert ticket.grants_seen <= 2 * ticket.clients_seen, "a client starves"


@contextmanager
def still_loop() -> Iterator[StillLoop]:
    loop = StillLoop()
    try:
        yield loop
    finally:
        loop.close()


actions = st.one_of(
    st.tuples(st.just("come"), st.sampled_from(CALLERS), st.booleans()),
    st.tuples(st.just("finish"), st.integers(0, 50)),
    st.tuples(st.just("cancel"), st.sampled_from(["waits", "runs"]), st.integers(0, 50)),
    st.tuples(st.just("finish_and_cancel"), st.integers(0, 50), st.integers(0, 50)),
    st.tuples(st.just("turn_clock"), st.sampled_from([1.0, 4.0, 11.0])),
)
many_bounds = st.builds(
    QueueBounds,
    slots=st.integers(1, 4),
    length=st.integers(0, 12),
    client_length=st.integers(1, 6),
    token_slots=st.integers(0, 5),
    timeout=st.just(10.0),
)


@settings(deadline=None, max_examples=200)
@given(bounds=many_bounds, steps=st.lists(actions, max_size=60))
def test_no_slot_is_lost_no_client_starves_and_bounds_hold(bounds: QueueBounds, steps: list[Any]) -> None:
    """Whatever comes, ends, is cancelled, runs out of time, in whichever order; in the end all slots are free."""
    with still_loop() as loop:
        office = Office(loop, bounds)
        for what, *details in steps:
            getattr(office, what)(*details)
            office.settle()
        while office.of("runs"):
            office.finish(0)
            office.settle()
        assert not office.of("waits")
        assert (office.queue.waiting, office.queue.has_room) == (0, True)


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=6),
    slots=st.integers(1, 3),
    order=st.randoms(use_true_random=False),
)
def test_each_of_k_clients_gets_a_slot_within_2k(counts: list[int], slots: int, order: Any) -> None:
    """Whatever each of them asks for, and in whichever order it comes."""
    waiting = [Caller(client=str(n)) for n, count in enumerate(counts) for _ in range(count)]
    order.shuffle(waiting)

    async def main() -> list[str]:
        queue, end = queue_of(slots, length=1000), asyncio.Event()
        log = Log(queue)

        async def hold() -> None:
            async with queue.slot(is_tile=True):
                await end.wait()

        holders = [asyncio.create_task(hold()) for _ in range(slots)]
        await asyncio.sleep(0)
        tasks = [asyncio.create_task(log.run(each.client, each, is_tile=order.random() < 0.5)) for each in waiting]
        await asyncio.sleep(0)
        end.set()
        await asyncio.gather(*holders, *tasks)
        return log.names

    granted = asyncio.run(main())
    left = Counter(each.client for each in waiting)
    while left:
        clients = [client for client, count in left.items() if count]
        turns, granted = granted[: 2 * len(clients)], granted[2 * len(clients) :]
        assert set(clients) <= set(turns)
        left = +(left - Counter(turns))
