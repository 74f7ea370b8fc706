"""Work of which only the newest is wanted."""

from __future__ import annotations

import asyncio
from threading import Event

import pytest
from real_jupyter import eventually

from fused_jupyter.widgets._latest import Latest


def test_what_nobody_wants_any_more_is_cancelled() -> None:
    """Of a storm the first is begun and stopped, and the last is done."""
    begun, stopped, done = Event(), [], []

    async def work(number: int) -> None:
        begun.set()
        try:
            await asyncio.sleep(30 if number < 99 else 0)
        except asyncio.CancelledError:
            stopped.append(number)
            raise
        done.append(number)

    latest = Latest("work", work)
    latest.ask(0)
    assert begun.wait(10)
    for number in range(1, 100):
        latest.ask(number)

    eventually(lambda: done == [99])
    assert stopped[0] == 0


def test_one_that_fails_is_told_and_the_next_is_done(caplog: pytest.LogCaptureFixture) -> None:
    """An error ends nothing but itself."""
    done = []

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        done.append(1 / number)

    latest = Latest("work", work)
    latest.ask(0)
    eventually(lambda: "ZeroDivisionError" in caplog.text)
    latest.ask(4)

    eventually(lambda: done == [0.25])


def test_stopped_work_ends_and_its_thread_with_it() -> None:
    """Nothing of a closed layer goes on."""
    begun, ended = Event(), Event()

    async def work(_: int) -> None:
        begun.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    latest = Latest("work", work)
    latest.ask(1)
    assert begun.wait(10)

    latest.stop()

    assert ended.wait(10)
    eventually(lambda: latest._thread is None)
