from __future__ import annotations

import _thread
import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
import pytest
from processes import still_running

from fused_jupyter.errors import (
    BusyError,
    FusedError,
    HostLostError,
    UdfTimeoutError,
    WorkerLostError,
)
from fused_jupyter.runtime._runtime import KernelRuntime
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Announcement, Run, connect

Define = Callable[..., UdfDefinition]

PRELOAD = ("numpy", "fused_jupyter.formats", "fused_jupyter.engines.worker", "fused_jupyter.api")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelRuntime]:
    """Two workers, short deadlines."""
    cache = str(tmp_path_factory.mktemp("cache"))
    made = KernelRuntime(
        Options(workers=2, preload=PRELOAD, cache_directory=cache, file_timeout=8.0, queue_timeout=10.0)
    )
    made.start()
    yield made
    made.close()


@pytest.fixture
def pid(definition: Define) -> UdfDefinition:
    """Tells which process ran it."""
    return definition("def pid():\n    import os\n    return os.getpid()\n")


@pytest.fixture
def wait(definition: Define) -> UdfDefinition:
    """Runs for a while."""
    return definition(
        "def wait(seconds: float):\n    import os, time\n    time.sleep(seconds)\n    return os.getpid()\n"
    )


def run(runtime: KernelRuntime, definition: UdfDefinition, **arguments: Any) -> Any:
    return runtime.run(definition, arguments, tile=None, cache_max_age=None)


def ask_as_server(runtime: KernelRuntime, udf: str, count: int = 1) -> list[int]:
    """Statuses of requests that come by way of the host, all at the same time."""

    async def main() -> list[int]:
        path = Announcement.path_for(runtime.directory, runtime.kernel_id)
        client = await connect(Announcement.read(path), role="server", on_event=lambda _: None)
        try:
            async with asyncio.timeout(20):
                runs = [Run(id=client.next_number(), udf=udf, parameters={}, cache_max_age="0") for _ in range(count)]
                return [reply.status for reply, _ in await asyncio.gather(*map(client.reply_to, runs))]
        finally:
            await client.close()

    return asyncio.run(main())


def busy(runtime: KernelRuntime) -> int:
    return int(runtime.status()["workers"]["busy"])


def eventually(claim: Callable[[], bool]) -> bool:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if claim():
            return True
        time.sleep(0.02)
    return claim()


def test_worker_stays_for_the_next_call_and_goes_back_when_none_comes(
    runtime: KernelRuntime, pid: UdfDefinition
) -> None:
    """Calls one after the other meet the same process; a second later the host has it again."""
    pids = {run(runtime, pid) for _ in range(20)}

    assert len(pids) == 1
    assert busy(runtime) == 1
    assert eventually(lambda: busy(runtime) == 0)
    assert run(runtime, pid) > 0


