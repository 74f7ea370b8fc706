"""A local engine with real processes, shared by the tests of a module."""

from __future__ import annotations

import asyncio
import itertools
import textwrap
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar

import psutil
import pytest
from processes import still_running

from fused_jupyter.engines import LocalEngine
from fused_jupyter.runtime._runtime import _unpickled
from fused_jupyter.settings import Options
from fused_jupyter.udfs import Choices, UdfDefinition, parse
from fused_jupyter.wire import Failure, Reply, Run

T = TypeVar("T")

PRELOAD = ("numpy", "fused_jupyter.formats", "fused_jupyter.engines.worker", "fused_jupyter.api")


class Workshop:
    """An engine and the event loop that it lives in; the loop stands still between calls."""

    def __init__(self, runner: asyncio.Runner, options: Options) -> None:
        self.options = options
        self.engine = LocalEngine(options)
        self._runner = runner
        self._numbers = itertools.count(1)

    def wait(self, what: Awaitable[T]) -> T:
        """Let the loop run until this is done, or for 30 s."""

        async def main() -> T:
            async with asyncio.timeout(30):
                return await what

        return self._runner.run(main())

    def run(self, source: str, **fields: Any) -> Any:
        """What a UDF returns; its error is raised."""
        return self.wait(self.ask(source, **fields))

    async def ask(self, source: str | UdfDefinition, **fields: Any) -> Any:
        """`run` to be awaited, with others at the same time."""
        answer, body = await self.send(source, **fields)
        assert isinstance(answer, Reply)
        return _unpickled(body, answer.buffers)

    async def send(
        self,
        source: str | UdfDefinition,
        *,
        parameters: Mapping[str, Any] | None = None,
        body: bytes = b"",
        on_text: Callable[[str, str], None] | None = None,
        **fields: Any,
    ) -> tuple[Reply | Failure, bytes]:
        """The engine's own answer; a `Failure` is raised."""
        udf = source if isinstance(source, UdfDefinition) else parse(textwrap.dedent(source), Choices())
        given = (parameters or {}) if not body else None
        run = Run(
            id=next(self._numbers), udf=udf.name, digest=udf.digest, parameters=given, **{"returns": "object"} | fields
        )
        answer, answer_body = await self.engine.run(udf, run, body, on_text=on_text)
        if isinstance(answer, Failure):
            error = answer.to_error()
            error.add_note(answer.stdout + answer.stderr)
            raise error
        return answer, answer_body


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Two workers and a spare."""
    options = Options(
        workers=2,
        spare_workers=1,
        preload=PRELOAD,
        learn_preload=False,
        queue_length=6,
        mount_directory=str(tmp_path_factory.mktemp("mount")),
    )
    with asyncio.Runner() as runner:
        made = Workshop(runner, options)
        yield made
        runner.run(made.engine.close())


@pytest.fixture(autouse=True)
def _no_process_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test does, its engine's processes are gone afterwards; a module's engine is its own fixture's."""
    before = set(psutil.Process().children(recursive=True)) if "workshop" not in request.fixturenames else None
    yield
    if before is not None:
        left = [child for child in psutil.Process().children(recursive=True) if child not in before]
        alive = still_running(left)
        assert not alive, alive
