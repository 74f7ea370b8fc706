# The functions are UDFs as users write them.
# ruff: noqa: ANN201, ANN202, T201
from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from blockbuster import blockbuster_ctx
from processes import still_running

import fused_jupyter as fused
from fused_jupyter.errors import (
    ArgumentError,
    FusedError,
    TileError,
    UdfRuntimeError,
    UdfSerializationError,
    UnknownUdfError,
    WorkerLostError,
)
from fused_jupyter.runtime import current, shut_down

# The text of these functions is what runs elsewhere.


@fused.udf
def add(a: int, b: int = 1):
    print("adding", a)
    return a + b


@fused.udf
def where(bounds: fused.types.TileXYZ = None):
    return bounds and (bounds.z, bounds.x, bounds.y)


@fused.udf
def doze(seconds: float, folder: str = ""):
    import os
    import time
    from pathlib import Path

    if folder:
        (Path(folder) / str(os.getpid())).touch()
    time.sleep(seconds)
    return seconds


@pytest.fixture(autouse=True)
def _registered() -> None:
    for udf in (add, where, doze):
        current().register(udf.definition)
    doze(0)  # what starts only once has started


def awaited(main: Callable[[], Awaitable[Any]]) -> Any:
    """What a main function of asyncio gives; whatever blocks its loop is an error."""

    async def guarded() -> Any:
        with blockbuster_ctx():
            return await main()

    return asyncio.run(guarded())


def test_run_async_gives_what_run_gives() -> None:
    """By object and by name, with arguments and tiles."""

    async def main() -> list[Any]:
        return [
            await fused.run_async(add, a=2),
            await fused.run_async("add", a="2", b=5),
            await fused.run_async(add, a=1, parameters={"a": 7}, cache_max_age=0),
            await fused.run_async(where, x=4, y=5, z=3),
            await fused.run_async(where),
            await fused.run_async(add, a=1, zzz=3, _ignore_unknown_arguments=True),
            await add(4, sync=False),
        ]

    assert awaited(main) == [3, 7, 8, (3, 4, 5), None, 2, 5]


def test_sync_false_is_the_same_thing() -> None:
    """A coroutine: for await, for asyncio.run, for tasks; nothing runs before it is awaited."""
    assert inspect.iscoroutinefunction(fused.run_async)

    assert asyncio.run(fused.run(add, a=2, sync=False)) == 3

    async def main() -> Any:
        return await asyncio.gather(asyncio.create_task(fused.run(add, a=3, sync=False)), add(a=4, sync=False))

    assert awaited(main) == [4, 5]
    coroutine = fused.run(add, a=2, sync=False)
    assert inspect.iscoroutine(coroutine)
    coroutine.close()


def test_result_may_be_awaited() -> None:
    """With all that is known of the run."""

    async def main() -> fused.RunResult:
        result: fused.RunResult = await fused.run_async(add, a=2, _return_response=True, verbose=False)
        return result

    result = awaited(main)
    assert (result.data, result.stdout, result.error) == (3, "adding 2\n", None)
    assert result.seconds > 0


@fused.udf
def troubles(how: str):
    print("trying", how)
    if how == "raise":
        return {}["key"]
    if how == "die":
        import os

        os._exit(3)
    if how == "generator":
        return (n for n in range(3))
    return how


@pytest.mark.parametrize(
    ("kind", "ask"),
    [
        (UdfRuntimeError, lambda **way: fused.run(troubles, how="raise", **way)),
        (WorkerLostError, lambda **way: fused.run(troubles, how="die", **way)),
        (UdfSerializationError, lambda **way: fused.run(troubles, how="generator", **way)),
        (ArgumentError, lambda **way: fused.run(add, b="x", **way)),
        (ArgumentError, lambda **way: fused.run(add, a={"no": "number"}, **way)),
        (ArgumentError, lambda **way: fused.run(add, a=lambda: None, **way)),
        (ArgumentError, lambda **way: fused.run(add, a=1, max_retry=-1, **way)),
        (ArgumentError, lambda **way: fused.run(where, x=1, **way)),
        (TileError, lambda **way: fused.run(where, x=8, y=0, z=3, **way)),
        (UnknownUdfError, lambda **way: fused.run("ad", a=1, **way)),
        (ArgumentError, lambda **way: fused.run(None, **way)),
    ],
)
def test_errors_are_those_of_run(kind: type[FusedError], ask: Callable[..., Any]) -> None:
    """Class, message, and what is known of the run."""
    with pytest.raises(kind) as blocking:
        ask()

    async def main() -> None:
        await ask(sync=False)

    with pytest.raises(kind) as waiting:
        awaited(main)

    def told(error: FusedError) -> dict[str, Any]:
        wire = error.to_wire() | {"stdout": error.stdout, "stderr": error.stderr}
        return {name: re.sub(r"0x[0-9a-f]+", "0x", str(value)) for name, value in wire.items() if name != "traceback"}

    assert told(waiting.value) == told(blocking.value)


