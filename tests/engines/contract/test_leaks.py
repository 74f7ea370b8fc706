"""What a call changes in its process: what the next one does not see, and what it may see."""

from __future__ import annotations

import asyncio
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fused_jupyter.errors import UdfRuntimeError

if TYPE_CHECKING:
    from conftest import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Something of a process that a UDF changes."""

    does: str
    change: str
    look: str
    """An expression that tells whether it was changed."""

    @property
    def source(self) -> str:
        return f"""
import builtins, ctypes, decimal, gc, locale, os, random, resource, signal, subprocess, sys, threading, time, warnings
def f(step: str):
    if step == "change":
{textwrap.indent(textwrap.dedent(self.change).strip(), " " * 8)}
    return os.getpid(), repr({self.look})
"""


RESTORED = (
    Trace(does="the current directory", change="os.chdir('/')", look="os.getcwd()"),
    Trace(
        does="the current directory, when it is gone",
        change="os.mkdir('/tmp/gone-1'); os.chdir('/tmp/gone-1'); os.rmdir('/tmp/gone-1')",
        look="os.getcwd() if step == 'look' else ''",
    ),
    Trace(does="environment variables", change="os.environ['ODD'] = '1'", look="os.environ.get('ODD')"),
    Trace(does="environment variables that it deletes", change="del os.environ['PATH']", look="os.environ.get('PATH')"),
    Trace(does="the umask", change="os.umask(0o077)", look="(lambda mask: (os.umask(mask), mask)[1])(os.umask(0))"),
    Trace(does="`sys.path`", change="sys.path.insert(0, '/tmp')", look="sys.path"),
    Trace(does="`sys.path`, replaced", change="sys.path = ['/tmp']", look="sys.path"),
    Trace(does="`sys.argv`", change="sys.argv = ['x']", look="sys.argv"),
    Trace(
        does="signal handlers",
        change="signal.signal(signal.SIGUSR1, print); signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        look="(signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGTERM))",
    ),
    Trace(
        does="blocked signals",
        change="signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})",
        look="signal.pthread_sigmask(signal.SIG_BLOCK, ())",
    ),
    Trace(
        does="an alarm that has not rung",
        change="signal.signal(signal.SIGALRM, signal.SIG_DFL); signal.setitimer(signal.ITIMER_REAL, 0.3)",
        look="(time.sleep(0.4), signal.getitimer(signal.ITIMER_REAL)) if step == 'look' else 0",
    ),
    Trace(
        does="limits of the system (`resource.setrlimit`), where they can be raised again",
        change="resource.setrlimit(resource.RLIMIT_NOFILE, (40, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))",
        look="resource.getrlimit(resource.RLIMIT_NOFILE)",
    ),
    Trace(does="the recursion limit", change="sys.setrecursionlimit(77_777)", look="sys.getrecursionlimit()"),
    Trace(does="the switch interval", change="sys.setswitchinterval(5)", look="sys.getswitchinterval()"),
    Trace(
        does="the locale", change="locale.setlocale(locale.LC_ALL, 'C.UTF-8')", look="locale.setlocale(locale.LC_ALL)"
    ),
    Trace(does="the time zone", change="os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()", look="time.tzname"),
    Trace(does="filters of warnings", change="warnings.simplefilter('error')", look="warnings.filters[:3]"),
    Trace(
        does="the decimal context",
        change="decimal.getcontext().prec = 3",
        look="decimal.getcontext().prec",
    ),
    Trace(does="a trace function", change="sys.settrace(lambda *_: None)", look="sys.gettrace()"),
    Trace(does="a profile function", change="sys.setprofile(lambda *_: None)", look="sys.getprofile()"),
    Trace(does="hooks of `sys`", change="sys.excepthook = print", look="sys.excepthook"),
    Trace(does="hooks of threads", change="threading.excepthook = print", look="threading.excepthook"),
    Trace(does="garbage collection", change="gc.disable()", look="gc.isenabled()"),
    Trace(
        does="an event loop",
        change="import asyncio; asyncio.set_event_loop(asyncio.new_event_loop())",
        look="__import__('asyncio').get_event_loop_policy()._local._loop",
    ),
    Trace(does="globals of its cell", change="globals()['odd'] = 1", look="globals().get('odd')"),
    Trace(does="`sys.stdout`", change="sys.stdout = open(os.devnull, 'w')", look="type(sys.stdout).__name__"),
)

KEPT = (
    Trace(does="modules that it imported from installed packages", change="import wave", look="'wave' in sys.modules"),
    Trace(does="what it sets in such modules", change="builtins.odd = 1", look="getattr(builtins, 'odd', None)"),
    Trace(
        does="environment variables that C code sets, past Python",
        change="ctypes.CDLL(None).setenv(b'ODD', b'1', 1)",
        look="ctypes.CDLL(None).getenv(b'ODD') != 0",
    ),
    Trace(
        does="threads, whose output goes nowhere",
        change="threading.Thread(target=time.sleep, args=(2,), daemon=True).start()",
        look="threading.active_count()",
    ),
    Trace(
        does="seeds of random numbers",
        change="random.seed(1); random.setstate(random.getstate())",
        look="random.getstate()[1][:4] == random.Random(1).getstate()[1][:4]",
    ),
)


@pytest.mark.contract(rows=RESTORED, needs=["forgets"])
def test_next_call_in_the_same_process_does_not_see_it(subject: Subject, row: Trace) -> None:
    """It finds what it would have found without the call before."""
    before, changed, after = (
        subject.wait(subject.ask(row.source, {"step": step}))[0] for step in ("look", "change", "look")
    )

    assert before[0] == changed[0] == after[0]
    assert after == before
    subject.wait(subject.innocent(1))


@pytest.mark.contract(rows=KEPT, needs=["forgets"])
def test_next_call_in_the_same_process_sees_it(subject: Subject, row: Trace) -> None:
    """Some things stay, because they make the next call fast or nobody can undo them."""
    before, _, after = (subject.wait(subject.ask(row.source, {"step": step}))[0] for step in ("look", "change", "look"))

    assert before[0] == after[0]
    assert after != before
    subject.wait(subject.innocent(1))


@pytest.mark.contract(needs=["forgets"])
def test_modules_beside_the_notebook_are_those_of_its_directory(subject: Subject, tmp_path: Path) -> None:
    """Two notebooks have a `shapes.py` each, and one of them is edited."""
    source = "import os\ndef f():\n    import shapes\n    return os.getpid(), shapes.WHO"
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shapes.py").write_text(f"WHO = {name!r}")

    def who(name: str) -> tuple[int, str]:
        value: tuple[int, str] = subject.wait(subject.ask(source, directory=str(tmp_path / name)))[0]
        return value

    first, second, third = who("here"), who("there"), who("here")
    (tmp_path / "here" / "shapes.py").write_text("WHO = 'here, edited'")
    edited = who("here")

    assert [who for _, who in (first, second, third, edited)] == ["here", "there", "here", "here, edited"]


@pytest.mark.contract(needs=["isolates"])
def test_workers_have_random_numbers_of_their_own(subject: Subject) -> None:
    """Though all are copies of one process."""
    source = (
        "import os, random, time\ndef f():\n    import numpy as np\n    time.sleep(0.2)\n"
        "    return os.getpid(), random.random(), np.random.rand()"
    )

    async def two() -> list[tuple[int, float, float]]:
        return [value for value, _ in await asyncio.gather(*(subject.ask(source) for _ in range(2)))]

    (pid, *numbers), (other_pid, *others) = subject.wait(two())

    assert pid != other_pid
    assert not set(numbers) & set(others)


@pytest.mark.contract(needs=["isolates"])
def test_exit_handlers_are_not_run(another: Subject, tmp_path: Path) -> None:
    """A worker is ended, it does not end: nobody waits for what they would do."""
    source = "import atexit\ndef f(path: str):\n    atexit.register(lambda: open(path, 'w').close())"
    another.wait(another.ask(source, {"path": str(tmp_path / "left")}))

    another.wait(another.engine.close())
    time.sleep(0.3)

    assert not list(tmp_path.iterdir())


@pytest.mark.contract(needs=["forgets"])
def test_what_a_failed_call_held_is_free_when_its_caller_hears_of_it(subject: Subject) -> None:
    """Not at some later time, when Python looks for cycles."""
    source = """
        import builtins, os, weakref
        class Big: pass
        def f(fail: bool = False):
            if fail:
                big = Big()
                builtins.big = weakref.ref(big)
                1 / 0
            return builtins.big()
    """
    with pytest.raises(UdfRuntimeError):
        subject.wait(subject.ask(source, {"fail": True}))

    assert subject.wait(subject.ask(source))[0] is None


@pytest.mark.contract(needs=["forgets"])
def test_what_is_left_behind_does_not_slow_the_next_call(subject: Subject) -> None:
    """No call waits for threads or children of one before it."""
    source = (
        "import subprocess, threading, time\ndef f():\n    threading.Thread(target=time.sleep, args=(3,)).start()\n"
        "    subprocess.Popen(['sleep', '3'])"
    )
    started = time.monotonic()

    for _ in range(3):
        subject.wait(subject.ask(source))
        subject.wait(subject.innocent(1))

    assert time.monotonic() - started < 3


def test_documentation_has_every_row(documented: Callable[[str, str], None]) -> None:
    """As the suite checks it, in the same words."""
    lines = [f"| {row.does} | no |" for row in RESTORED] + [f"| {row.does} | yes |" for row in KEPT]
    documented("leaks", "\n".join(["| a call changes | the next one in its process sees it |", "|---|---|", *lines]))
