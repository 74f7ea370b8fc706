"""What a UDF may do wrong, and what it may do: each row costs only its own call, which says what happened."""

from __future__ import annotations

import pickle
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from fused_jupyter.errors import (
    ArgumentError,
    FusedError,
    UdfMemoryError,
    UdfRuntimeError,
    UdfSerializationError,
    WorkerLostError,
)

if TYPE_CHECKING:
    from conftest import Subject

HERE = "# here"
"""Marks the line that an error has to name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that a UDF does."""

    does: str
    source: str
    error: type[FusedError] | None = None
    says: tuple[str, ...] = ()
    """Parts of the error's message."""
    raised: str | None = None
    """Class of the UDF's own exception."""
    value: Any = None
    prints: str = ""
    """Part of stdout or stderr."""
    needs: tuple[str, ...] = ()
    body: bytes = b""
    deadline: float = 30.0
    fields: tuple[tuple[str, Any], ...] = ()
    note: str = ""
    """What else a reader should know of what the caller gets."""

    @property
    def line(self) -> int | None:
        lines = textwrap.dedent(self.source).strip("\n").splitlines()
        return next((number for number, line in enumerate(lines, 1) if line.endswith(HERE)), None)

    @property
    def gets(self) -> str:
        """For the documentation."""
        if self.error is None:
            return self.note or "its value"
        said = " … ".join(self.says)
        line = " and the line" if self.line else ""
        return f"`{self.error.__name__}`, “{said}”{line}{'; ' if self.note else ''}{self.note}"


ENDS = (
    Row(
        does="reads memory that is not there",
        source="""
            import ctypes
            def f():
                print("so far")
                ctypes.string_at(0)  # here
        """,
        error=WorkerLostError,
        says=("was killed by signal 11 (segmentation fault) in f",),
        prints="so far\n",
        needs=("isolates",),
    ),
    Row(
        does="`os.abort()`, as C++ code does that finds no way out",
        source="""
            import os
            def f():
                os.abort()  # here
        """,
        error=WorkerLostError,
        says=("was killed by signal 6 (aborted) in f",),
        needs=("isolates",),
    ),
    Row(
        does="`os._exit(3)`",
        source="import os\ndef f(): os._exit(3)",
        error=WorkerLostError,
        says=("ended with exit code 3 in f",),
        needs=("isolates",),
    ),
    Row(
        does="kills itself, or the system does for want of memory",
        source="import os\ndef f(): os.kill(os.getpid(), 9)",
        error=WorkerLostError,
        says=("was killed by signal 9 (killed) in f",),
        needs=("isolates",),
    ),
    Row(
        does="ends itself with SIGTERM",
        source="import os, time\ndef f():\n    os.kill(os.getpid(), 15)\n    time.sleep(5)",
        error=WorkerLostError,
        says=("was killed by signal 15 (terminated) in f",),
        needs=("isolates",),
    ),
    Row(
        does="C code that calls itself until the stack ends",
        source="""
            import ctypes
            kind = ctypes.CFUNCTYPE(None)
            def f():
                import sys
                sys.setrecursionlimit(10**8)
                again = kind(lambda: again())  # here
                again()
        """,
        error=WorkerLostError,
        says=("was killed by signal 11 (segmentation fault) in f",),
        needs=("isolates",),
    ),
    Row(
        does="closes every file of its process",
        source="import os\ndef f(): os.closerange(0, 4096)",
        error=WorkerLostError,
        says=("lost its connection", "closed files that are not its own"),
        needs=("isolates",),
    ),
    Row(
        does="writes into every file of its process",
        source="""
            import os
            def f():
                for number in range(3, 64):
                    try:
                        os.write(number, b"x" * 64)
                    except OSError:
                        pass
        """,
        error=WorkerLostError,
        says=("wrote into files that are not its own",),
        needs=("isolates",),
    ),
    Row(
        does="ends its process while its result is pickled",
        source="""
            import os
            class Bad:
                def __reduce__(self):
                    os._exit(4)
            def f(): return Bad()
        """,
        error=WorkerLostError,
        says=("ended with exit code 4 in f",),
        needs=("isolates",),
    ),
)

