from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from fused_jupyter.engines import LocalEngine
from fused_jupyter.errors import (
    ArgumentError,
    BusyError,
    HostLostError,
    UdfRuntimeError,
    UdfTimeoutError,
    WorkerLostError,
)
from fused_jupyter.udfs import Choices, parse

if TYPE_CHECKING:
    from conftest import Workshop

PID = "def pid():\n    import os\n    return os.getpid()"
SLEEP = "def sleep(seconds: float):\n    import time\n    time.sleep(seconds)\n    return seconds"
SPIN = "def spin():\n    while True: pass"
SEGFAULT = "import ctypes\n\ndef crash():\n    a = 1\n    ctypes.string_at(0)\n    return a"


# -- what a run is


def test_udf_runs_in_a_process_of_its_own(workshop: Workshop) -> None:
    """In a group of its own, with the answer's object here."""
    pid = workshop.run(PID)

    assert pid in workshop.engine.pids
    assert pid != os.getpid()
    assert os.getpgid(pid) == pid


def test_worker_that_knows_the_code_is_taken_again(workshop: Workshop) -> None:
    """It has compiled it."""
    assert len({workshop.run(PID) for _ in range(5)}) == 1


def test_arguments_may_be_objects(workshop: Workshop) -> None:
    """Pickled by the kernel, unpickled in the worker."""
    body = pickle.dumps({"numbers": [1, 2, 3], "name": "a"})

    assert workshop.run("def f(numbers, name): return sum(numbers), name", body=body) == (6, "a")


def test_object_that_only_the_kernel_knows_is_an_argument_error(workshop: Workshop) -> None:
    """Its class does not exist where it arrives."""
    body = pickle.dumps({"n": 1}).replace(b"K\x01", b"cnowhere\nThing\n")

    with pytest.raises(ArgumentError, match="cannot be rebuilt in the worker.*pass data"):
        workshop.run("def f(n): return n", body=body)


def test_arrays_come_back_writable(workshop: Workshop) -> None:
    """As large as they are."""
    array = workshop.run("import numpy as np\ndef f(): return np.arange(1_000_000)")

    array[0] = 7
    assert array.sum() == 499999500007


def test_parameters_of_a_request_are_typed(workshop: Workshop) -> None:
    """They are text, as they came over HTTP."""
    assert workshop.run("def f(n: int, far: bool = False): return n, far", parameters={"n": "3", "far": "yes"}) == (
        3,
        True,
    )


def test_error_comes_back_with_its_line(workshop: Workshop) -> None:
    """The worker lives on."""
    before = workshop.run(PID)
    with pytest.raises(UdfRuntimeError, match="ZeroDivisionError") as caught:
        workshop.run("def f():\n    a = 0\n    return 1 / a")

    assert (caught.value.line, caught.value.child_exception_class) == (3, "ZeroDivisionError")
    assert before in workshop.engine.pids


def test_text_that_json_refuses_is_no_crash(workshop: Workshop) -> None:
    """Half a character in a message."""
    with pytest.raises(UdfRuntimeError, match=r"ValueError: \\ud800"):
        workshop.run("def f(): raise ValueError('\\ud800')")


def test_edited_code_runs_at_once(workshop: Workshop) -> None:
    """In the same workers."""
    assert [workshop.run(f"def f(): return {n}") for n in range(5)] == [0, 1, 2, 3, 4]


def test_same_code_in_another_directory_runs_there(workshop: Workshop, tmp_path: Any) -> None:
    """The notebook moved; its UDF did not change."""
    source = "import os\ndef f(): return os.getcwd()"
    here, there = (parse(source, Choices(directory=str(path))) for path in (tmp_path, tmp_path.parent))

    assert [workshop.wait(workshop.ask(udf)) for udf in (here, there, here)] == [
        str(tmp_path),
        str(tmp_path.parent),
        str(tmp_path),
    ]


def test_runs_go_at_the_same_time(workshop: Workshop) -> None:
    """As many as there are workers."""

    async def main() -> None:
        await asyncio.gather(*(workshop.ask(SLEEP, parameters={"seconds": 0.4}) for _ in range(2)))

    workshop.wait(workshop.ask(SLEEP, parameters={"seconds": 0}))
    started = time.monotonic()
    workshop.wait(main())

    assert time.monotonic() - started < 0.75


