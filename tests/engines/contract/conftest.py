"""Engines under one contract: what each promises, and calls beside which others must not suffer.

A test that has a row of a table is made for each engine that promises what the row needs, and for no other.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import textwrap
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from processes import still_running

from fused_jupyter.engines import LocalEngine
from fused_jupyter.engines.kernel import KernelEngine
from fused_jupyter.errors import FusedError
from fused_jupyter.runtime import lane
from fused_jupyter.runtime._runtime import _unpickled
from fused_jupyter.runtime.link import HostLink, OnText
from fused_jupyter.settings import Options
from fused_jupyter.udfs import Choices, UdfDefinition, parse
from fused_jupyter.wire import Failure, Reply, Run

T = TypeVar("T")

PRELOAD = ("numpy.random", "fused_jupyter.formats", "fused_jupyter.engines.worker", "fused_jupyter.api")

PROMISES = {
    "isolates": "a call that ends its process ends no other",
    "limits memory": "a call that takes too much is stopped before the machine suffers",
    "deadlines": "a deadline ends whatever runs, with all that it started",
    "cancels": "a cancelled call is ended the same way, and never begins where it waits",
    "ends": "nothing outlives the process that made the engine, and Ctrl-C there stops no call",
    "main thread": "the UDF has the main thread of its process, so signals and event loops are its own",
    "captures": "what children, threads and C code print belongs to the call, without end and without harm",
    "forgets": "what a call changes in its process, the next one does not see",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """An engine, and what may be asked of it."""

    make: Callable[[], Any]
    """Makes one, inside a running event loop."""
    promises: frozenset[str]
    owner: str = ""
    """`make` as the text of an expression, for a process of its own; for the promise "ends"."""
    is_documented: bool = True
    marks: tuple[pytest.MarkDecorator, ...] = ()


OPTIONS = Options(
    workers=2,
    spare_workers=1,
    preload=PRELOAD,
    learn_preload=False,  # tests rely on the same process running the same code again
    memory_limit=300_000_000,
    queue_timeout=60.0,
)


class Lane:
    """The short way of `fused.run`, as an engine: from a thread straight to a worker that a host has lent."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="fused-lane-")
        self._link = HostLink(OPTIONS, kernel_id="contract", server_pid=0, directory=Path(self._directory.name))
        self._lane = lane.Lane(self._link, OPTIONS)

    async def run(
        self, definition: UdfDefinition, run: Run, body: bytes = b"", *, on_text: OnText | None = None
    ) -> tuple[Reply, memoryview]:
        loop = asyncio.get_running_loop()
        printed: dict[str, str] = {"stdout": "", "stderr": ""}

        def hear(stream: str, text: str) -> None:
            printed[stream] += text
            if on_text is not None:
                loop.call_soon_threadsafe(on_text, stream, text)

        try:
            reply, answer, _ = await asyncio.to_thread(self._lane.run, definition, run, [body], on_text=hear)
        except FusedError as exc:
            exc.stdout, exc.stderr = printed.values()
            raise
        return replace(reply, **printed), answer

    async def close(self) -> None:
        self._lane.close()
        await asyncio.to_thread(self._link.close)
        self._directory.cleanup()


ENGINES = {
    "local": Promised(
        make=lambda: LocalEngine(OPTIONS),
        owner="engines.LocalEngine(Options(workers=2, preload=('fused_jupyter.engines.worker',)))",
        promises=frozenset(PROMISES),
    ),
    # A thread cannot be cancelled: Ctrl-C does it, in the kernel's main thread (tests/runtime). That a host ends with
    # its kernel is asked in tests/whole.
    "lane": Promised(make=Lane, promises=frozenset(PROMISES) - {"cancels", "ends"}, is_documented=False),
    # In this very process: what a UDF does there happens to all that is in it.
    "kernel": Promised(
        make=lambda: KernelEngine(OPTIONS), promises=frozenset(), marks=(pytest.mark.filterwarnings("default"),)
    ),
}


