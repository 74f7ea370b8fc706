from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from fused_jupyter.errors import BusyError, CancelledRunError, HostLostError, UdfTimeoutError
from fused_jupyter.runtime.kernel_runs import KernelRuns
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Failure, KernelAnswer, KernelRun, Message, Reply, Run, Stop, decode, encode

Define = Callable[..., UdfDefinition]


class Kernel:
    """Hears what it is asked, and answers when the test says so."""

    def __init__(self, options: Options, define: Define) -> None:
        self.runs = KernelRuns(options)
        self.runs.send = self.hear
        self.asked: list[KernelRun] = []
        self.stopped: list[str] = []
        self.udf = define("def f(): pass", name="f")

    def hear(self, message: Message) -> None:
        if isinstance(message, KernelRun):
            self.asked.append(message)
        if isinstance(message, Stop):
            self.stopped.append(message.run_id)

    def answer(self, index: int, body: bytes = b"", **fields: Any) -> None:
        reply = Reply(id=0, media_type="text/plain", **fields)
        message = KernelAnswer(id=1, number=self.asked[index].number, answer=encode(reply).decode())
        self.runs.note(message, body)

    def ask(self, name: str = "", **fields: Any) -> asyncio.Task[Any]:
        on_text = fields.pop("on_text", None)
        run = Run(id=3, udf="f", digest=self.udf.digest, run_id=name, **{"parameters": {}} | fields)
        return asyncio.create_task(self.runs.run(self.udf, run, on_text=on_text))

    def names(self) -> list[str]:
        runs = [decode(message.run.encode()) for message in self.asked]
        return [run.run_id for run in runs if isinstance(run, Run)]


@pytest.fixture
def within(options: Options, definition: Define) -> Callable[..., None]:
    """Runs a test in an event loop, with a kernel."""

    def run(test: Callable[[Kernel], Awaitable[None]], **changes: Any) -> None:
        async def main() -> None:
            kernel = Kernel(replace(options, **changes), definition)
            async with asyncio.timeout(10):
                await test(kernel)
                await kernel.runs.close()

        asyncio.run(main())

    return run


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_kernel_gets_one_run_at_a_time_and_the_newest_tile_next(within: Callable[..., None]) -> None:
    """As in the queue of the workers; what it printed is told at the end."""

    async def test(kernel: Kernel) -> None:
        heard: list[Any] = []
        tasks = [kernel.ask("0", tile=(0, 0, 0), on_text=lambda *said: heard.append(said))]
        await _settle()
        tasks += [kernel.ask(str(n), tile=(0, 0, 0)) for n in (1, 2, 3)]
        await _settle()
        for n in range(4):
            assert len(kernel.asked) == n + 1
            kernel.answer(n, b"%d" % n, stdout="printed")
            await _settle()

        assert kernel.names() == ["0", "3", "2", "1"]
        assert [(await task)[1] for task in tasks] == [b"0", b"3", b"2", b"1"]
        assert heard == [("stdout", "printed")]

    within(test)


def test_run_that_takes_too_long_holds_the_kernel_until_it_has_ended(within: Callable[..., None]) -> None:
    """Its caller gets a 504; who comes then waits, and is told for what."""

    async def test(kernel: Kernel) -> None:
        with pytest.raises(UdfTimeoutError, match=r"no answer within 0\.05 s: a cell keeps it busy"):
            await kernel.ask("slow")
        with pytest.raises(BusyError, match="has been at f for 0 s"):
            await kernel.ask("late")
        waiting = kernel.ask("after")
        await _settle()
        assert kernel.names() == ["slow"]
        assert kernel.stopped == ["slow"]  # it may not have begun

        kernel.answer(0)
        await _settle()
        kernel.answer(1, b"here")
        assert (await waiting)[1] == b"here"

    within(test, file_timeout=0.05, queue_timeout=0.1)


def test_cancelled_run_leaves_the_queue(within: Callable[..., None]) -> None:
    """And one that runs is asked to stop, which counts only before it begins."""

    async def test(kernel: Kernel) -> None:
        running, waiting = kernel.ask("a"), kernel.ask("b")
        await _settle()
        waiting.cancel()
        running.cancel()
        await asyncio.wait([running, waiting])
        assert running.cancelled()
        assert waiting.cancelled()
        assert kernel.stopped == ["a"]

        failure = Failure.of(0, CancelledRunError("f was stopped before it began"))
        kernel.runs.note(KernelAnswer(id=1, number=kernel.asked[0].number, answer=encode(failure).decode()), b"")
        third = kernel.ask("c")
        await _settle()
        kernel.answer(1, b"c")
        assert (await third)[1] == b"c"
        assert kernel.names() == ["a", "c"]

    within(test)


def test_kernel_that_hangs_up_answers_nobody(within: Callable[..., None]) -> None:
    """Who waits is told, and who comes later."""

    async def test(kernel: Kernel) -> None:
        tasks = [kernel.ask("a"), kernel.ask("b")]
        await _settle()
        kernel.runs.lose()
        tasks.append(kernel.ask("c"))

        errors = await asyncio.gather(*tasks, return_exceptions=True)

        assert [type(error) for error in errors] == [HostLostError] * 3

    within(test)


def test_answer_that_nobody_waits_for_is_nothing(within: Callable[..., None]) -> None:
    """A host that died may have asked for it."""

    async def test(kernel: Kernel) -> None:
        reply = encode(Reply(id=0)).decode()
        kernel.runs.note(KernelAnswer(id=1, number=5, answer=reply), b"")
        task = kernel.ask()
        await _settle()
        kernel.answer(0, b"mine")
        assert (await task)[1] == b"mine"

    within(test)
