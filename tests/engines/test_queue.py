from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from fused_jupyter.engines.queue import RunQueue
from fused_jupyter.errors import BusyError


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

    async def run(self, name: str, *, is_tile: bool) -> None:
        async with self._queue.slot(is_tile=is_tile):
            self.names.append(name)
            await asyncio.sleep(0)


def ordered(*waiting: str) -> list[str]:
    """The order in which runs go that came while the only slot was taken; a name in capitals is a tile."""

    async def main() -> list[str]:
        queue = RunQueue(slots=1, length=100, timeout=10)
        log = Log(queue)
        async with queue.slot(is_tile=False):
            tasks = [asyncio.create_task(log.run(name, is_tile=name.isupper())) for name in waiting]
            await asyncio.sleep(0)
            assert queue.waiting == len(waiting)
        await asyncio.gather(*tasks)
        assert queue.waiting == 0
        return log.names

    return strictly(main)


def test_newest_tile_goes_first() -> None:
    """It is what the user looks at after a pan."""
    assert ordered("A", "B", "C") == ["C", "B", "A"]


def test_files_keep_their_order() -> None:
    """Nobody overtakes."""
    assert ordered("a", "b", "c") == ["a", "b", "c"]


def test_tiles_and_files_take_turns() -> None:
    """Neither starves the other."""
    assert ordered("A", "a", "B", "b", "C") == ["C", "a", "B", "b", "A"]


def test_no_more_than_the_slots_run_at_once() -> None:
    """And no fewer, while runs wait."""

    async def main() -> None:
        queue, running, most = RunQueue(slots=3, length=100, timeout=10), 0, 0

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


def test_full_queue_is_busy_at_once() -> None:
    """The error says when to come again."""

    async def main() -> None:
        queue = RunQueue(slots=1, length=1, timeout=10)
        async with queue.slot(is_tile=True):
            waiting = asyncio.create_task(queue.slot(is_tile=True).__aenter__())
            await asyncio.sleep(0)
            with pytest.raises(BusyError, match="1 calls wait already") as caught:
                async with queue.slot(is_tile=True):
                    pass
            assert caught.value.retry_after
            waiting.cancel()

    strictly(main)


def test_wait_ends_in_time() -> None:
    """Nobody waits longer than the settings say; the place in the queue is given up."""

    async def main() -> None:
        queue = RunQueue(slots=1, length=5, timeout=0.01)
        async with queue.slot(is_tile=False):
            with pytest.raises(BusyError, match="no worker became free"):
                async with queue.slot(is_tile=False):
                    pass
            assert queue.waiting == 0

    strictly(main)


@pytest.mark.parametrize("is_tile", [True, False])
def test_cancelled_wait_gives_its_place_up(is_tile: bool) -> None:
    """Also when its slot came at the very moment of the cancel: no slot is lost."""

    async def main() -> None:
        queue = RunQueue(slots=1, length=5, timeout=10)
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
        queue = RunQueue(slots=1, length=5, timeout=1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with queue.slot(is_tile=True):
                    1 / 0  # noqa: B018 - it raises

    strictly(main)
