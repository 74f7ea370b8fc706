from __future__ import annotations

import asyncio
import time
from itertools import groupby
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from fused_jupyter.errors import FusedError, UdfRuntimeError, UdfTimeoutError, WorkerLostError

if TYPE_CHECKING:
    from conftest import Workshop


def printed(workshop: Workshop, source: str, **fields: Any) -> list[tuple[str, str]]:
    """The pieces as they came, neighbours of one stream as one."""
    pieces: list[tuple[str, str]] = []
    workshop.wait(workshop.send(source, on_text=lambda stream, text: pieces.append((stream, text)), **fields))
    return [
        (stream, "".join(text for _, text in group)) for stream, group in groupby(pieces, key=lambda piece: piece[0])
    ]


# -- order


def test_two_streams_keep_the_order_of_writing(workshop: Workshop) -> None:
    """Lines, parts of lines and long ones."""
    source = """
        import sys
        def f():
            for n in range(300):
                print(n, end=" " if n % 3 else "\\n" * (1 + n % 7 * 1000))
                print("warned", n, file=sys.stderr)
    """
    expected = [
        piece
        for n in range(300)
        for piece in [("stdout", f"{n}" + (" " if n % 3 else "\n" * (1 + n % 7 * 1000))), ("stderr", f"warned {n}\n")]
    ]

    assert printed(workshop, source) == expected


def test_whoever_writes_is_heard_in_turn(workshop: Workshop) -> None:
    """Python, its buffer, a descriptor, C code, a thread, a child process and what fork makes."""
    source = """
        import ctypes, os, subprocess, sys, threading
        def f():
            c = ctypes.CDLL(None)
            for n in range(3):
                print("print", n)
                os.write(1, b"write\\n")
                c.puts(b"puts")
                sys.stdout.buffer.write(b"buffer\\n")
                sys.__stdout__.write("original\\n")
                thread = threading.Thread(target=print, args=("thread",))
                thread.start()
                thread.join()
                subprocess.run(["echo", "child"], check=True)
                if not (pid := os.fork()):
                    print("fork")
                    os._exit(0)
                os.waitpid(pid, 0)
    """

    ((stream, text),) = printed(workshop, source)

    assert stream == "stdout"
    assert text.split("\n") == [
        line
        for n in range(3)
        for line in (f"print {n}", "write", "puts", "buffer", "original", "thread", "child", "fork")
    ] + [""]


def test_what_c_code_has_not_flushed_is_its_own_runs(workshop: Workshop) -> None:
    """A line appears at once, the rest at the end."""
    times: dict[str, float] = {}
    source = """
        import ctypes, time
        def f():
            ctypes.CDLL(None).puts(b"whole line")
            ctypes.CDLL(None).printf(b"part")
            time.sleep(0.3)
    """

    workshop.wait(workshop.send(source, on_text=lambda _, text: times.setdefault(text, time.monotonic())))

    assert list(times) == ["whole line\n", "part"]
    assert times["part"] - times["whole line\n"] > 0.2
    assert printed(workshop, "def g(): print('own')") == [("stdout", "own\n")]


def test_files_of_the_udf_are_its_own(workshop: Workshop) -> None:
    """Also when it closed what leads to the host, and they got the numbers: they hold no mark, and no output."""
    source = """
        import builtins, os, sys, tempfile
        def f():
            own = {os.fstat(1).st_ino, os.fstat(2).st_ino}
            for number in range(3, 64):
                try:
                    if os.fstat(number).st_ino in own:
                        os.close(number)
                except OSError:
                    pass
            builtins.files = [tempfile.TemporaryFile() for _ in range(4)]
            for n in range(5):
                print(n)
                print(n, file=sys.stderr)
            os.close(1)
            return os.getpid()
    """
    later = """
        import builtins
        def g():
            print("own")
            return [file.read() for file in builtins.files if not file.seek(0)]
    """
    pid = workshop.run(source)

    assert printed(workshop, later) == [("stdout", "own\n")]
    assert workshop.run(later) == [b""] * 4
    assert pid in workshop.engine.pids


# -- what outlives its run


LATE = """
    import os, subprocess
    def f():
        # In a shell of its own, left to itself, in a session of its own: all know stdout and stderr.
        say = "while true; do echo late; echo late >&2; sleep 0.02; done"
        subprocess.Popen(["sh", "-c", say])
        subprocess.run(["sh", "-c", f"({say}) &"], check=True)
        subprocess.Popen(["sh", "-c", say], start_new_session=True)
        print("early")
        return os.getpid()
"""
OWN = """
    import os, sys, time
    def g():
        for n in range(5):
            time.sleep(0.05)
            print(n)
            print(n, file=sys.stderr)
        return os.getpid()
"""


def test_children_that_outlive_their_run_print_into_the_void(workshop: Workshop) -> None:
    """They live on, the worker runs the next UDF, and what they print is not that one's."""
    pid = workshop.run(LATE)
    shells = [child for child in psutil.Process(pid).children() if "while" in " ".join(child.cmdline())]
    assert len(shells) == 3
    try:
        for _ in range(2):
            pieces = printed(workshop, OWN)
            assert workshop.run(OWN) == pid
            assert [text for _, text in pieces] == [f"{n}\n" for n in range(5) for _ in range(2)]
        assert all(shell.is_running() and shell.status() != psutil.STATUS_ZOMBIE for shell in shells)
    finally:
        for shell in shells:
            shell.kill()


