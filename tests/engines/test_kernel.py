from __future__ import annotations

import asyncio
import contextlib
import contextvars
import io
import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fused_jupyter.engines.kernel import KernelEngine
from fused_jupyter.errors import HostLostError, UdfRuntimeError, UdfTimeoutError
from fused_jupyter.settings import Options
from fused_jupyter.udfs import Choices, UdfDefinition, parse
from fused_jupyter.wire import Failure, Reply, Run

KEEPS = "def keeps():\n    seen.append(threading.current_thread())\n    return len(seen)"


class Kernel:
    """An engine, and a notebook that it sees."""

    def __init__(self) -> None:
        self.notebook: dict[str, Any] = {"threading": threading, "seen": []}
        self.cells: int | None = 0
        self.engine = KernelEngine(Options(output_limit=1000), lambda: self.notebook, quiet=lambda: self.cells)

    def call(self, source: str, *, directory: str = "", headers: Any = (), **arguments: Any) -> Any:
        """What a UDF returns, in this thread."""
        udf = parse(textwrap.dedent(source), Choices(directory=directory, headers=headers))
        return self.engine.call(udf, arguments, tile=None, on_text=lambda *_: None).value

    async def ask(self, source: str, *, directory: str = "", **fields: Any) -> tuple[Reply | Failure, bytes]:
        """The answer to a request."""
        udf = _udf(source, directory)
        run = Run(id=7, udf=udf.name, digest=udf.digest, **{"parameters": {}} | fields)
        return await self.engine.run(udf, run)


def _udf(source: str, directory: str = "") -> UdfDefinition:
    return parse(textwrap.dedent(source), Choices(directory=directory, placement={"engine": "kernel"}))


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    made = Kernel()
    yield made
    made.engine.stop()


# -- what it sees


def test_names_that_the_cell_does_not_define_are_the_notebooks(kernel: Kernel) -> None:
    """Own ones come first, then the notebook's, then Python's, which the notebook may have replaced."""
    kernel.notebook |= {"a": 1, "b": 2, "len": lambda _: 42, "__name__": "__main__"}

    assert kernel.call("b = 3\nc = a\ndef f(): return a, b, c, len('x'), sum([1]), __name__") == (
        1,
        3,
        1,
        42,
        1,
        "udf_f",
    )


def test_objects_are_the_notebooks_own(kernel: Kernel) -> None:
    """Not copies: what the UDF does to them, and what it returns, needs no pickle."""
    kernel.notebook["lock"] = threading.Lock()

    assert kernel.call("def f():\n    seen.append(1)\n    return lock") is kernel.notebook["lock"]
    assert kernel.notebook["seen"] == [1]


def test_globals_that_it_sets_are_its_own(kernel: Kernel) -> None:
    """The notebook's names mean what they meant."""
    kernel.notebook["a"] = 1

    assert kernel.call("def f():\n    global a\n    a = 5\n    return a") == 5
    assert kernel.notebook["a"] == 1


def test_helpers_and_headers_work_as_in_a_worker(kernel: Kernel) -> None:
    """Helpers see the notebook too; header modules are for its own code."""
    from fused_jupyter.udfs import HeaderModule

    kernel.notebook["a"] = 20
    header = HeaderModule(module_name="of_header", source="def plus(n): return n + 1")

    source = "import of_header\ndef g(n): return of_header.plus(n) + a\n@fused.udf\ndef f(): return g(1)"

    assert kernel.call(source, headers=(header,)) == 22
    assert "of_header" not in sys.modules


def test_what_it_marks_as_a_udf_is_registered_nowhere(kernel: Kernel) -> None:
    """Its own decorator runs with each call."""
    from fused_jupyter.runtime import current

    before = current().registry

    assert (
        kernel.call("@fused.udf(engine='kernel')\ndef f():\n    @fused.udf\n    def g(): return 1\n    return g.name")
        == "g"
    )
    assert current().registry is before
    assert "f" not in {udf.name for udf in before.all()}  # type: ignore[union-attr]


