"""Ids of runs in the gateway: who shares one, and what stopping it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from fused_jupyter.caching import ResultCache
from fused_jupyter.errors import BusyError, CancelledRunError
from fused_jupyter.runtime.gateway import Gateway
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Failure, Reply, Run

Define = Callable[..., UdfDefinition]


class GatedEngine:
    """Answers when the test lets it."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.runs: list[Run] = []
        self.on_begin: Callable[[str], None] = lambda _: None
        self.error: Exception | None = None

    def choose_environment(self, variables: Any) -> None:
        raise NotImplementedError

    async def run(
        self, definition: UdfDefinition, run: Run, body: bytes = b"", *, on_text: Any = None
    ) -> tuple[Reply | Failure, bytes]:
        self.runs.append(run)
        self.on_begin(run.run_id)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Reply(id=run.id, media_type="text/plain", seconds=0.5), b"%d" % len(self.runs)


@pytest.fixture
def inside(options: Options, definition: Define) -> Callable[[Callable[[Gateway, GatedEngine], Awaitable[Any]]], Any]:
    """Runs a test in an event loop, with a gateway that has the UDF `f`."""

    def run(main: Callable[[Gateway, GatedEngine], Awaitable[Any]]) -> Any:
        async def timed() -> Any:
            engine = GatedEngine()
            results = ResultCache(Path(options.cache_directory), memory_size=10_000, disk_size=1_000_000)
            gateway = Gateway(engine, results, options, kernel_id="kernel-1")
            engine.on_begin = gateway.activity.begin
            gateway.publish(definition("def f(n=1): pass"), register=True)
            async with asyncio.timeout(10):
                with blockbuster_ctx():
                    return await main(gateway, engine)

        return asyncio.run(timed())

    return run


def ask(gateway: Gateway, **fields: Any) -> asyncio.Task[tuple[Reply | Failure, bytes]]:
    run = Run(id=1, udf="f", **{"parameters": {}} | fields)
    return asyncio.create_task(gateway.run(run))


async def active(gateway: Gateway, count: int) -> list[dict[str, Any]]:
    """The active runs, once there are so many."""
    while len(runs := gateway.activity.snapshot()["active"]) != count:
        await asyncio.sleep(0.005)
    return list(runs)


def test_who_joins_a_run_gets_its_id_and_so_do_later_ones(inside: Any) -> None:
    """One run, three answers; the last one is kept, and says whose run it was."""

    async def main(gateway: Gateway, engine: GatedEngine) -> None:
        waiting = [ask(gateway), ask(gateway)]
        (run,) = await active(gateway, 1)
        engine.gate.set()
        replies = [reply for reply, _ in [*(await asyncio.gather(*waiting)), await ask(gateway)]]

        assert [reply.source for reply in replies] == ["miss", "joined", "hit-memory"]
        assert {reply.run_id for reply in replies} == {run["run_id"]} == {engine.runs[0].run_id}
        tally = gateway.activity.snapshot()["udfs"]["f"]
        assert (tally["requests"], tally["runs"], tally["hits"]) == (3, 1, {"joined": 1, "hit-memory": 1})
        assert await active(gateway, 0) == []
        await gateway.close()

    inside(main)


@pytest.mark.parametrize("age", ["1h", "0"])
def test_stopping_reaches_all_who_wait_and_none_who_come_later(age: str, inside: Any) -> None:
    """The next request runs anew; nothing of the stopped run is kept."""

    async def main(gateway: Gateway, engine: GatedEngine) -> None:
        waiting = [ask(gateway, cache_max_age=age) for _ in range(3)]
        (run,) = await active(gateway, 1)

        assert gateway.activity.stop(run["run_id"])
        told = await asyncio.gather(*waiting, return_exceptions=True)

        assert {type(error) for error in told} == {CancelledRunError}
        assert {error.run_id for error in told if isinstance(error, CancelledRunError)} == {run["run_id"]}
        engine.gate.set()
        reply, body = await ask(gateway, cache_max_age=age)
        assert (reply.source, body) == ("miss", b"2")
        assert reply.run_id != run["run_id"]
        await gateway.close()

    inside(main)


def test_a_run_that_nobody_waits_for_is_in_no_list(inside: Any) -> None:
    """It was cancelled, as one that somebody stops is; no error of anybody's."""

    async def main(gateway: Gateway, engine: GatedEngine) -> None:
        waiting = ask(gateway)
        await active(gateway, 1)
        waiting.cancel()
        await asyncio.wait([waiting])

        assert await active(gateway, 0) == []
        seen = gateway.activity.snapshot()
        assert (seen["udfs"]["f"]["outcomes"], seen["errors"]) == ({"cancelled": 1}, [])

    inside(main)


@pytest.mark.parametrize(("error", "outcome"), [(BusyError("full"), "refused"), (ZeroDivisionError(), "failed")])
def test_a_run_that_breaks_is_over(error: Exception, outcome: str, inside: Any) -> None:
    """Also where the fault is ours."""

    async def main(gateway: Gateway, engine: GatedEngine) -> None:
        engine.error = error
        engine.gate.set()
        with pytest.raises(type(error)):
            await ask(gateway)

        assert await active(gateway, 0) == []
        assert gateway.activity.snapshot()["udfs"]["f"]["outcomes"] == {outcome: 1}

    inside(main)