def test_children_that_ended_cost_nothing(workshop: Workshop) -> None:
    """No pipes are replaced, and no zombies gather."""
    source = """
        import os, subprocess
        def f():
            subprocess.Popen(["true"])
            subprocess.run(["sh", "-c", "true & true &"])
            return os.getpid()
    """
    pids = [workshop.run(source) for _ in range(4)]
    time.sleep(0.2)
    workshop.run(source)

    zombies = [child for child in psutil.Process(pids[0]).children() if child.status() == psutil.STATUS_ZOMBIE]
    assert len(set(pids)) == 1
    assert len(zombies) <= 3


def test_threads_that_outlive_their_run_print_into_the_void(workshop: Workshop) -> None:
    """By `print` or by a stream that they kept; threads of the next run are heard."""
    source = """
        import os, sys, threading, time
        def f():
            kept = sys.stdout
            def say():
                until = time.monotonic() + 1.5
                while time.monotonic() < until:
                    print("late")
                    print("late", file=kept)
                    print("late", file=sys.stderr)
                    time.sleep(0.01)
            threading.Thread(target=say, daemon=True).start()
            time.sleep(0.05)
            return os.getpid()
    """
    own = """
        import os, threading, time
        def g():
            time.sleep(0.2)
            thread = threading.Thread(target=print, args=("own",))
            thread.start()
            thread.join()
            return os.getpid()
    """
    pid = workshop.run(source)

    assert printed(workshop, own) == [("stdout", "own\n")]
    assert workshop.run(own) == pid


# -- the end of a run that failed


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("1 / 0", UdfRuntimeError),
        ("time.sleep(60)", UdfTimeoutError),
        ("os.kill(os.getpid(), 9)", WorkerLostError),
        ("ctypes.string_at(0)", WorkerLostError),
    ],
)
def test_error_has_what_was_printed_before_it(workshop: Workshop, statement: str, error: type[FusedError]) -> None:
    """And how long the run took."""
    source = (
        "import ctypes, os, sys, time\ndef f():\n    print('so far')\n    print('so bad', file=sys.stderr)\n"
        f"    time.sleep(0.1)\n    {statement}"
    )

    with pytest.raises(error) as caught:
        workshop.run(source, deadline=0.6)

    assert (caught.value.stdout, caught.value.stderr) == ("so far\n", "so bad\n")
    assert 0.1 <= caught.value.seconds < 5


def test_output_is_cut_where_the_setting_says(workshop: Workshop) -> None:
    """Each stream for itself; the end says so, and how to have more."""
    kept = workshop.options.output_limit
    source = f"""
        import sys
        def f():
            for n in range({kept // 1000 + 5}):
                print("ä" * 999)
            print("few", file=sys.stderr)
    """

    reply, _ = workshop.wait(workshop.send(source))

    assert reply.stdout[:kept] == ("ä" * 999 + "\n") * (kept // 1000)
    assert reply.stdout[kept:] == f"\n… the rest of stdout is not kept (FUSED_OUTPUT_LIMIT={kept})\n"
    assert reply.stderr == "few\n"


def test_printing_a_million_lines_takes_no_time_that_grows_with_them(workshop: Workshop) -> None:
    """Twice the lines take about twice the time, not four times."""
    source = "def f(n: int):\n    for _ in range(n): print('x')"

    def seconds(n: int) -> float:
        started = time.perf_counter()
        workshop.run(source, parameters={"n": n})
        return time.perf_counter() - started

    seconds(1000)
    assert seconds(200_000) < 12 * seconds(50_000)


# -- what it costs


def test_pipes_of_children_that_are_gone_are_closed(workshop: Workshop) -> None:
    """Nothing adds up in the host."""
    source = "import subprocess\ndef f(): subprocess.Popen(['sleep', '0.05'])"
    own = psutil.Process()
    workshop.run(source)
    before = own.num_fds()

    for _ in range(20):
        workshop.run(source)
        workshop.wait(asyncio.sleep(0.02))
    workshop.wait(asyncio.sleep(0.3))

    assert own.num_fds() <= before + 4


@pytest.mark.parametrize(
    "harm",
    [
        "sys.stdout.reconfigure(newline='\\r\\n')",
        "sys.stdout.reconfigure(encoding='utf-16')",
        "sys.stdout.close()",
        "sys.stdout.detach()",
        "sys.stdout.write = print",
        "sys.stdout.mine = 1",
        "sys.stdout = sys.stderr",
        "sys.__stdout__ = None",
        "os.dup2(os.open(os.devnull, os.O_WRONLY), 1)",
    ],
)
def test_the_next_run_has_streams_as_new(workshop: Workshop, harm: str) -> None:
    """Whatever the one before did to those that it had; where it did nothing, they may be the same."""
    printed(workshop, f"import os, sys\ndef f():\n    {harm}\n")
    source = """
        import sys
        def g():
            print("ä", hasattr(sys.stdout, "mine"), sys.stdout is sys.__stdout__)
            print("err", file=sys.stderr)
    """
    for _ in range(2):
        assert printed(workshop, source) == [("stdout", "ä False True\n"), ("stderr", "err\n")]