# -- where it runs


def test_call_runs_in_the_calling_thread(kernel: Kernel) -> None:
    """As a function would."""
    kernel.call(KEEPS)

    assert kernel.notebook["seen"] == [threading.current_thread()]


def test_requests_run_one_after_the_other_in_one_thread(kernel: Kernel) -> None:
    """In the order in which they came."""

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(kernel.ask(KEEPS) for _ in range(5)))

    answers = asyncio.run(all_of_them())

    assert [body for _, body in answers] == [b"1", b"2", b"3", b"4", b"5"]
    assert {thread.name for thread in kernel.notebook["seen"]} == {"fused-kernel-engine"}


def test_ctrl_c_stops_the_udf_of_the_calling_thread(kernel: Kernel) -> None:
    """With `KeyboardInterrupt`, in its own line, as any cell; all is put back."""
    before = Path.cwd(), sys.stdout
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()

    with pytest.raises(KeyboardInterrupt):
        kernel.call("import os, time\ndef f():\n    os.chdir('/')\n    while True: time.sleep(0.01)")

    assert time.monotonic() - started < 5
    assert (Path.cwd(), sys.stdout) == before


@pytest.mark.parametrize("raises", ["KeyboardInterrupt", "SystemExit(3)", "ValueError('x')"])
def test_nothing_that_a_request_raises_ends_the_thread(kernel: Kernel, raises: str) -> None:
    """It is told in the answer, and the next one runs."""
    failure, _ = asyncio.run(kernel.ask(f"def f():\n    raise {raises}"))

    assert isinstance(failure, Failure)
    assert isinstance(failure.to_error(), UdfRuntimeError)
    assert failure.error["child_exception_class"] == raises.partition("(")[0]
    assert asyncio.run(kernel.ask("def f(): return 1"))[1] == b"1"


def test_error_names_the_line_of_the_udf(kernel: Kernel) -> None:
    """Called here, and asked for; with the traceback from the UDF on."""
    source = "def f(n: int = 0):\n    a = 1\n    return a / n"
    with pytest.raises(UdfRuntimeError, match="ZeroDivisionError") as caught:
        kernel.call(source)
    failure, _ = asyncio.run(kernel.ask(source))

    assert isinstance(failure, Failure)
    for error in (caught.value, failure.to_error()):
        assert (error.line, error.source_line, error.udf) == (3, "    return a / n", "f")
        assert "kernel.py" not in str(error.traceback)


def test_unknown_name_is_said_without_advice_for_workers(kernel: Kernel) -> None:
    """There is nothing to bring in."""
    failure, _ = asyncio.run(kernel.ask("def f(): return nowhere"))

    assert isinstance(failure, Failure)
    assert failure.error["error"] == "NameError: name 'nowhere' is not defined"


def test_deadline_ends_the_wait_and_not_the_run(kernel: Kernel) -> None:
    """It says so; the run that waits behind it is given up before it begins."""
    slow = "import time\ndef f():\n    time.sleep(0.5)\n    seen.append('slow')"

    async def two() -> list[Any]:
        asked = [kernel.ask(slow, deadline=0.2), kernel.ask("def g(): seen.append('late')", deadline=0.3)]
        return await asyncio.gather(*asked, return_exceptions=True)

    errors = asyncio.run(two())

    assert [type(error) for error in errors] == [UdfTimeoutError, UdfTimeoutError]
    assert "It cannot be stopped there and goes on" in errors[0].message
    assert asyncio.run(kernel.ask("def h(): return seen"))[1] == b'["slow"]'


def test_cancelled_request_never_begins(kernel: Kernel) -> None:
    """If it still waits."""

    async def one_too_many() -> None:
        first = asyncio.create_task(kernel.ask("import time\ndef f(): time.sleep(0.3)"))
        second = asyncio.create_task(kernel.ask("def g(): seen.append(1)"))
        await asyncio.sleep(0.1)
        second.cancel()
        await first

    asyncio.run(one_too_many())
    asyncio.run(kernel.ask("def h(): pass"))

    assert kernel.notebook["seen"] == []