# -- what a run prints


def printed(workshop: Workshop, source: str) -> tuple[str, str, list[tuple[str, str]]]:
    """stdout, stderr, and the pieces as they came."""
    pieces: list[tuple[str, str]] = []
    reply, _ = workshop.wait(workshop.send(source, on_text=lambda stream, text: pieces.append((stream, text))))
    return reply.stdout, reply.stderr, pieces


def test_prints_arrive_while_the_udf_runs(workshop: Workshop) -> None:
    """Each line when it is printed, not at the end."""
    times: list[float] = []
    source = "import time\ndef f():\n    for n in range(3):\n        print(n)\n        time.sleep(0.15)"

    workshop.wait(workshop.send(source, on_text=lambda *_: times.append(time.monotonic())))
    ended = time.monotonic()

    assert len(times) == 3
    assert ended - times[0] > 0.4


def test_streams_are_told_apart(workshop: Workshop) -> None:
    """Any text, whole."""
    source = (
        "import sys\ndef f():\n    print('grüße ' * 20000)\n    sys.stderr.write('no\\n')\n    sys.stdout.write('end')"
    )

    stdout, stderr, pieces = printed(workshop, source)

    assert stdout == "grüße " * 20000 + "\nend"
    assert stderr == "no\n"
    assert "".join(text for stream, text in pieces if stream == "stdout") == stdout


def test_prints_of_threads_and_children_are_the_udfs(workshop: Workshop) -> None:
    """And what C code writes to the descriptor."""
    source = """
        import os, subprocess, threading
        def f():
            thread = threading.Thread(target=print, args=("thread",))
            thread.start()
            thread.join()
            subprocess.run(["echo", "child"], check=True)
            os.write(1, b"descriptor")
    """

    assert printed(workshop, source)[0].split() == ["thread", "child", "descriptor"]


@pytest.mark.parametrize(
    "mischief",
    [
        "sys.stdout.close(); sys.stderr.close()", "os.close(1); os.close(2)", "sys.stdout = None; sys.stderr = 7",
        "sys.stdout = io.StringIO()", "os.dup2(os.open('/dev/null', os.O_WRONLY), 1)", "sys.stdin.read()",
    ],
)  # fmt: skip
def test_mischief_with_the_streams_costs_nothing(workshop: Workshop, mischief: str) -> None:
    """The run ends well, and the next one prints."""
    pid = workshop.run(f"import io, os, sys\ndef f():\n    {mischief}\n    return os.getpid()")

    stdout, stderr, _ = printed(workshop, "import sys\ndef g():\n    print('out')\n    print('err', file=sys.stderr)")

    assert (stdout, stderr) == ("out\n", "err\n")
    assert pid in workshop.engine.pids


def test_prints_before_an_error_are_kept(workshop: Workshop) -> None:
    """They tell how far it came."""
    with pytest.raises(UdfRuntimeError) as caught:
        workshop.run("def f():\n    print('so far')\n    raise ValueError")

    assert caught.value.__notes__ == ["so far\n"]


def test_what_the_last_run_left_behind_is_not_the_next_ones(workshop: Workshop) -> None:
    """A child process that prints on, half a character."""
    workshop.run(
        "import os, subprocess as s\ndef f():\n    s.Popen(['sh', '-c', 'sleep .2; echo l'])\n    os.write(1, b'\\xc3')"
    )
    time.sleep(0.4)

    assert printed(workshop, "def g(): print('own')")[0] == "own\n"


def test_figures_of_pyplot_end_with_their_run(workshop: Workshop) -> None:
    """Nobody closes them in a notebook; here they would pile up until the worker is replaced."""
    plot = "def f():\n    import os\n    from matplotlib import pyplot as p\n    p.plot([1, 2])\n"
    seen = [workshop.run(f"{plot}    return os.getpid(), p.get_fignums()") for _ in range(6)]

    assert len({pid for pid, _ in seen}) < len(seen)
    assert [numbers for _, numbers in seen] == [[1]] * 6


