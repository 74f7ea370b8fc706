"""Runs of the notebook: seen by who asks the host, and stopped from elsewhere."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import orjson
import psutil
import pytest
from processes import still_running

from fused_jupyter.errors import CancelledRunError, UdfRuntimeError, UnknownRunError
from fused_jupyter.runtime._runtime import KernelRuntime
from fused_jupyter.runtime.outcome import Outcome
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Announcement, Client, Status, Stop, connect

Define = Callable[..., UdfDefinition]

PRELOAD = ("numpy", "fused_jupyter.formats", "fused_jupyter.engines.worker", "fused_jupyter.api")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelRuntime]:
    """Two workers."""
    cache = str(tmp_path_factory.mktemp("cache"))
    made = KernelRuntime(Options(workers=2, preload=PRELOAD, cache_directory=cache, log_level="debug"))
    made.start()
    yield made
    made.close()


@pytest.fixture
def nap(definition: Define) -> UdfDefinition:
    """Sleeps, in a child of its process too."""
    return definition(
        """
        def nap(seconds: float, number: int = 0):
            import subprocess, time
            child = subprocess.Popen(["sleep", str(seconds)]) if seconds > 5 else None
            time.sleep(seconds)
            return number
        """
    )


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as made:
        yield made


def call(runtime: KernelRuntime, definition: UdfDefinition, *, keep: str | None = None, **arguments: Any) -> Outcome:
    return runtime.outcome(definition, arguments, tile=None, cache_max_age=keep)


def until(runtime: KernelRuntime, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The active runs, once they are as they should be."""
    deadline = time.monotonic() + 10
    while not holds(active := runtime.status()["active"]):
        assert time.monotonic() < deadline, active
        time.sleep(0.02)
    return list(active)


def as_server(runtime: KernelRuntime, ask: Callable[[Client], Any]) -> Any:
    """What a Jupyter server gets that asks the host."""

    async def main() -> Any:
        path = Announcement.path_for(runtime.directory, runtime.kernel_id)
        client = await connect(Announcement.read(path), role="server", on_event=lambda _: None)
        try:
            async with asyncio.timeout(10):
                return await ask(client)
        finally:
            await client.close()

    return asyncio.run(main())


def was_stopped(future: Future[Outcome]) -> str:
    """The id of the run that a call was told of."""
    with pytest.raises(CancelledRunError, match="nap was stopped") as caught:
        future.result(10)
    return caught.value.run_id


@pytest.mark.parametrize("keep", [None, "1h"], ids=["leased worker", "by the host"])
def test_a_run_that_is_stopped_ends_at_once(
    keep: str | None, runtime: KernelRuntime, nap: UdfDefinition, pool: ThreadPoolExecutor
) -> None:
    """Its caller is told; its process and what that started are gone; the call beside it never notices."""
    stopped = pool.submit(call, runtime, nap, keep=keep, seconds=60.0)
    (run,) = until(runtime, lambda runs: [run["state"] for run in runs] == ["running"])
    innocent = pool.submit(call, runtime, nap, seconds=1.0, number=7)
    before = [psutil.Process(pid) for pid in runtime.status()["worker_pids"]]
    children = [child for worker in before for child in worker.children()]
    until(runtime, lambda runs: len(runs) == 2)

    runtime.cancel(run["run_id"])

    assert was_stopped(stopped) == run["run_id"]
    assert innocent.result(10).value == 7
    assert not still_running(children)
    assert len(still_running(before)) == len(before) - 1
    assert call(runtime, nap, seconds=0.0, number=8).value == 8
    counts = runtime.status()["udfs"]["nap"]["outcomes"]
    assert counts["cancelled"] >= 1
    assert "failed" not in counts


def test_runs_that_wait_are_stopped_without_a_worker(
    runtime: KernelRuntime, nap: UdfDefinition, pool: ThreadPoolExecutor
) -> None:
    """Those that wait in the kernel, in the host, and for a lease; those that hold the workers go on."""
    busy = [pool.submit(call, runtime, nap, seconds=2.5, number=number) for number in range(2)]
    until(runtime, lambda runs: [run["state"] for run in runs] == ["running"] * 2)
    waiting = [pool.submit(call, runtime, nap, keep=keep, seconds=60.0) for keep in (None, "1h", None)]
    active = until(runtime, lambda runs: [run["state"] for run in runs].count("waiting") == 3)
    workers = runtime.status()["worker_pids"]

    started = time.monotonic()
    ids = {run["run_id"] for run in active if run["state"] == "waiting"}
    for run_id in ids:
        runtime.cancel(run_id)
    told = {was_stopped(each) for each in waiting}

    assert told == ids
    assert time.monotonic() - started < 1.5
    assert [each.result(10).value for each in busy] == [0, 1]
    assert set(runtime.status()["worker_pids"]) >= set(workers)