def test_closed_engine_takes_nothing(kernel: Kernel) -> None:
    """Its thread ends."""
    asyncio.run(kernel.ask(KEEPS))
    (thread,) = kernel.notebook["seen"]
    asyncio.run(kernel.engine.close())

    with pytest.raises(HostLostError):
        asyncio.run(kernel.ask("def f(): pass"))
    thread.join(5)
    assert not thread.is_alive()


# -- output


def test_output_is_heard_as_it_comes_and_goes_nowhere_else(kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    """What the listener prints itself goes where it always does."""
    heard = []

    def hear(stream: str, text: str) -> None:
        heard.append((stream, text))
        sys.stdout.write("heard\n")

    udf = _udf("import sys\ndef f():\n    print('a', end='')\n    sys.stderr.write('b')")
    kernel.engine.call(udf, {}, tile=None, on_text=hear)

    assert heard == [("stdout", "a"), ("stderr", "b")]
    assert set(capsys.readouterr().out.split()) == {"heard"}


def test_output_of_a_request_is_in_its_answer(kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    """Up to a limit; what others print meanwhile is not in it."""
    kernel.notebook["begun"] = threading.Event()
    source = (
        "import time\ndef f():\n    begun.set()\n    for n in range(400):\n        print('udf'); time.sleep(0.0001)"
    )

    async def beside() -> Reply | Failure:
        task = asyncio.create_task(kernel.ask(source))
        while not kernel.notebook["begun"].is_set():
            await asyncio.sleep(0.001)
        sys.stdout.write("cell\n")
        return (await task)[0]

    answer = asyncio.run(beside())

    assert answer.stdout.startswith("udf\nudf\n")
    assert "the rest of stdout is not kept" in answer.stdout
    assert "cell" not in answer.stdout
    assert capsys.readouterr().out == "cell\n"


def test_call_within_a_call_prints_to_whoever_made_it(kernel: Kernel) -> None:
    """The outer UDF's output has the inner one's where it came."""
    outer: list[str] = []
    kernel.notebook["inner"] = lambda: kernel.engine.call(
        _udf("def g(): print('inner')"), {}, tile=None, on_text=lambda _, text: sys.stdout.write(text)
    )
    udf = _udf("def f():\n    print(1)\n    inner()\n    print(2)")

    kernel.engine.call(udf, {}, tile=None, on_text=lambda _, text: outer.append(text))

    assert "".join(outer) == "1\ninner\n2\n"


def test_stream_that_a_cell_replaced_meanwhile_stays(kernel: Kernel) -> None:
    """`redirect_stdout` beside a request gets what the cell prints; what it found is back at the end."""
    before, buffer = sys.stdout, io.StringIO()
    kernel.cells, kernel.notebook["sys"] = None, sys

    async def beside() -> None:
        task = asyncio.create_task(
            kernel.ask("import time\ndef f():\n    time.sleep(0.2)\n    seen.append(sys.stdout)")
        )
        await asyncio.sleep(0.1)
        with contextlib.redirect_stdout(buffer):
            sys.stdout.write("cell\n")
            await task
            sys.stdout.write("more\n")

    asyncio.run(beside())
    asyncio.run(kernel.ask("def f(): pass"))

    assert buffer.getvalue() == "cell\nmore\n"
    assert sys.stdout is before


# -- the process afterwards

CHANGES = {
    "directory": ("os.chdir('/')", os.getcwd),
    "sys.path": ("sys.path.insert(0, '/nowhere')", lambda: list(sys.path)),
    "sys.path, replaced": ("sys.path = ['/nowhere']", lambda: (id(sys.path), list(sys.path))),
    "stdout": ("sys.stdout = io.StringIO()", lambda: sys.stdout),
    "stderr": ("sys.stderr = open(os.devnull, 'w')", lambda: sys.stderr),
    "environment": ("os.environ.update(FUSED_TEST_X='1', HOME='/nowhere')", lambda: dict(os.environ)),
    "environment, deleted": ("del os.environ['PATH']", lambda: dict(os.environ)),
    "modules": ("pass", lambda: "udf_f" in sys.modules),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("is_asked", [False, True])
@pytest.mark.filterwarnings("ignore:unclosed file")
def test_call_leaves_the_process_as_it_was(kernel: Kernel, tmp_path: Path, what: str, is_asked: bool) -> None:
    """Called here or in the engine's thread, though the UDF is of another directory."""
    change, look = CHANGES[what]
    source = f"import os, sys, io, decimal\ndef f():\n    {change}\n    return 1"
    before = look()

    if is_asked:
        assert asyncio.run(kernel.ask(source, directory=str(tmp_path)))[1] == b"1"
    else:
        assert kernel.call(source, directory=str(tmp_path)) == 1

    assert look() == before


def test_figures_of_a_udf_are_closed_and_those_of_the_notebook_stay(kernel: Kernel) -> None:
    """Else they would appear below whatever cell runs."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    own = plt.figure()
    try:
        figure = kernel.call("def f():\n    import matplotlib.pyplot as plt\n    plt.figure()\n    return plt.gcf()")

        assert figure is not own
        assert plt.get_fignums() == [own.number]
        assert plt.gcf() is own
    finally:
        plt.close("all")


def test_what_a_cell_changes_beside_a_request_stays(kernel: Kernel) -> None:
    """Nobody can tell who it was; so nothing is put back."""
    kernel.notebook["begun"] = threading.Event()

    async def beside() -> None:
        task = asyncio.create_task(kernel.ask("import time\ndef f():\n    begun.set()\n    time.sleep(0.2)"))
        while not kernel.notebook["begun"].is_set():
            await asyncio.sleep(0.001)
        assert kernel.cells is not None
        kernel.cells += 1  # a short cell
        os.environ["FUSED_TEST_Y"] = "1"
        await task

    try:
        asyncio.run(beside())
        assert os.environ["FUSED_TEST_Y"] == "1"
    finally:
        os.environ.pop("FUSED_TEST_Y", None)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere threads share it")
def test_directory_of_a_request_is_not_that_of_the_cell_beside_it(kernel: Kernel, tmp_path: Path) -> None:
    """The engine's thread has one of its own; without one it has the notebook's as it is now."""
    (tmp_path / "here.txt").write_text("here")
    before = Path.cwd()
    kernel.notebook["begun"], kernel.notebook["go"] = threading.Event(), threading.Event()
    source = (
        "import pathlib\ndef f():\n    begun.set()\n    go.wait(5)\n    return pathlib.Path('here.txt').read_text()"
    )

    async def beside() -> bytes:
        task = asyncio.create_task(kernel.ask(source, directory=str(tmp_path)))
        while not kernel.notebook["begun"].is_set():
            await asyncio.sleep(0.001)
        assert Path.cwd() == before
        kernel.notebook["go"].set()
        return (await task)[1]

    assert asyncio.run(beside()) == b'"here"'
    os.chdir(tmp_path)
    try:
        assert asyncio.run(kernel.ask("import os\ndef f(): return os.getcwd()"))[1].decode() == f'"{tmp_path}"'
    finally:
        os.chdir(before)


def test_listener_hears_in_the_context_of_who_asked(kernel: Kernel) -> None:
    """So that IPython shows it below the right cell."""
    cell: contextvars.ContextVar[str] = contextvars.ContextVar("cell")
    heard = []

    async def one(name: str) -> None:
        cell.set(name)
        udf = _udf(f"def f(): print({name!r})")
        await kernel.engine.call_async(udf, {}, tile=None, on_text=lambda _, text: heard.append((cell.get(), text)))

    async def two() -> None:
        await asyncio.gather(one("a"), one("b"))

    asyncio.run(two())
    texts: dict[str, str] = {}
    for name, text in heard:
        texts[name] = texts.get(name, "") + text

    assert texts == {"a": "a\n", "b": "b\n"}