class Subject:
    """An engine and the event loop that it lives in; the loop stands still between calls."""

    def __init__(self, name: str, runner: asyncio.Runner) -> None:
        self.name = name
        self.owner = ENGINES[name].owner
        self._runner = runner
        self._numbers = itertools.count(1)
        self.engine = self.wait(self._made(ENGINES[name].make))

    def wait(self, what: Awaitable[T], *, seconds: float = 60.0) -> T:
        """Let the loop run until this is done, or so long."""

        async def main() -> T:
            async with asyncio.timeout(seconds):
                return await what

        return self._runner.run(main())

    async def ask(
        self,
        source: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        body: bytes = b"",
        directory: str = "",
        on_text: Callable[[str, str], None] | None = None,
        **fields: Any,
    ) -> tuple[Any, Reply]:
        """What a UDF returns, and the reply around it; its error is raised."""
        udf = parse(textwrap.dedent(source).strip("\n"), Choices(directory=directory))
        given = None if body else parameters or {}
        run = Run(
            id=next(self._numbers), udf=udf.name, digest=udf.digest, parameters=given, **{"returns": "object"} | fields
        )
        answer, answer_body = await self.engine.run(udf, run, body, on_text=on_text)
        if isinstance(answer, Failure):
            raise answer.to_error()
        assert answer.id == run.id
        return _unpickled(answer_body, answer.buffers), answer

    async def innocent(self, n: int, *, seconds: float = 0.0) -> None:
        """A call that does nothing wrong, and is answered with its own value and output."""
        value, reply = await self.ask(INNOCENT, {"n": n, "seconds": seconds}, deadline=60)
        assert (value, reply.stdout, reply.stderr) == (n * n, f"innocent {n}\n", "")

    async def among_innocents(self, call: Awaitable[T]) -> T | FusedError:
        """What a call gives while five innocent ones run or wait beside it, and two come after it.

        One is running when it begins; with two workers, the others wait until it or that one has ended.
        """
        running = asyncio.Event()
        first = asyncio.create_task(self._innocent_that_runs(running))
        await running.wait()
        suspect = asyncio.ensure_future(call)
        others = [asyncio.create_task(self.innocent(n)) for n in range(1, 5)]
        given, *innocents = await asyncio.gather(suspect, first, *others, return_exceptions=True)
        assert innocents == [None] * 5
        started = time.monotonic()
        await asyncio.gather(self.innocent(5), self.innocent(6))
        assert time.monotonic() - started < 5
        if isinstance(given, BaseException) and not isinstance(given, FusedError):
            raise given
        return given

    async def _innocent_that_runs(self, running: asyncio.Event) -> None:
        value, reply = await self.ask(INNOCENT, {"n": 9, "seconds": 0.15}, on_text=lambda *_: running.set())
        assert (value, reply.stdout) == (81, "innocent 9\n")

    @staticmethod
    async def _made(make: Callable[[], Any]) -> Any:
        return make()


INNOCENT = """
def innocent(n: int, seconds: float = 0.0):
    import time
    print("innocent", n)
    time.sleep(seconds)
    return n * n
"""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "contract(rows, needs): for each engine, and each row that it makes a promise for"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Pair engines and rows; what an engine does not promise is not asked of it."""
    if (marker := metafunc.definition.get_closest_marker("contract")) is None:
        return
    needs = set(marker.kwargs.get("needs", ()))
    cases = []
    for name, engine in ENGINES.items():
        for row in marker.kwargs.get("rows", [None]):
            wanted = needs | set(getattr(row, "needs", ()))
            assert wanted <= PROMISES.keys(), wanted
            if wanted <= engine.promises:
                title = f"{name}: {row.does}" if row else name
                cases.append(pytest.param(name, *[row] * (row is not None), id=title, marks=engine.marks))
    names = ["subject"] + ["row"] * ("rows" in marker.kwargs)
    metafunc.parametrize(names, cases, indirect=["subject"])


@pytest.fixture(scope="module")
def subjects() -> Iterator[Callable[[str], Subject]]:
    """One engine of each name for all tests of a module: each has to leave it whole."""
    before = set(psutil.Process().children(recursive=True))
    made: dict[str, Subject] = {}
    with asyncio.Runner() as runner:

        def by_name(name: str) -> Subject:
            if name not in made:
                made[name] = Subject(name, runner)
                made[name].wait(made[name].innocent(1))
            return made[name]

        yield by_name
        for subject in made.values():
            subject.wait(subject.engine.close())
    left = [child for child in psutil.Process().children(recursive=True) if child not in before]
    assert not still_running(left)


@pytest.fixture
def subject(request: pytest.FixtureRequest, subjects: Callable[[str], Subject]) -> Subject:
    """The engine that a test is about."""
    return subjects(request.param)


@pytest.fixture
def another(subject: Subject) -> Iterator[Subject]:
    """A second engine of the same kind, for what ends it."""
    made = Subject(subject.name, subject._runner)
    yield made
    made.wait(made.engine.close())


@pytest.fixture(autouse=True)
def _no_process_is_left() -> None:
    """Of the other tests of engines; here one engine outlives many tests."""


PAGE = Path(__file__).parents[3] / "docs" / "faults.md"


@pytest.fixture(scope="session")
def documented() -> Callable[[str, str], None]:
    """Compares a table of the documentation with the code's own: `WRITE_DOCS=1 pytest tests/engines/contract`."""

    def compare(name: str, table: str) -> None:
        text = PAGE.read_text(encoding="utf-8")
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        assert found, f"{PAGE.name} has no place for {name}"
        made = f"{before}{begin}\n{table}\n\n{end}{after}"
        if os.environ.get("WRITE_DOCS"):
            PAGE.write_text(made, encoding="utf-8")
        else:
            assert made == text

    return compare


@pytest.fixture(scope="session")
def promises() -> tuple[dict[str, str], dict[str, Promised]]:
    """All there are, and the engines that make them."""
    return PROMISES, ENGINES