def test_endless_printing_is_cut_and_stops_in_time(workshop: Workshop) -> None:
    """It fills no memory, and the deadline holds while it goes on."""
    kept = workshop.options.output_limit
    source = "import os\ndef f():\n    while True: os.write(1, b'x' * 65536)"
    pieces: list[int] = []
    started = time.monotonic()

    with pytest.raises(UdfTimeoutError):
        workshop.wait(workshop.send(source, deadline=0.5, on_text=lambda _, text: pieces.append(len(text))))

    assert time.monotonic() - started < 1.5
    assert kept <= sum(pieces) <= kept + 200


# -- what goes wrong


def test_crash_names_the_line_and_costs_only_its_call(workshop: Workshop) -> None:
    """Two innocents run on beside it, in their own processes."""

    async def main() -> list[Any]:
        sleeping = asyncio.create_task(workshop.ask(SLEEP, parameters={"seconds": 0.6}))
        await asyncio.sleep(0.1)
        crashed = await asyncio.gather(workshop.ask(SEGFAULT), return_exceptions=True)
        return [*crashed, await workshop.ask(SLEEP, parameters={"seconds": 0.1}), await sleeping]

    error, *innocents = workshop.wait(main())

    assert isinstance(error, WorkerLostError)
    assert "signal 11" in error.message
    assert (error.line, error.udf) == (5, "crash")
    assert 'File "<udf crash>", line 5' in (error.traceback or "")
    assert innocents == [0.1, 0.6]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("os._exit(3)", "ended with exit code 3"),
        ("os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("os.abort()", "signal 6"),
        ("os.closerange(3, 200)", "lost its connection, because the UDF closed files that are not its own"),
    ],
)
def test_end_of_the_process_is_told(workshop: Workshop, statement: str, says: str) -> None:
    """And the next call works."""
    with pytest.raises(WorkerLostError, match=says):
        workshop.run(f"import os\ndef f():\n    {statement}")

    assert workshop.run(PID)


@pytest.mark.parametrize("source", [SPIN, "import time\ndef f(): time.sleep(60)", "def f(): sum(range(10**12))"])
def test_deadline_stops_whatever_runs(workshop: Workshop, source: str) -> None:
    """In time, also where Python itself cannot be interrupted; the next call works at once."""
    workshop.run(PID)
    started = time.monotonic()

    with pytest.raises(UdfTimeoutError, match="longer than 0.5 s") as caught:
        workshop.run(source, deadline=0.5)
    taken = time.monotonic() - started
    again = time.monotonic()
    workshop.run(PID)

    assert 0.5 <= taken < 1.0
    assert time.monotonic() - again < 0.5
    assert caught.value.udf


def test_tiles_and_files_have_their_own_deadlines(workshop: Workshop) -> None:
    """From the settings, where the caller says nothing."""
    engine = LocalEngine(replace(workshop.options, workers=2, spare_workers=0, tile_timeout=0.3, file_timeout=0.6))
    udf = parse(SPIN)
    from fused_jupyter.wire import Run

    async def taken(tile: tuple[int, int, int] | None) -> float:
        started = time.monotonic()
        with pytest.raises(UdfTimeoutError):
            await engine.run(udf, Run(id=1, udf="spin", digest=udf.digest, parameters={}, tile=tile))
        return time.monotonic() - started

    async def main() -> tuple[float, float]:
        engine.start()
        await engine.run(warm, Run(id=1, udf="pid", digest=warm.digest, parameters={}))
        try:
            return await taken((0, 0, 0)), await taken(None)
        finally:
            await engine.close()

    warm = parse(PID)
    tile, file = workshop.wait(main())

    assert 0.3 <= tile < 0.6 <= file < 1.1


def test_cancelled_run_is_killed(workshop: Workshop) -> None:
    """With all that it started; its place is free at once."""
    pids: list[int] = []
    source = (
        "import os, subprocess\ndef f():\n    child = subprocess.Popen(['sleep', '60'])\n"
        "    print(os.getpid(), child.pid)\n    child.wait()"
    )

    async def main() -> float:
        task = asyncio.create_task(workshop.send(source, on_text=lambda _, text: pids.extend(map(int, text.split()))))
        while len(pids) < 2:
            await asyncio.sleep(0.01)
        started = time.monotonic()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await workshop.ask(PID)
        return time.monotonic() - started

    assert workshop.wait(main()) < 0.5
    _gone(pids)