def test_fifty_at_once_and_the_loop_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has its own answer, and what it printed appears once."""

    async def main() -> tuple[list[int], float]:
        longest, last, is_over = 0.0, time.monotonic(), False

        async def beat() -> None:
            nonlocal longest, last
            while not is_over:
                await asyncio.sleep(0.001)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()

        heart = asyncio.create_task(beat())
        sums = await asyncio.gather(*(fused.run_async(add, a=n) for n in range(50)))
        is_over = True
        await heart
        return sums, longest

    sums, longest = awaited(main)

    assert sums == [n + 1 for n in range(50)]
    assert longest < 0.5
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(f"adding {n}" for n in range(50))


def test_runs_beside_each_other_take_all_workers() -> None:
    """Two workers halve the time."""

    async def main() -> float:
        await asyncio.gather(*(fused.run_async(doze, seconds=0.05) for _ in range(4)))
        started = time.monotonic()
        await asyncio.gather(*(fused.run_async(doze, seconds=0.4 + n / 1000) for n in range(4)))
        return time.monotonic() - started

    assert awaited(main) < 1.5


def test_large_arguments_and_results() -> None:
    """They are the caller's own, as with `run`."""
    import numpy as np

    @fused.udf
    def twice(pixels: object):
        return pixels * 2  # type: ignore[operator]

    pixels = np.arange(1_000_000, dtype=float)

    async def main() -> Any:
        return await asyncio.gather(fused.run_async(twice, pixels=pixels), fused.run_async(twice, pixels=pixels + 1))

    first, second = awaited(main)
    assert (first == pixels * 2).all()
    assert (second == pixels * 2 + 2).all()
    first[0] = 5


def test_lost_runs_may_be_tried_again(tmp_path: Path) -> None:
    """The pause between two tries blocks nobody."""

    @fused.udf
    def unlucky(folder: str):
        import os
        from pathlib import Path

        tries = len([*Path(folder).iterdir()])
        (Path(folder) / str(tries)).touch()
        if tries < 2:
            os._exit(1)
        return tries

    async def main() -> Any:
        return await fused.run_async(unlucky, folder=str(tmp_path), max_retry=2)

    assert awaited(main) == 2


# -- cancelled waits


def pids_in(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.iterdir()]


async def started_in(folder: Path, count: int) -> list[int]:
    """The processes of so many runs, once they have begun."""
    while len(pids := await asyncio.to_thread(pids_in, folder)) < count:
        await asyncio.sleep(0.01)
    return pids


async def gone(pids: list[int]) -> float:
    """Seconds until these processes have ended."""
    started = time.monotonic()
    processes = [process for process in await asyncio.to_thread(psutil.process_iter) if process.pid in pids]
    assert not await asyncio.to_thread(still_running, processes)
    return time.monotonic() - started


async def counts() -> dict[str, Any]:
    return await asyncio.to_thread(current().status)  # type: ignore[union-attr]


