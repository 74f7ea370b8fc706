"""The local engine: runs UDFs in forked workers of this machine, many at once, each of which can be stopped."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from dataclasses import dataclass, replace

from fused_jupyter.engines.collation import OnText, Stream
from fused_jupyter.engines.process import Template, Worker
from fused_jupyter.engines.queue import RunQueue
from fused_jupyter.errors import FusedError, HostLostError, ProtocolError, UdfTimeoutError, WorkerLostError
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Failure, Reply, Run

_MAX_RUNS = 2000
"""Runs after which a worker is replaced: what UDFs leak does not add up for ever."""

_MAX_KNOWN = 500
"""Versions of code that a worker may hold."""

_CRASH_LINE = re.compile(r'File "<udf [^"]*>", line (\d+)')


@dataclass(slots=True)
class EngineCounts:
    """What happened so far."""

    runs: int = 0
    failed: int = 0
    timeouts: int = 0
    lost: int = 0
    cancelled: int = 0


class LocalEngine:
    """A pool of worker processes.

    A crash, a deadline or a cancelled call costs the one worker that ran it; a spare takes over. Calls that wait hold
    no worker.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._template = Template(options.preload)
        self._queue = RunQueue(slots=options.workers, length=options.queue_length, timeout=options.queue_timeout)
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._top_up_task: asyncio.Task[None] | None = None
        self._is_closed = False
        self.counts = EngineCounts()

    def start(self) -> None:
        """Load the template and the first workers in the background."""
        self._template.start()
        self._top_up()

    @property
    def is_ready(self) -> bool:
        """Whether a call would start at once."""
        return self._template.is_ready

    @property
    def pids(self) -> tuple[int, ...]:
        """The worker processes."""
        return tuple(worker.pid for worker in (*self._idle, *self._busy))

    @property
    def load(self) -> dict[str, int]:
        """How many workers idle and run, and how many calls wait."""
        return {"idle": len(self._idle), "busy": len(self._busy), "waiting": self._queue.waiting}

    async def run(
        self, definition: UdfDefinition, run: Run, body: bytes = b"", *, on_text: OnText | None = None
    ) -> tuple[Reply | Failure, bytes]:
        """Run a UDF in a worker.

        Raises:
            BusyError: no worker became free in time.
            UdfTimeoutError: the deadline passed; the worker is gone.
            WorkerLostError: the worker died.
            HostLostError: the engine was closed.
        """
        async with self._queue.slot(is_tile=run.tile is not None):
            if self._is_closed:
                raise HostLostError("the engine was closed", udf=definition.name)
            worker = await self._worker_for(definition)
            self._busy.add(worker)
            printed, started = _Printed(self._options.output_limit, on_text), time.perf_counter()
            try:
                answer, answer_body = await self._run_on(worker, definition, run, body, printed=printed)
            except FusedError as exc:
                exc.seconds = time.perf_counter() - started
                exc.stdout, exc.stderr = printed.text("stdout"), printed.text("stderr")
                raise
            finally:
                self._release(worker)
            return replace(answer, stdout=printed.text("stdout"), stderr=printed.text("stderr")), answer_body

    async def close(self) -> None:
        """Stop everything; what runs is lost."""
        self._is_closed = True
        if self._top_up_task is not None:
            self._top_up_task.cancel()
            await asyncio.wait([self._top_up_task])
        for worker in (*self._idle, *self._busy):
            worker.kill()
        self._template.close()

    async def _run_on(
        self, worker: Worker, definition: UdfDefinition, run: Run, body: bytes, *, printed: _Printed
    ) -> tuple[Reply | Failure, bytes]:
        self.counts.runs += 1
        default = self._options.tile_timeout if run.tile is not None else self._options.file_timeout
        deadline = default if run.deadline is None else run.deadline
        try:
            async with asyncio.timeout(deadline):
                answer, answer_body = await worker.run(definition, run, body, on_text=printed.add)
        except TimeoutError as exc:
            worker.kill()
            self.counts.timeouts += 1
            message = f"{definition.name} ran longer than {deadline:g} s and was stopped; do less, or raise the timeout"
            raise UdfTimeoutError(message, udf=definition.name) from exc
        except asyncio.CancelledError:
            worker.kill()
            self.counts.cancelled += 1
            raise
        except ProtocolError:
            worker.kill()  # the UDF wrote into our socket; what else comes from there is worth nothing
            self.counts.lost += 1
            raise
        except EOFError as exc:
            self.counts.lost += 1
            raise await self._lost(worker, definition) from exc
        self.counts.failed += isinstance(answer, Failure)
        return answer, answer_body

    async def _lost(self, worker: Worker, definition: UdfDefinition) -> WorkerLostError:
        try:
            status = await self._template.exit_status(worker.pid)
            lines = [line.strip() for line in worker.read_crash_report().splitlines() if '"<udf ' in line]
        finally:
            worker.kill()  # what the UDF started goes too
        match = _CRASH_LINE.search("\n".join(lines))  # the innermost frame stands first
        line = int(match[1]) if match else None
        where = f" in {definition.name}, line {line}" if line else f" in {definition.name}"
        return WorkerLostError(
            f"the process of this call {_ending(status)}{where}",
            udf=definition.name,
            line=line,
            traceback="\n".join(reversed(lines)) or None,
        )

    async def _worker_for(self, definition: UdfDefinition) -> Worker:
        for worker in [worker for worker in self._idle if not worker.is_alive]:
            self._idle.remove(worker)
            worker.kill()  # it is dead; what an earlier UDF started in it may live
        if not self._idle:
            return await self._template.fork()
        chosen = next((worker for worker in self._idle if definition.digest in worker.known), self._idle[-1])
        self._idle.remove(chosen)
        return chosen

    def _release(self, worker: Worker) -> None:
        self._busy.discard(worker)
        is_fit = worker.is_alive and worker.runs < _MAX_RUNS and len(worker.known) < _MAX_KNOWN
        if is_fit and not self._is_closed:
            self._idle.append(worker)
        else:
            worker.kill()
            self._template.forget(worker.pid)
        if not self._is_closed:
            self._top_up()

    def _top_up(self) -> None:
        """Have a spare ready before it is needed."""
        if self._top_up_task is None or self._top_up_task.done():
            self._top_up_task = asyncio.create_task(self._fork_spares())

    async def _fork_spares(self) -> None:
        total = self._options.workers + self._options.spare_workers
        with contextlib.suppress(WorkerLostError, OSError):  # the next run says what is wrong
            while len(self._idle) + len(self._busy) < total and len(self._idle) <= self._options.spare_workers:
                self._idle.append(await self._template.fork())


class _Printed:
    """What a UDF printed, up to a limit, and passed on as it comes."""

    def __init__(self, limit: int, on_text: OnText | None) -> None:
        self._pieces: dict[Stream, list[str]] = {"stdout": [], "stderr": []}
        self._room: dict[Stream, int] = dict.fromkeys(self._pieces, limit)
        self._limit = limit
        self._on_text = on_text

    def text(self, stream: Stream) -> str:
        return "".join(self._pieces[stream])

    def add(self, stream: Stream, text: str) -> None:
        room = self._room[stream]
        if room < 0:
            return
        self._room[stream] = room - len(text)
        if len(text) > room:
            text = f"{text[:room]}\n… the rest of {stream} is not kept (FUSED_OUTPUT_LIMIT={self._limit})\n"
        self._pieces[stream].append(text)
        if self._on_text is not None:
            self._on_text(stream, text)


def _ending(status: int | None) -> str:
    if status is None:
        return "ended"
    code = status & 0x7F
    if code:
        name = signal.strsignal(code) or "unknown"
        return f"was killed by signal {code} ({name.lower()})"
    return f"ended with exit code {status >> 8}"