RAISES = (
    Row(
        does="`sys.exit()`",
        source="import sys\ndef f():\n    sys.exit('no more')  # here",
        error=UdfRuntimeError,
        says=("SystemExit: no more",),
        raised="SystemExit",
    ),
    Row(
        does="raises `KeyboardInterrupt`",
        source="def f():\n    raise KeyboardInterrupt  # here",
        error=UdfRuntimeError,
        says=("KeyboardInterrupt",),
        raised="KeyboardInterrupt",
    ),
    Row(
        does="raises a `BaseException` of its own",
        source="class Odd(BaseException): pass\ndef f():\n    raise Odd('so')  # here",
        error=UdfRuntimeError,
        says=("Odd: so",),
        raised="Odd",
    ),
    Row(
        does="raises an exception that cannot be pickled",
        source="""
            import threading
            class Locked(Exception):
                def __init__(self):
                    super().__init__("locked")
                    self.lock = threading.Lock()
            def f():
                raise Locked  # here
        """,
        error=UdfRuntimeError,
        says=("Locked: locked",),
        raised="Locked",
    ),
    Row(
        does="raises an exception that cannot be unpickled",
        source="""
            class Picky(Exception):
                def __init__(self, one, two):
                    super().__init__(f"{one} and {two}")
            def f():
                raise Picky(1, 2)  # here
        """,
        error=UdfRuntimeError,
        says=("Picky: 1 and 2",),
        raised="Picky",
    ),
    Row(
        does="raises an exception whose text cannot be made",
        source="""
            class Mute(Exception):
                def __str__(self): raise ValueError("never")
            def f():
                raise Mute  # here
        """,
        error=UdfRuntimeError,
        says=("Mute: its text cannot be made",),
        raised="Mute",
    ),
    Row(
        does="raises an exception whose text ends the process",
        source="""
            import sys
            class Gone(Exception):
                def __str__(self): sys.exit(7)
            def f():
                raise Gone  # here
        """,
        error=UdfRuntimeError,
        says=("Gone: its text cannot be made",),
        raised="Gone",
    ),
    Row(
        does="raises with a text of 20 MB",
        source="def f():\n    raise ValueError('long' * 5_000_000)  # here",
        error=UdfRuntimeError,
        says=("ValueError: longlonglong",),
        raised="ValueError",
        note="the text is cut",
    ),
    Row(
        does="raises a group of exceptions",
        source="def f():\n    raise ExceptionGroup('both', [ValueError(1), TypeError(2)])  # here",
        error=UdfRuntimeError,
        says=("ExceptionGroup: both (2 sub-exceptions)",),
        raised="ExceptionGroup",
    ),
    Row(
        does="raises while its cell is loaded",
        source="n = 1 / 0  # here\ndef f(): return n",
        error=UdfRuntimeError,
        says=("ZeroDivisionError",),
        raised="ZeroDivisionError",
    ),
    Row(
        does="calls itself without end",
        source="def f():\n    return f()  # here",
        error=UdfRuntimeError,
        says=("RecursionError",),
        raised="RecursionError",
    ),
    Row(
        does="asks for more memory at once than the system has",
        source="def f():\n    return len(bytearray(1 << 60))  # here",
        error=UdfMemoryError,
        says=("MemoryError",),
        raised="MemoryError",
    ),
    Row(
        does="asks for more memory at once than a call may take",
        source="import numpy as np\ndef f():\n    return np.zeros(4 << 30, np.uint8).sum()  # here",
        error=UdfMemoryError,
        says=("Unable to allocate 4.00 GiB", "one call may take 300 MB (FUSED_MEMORY_LIMIT)"),
        raised="MemoryError",
        needs=("limits memory",),
    ),
    Row(
        does="takes more and more memory",
        source="def f():\n    kept = []\n    while True:\n        kept.append(b'x' * 10_000_000)  # here",
        error=UdfMemoryError,
        says=("of memory, a call may take 300 MB (FUSED_MEMORY_LIMIT), and was stopped",),
        raised="MemoryError",
        needs=("limits memory",),
    ),
    Row(
        does="takes more and more memory in a child",
        source="""
            import subprocess, sys
            def f():
                code = "kept = []\\nwhile True: kept.append(b'x' * 10_000_000)"
                subprocess.run([sys.executable, "-c", code])  # here
        """,
        error=UdfMemoryError,
        says=("of memory, a call may take 300 MB (FUSED_MEMORY_LIMIT), and was stopped",),
        raised="MemoryError",
        needs=("limits memory",),
    ),
    Row(
        does="raises in a thread of its own",
        source="""
            import threading
            def f():
                thread = threading.Thread(target=lambda: 1 / 0)
                thread.start()
                thread.join()
                return "done"
        """,
        value="done",
        prints="ZeroDivisionError",
        note="its value; the traceback is in stderr",
        needs=("captures",),
    ),
)