@pytest.mark.parametrize("how", ["cancel", "timeout", "group"])
def test_cancelled_wait_stops_the_run(how: str, tmp_path: Path) -> None:
    """In its worker, at once; the next call has another one."""

    async def run() -> None:
        await fused.run_async(doze, seconds=60, folder=str(tmp_path))

    async def of_group(pids: list[int]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(run())
            pids += await started_in(tmp_path, 1)
            group.create_task(fused.run_async(troubles, how="raise"))

    async def main() -> None:
        if how == "timeout":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await run()
            pids = await asyncio.to_thread(pids_in, tmp_path)
        elif how == "cancel":
            task = asyncio.create_task(run())
            pids = await started_in(tmp_path, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            pids = []
            with pytest.raises(ExceptionGroup):
                await of_group(pids)
        assert len(pids) == 1
        assert await gone(pids) < 1
        assert await fused.run_async(doze, seconds=0) == 0

    asyncio.run(main())


def test_end_of_the_loop_stops_its_runs(tmp_path: Path) -> None:
    """`asyncio.run` cancels what it leaves behind."""

    async def main() -> list[int]:
        task = asyncio.create_task(fused.run_async(doze, seconds=60, folder=str(tmp_path)))
        pids = await started_in(tmp_path, 1)
        del task
        return pids

    pids = asyncio.run(main())

    asyncio.run(gone(pids))


def test_cancelled_before_its_turn_never_runs(tmp_path: Path) -> None:
    """Of many that wait those that run go on."""

    async def main() -> tuple[list[Any], list[int]]:
        first = [asyncio.create_task(fused.run_async(doze, seconds=0.5, folder=str(tmp_path))) for _ in range(2)]
        await started_in(tmp_path, 2)
        before = (await counts())["runs"]
        later = [asyncio.create_task(fused.run_async(doze, seconds=60, folder=str(tmp_path))) for _ in range(20)]
        await asyncio.sleep(0.1)
        for task in later:
            task.cancel()
        assert {type(each) for each in await asyncio.gather(*later, return_exceptions=True)} == {asyncio.CancelledError}
        done = await asyncio.gather(*first)
        status = await counts()
        assert status["runs"] == before
        assert status["workers"]["waiting"] == 0
        return done, await asyncio.to_thread(pids_in, tmp_path)

    done, pids = asyncio.run(main())
    assert done == [0.5, 0.5]
    assert len(pids) == 2


def test_loop_may_end_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    """A loop that was closed without care harms nobody: neither this process nor the next call."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(fused.run_async(doze, seconds=0.3, folder=str(tmp_path)))
    loop.run_until_complete(started_in(tmp_path, 1))
    loop.run_until_complete(loop.shutdown_default_executor())
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()

    assert fused.run(add, a=1) == 2


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    shut_down()
    monkeypatch.setenv("FUSED_QUEUE_TIMEOUT", "0.4")
    monkeypatch.setenv("FUSED_QUEUE_LENGTH", "3")
    doze(0)  # to start a host blocks
    yield
    shut_down()


@pytest.mark.usefixtures("_impatient")
def test_runs_wait_for_each_other_as_long_as_it_takes() -> None:
    """More than the host lets wait, and longer: they wait here, where they are in nobody's way."""

    async def main() -> Any:
        return await asyncio.gather(*(fused.run_async(doze, seconds=0.2 + n / 1000) for n in range(12)))

    assert awaited(main) == [0.2 + n / 1000 for n in range(12)]


# -- inside a UDF


def test_run_async_inside_a_udf() -> None:
    """In the same process, beside each other, with the UDF's loop alive and loops of their own."""

    @fused.udf
    def outer():
        import asyncio
        import os
        import time

        @fused.udf
        def inner(n: int):
            import asyncio
            import os

            async def wait():
                await asyncio.sleep(0.3)
                return n, os.getpid()

            return asyncio.run(wait())

        async def main():
            beats = 0

            async def beat():
                nonlocal beats
                while True:
                    await asyncio.sleep(0.01)
                    beats += 1

            heart = asyncio.create_task(beat())
            started = time.monotonic()
            values = await asyncio.gather(*(fused.run_async(inner, n=n) for n in range(4)))
            heart.cancel()
            return values, beats, time.monotonic() - started, os.getpid()

        return asyncio.run(main())

    values, beats, seconds, pid = outer()

    assert values == [(n, pid) for n in range(4)]
    assert beats >= 5
    assert seconds < 1.1


def test_errors_inside_a_udf_are_those_of_run() -> None:
    """Class and name of the inner UDF; also where nobody awaited."""

    @fused.udf
    def outer():
        import asyncio

        @fused.udf
        def inner():
            raise KeyError("inside")

        result = asyncio.run(fused.run_async(inner, _return_response=True))
        assert result.error.child_exception_class == "KeyError"
        return asyncio.run(fused.run(inner, sync=False))

    with pytest.raises(UdfRuntimeError, match="KeyError: 'inside'") as caught:
        outer()
    assert caught.value.udf == "inner"


def test_parameter_called_sync_is_the_udfs() -> None:
    """As with all options; `run_async` gives such arguments too."""

    @fused.udf
    def own(sync: bool, verbose: str = ""):
        return sync, verbose

    async def main() -> Any:
        return await fused.run_async(own, sync=False, verbose="v")

    assert fused.run(own, sync=False) == (False, "")
    assert awaited(main) == (False, "v")
