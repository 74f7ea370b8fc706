"""UDFs that run in this kernel: for its own calls in the calling thread, for those of the host in another one."""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from fused_jupyter.engines.printed import Printed
from fused_jupyter.errors import ArgumentError, CancelledRunError, FusedError, ProtocolError
from fused_jupyter.runtime.link import HostLink, OnText
from fused_jupyter.runtime.outcome import Outcome, lines_of
from fused_jupyter.settings import Options
from fused_jupyter.tiles import Tile
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Failure, KernelAnswer, KernelRun, Reply, Run, decode, encode

if TYPE_CHECKING:
    from fused_jupyter.engines.execute import Called
    from fused_jupyter.engines.kernel import KernelEngine

Answer = tuple[Reply | Failure, bytes]

_MOST_BODIES = 100
"""Calls whose arguments are remembered; most of them are answered from the cache, and nobody asks for theirs."""


class InKernel:
    """The kernel engine of this process, and what others ask of it.

    Args:
        options: for the engine.
        link: to the host.
        known: the definitions that the host has, by digest.
    """

    def __init__(self, options: Options, link: HostLink, known: Mapping[str, UdfDefinition]) -> None:
        self._options = options
        self._link = link
        self._known = known
        self._waiting: dict[str, Future[Answer]] = {}
        """Runs of the host that may not have begun, by id."""
        self._lock = threading.Lock()
        self._made: KernelEngine | None = None
        self._bodies: OrderedDict[int, bytes] = OrderedDict()
        """Pickled arguments of calls of ours that may come back from the host, by their numbers."""
        self.notebook: Callable[[], Mapping[str, Any]] = lambda: vars(sys.modules["__main__"])
        """Gives the variables of the notebook."""
        self.quiet: Callable[[], int | None] = int
        """None while a cell runs, else how many have run."""
        link.on_kernel_run = self.take

    def start(self) -> None:
        """Load what workers need, and the kernel does not; now and not with the first request."""
        assert self._engine is not None

    @property
    def _engine(self) -> KernelEngine:
        with self._lock:
            if self._made is None:
                from fused_jupyter.engines.kernel import KernelEngine

                self._made = KernelEngine(self._options, lambda: self.notebook(), quiet=lambda: self.quiet())  # noqa: PLW0108 - both may be set later
            return self._made

    def outcome(
        self,
        definition: UdfDefinition,
        arguments: Mapping[str, Any],
        *,
        tile: Tile | None,
        on_text: OnText,
        is_profiled: bool = False,
    ) -> Outcome:
        """Run a UDF in the calling thread, and tell what that cost; its value is the object that it returned.

        Raises:
            FusedError: as `KernelRuntime.outcome` does.
            KeyboardInterrupt: Ctrl-C.
        """
        run = _Here(self._options.output_limit, on_text)
        sampler = _sampler(definition) if is_profiled else nullcontext()
        try:
            with sampler:
                called = self._engine.call(definition, arguments, tile=tile, on_text=run.printed.add)
        except FusedError as exc:
            raise run.noted_in(exc) from None
        return run.outcome(called, lines_of(sampler.modules) if is_profiled else None)  # type: ignore[union-attr]

    async def outcome_async(
        self, definition: UdfDefinition, arguments: Mapping[str, Any], *, tile: Tile | None, on_text: OnText
    ) -> Outcome:
        """The same in the engine's thread, while an event loop goes on; a cancelled run goes on if it has begun."""
        run = _Here(self._options.output_limit, on_text)
        try:
            called = await self._engine.call_async(definition, arguments, tile=tile, on_text=run.printed.add)
        except FusedError as exc:
            raise run.noted_in(exc) from None
        return run.outcome(called, None)

    def take(self, message: KernelRun) -> None:
        """Run something for the host, and answer; called by the link's loop, which does not wait."""
        run = decode(message.run.encode())
        assert isinstance(run, Run)
        future = self._engine.submit(lambda: self._answer(run))
        self._waiting[run.run_id] = future
        future.add_done_callback(lambda done: self._tell(message.number, run, done))

    def expect(self, definition: UdfDefinition, run: Run, body: bytes) -> Run:
        """A run that the host is asked for, which may hand it back to this kernel: its arguments stay here."""
        if definition.runs_in_kernel:
            self._bodies[run.id] = body
            if len(self._bodies) > _MOST_BODIES:
                self._bodies.popitem(last=False)
        return run

    def drop(self, run_id: str) -> bool:
        """Leave out a run that the host asked for; False where there is none that has not begun."""
        waiting = self._waiting.get(run_id)
        return waiting is not None and waiting.cancel()

    def close(self) -> None:
        """Take no more."""
        if self._made is not None:
            self._made.stop()

    def _answer(self, run: Run) -> Answer:
        definition = self._known.get(run.digest or "")
        if definition is None:
            raise ProtocolError(f"the host asks for a version of {run.udf} that this kernel does not know")
        return self._engine.answer(definition, run, self._arguments(run))

    def _arguments(self, run: Run) -> Mapping[str, Any]:
        if run.parameters is not None:
            return run.parameters
        body = self._bodies.pop(run.id, None)
        if body is None:
            raise ArgumentError("whoever asked for this has gone, and the arguments with it; ask again")
        from fused_jupyter.engines.kernel import arguments_of

        return arguments_of(run, body)

    def _tell(self, number: int, run: Run, done: Future[Answer]) -> None:
        self._waiting.pop(run.run_id, None)
        body = b""
        answer: Reply | Failure
        if done.cancelled():
            answer = Failure.of(run.id, CancelledRunError(f"{run.udf} was stopped before it began", udf=run.udf))
        elif (error := done.exception()) is not None:
            kind = f"fused_jupyter failed in the kernel: {type(error).__name__}: {error}"
            answer = Failure.of(run.id, error if isinstance(error, FusedError) else ProtocolError(kind, udf=run.udf))
        else:
            answer, body = done.result()
        self._link.answer(
            lambda id_, answer: KernelAnswer(id=id_, number=number, answer=encode(answer).decode()), answer, body
        )


class _Here:
    """One run in this process."""

    def __init__(self, limit: int, on_text: OnText) -> None:
        from fused_jupyter.engines.memory import highest_memory

        self.printed = Printed(limit, on_text)
        self._started = time.perf_counter()
        self._highest_memory = highest_memory
        self._highest = highest_memory()

    def noted_in(self, error: FusedError) -> FusedError:
        error.stdout, error.stderr = self.printed.text("stdout"), self.printed.text("stderr")
        error.seconds = time.perf_counter() - self._started
        error.peak_memory = self._highest_memory() - self._highest
        return error

    def outcome(self, called: Called, lines: Any) -> Outcome:
        return Outcome(
            value=called.value,
            seconds=called.seconds,
            peak_memory=self._highest_memory() - self._highest,
            stdout=self.printed.text("stdout"),
            stderr=self.printed.text("stderr"),
            lines=lines,
        )


def _sampler(definition: UdfDefinition) -> AbstractContextManager[Any]:
    from fused_jupyter.engines.sampling import LineSampler

    return LineSampler(definition.filename)