GIVES = (
    Row(
        does="takes an argument that cannot be rebuilt",
        source="def f(n): return n",
        body=pickle.dumps({"n": 1}).replace(b"K\x01", b"cnowhere\nThing\n"),
        error=ArgumentError,
        says=("an argument cannot be rebuilt in the worker", "pass data, not objects"),
        needs=("isolates",),
    ),
    Row(
        does="takes an argument that ends the process when it is rebuilt",
        source="def f(n): return n",
        body=b"csys\nexit\n(I5\ntR.",
        error=ArgumentError,
        says=("an argument cannot be rebuilt in the worker",),
        needs=("isolates",),
    ),
    Row(
        does="returns what cannot be pickled",
        source="import threading\ndef f(): return threading.Lock()",
        error=UdfSerializationError,
        says=("returned _thread.lock, which cannot leave its process", "return data"),
        needs=("isolates",),
    ),
    Row(
        does="returns what ends the process when it is pickled",
        source="import sys\nclass Bad:\n    def __reduce__(self): sys.exit(3)\ndef f(): return Bad()",
        error=UdfSerializationError,
        says=("returned udf_f.Bad, which cannot leave its process (SystemExit: 3)",),
        needs=("isolates",),
    ),
    Row(
        does="returns a generator",
        source="def f(): return (n for n in range(3))",
        error=UdfSerializationError,
        says=("returned builtins.generator, which cannot leave its process",),
        needs=("isolates",),
    ),
    Row(
        does="returns a coroutine that nobody awaits",
        source="import fused\nasync def g(): pass\n@fused.udf\ndef f(): return g()",
        prints="RuntimeWarning: coroutine 'g' was never awaited",
        error=UdfSerializationError,
        says=("returned builtins.coroutine, which cannot leave its process",),
        needs=("isolates",),
    ),
    Row(
        does="returns an open file",
        source="import tempfile\ndef f(): return tempfile.TemporaryFile()",
        error=UdfSerializationError,
        says=("returned _io.BufferedRandom, which cannot leave its process",),
        needs=("isolates",),
    ),
    Row(
        does="returns lists in lists without end",
        source="def f():\n    a = []\n    for _ in range(100_000): a = [a]\n    return a",
        error=UdfSerializationError,
        says=("returned builtins.list, which cannot leave its process (RecursionError: ",),
        needs=("isolates",),
    ),
    Row(
        does="returns to HTTP what no format holds",
        source="def f(): return object()",
        error=UdfSerializationError,
        says=("a value of type object, which no format can carry",),
        fields=(("returns", "encoded"),),
    ),
    Row(
        does="returns more than 2 GiB",
        source="""
            class Long:
                # The buffer is never looked at, only its length: no machine has to have the memory.
                def __reduce_ex__(self, protocol):
                    import mmap, pickle
                    return bytes, (pickle.PickleBuffer(mmap.mmap(-1, (2 << 30) + 1)),)
            def f(): return Long()
        """,
        error=UdfSerializationError,
        says=("returned too much to hand over", "return less"),
        needs=("isolates",),
    ),
)