def test_cancel_while_it_waits_takes_no_worker(workshop: Workshop) -> None:
    """The queue forgets it."""

    async def main() -> int:
        busy = [asyncio.create_task(workshop.ask(SLEEP, parameters={"seconds": 0.3})) for _ in range(2)]
        await asyncio.sleep(0.05)
        runs = workshop.engine.counts.runs
        waiting = asyncio.create_task(workshop.ask(PID))
        await asyncio.sleep(0.05)
        assert workshop.engine.load["waiting"] == 1
        waiting.cancel()
        await asyncio.wait([*busy, waiting])
        assert workshop.engine.load["waiting"] == 0
        return workshop.engine.counts.runs - runs

    assert workshop.wait(main()) == 0


def test_cancel_while_a_worker_starts_confuses_no_later_one(workshop: Workshop) -> None:
    """Each worker keeps its own process: a deadline kills the right one."""
    engine = LocalEngine(replace(workshop.options, workers=3, spare_workers=0))
    from fused_jupyter.wire import Run

    async def main() -> None:
        for _ in range(3):
            task = asyncio.create_task(engine._template.fork())
            while engine._template._forked is None or engine._template._forked.done():
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        worker = await engine._template.fork()
        udf = parse(PID)
        _, body = await worker.run(udf, Run(id=1, digest=udf.digest, parameters={}, format="json"), b"", on_text=print)
        assert int(body) == worker.pid
        worker.kill()
        await engine.close()

    workshop.wait(main())


def test_full_queue_is_busy(workshop: Workshop) -> None:
    """The caller is told at once and when to come again."""

    async def main() -> list[Any]:
        asked = [workshop.ask(SLEEP, parameters={"seconds": 0.2}) for _ in range(9)]
        return await asyncio.gather(*asked, return_exceptions=True)

    results = workshop.wait(main())

    assert results[:8] == [0.2] * 8
    assert isinstance(results[8], BusyError)
    assert results[8].retry_after


def test_counts_tell_what_happened(workshop: Workshop) -> None:
    """For the status and the doctor."""
    before = replace(workshop.engine.counts)
    workshop.run(PID)
    for source in ("def f(): 1 / 0", "import os\ndef f(): os._exit(0)"):
        with pytest.raises((UdfRuntimeError, WorkerLostError)):
            workshop.run(source)

    counts = workshop.engine.counts
    assert (counts.runs - before.runs, counts.failed - before.failed, counts.lost - before.lost) == (3, 1, 1)


def test_spare_is_ready_after_a_loss(workshop: Workshop) -> None:
    """The next victim's place is taken without a wait."""
    with pytest.raises(WorkerLostError):
        workshop.run("import os\ndef f(): os._exit(0)")
    workshop.wait(asyncio.sleep(0.3))

    assert workshop.engine.load["idle"] >= 2
    assert all(psutil.pid_exists(pid) for pid in workshop.engine.pids)


# -- workers come and go


def other_engine(workshop: Workshop, use: Any, **options: Any) -> Any:
    """What a coroutine function gives that gets an engine of its own with these settings, and asks it by `workshop`."""
    whole, workshop.engine = workshop.engine, LocalEngine(replace(workshop.options, **options))
    try:
        return workshop.wait(use())
    finally:
        workshop.wait(workshop.engine.close())
        workshop.engine = whole


