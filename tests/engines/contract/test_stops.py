"""Whatever a UDF is stuck in: a deadline or a cancelled call ends it, with all that it started, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pytest
from processes import still_running

from fused_jupyter.errors import UdfTimeoutError

if TYPE_CHECKING:
    from conftest import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A way never to end."""

    does: str
    body: str
    """Statements of a function, at whose begin stand `os`, `time`, `ctypes` and the pid is printed."""

    @property
    def source(self) -> str:
        return f"import ctypes, os, time\ndef f():\n    print(os.getpid())\n{textwrap.indent(self.body, '    ')}"


STUCK = (
    Stuck(does="loops in Python", body="while True: pass"),
    Stuck(does="loops in C and holds the GIL", body="sum(range(10**15))"),
    Stuck(does="sleeps in C and holds the GIL", body="ctypes.PyDLL(None).sleep(600)"),
    Stuck(does="matches a regular expression for ages", body="import re\nre.match(r'(a+)+$', 'a' * 64 + 'b')"),
    Stuck(
        does="waits for a lock that nobody gives back",
        body="import threading\nlock = threading.Lock()\nfor _ in 'ab': lock.acquire()",
    ),
    Stuck(does="waits for a child that sleeps", body="import subprocess\nsubprocess.run(['sleep', '600'])"),
    Stuck(
        does="computes in a pool of processes",
        body="import multiprocessing as m\nm.get_context('fork').Pool(2).map(sum, [range(10**15)] * 2)",
    ),
    Stuck(
        does="ignores every signal that can be ignored, and every exception",
        body="""
import signal
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass
while True:
    try:
        time.sleep(600)
    except BaseException:
        pass
""",
    ),
    Stuck(does="stops its own process (SIGSTOP)", body="os.kill(os.getpid(), 19)"),
    Stuck(does="prints without end", body="while True: print('x' * 9999)"),
    Stuck(
        does="raises what takes for ever to become text",
        body="class Slow(Exception):\n    def __str__(self): time.sleep(600)\nraise Slow",
    ),
    Stuck(
        does="leaves it to its exit (`atexit`, a thread that is no daemon)",
        body="import atexit, threading\natexit.register(time.sleep, 600)\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\ntime.sleep(600)",
    ),
)


@pytest.mark.contract(rows=STUCK, needs=["deadlines"])
def test_deadline_ends_it(subject: Subject, row: Stuck) -> None:
    """Not before its time, and soon after; its process and what that started are gone."""
    family: list[psutil.Process] = []

    async def call() -> float:
        started = time.monotonic()
        watch = Watch()
        with pytest.raises(UdfTimeoutError, match="f ran longer than 0.4 s and was stopped") as caught:
            await subject.ask(row.source, deadline=0.4, on_text=watch)
        assert caught.value.udf == "f"
        family.extend(watch.family)
        return time.monotonic() - started

    taken = subject.wait(subject.among_innocents(call()))

    assert isinstance(taken, float)
    assert 0.4 <= taken < 5
    assert family
    assert not still_running(family)


@pytest.mark.contract(rows=STUCK, needs=["cancels"])
def test_cancelled_call_ends_it(subject: Subject, row: Stuck) -> None:
    """As when a browser closes its connection, or somebody presses stop."""
    family: list[psutil.Process] = []

    async def call() -> None:
        watch = Watch()
        task = asyncio.create_task(subject.ask(row.source, deadline=60, on_text=watch))
        await watch.seen.wait()
        await asyncio.sleep(0.1)  # until it is stuck
        family.extend(watch.family)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    subject.wait(subject.among_innocents(call()))

    assert family
    assert not still_running(family)


@pytest.mark.contract(needs=["cancels"])
def test_cancelled_call_that_waits_never_begins(subject: Subject) -> None:
    """Those that wait before and behind it keep their turn."""
    told: list[str] = []

    async def call() -> None:
        busy = [asyncio.create_task(subject.innocent(n, seconds=0.3)) for n in range(2)]
        await asyncio.sleep(0)
        asked = asyncio.create_task(subject.ask("def f(): print('begun')", on_text=lambda _, text: told.append(text)))
        behind = asyncio.create_task(subject.innocent(3))
        await asyncio.sleep(0.05)
        asked.cancel()
        await asyncio.gather(*busy, behind)
        assert asked.cancelled()

    subject.wait(subject.among_innocents(call()))

    assert not told


@pytest.mark.contract(needs=["deadlines"])
def test_daemon_of_a_stopped_call_ends(subject: Subject) -> None:
    """Though it has a session of its own and no parent, as daemons do."""
    daemons: list[psutil.Process] = []

    async def call() -> None:
        watch = Watch()
        with pytest.raises(UdfTimeoutError):
            await subject.ask(DAEMON + "    time.sleep(600)", deadline=0.4, on_text=watch)
        daemons.extend(watch.family)

    subject.wait(subject.among_innocents(call()))

    assert daemons
    assert not still_running(daemons)


@pytest.mark.contract(needs=["isolates"])
def test_daemon_of_a_call_that_crashed_ends(subject: Subject) -> None:
    """Nobody is left whose it would be."""
    daemons: list[psutil.Process] = []

    async def call() -> None:
        watch = Watch()
        with pytest.raises(Exception, match="signal 9"):
            await subject.ask(DAEMON + "    time.sleep(0.1)\n    os.kill(os.getpid(), 9)", on_text=watch)
        daemons.extend(watch.family)

    subject.wait(subject.among_innocents(call()))

    assert daemons
    assert not still_running(daemons)