PRINTS = (
    Row(
        does="closes `sys.stdout`, `sys.stderr` and their descriptors",
        source="""
            import os, sys
            def f():
                print("so far")
                sys.stdout.close()
                sys.stderr.close()
                os.close(1)
                os.close(2)
                return 1
        """,
        value=1,
        prints="so far\n",
        needs=("captures",),
    ),
    Row(
        does="prints 1 GB",
        source="""
            import os
            def f():
                block = b"x" * (1 << 20)
                for _ in range(1000):
                    left = memoryview(block)
                    while left:
                        left = left[os.write(1, left):]
                return "done"
        """,
        value="done",
        prints="the rest of stdout is not kept (FUSED_OUTPUT_LIMIT=",
        note="its value, and the first of it (`FUSED_OUTPUT_LIMIT`)",
        needs=("captures",),
        deadline=60,
    ),
)

USES = (
    Row(
        does="the main thread, with signals and an alarm",
        source="""
            import signal, time
            def f():
                def ring(*_): raise TimeoutError("rang")
                signal.signal(signal.SIGALRM, ring)
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                try:
                    time.sleep(10)
                except TimeoutError as exc:
                    return str(exc)
        """,
        value="rang",
        needs=("main thread",),
    ),
    Row(
        does="`asyncio.run`, with tasks, threads and subprocesses",
        source="""
            import asyncio
            async def child():
                process = await asyncio.create_subprocess_exec("echo", "hi", stdout=asyncio.subprocess.PIPE)
                return (await process.communicate())[0].decode().strip()
            async def main():
                return await asyncio.gather(child(), asyncio.to_thread(len, "abc"), asyncio.sleep(0.01, "slept"))
            @fused.udf
            def f(): return asyncio.run(main())
        """,
        value=["hi", 3, "slept"],
        needs=("main thread",),
    ),
    Row(
        does="threads",
        source="""
            from concurrent.futures import ThreadPoolExecutor
            def f():
                with ThreadPoolExecutor(8) as pool:
                    return sum(pool.map(lambda n: n * n, range(100)))
        """,
        value=328350,
    ),
    Row(
        does="`subprocess`, whose output is its own",
        source="""
            import subprocess
            def f():
                subprocess.run(["echo", "a child"], check=True)
                return subprocess.run(["sh", "-c", "exit 3"]).returncode
        """,
        value=3,
        prints="a child\n",
        needs=("captures",),
    ),
    Row(
        does="`os.fork`, and waits for the child",
        source="""
            import os
            def f():
                pid = os.fork()
                if pid == 0:
                    os._exit(9)
                return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        """,
        value=9,
        needs=("isolates",),
    ),
    *(
        Row(
            does=f"`multiprocessing.Pool`, {method}",
            source=f"""
                import math, multiprocessing
                def f():
                    with multiprocessing.get_context("{method}").Pool(2) as pool:
                        return pool.map(math.factorial, [3, 4, 5])
            """,
            value=[6, 24, 120],
            needs=("isolates",),
        )
        for method in ("fork", "spawn", "forkserver")
    ),
    Row(
        does="`multiprocessing.Pool` with a function of its own cell (fork)",
        source="""
            import multiprocessing
            def double(n): return 2 * n
            @fused.udf
            def f():
                with multiprocessing.get_context("fork").Pool(2) as pool:
                    return pool.map(double, [1, 2])
        """,
        value=[2, 4],
        needs=("isolates",),
    ),
    Row(
        does="`ProcessPoolExecutor`",
        source="""
            import math
            from concurrent.futures import ProcessPoolExecutor
            def f():
                with ProcessPoolExecutor(2) as pool:
                    return list(pool.map(math.factorial, [3, 4]))
        """,
        value=[6, 24],
        needs=("isolates",),
    ),
    Row(
        does="pyplot",
        source="""
            import io
            def f():
                from matplotlib import pyplot
                figure, axes = pyplot.subplots()
                axes.plot([1, 2])
                figure.savefig(file := io.BytesIO())
                return file.getvalue()[1:4]
        """,
        value=b"PNG",
        needs=("isolates",),
    ),
    Row(
        does="GDAL, a data set in memory",
        source="""
            import numpy as np
            def f():
                from rasterio.io import MemoryFile
                from rasterio.transform import from_origin
                profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "uint8",
                           "crs": "EPSG:4326", "transform": from_origin(0, 0, 1, 1)}
                with MemoryFile() as file:
                    with file.open(**profile) as made:
                        made.write(np.full((1, 64, 64), 3, "uint8"))
                    with file.open() as read:
                        return int(read.read(1).sum())
        """,
        value=12288,
    ),
    Row(
        does="DuckDB",
        source="def f():\n    import duckdb\n    return duckdb.sql('select sum(n) from range(9) t(n)').fetchone()[0]",
        value=36,
    ),
    Row(
        does="a server in a thread, and asks it",
        source="""
            import http.server, threading, urllib.request
            class Hello(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(b"hello")
                def log_message(self, *_): pass
            def f():
                with http.server.HTTPServer(("127.0.0.1", 0), Hello) as server:
                    threading.Thread(target=server.handle_request).start()
                    return urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}").read().decode()
        """,
        value="hello",
    ),
    Row(
        does="`os.fork`, and the child returns too",
        source="import os\ndef f():\n    print(os.fork() > 0)\n    return 'once'",
        value="once",
        prints="True\n",
        note="the value of the parent, once; the child ends",
        needs=("isolates",),
    ),
    Row(
        does="`os.fork`, and the child raises",
        source="""
            import os
            def f():
                if (pid := os.fork()) == 0:
                    raise ValueError("the child's")
                return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        """,
        value=1,
        prints="ValueError: the child's\n",
        note="the value of the parent; the child ends with code 1, its traceback is in stderr",
        needs=("isolates",),
    ),
)

