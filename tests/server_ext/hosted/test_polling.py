from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fused_jupyter.errors import ArgumentError, BusyError, UdfRuntimeError, UnknownRunError
from fused_jupyter.server_ext.hosted.polling import Patience, Polling


class Works:
    """Works that end when they are told to, and how often each began."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.stopped: list[str] = []
        self.ends: dict[str, asyncio.Future[bytes]] = {}

    def make(self, name: str) -> Callable[[], Coroutine[Any, Any, bytes]]:
        async def work() -> bytes:
            self.begun.append(name)
            self.ends[name] = asyncio.get_running_loop().create_future()
            try:
                return await self.ends[name]
            except asyncio.CancelledError:
                self.stopped.append(name)
                raise

        return work

    def done(self, content: bytes) -> Callable[[], Coroutine[Any, Any, bytes]]:
        async def work() -> bytes:
            return content

        return work


def run(scenario: Callable[[Polling[bytes], Works], Coroutine[Any, Any, None]], **patience: Any) -> None:
    async def whole() -> None:
        polling: Polling[bytes] = Polling(len, Patience(**patience))
        try:
            await scenario(polling, Works())
        finally:
            await polling.close()

    asyncio.run(whole())


def test_work_of_one_id_begins_once() -> None:
    """While it goes on and after its end; whoever asks gets the same."""

    async def scenario(polling: Polling[bytes], works: Works) -> None:
        for _ in range(3):
            polling.begin("a", works.make("a"), fingerprint="x")
        assert await polling.result("a", patience=0.01) is None
        waiting = [asyncio.create_task(polling.result("a", patience=5)) for _ in range(3)]
        await asyncio.sleep(0)

        works.ends["a"].set_result(b"1")

        assert await asyncio.gather(*waiting) == [b"1"] * 3
        polling.begin("a", works.make("a"), fingerprint="x")
        assert await polling.result("a", patience=5) == b"1"
        assert works.begun == ["a"]

    run(scenario)


def test_id_of_something_else_is_refused() -> None:
    """Else somebody would get the result of other code."""

    async def scenario(polling: Polling[bytes], works: Works) -> None:
        polling.begin("a", works.done(b"1"), fingerprint="x")

        with pytest.raises(ArgumentError, match="use a new id"):
            polling.begin("a", works.done(b"2"), fingerprint="y")

    run(scenario)


def test_error_is_raised_each_time() -> None:
    """It is a result as well."""

    async def scenario(polling: Polling[bytes], works: Works) -> None:
        async def fail() -> bytes:
            raise UdfRuntimeError("no")

        polling.begin("a", fail, fingerprint="x")

        for _ in range(2):
            with pytest.raises(UdfRuntimeError, match="no"):
                await polling.result("a", patience=5)

    run(scenario)


def test_error_that_nobody_hears_of_is_not_complained_about() -> None:
    """Asyncio would log it, and warnings are errors here."""

    async def scenario(polling: Polling[bytes], works: Works) -> None:
        async def fail() -> bytes:
            raise UdfRuntimeError("no")

        polling.begin("a", fail, fingerprint="x")
        await asyncio.sleep(0.01)

    run(scenario)


def test_unknown_and_forgotten_works_are_unknown() -> None:
    """What was forgotten can be begun anew."""

    async def scenario(polling: Polling[bytes], works: Works) -> None:
        with pytest.raises(UnknownRunError):
            await polling.result("a", patience=1)
        polling.begin("a", works.make("a"), fingerprint="x")
        await asyncio.sleep(0)

        polling.forget("a")
        polling.begin("a", works.done(b"2"), fingerprint="y")

        assert await polling.result("a", patience=5) == b"2"
        assert works.stopped == ["a"]

    run(scenario)


def test_abandoned_work_is_stopped() -> None:
    """But not while somebody waits for it."""

    async def scenario(polling: Polling[bytes], works: Works) -> None:
        polling.begin("left", works.make("left"), fingerprint="x")
        polling.begin("awaited", works.make("awaited"), fingerprint="x")
        assert await polling.result("awaited", patience=0.3) is None

        assert works.stopped == ["left"]
        with pytest.raises(UnknownRunError):
            await polling.result("left", patience=1)
        works.ends["awaited"].set_result(b"1")
        assert await polling.result("awaited", patience=1) == b"1"

    run(scenario, abandoned=0.05)


def test_fetched_result_goes_after_a_while_and_others_stay() -> None:
    """Who did not get the answer asks again within that time."""

    async def scenario(polling: Polling[bytes], works: Works) -> None:
        for name in ("fetched", "waiting"):
            polling.begin(name, works.done(name.encode()), fingerprint="x")
        assert await polling.result("fetched", patience=1) == b"fetched"

        await asyncio.sleep(0.2)

        with pytest.raises(UnknownRunError):
            await polling.result("fetched", patience=1)
        assert await polling.result("waiting", patience=1) == b"waiting"

    run(scenario, fetched=0.05)


def test_results_are_bounded_in_bytes() -> None:
    """Fetched ones go first, then the oldest; the newest stays, however long it is."""

    async def scenario(polling: Polling[bytes], works: Works) -> None:
        for name in "abc":
            polling.begin(name, works.done(name.encode() * 40), fingerprint="x")
            await asyncio.sleep(0.01)
            if name == "b":
                await polling.result("b", patience=1)

        with pytest.raises(UnknownRunError):
            await polling.result("b", patience=1)
        assert await polling.result("a", patience=1) == b"a" * 40
        polling.begin("d", works.done(b"d" * 500), fingerprint="x")
        assert await polling.result("d", patience=1) == b"d" * 500
        assert len(polling) == 1

    run(scenario, size=100)


def test_works_are_bounded_in_number() -> None:
    """Whoever comes too late is told when to come again."""

    async def scenario(polling: Polling[bytes], works: Works) -> None:
        polling.begin("a", works.make("a"), fingerprint="x")
        polling.begin("b", works.make("b"), fingerprint="x")

        with pytest.raises(BusyError) as caught:
            polling.begin("c", works.make("c"), fingerprint="x")

        assert caught.value.retry_after is not None

    run(scenario, works=2)


def test_all_stops_at_the_end() -> None:
    """Nothing outlives the server."""

    async def scenario(polling: Polling[bytes], works: Works) -> None:
        polling.begin("a", works.make("a"), fingerprint="x")
        await asyncio.sleep(0)

        await polling.close()

        assert works.stopped == ["a"]
        assert len(polling) == 0

    run(scenario)