@pytest.mark.contract(needs=["isolates"])
def test_daemon_of_a_call_that_ended_well_lives_as_long_as_its_worker(subject: Subject) -> None:
    """It may serve the next call; it does not outlive the engine, as the end of this module shows."""
    watch = Watch()
    subject.wait(subject.ask(DAEMON, on_text=watch))
    (daemon,) = watch.family

    subject.wait(subject.innocent(1))

    assert daemon.is_running()
    assert daemon.status() != psutil.STATUS_ZOMBIE


DAEMON = """import os, sys, time
def f():
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if (pid := os.fork()) == 0:
            time.sleep(600)
        os.write(write, str(pid).encode())
        os._exit(0)
    print(os.read(read, 20).decode())
"""


class Watch:
    """Hears the pid that a UDF prints, and knows that process and its descendants from then on."""

    def __init__(self) -> None:
        self.seen = asyncio.Event()
        self._process: psutil.Process | None = None
        self._text = ""

    def __call__(self, stream: str, text: str) -> None:
        if self._process is None:
            self._text += text
            if "\n" in self._text:
                self._process = psutil.Process(int(self._text.splitlines()[0]))
                self.seen.set()

    @property
    def family(self) -> list[psutil.Process]:
        assert self._process is not None
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return [self._process]


# -- the process around the engine

OWNER = """
import asyncio, signal, sys
from fused_jupyter import engines
from fused_jupyter.settings import Options
from fused_jupyter.udfs import parse
from fused_jupyter.wire import Run

signal.signal(signal.SIGINT, lambda *_: None)  # as a kernel survives it; a program that it starts would not

async def call(engine, n, source):
    udf = parse(source)
    answer, body = await engine.run(udf, Run(id=n, digest=udf.digest, parameters={}, format="json"))
    print(type(answer).__name__, body.decode(), flush=True)

async def main():
    engine = ENGINE
    engine.start()
    await call(engine, 0, "def warm(): return 0")
    async with asyncio.TaskGroup() as group:
        for n, source in enumerate(SOURCES, 1):
            group.create_task(call(engine, n, source))
        while engine.load["busy"] < 2 or not engine.load["idle"]:
            await asyncio.sleep(0.02)
        print("busy", flush=True)
    await engine.close()

asyncio.run(main())
"""


@pytest.fixture
def owner(subject: Subject) -> Callable[..., subprocess.Popen[str]]:
    """Starts a process with an engine of the same kind, in a process group of its own, and waits until it is busy."""

    def start(*sources: str) -> subprocess.Popen[str]:
        code = OWNER.replace("ENGINE", subject.owner).replace("SOURCES", repr(sources))
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, process_group=0)
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["Reply 0\n", "busy\n"]
        return process

    return start


@pytest.mark.contract(needs=["ends"])
def test_interrupt_of_the_process_group_costs_no_call(owner: Callable[..., subprocess.Popen[str]]) -> None:
    """Ctrl-C in a terminal reaches every process of the group at once."""
    slow = "import time\ndef f():\n    time.sleep(0.6)\n    return 1"
    shell = "import subprocess\ndef f(): return subprocess.run(['sh', '-c', 'sleep 0.6; exit 1']).returncode"

    with owner(slow, shell, slow) as process:
        time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=20)

    assert output == "Reply 1\n" * 3
    assert process.returncode == 0


@pytest.mark.contract(needs=["ends"])
@pytest.mark.parametrize("victim", ["owner", "template"])
def test_killed_owner_leaves_no_process(owner: Callable[..., subprocess.Popen[str]], victim: str) -> None:
    """No idle worker, none that computes with the GIL held, no child, no daemon, after 2 s."""
    sources = ("def f(): sum(range(10**15))", f"{DAEMON}    import subprocess\n    subprocess.run(['sleep', '600'])")
    with owner(*sources) as process:
        time.sleep(0.5)
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 6, family  # template, two busy workers, a spare, the daemon, the sleeping child
        (psutil.Process(process.pid) if victim == "owner" else family[0]).kill()
        if victim == "template":
            time.sleep(0.3)
            process.kill()

    assert not still_running(family)


def test_documentation_has_every_row(documented: Callable[[str, str], None]) -> None:
    """As the suite checks it, in the same words."""
    documented("stuck", "\n".join(["| a UDF |", "|---|", *(f"| {row.does} |" for row in STUCK)]))


@pytest.mark.contract(needs=["isolates"])
def test_worker_that_dies_while_it_is_idle_costs_no_call(subject: Subject) -> None:
    """The system may kill it at any time, also when a call is on its way to it: that one has not begun."""
    source = "import os, time\ndef f():\n    time.sleep(0.1)\n    return os.getpid()"

    async def main() -> None:
        for pause in (0.0, 0.0005, 0.002, 0.02):
            pids = {value for value, _ in await asyncio.gather(*(subject.ask(source) for _ in range(2)))}
            assert len(pids) == 2
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(pause)
            await asyncio.gather(*(subject.innocent(n) for n in range(4)))

    subject.wait(main())