GROUPS = {"ends": ENDS, "raises": RAISES, "gives": GIVES, "prints": PRINTS, "uses": USES}


@pytest.mark.contract(rows=[row for rows in GROUPS.values() for row in rows])
def test_row_costs_only_its_own_call_and_says_what_happened(subject: Subject, row: Row) -> None:
    """Five innocents beside it and two after it are answered as if nothing had been."""
    call = subject.ask(row.source, body=row.body, deadline=row.deadline, **dict(row.fields))

    given = subject.wait(subject.among_innocents(call), seconds=row.deadline + 15)

    if row.error is None:
        assert not isinstance(given, FusedError), given._render_traceback_()
        value, reply = given
        assert value == row.value
        assert row.prints in reply.stdout + reply.stderr
        return
    assert type(given) is row.error, given
    for part in row.says:
        assert part in given.message
    assert len(given.message) < 9_000
    assert (given.udf, given.line, given.child_exception_class) == ("f", row.line, row.raised)
    assert row.prints in given.stdout + given.stderr


def test_documentation_has_every_row(documented: Callable[[str, str], None]) -> None:
    """As the suite checks it, in the same words."""
    for name, rows in GROUPS.items():
        lines = [f"| {row.does} | {row.gets} |" for row in rows]
        head = "| a UDF uses | its caller gets |" if name == "uses" else "| a UDF | its caller gets |"
        documented(name, "\n".join([head, "|---|---|", *lines]))


def test_documentation_says_which_engine_promises_what(
    promises: tuple[dict[str, str], dict[str, Any]], documented: Callable[[str, str], None]
) -> None:
    """What an engine does not promise is not asked of it, and here is why."""
    means, all_engines = promises
    engines = {name: engine for name, engine in all_engines.items() if engine.is_documented}
    lines = [
        f"| {text} | {' | '.join('yes' if name in engine.promises else 'no' for engine in engines.values())} |"
        for name, text in means.items()
    ]
    head = f"| | {' | '.join(f'`{name}`' for name in engines)} |"
    documented("promises", "\n".join([head, f"|---{'|:-:' * len(engines)}|", *lines]))