def test_a_call_that_waits_for_a_lease_is_stopped(
    runtime: KernelRuntime, nap: UdfDefinition, pool: ThreadPoolExecutor
) -> None:
    """While the host's own runs hold all workers; the lease that was asked for blocks nobody afterwards."""
    busy = [pool.submit(call, runtime, nap, keep="1h", seconds=61.0, number=number) for number in range(2)]
    holding = until(runtime, lambda runs: [run["state"] for run in runs] == ["running"] * 2)
    waiting = pool.submit(call, runtime, nap, seconds=60.0)
    active = until(runtime, lambda runs: len(runs) == 3)
    (run,) = [run for run in active if run["state"] == "waiting"]

    runtime.cancel(run["run_id"])

    with pytest.raises(CancelledRunError):
        waiting.result(3)
    for each in holding:
        runtime.cancel(each["run_id"])
    assert {was_stopped(each) for each in busy} == {each["run_id"] for each in holding}
    assert [call(runtime, nap, seconds=0.0, number=number).value for number in range(3)] == [0, 1, 2]


def test_a_server_stops_what_the_kernel_runs(
    runtime: KernelRuntime, nap: UdfDefinition, pool: ThreadPoolExecutor
) -> None:
    """It sees it within two seconds, and asks the host, which asks the kernel."""
    assert until(runtime, lambda runs: not runs) == []
    stopped = pool.submit(call, runtime, nap, seconds=60.0)

    async def ask(client: Client) -> str:
        while True:
            _, body = await client.reply_to(Status(id=client.next_number()))
            if active := orjson.loads(body)["active"]:
                break
            await asyncio.sleep(0.05)
        await client.reply_to(Stop(id=client.next_number(), run_id=active[0]["run_id"]))
        return str(active[0]["run_id"])

    started = time.monotonic()
    run_id = as_server(runtime, ask)

    assert was_stopped(stopped) == run_id
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("run_id", ["over", "0123456789ab", ""])
def test_there_is_nothing_to_stop(run_id: str, runtime: KernelRuntime, nap: UdfDefinition) -> None:
    """A run that is over, or one that never was, is an error that says so, to the kernel and to a server."""
    if run_id == "over":
        run_id = call(runtime, nap, seconds=0.0).run_id

    with pytest.raises(UnknownRunError, match="waits or goes on"):
        runtime.cancel(run_id)
    with pytest.raises(UnknownRunError, match="waits or goes on"):
        as_server(runtime, lambda client: client.reply_to(Stop(id=client.next_number(), run_id=run_id)))


def test_stopping_at_the_very_end_breaks_nothing(runtime: KernelRuntime, nap: UdfDefinition) -> None:
    """Whoever comes first: the call has its value or was stopped, and the next one has a worker."""
    for number in range(30):
        results: list[Any] = []

        def work(number: int = number, results: list[Any] = results) -> None:
            try:
                results.append(call(runtime, nap, seconds=0.02, number=number).value)
            except CancelledRunError as exc:
                results.append(exc)

        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(0.015 + number * 0.0005)
        for run in runtime._lane._activity.snapshot()["active"]:
            runtime._lane.stop(run["run_id"])
        thread.join(10)

        assert len(results) == 1
        assert results[0] == number or isinstance(results[0], CancelledRunError)
        assert call(runtime, nap, seconds=0.0, number=number).value == number


def test_a_run_of_the_notebook_has_an_id_and_a_line(
    runtime: KernelRuntime, nap: UdfDefinition, definition: Define
) -> None:
    """In its outcome or its error, and in the log, whichever way it went; a kept result names the run that made it."""
    broken = definition("def broken(word: str):\n    raise KeyError(word)")
    outcomes = [call(runtime, nap, seconds=0.0), *(call(runtime, nap, keep="1h", seconds=0.001) for _ in range(2))]
    with pytest.raises(UdfRuntimeError) as caught:
        call(runtime, broken, word="hush-hush")

    direct, first, kept = (outcome.run_id for outcome in outcomes)
    assert first == kept != direct
    log = runtime.link.log_path.read_text()
    assert [log.count(f" run={run_id} ") for run_id in (direct, first, caught.value.run_id)] == [1, 1, 1]
    assert "hush" not in log


def test_a_server_hears_of_what_ran_without_the_host(runtime: KernelRuntime, definition: Define) -> None:
    """All of it, within two seconds, with the time that it took."""
    quick = definition("def quick(n: int):\n    return n")
    for number in range(200):
        call(runtime, quick, n=number)

    async def ask(client: Client) -> dict[str, Any]:
        while True:
            _, body = await client.reply_to(Status(id=client.next_number()))
            tally: dict[str, Any] = orjson.loads(body)["udfs"].get("quick", {"runs": 0})
            if tally["runs"] >= 200:
                return tally
            await asyncio.sleep(0.05)

    started = time.monotonic()
    tally = as_server(runtime, ask)

    assert time.monotonic() - started < 2.5
    assert (tally["runs"], tally["outcomes"], sum(tally["buckets"])) == (200, {"ok": 200}, 200)