@pytest.mark.parametrize(("recycle_runs", "wanted"), [(3, [3, 3, 1]), (0, [7])])
def test_worker_is_replaced_after_so_many_runs(workshop: Workshop, recycle_runs: int, wanted: list[int]) -> None:
    """What UDFs leak does not add up for ever; 0 is never."""

    async def pids() -> list[int]:
        return [await workshop.ask(PID) for _ in range(7)]

    taken = other_engine(workshop, pids, workers=1, spare_workers=0, recycle_runs=recycle_runs)

    assert [taken.count(pid) for pid in dict.fromkeys(taken)] == wanted


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the system does not tell")
@pytest.mark.parametrize(("kept", "recycle_memory", "lives"), [(80, 50, False), (10, 50, True), (80, 0, True)])
def test_worker_that_keeps_memory_is_replaced(workshop: Workshop, kept: int, recycle_memory: int, lives: bool) -> None:
    """By what stays after a run, in megabytes; what a run had, or returned, is no reason."""
    keeps = f"import builtins, os\ndef keeps():\n    builtins.kept = b'x' * {kept}_000_000\n    return os.getpid()"
    returns = "import os\ndef returns():\n    return os.getpid(), b'x' * 90_000_000"

    async def use() -> tuple[int, int, int]:
        first, _ = await workshop.ask(returns)
        second = await workshop.ask(keeps)
        await asyncio.sleep(0.5)
        return first, second, await workshop.ask(PID)

    settings = {"workers": 1, "spare_workers": 0, "recycle_memory": recycle_memory * 1_000_000}
    first, second, third = other_engine(workshop, use, **settings)

    assert first == second
    assert (third == second) is lives


# -- the template


def test_killed_template_heals(workshop: Workshop) -> None:
    """Its workers die with it; the next call starts another one."""
    workshop.run(PID)
    process = workshop.engine._template._process
    assert process is not None
    before = workshop.engine.pids

    os.kill(process.pid, signal.SIGKILL)
    workshop.wait(asyncio.sleep(0.2))

    assert workshop.run(PID) not in before
    _gone([*before])


def test_template_killed_while_calls_wait_for_it_heals(workshop: Workshop) -> None:
    """While it loads, or while it forks: nobody waits for ever."""

    async def main() -> Any:
        engine = LocalEngine(replace(workshop.options, spare_workers=0))
        asked = asyncio.create_task(engine._template.fork())
        await asyncio.sleep(0.05)
        process = engine._template._process
        assert process is not None
        process.kill()
        worker = await asked
        worker.kill()
        await engine.close()
        return worker.pid

    assert workshop.wait(main())


def test_template_that_always_dies_is_told(workshop: Workshop, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call ends with an error, not with silence."""
    (tmp_path / "deadly_module.py").write_text("import os; os._exit(1)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def main() -> None:
        engine = LocalEngine(replace(workshop.options, preload=("deadly_module",)))
        engine.start()
        with pytest.raises(WorkerLostError, match="dies before it starts one"):
            await engine._template.fork()
        await engine.close()

    workshop.wait(main())


def test_module_that_does_not_load_is_passed_over(
    workshop: Workshop, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the UDF that needs it is told."""
    (tmp_path / "broken_module.py").write_text("raise SystemExit('no')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def main() -> int:
        engine = LocalEngine(replace(workshop.options, preload=("not_there_at_all", "broken_module")))
        worker = await engine._template.fork()
        worker.kill()
        await engine.close()
        return worker.pid

    assert workshop.wait(main())


# -- its end


@pytest.mark.parametrize("source", [SPIN, "import subprocess\ndef f(): subprocess.run(['sleep', '60'])"])
def test_closing_leaves_no_process(workshop: Workshop, source: str) -> None:
    """Idle or busy, with children of its own; who waits is told; nothing runs afterwards."""
    me = psutil.Process()
    before = set(me.children(recursive=True))

    async def main() -> list[Any]:
        engine = LocalEngine(replace(workshop.options, workers=1, queue_length=10))
        engine.start()
        udf = parse(source)
        from fused_jupyter.wire import Run

        asked = [asyncio.create_task(engine.run(udf, Run(id=n, digest=udf.digest, parameters={}))) for n in range(3)]
        while not engine.load["busy"]:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        started.extend(set(me.children(recursive=True)) - before)
        await engine.close()
        results = await asyncio.gather(*asked, return_exceptions=True)
        with pytest.raises(HostLostError):
            await engine.run(udf, Run(id=9, digest=udf.digest, parameters={}))
        return results

    started: list[psutil.Process] = []
    results = workshop.wait(main())

    assert [type(result) for result in results] == [WorkerLostError, HostLostError, HostLostError]
    assert len(started) >= 3
    psutil.wait_procs(started, timeout=2)
    assert set(me.children(recursive=True)) <= before
    _gone([process.pid for process in started])


def _gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 2
    while alive := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < deadline, [psutil.Process(pid) for pid in alive]
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