def test_requests_of_others_get_the_workers_that_the_kernel_is_not_using(
    runtime: KernelRuntime, wait: UdfDefinition, definition: Define
) -> None:
    """A lease holds a slot, but not against somebody who waits."""
    runtime.register(definition("def other():\n    return {'a': 1}\n"))
    threads = [threading.Thread(target=run, args=(runtime, wait), kwargs={"seconds": 0.3}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert busy(runtime) == 2  # leased and idle

    started = time.monotonic()
    statuses = ask_as_server(runtime, "other", count=4)

    assert statuses == [200] * 4
    assert time.monotonic() - started < 0.9  # before the leases end by themselves


def test_many_threads_share_the_workers(runtime: KernelRuntime, definition: Define) -> None:
    """More threads than workers: each call is answered with its own result."""
    square = definition("def square(n: int):\n    return n * n\n")
    found: dict[int, int] = {}

    def call(numbers: range) -> None:
        for n in numbers:
            found[n] = run(runtime, square, n=n)

    threads = [threading.Thread(target=call, args=(range(k, 200, 5),)) for k in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == {n: n * n for n in range(200)}


def test_threads_and_requests_of_others_at_the_same_time_are_all_answered(
    runtime: KernelRuntime, definition: Define
) -> None:
    """Workers go to and fro between the kernel and the host; nothing is lost on the way."""
    runtime.register(definition("def other():\n    return {'a': 1}\n"))
    square = definition("def square(n: int):\n    return n * n\n")
    found: list[int] = []

    def call() -> None:
        found.extend(run(runtime, square, n=n) for n in range(60))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    statuses = [status for _ in range(5) for status in ask_as_server(runtime, "other", count=12)]
    for thread in threads:
        thread.join()

    assert statuses == [200] * 60
    assert sorted(found) == sorted([n * n for n in range(60)] * 3)
    assert eventually(lambda: busy(runtime) == 0)


def test_large_arrays_go_both_ways(runtime: KernelRuntime, definition: Define) -> None:
    """More than any buffer of a socket holds, and writable when it arrives."""
    add = definition("def add(a, n: int):\n    return a + n\n")
    array = np.arange(3_000_000, dtype="int64")

    result = run(runtime, add, a=array, n=1)
    result[0] = 7

    assert result[-1] == 3_000_000


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import ctypes\n    ctypes.string_at(0)", "was killed by signal 11 (segmentation fault) in bad, line 3"),
        ("import os\n    os._exit(3)", "ended with exit code 3 in bad"),
        ("import os\n    os.kill(os.getpid(), 9)", "was killed by signal 9 (killed) in bad"),
    ],
)
def test_worker_that_dies_is_told_and_replaced(
    runtime: KernelRuntime, definition: Define, pid: UdfDefinition, source: str, says: str
) -> None:
    """The host says how it ended; the next call has another one."""
    bad = definition(f"def bad():\n    {source}\n")

    with pytest.raises(WorkerLostError) as caught:
        run(runtime, bad)

    assert says in str(caught.value)
    assert run(runtime, pid) > 0
    assert runtime.status()["lost"] > 0


def test_run_that_takes_too_long_is_stopped(
    runtime: KernelRuntime, definition: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process is gone when the error is there."""
    loop = definition(
        "def loop(path: str):\n    import os\n    open(path, 'w').write(str(os.getpid()))\n    while 1: pass\n"
    )
    path = runtime.directory / "pid-of-loop"
    before = runtime.status()["timeouts"]
    monkeypatch.setattr(runtime._lane, "_options", Options(workers=2, file_timeout=0.5))

    with pytest.raises(UdfTimeoutError, match="loop ran longer than 0.5 s and was stopped"):
        run(runtime, loop, path=str(path))

    assert eventually(lambda: not psutil.pid_exists(int(path.read_text())))
    assert runtime.status()["timeouts"] == before + 1


def test_interrupt_stops_a_run(runtime: KernelRuntime, wait: UdfDefinition, pid: UdfDefinition) -> None:
    """Ctrl-C in the cell ends the process of the run; the next call works."""
    before = runtime.status()["cancelled"]
    threading.Timer(0.4, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()

    with pytest.raises(KeyboardInterrupt):
        run(runtime, wait, seconds=30)

    assert time.monotonic() - started < 5
    assert runtime.status()["cancelled"] == before + 1
    assert run(runtime, pid) > 0


def test_interrupts_at_any_moment_lose_no_worker(runtime: KernelRuntime, pid: UdfDefinition) -> None:
    """Also one that comes between the lines that take a worker."""
    rng = random.Random(1)
    run(runtime, pid)
    for _ in range(60):
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - at any moment
            threading.Timer(rng.uniform(0.005, 0.03), _thread.interrupt_main).start()
            until = time.monotonic() + 10
            while time.monotonic() < until:
                run(runtime, pid)

    assert eventually(lambda: busy(runtime) == 0)
    assert runtime._lane._count == 0


def test_interrupt_while_all_workers_are_taken_takes_nothing(
    runtime: KernelRuntime, wait: UdfDefinition, pid: UdfDefinition
) -> None:
    """Who waits for a worker can go away; those who have one go on."""
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(run(runtime, wait, seconds=1.0))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert eventually(lambda: busy(runtime) == 2)
    threading.Timer(0.2, _thread.interrupt_main).start()

    with pytest.raises(KeyboardInterrupt):
        run(runtime, pid)
    for thread in threads:
        thread.join()

    assert len(found) == 2
    assert run(runtime, pid) > 0
    assert eventually(lambda: busy(runtime) == 0)


def test_error_in_what_takes_the_output_stops_the_run(
    runtime: KernelRuntime, definition: Define, pid: UdfDefinition
) -> None:
    """Whatever breaks here leaves no run behind."""
    chatty = definition("def chatty():\n    import time\n    print('x')\n    time.sleep(30)\n")

    def fail(stream: str, text: str) -> None:
        raise RuntimeError("no room")

    with pytest.raises(RuntimeError, match="no room"):
        runtime.outcome(chatty, {}, tile=None, cache_max_age=None, on_text=fail)

    assert run(runtime, pid) > 0


def test_child_that_outlives_its_run_is_not_heard_in_the_next(
    runtime: KernelRuntime, definition: Define, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worker asks for other pipes, which only the host can give: it goes back and comes again."""
    leave = definition(
        "def leave():\n    import subprocess\n"
        "    subprocess.Popen('sleep 0.3; echo late; sleep 0.3', shell=True)\n    return 1\n"
    )
    speak = definition("def speak():\n    import time\n    time.sleep(0.6)\n    print('mine')\n")

    run(runtime, leave)
    run(runtime, speak)

    assert capsys.readouterr().out == "mine\n"


def test_kept_results_go_by_way_of_the_host(runtime: KernelRuntime, definition: Define) -> None:
    """Where the cache may know the answer, it is asked."""
    roll = definition("def roll():\n    import random\n    return random.random()\n")

    first, second = (runtime.run(roll, {}, tile=None, cache_max_age="1h") for _ in range(2))

    assert first == second
    assert run(runtime, roll) != first


def test_host_that_is_killed_is_told_and_the_next_call_has_another(
    runtime: KernelRuntime, wait: UdfDefinition, pid: UdfDefinition
) -> None:
    """Its workers die with it."""
    errors: list[FusedError] = []

    def call() -> None:
        try:
            run(runtime, wait, seconds=30)
        except FusedError as exc:
            errors.append(exc)

    run(runtime, pid)
    thread = threading.Thread(target=call)
    thread.start()
    assert eventually(lambda: busy(runtime) > 0)
    host = runtime.link.pid
    assert host is not None
    children = psutil.Process(host).children(recursive=True)
    os.kill(host, signal.SIGKILL)
    thread.join(10)

    assert [type(error) for error in errors] == [HostLostError]
    assert run(runtime, pid) > 0
    assert eventually(lambda: not still_running(children))


def test_call_that_gets_no_worker_in_time_says_so(options: Options, wait: UdfDefinition, pid: UdfDefinition) -> None:
    """The kernel's own calls wait as long as others do."""
    from dataclasses import replace

    runtime = KernelRuntime(replace(options, workers=1, spare_workers=0, queue_timeout=0.5))
    try:
        run(runtime, pid)
        thread = threading.Thread(target=run, args=(runtime, wait), kwargs={"seconds": 2})
        thread.start()
        time.sleep(0.3)
        with pytest.raises(BusyError, match="other calls of this kernel held all workers for 0.5 s"):
            run(runtime, pid)
        thread.join()
    finally:
        runtime.close()
