"""The local engine: runs UDFs in forked workers of this machine, many at once, each of which can be stopped."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fused_jupyter.engines.collation import OnText
from fused_jupyter.engines.direct import UnreadError
from fused_jupyter.engines.environment import ChosenEnvironment
from fused_jupyter.engines.limits import MemoryWatch
from fused_jupyter.engines.preload import Learner, learnt_path
from fused_jupyter.engines.printed import Printed
from fused_jupyter.engines.process import GrownTemplate, Template, Worker
from fused_jupyter.engines.queue import Caller, QueueBounds, RunQueue
from fused_jupyter.engines.streams import CUT_OFF
from fused_jupyter.engines.template import TemplateSettings
from fused_jupyter.errors import (
    FusedError,
    HostLostError,
    ProtocolError,
    UdfMemoryError,
    UdfTimeoutError,
    WorkerLostError,
)
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Failure, Reply, Run

_SECONDS_TO_SHRINK = 0.2

_ATTEMPTS = 5
"""Workers that a call is sent to, where they end before it begins."""

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
        learns = options.learn_preload and options.start_method == "fork" and bool(options.preload)
        self._template = Template(
            TemplateSettings(
                preload=options.preload,
                spawn=options.start_method == "spawn",
                memory_limit=options.memory_limit,
                learn=learns,
            )
        )
        self._grown: GrownTemplate | None = None
        """The copy of the template that makes the workers now, if something was learnt."""
        path = learnt_path(Path(options.cache_directory))
        self._learner = Learner(path, grow=self._template.grow, adopt=self._adopt) if learns else None
        self._environment = ChosenEnvironment(Path(options.env_file or f"{options.mount_directory}/.env").expanduser())
        self._queue = RunQueue(QueueBounds.of(options))
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._watch = MemoryWatch(self._busy, limit=options.memory_limit, on_look=self._recall_for_environment)
        self._top_up_task: asyncio.Task[None] | None = None
        self._leases = 0
        self._is_closed = False
        self.counts = EngineCounts()
        self.on_begin: Callable[[str], None] = lambda _: None
        """Called with the id of a run that has got its worker."""
        self.on_shortage: Callable[[], None] = lambda: None
        """Called when a call has to wait while workers are leased."""

    def start(self) -> None:
        """Load the template and the first workers in the background."""
        self._template.start()
        self._top_up()
        if self._learner is not None:
            self._learner.start()

    def choose_environment(self, variables: Mapping[str, str]) -> None:
        """Give these variables, and no others, to every run that begins from now on; over those of the file.

        Raises:
            ArgumentError: a UDF cannot have one of them.
        """
        self._environment.choose(variables)
        self._recall_for_environment()

    @property
    def environment_digest(self) -> str:
        """What tells two choices of variables apart, the file's included; empty where nothing is chosen."""
        return self._environment.digest

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
        self._recall()
        async with self._queue.slot(Caller.of(run), is_tile=run.tile is not None):
            for _ in range(_ATTEMPTS):
                with contextlib.suppress(UnreadError):  # it was killed while it was idle, and nobody had noticed yet
                    return await self._run_once(definition, run, body, on_text=on_text)
        raise WorkerLostError(f"{_ATTEMPTS} processes ended before they began with {definition.name}; the log says why")

    async def _run_once(
        self, definition: UdfDefinition, run: Run, body: bytes, *, on_text: OnText | None
    ) -> tuple[Reply | Failure, bytes]:
        if self._is_closed:
            raise HostLostError("the engine was closed", udf=definition.name)
        worker = await self._worker_for(definition.digest)
        self._busy.add(worker)
        self.on_begin(run.run_id)
        printed, started = Printed(self._options.output_limit, on_text), time.perf_counter()
        try:
            answer, answer_body = await self._run_on(worker, definition, run, body, printed=printed)
        except FusedError as exc:
            exc.seconds = time.perf_counter() - started
            exc.stdout, exc.stderr = printed.text("stdout"), printed.text("stderr")
            raise
        finally:
            self._release(worker)
        return replace(answer, stdout=printed.text("stdout"), stderr=printed.text("stderr")), answer_body

    @contextlib.asynccontextmanager
    async def lease(self, digest: str) -> AsyncIterator[Worker]:
        """A worker for somebody who talks to it themselves, and whose slot it holds meanwhile.

        Args:
            digest: the code that it had better have.

        Raises:
            BusyError: no worker became free in time.
            HostLostError: the engine was closed.
        """
        self._recall()
        async with self._queue.slot(is_tile=False):
            if self._is_closed:
                raise HostLostError("the engine was closed")
            worker = await self._worker_for(digest)
            self._busy.add(worker)
            self._leases += 1
            try:
                yield worker
            finally:
                self._leases -= 1
                worker.take_back()
                self._release(worker)

    async def lost(self, worker: Worker, udf: str) -> WorkerLostError | UdfMemoryError:
        """What happened to a worker that died in a UDF; what it had started is ended."""
        self.counts.lost += 1
        return await self._lost(worker, udf)

    def _recall(self) -> None:
        """Have leased workers back before somebody waits for one."""
        if self._leases and not self._queue.has_room:
            self.on_shortage()

    async def close(self) -> None:
        """Stop everything; what runs is lost."""
        self._is_closed = True
        if self._top_up_task is not None:
            self._top_up_task.cancel()
            await asyncio.wait([self._top_up_task])
        if self._learner is not None:
            await self._learner.close()
        self._watch.close()
        for worker in (*self._idle, *self._busy):
            worker.kill()
        self._template.close()

    async def _run_on(
        self, worker: Worker, definition: UdfDefinition, run: Run, body: bytes, *, printed: Printed
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
            raise UdfTimeoutError.after(deadline, udf=definition.name) from exc
        except asyncio.CancelledError:
            worker.kill()
            self.counts.cancelled += 1
            raise
        except ProtocolError as exc:
            worker.kill()  # the UDF wrote into our socket; what else comes from there is worth nothing
            self.counts.lost += 1
            raise WorkerLostError.after_nonsense(udf=definition.name) from exc
        except UnreadError:
            worker.kill()
            self.counts.runs -= 1
            raise
        except EOFError as exc:
            self.counts.lost += 1
            raise await self._lost(worker, definition.name) from exc
        self.counts.failed += isinstance(answer, Failure)
        return answer, answer_body

    async def _lost(self, worker: Worker, udf: str) -> WorkerLostError | UdfMemoryError:
        try:
            status = await worker.template.exit_status(worker.pid)
            lines = [line.strip() for line in worker.read_crash_report().splitlines() if '"<udf ' in line]
        finally:
            worker.kill()  # what the UDF started goes too
        match = _CRASH_LINE.search("\n".join(lines))  # the innermost frame stands first
        line = int(match[1]) if match else None
        if worker.excess is not None:
            return worker.excess.error(udf, line=line, traceback="\n".join(reversed(lines)) or None)
        where = f" in {udf}, line {line}" if line else f" in {udf}"
        return WorkerLostError(
            f"the process of this call {_ending(status)}{where}",
            udf=udf,
            line=line,
            traceback="\n".join(reversed(lines)) or None,
        )

    async def _worker_for(self, digest: str) -> Worker:
        for worker in [worker for worker in self._idle if not worker.is_alive]:
            self._idle.remove(worker)
            worker.kill()  # it is dead; what an earlier UDF started in it may live
        if self._idle:
            chosen = next((worker for worker in self._idle if digest in worker.known), self._idle[-1])
            self._idle.remove(chosen)
        else:
            chosen = await self._fork()
        chosen.begin(self._environment.effective)
        self._watch.wake()
        return chosen

    def _release(self, worker: Worker) -> None:
        self._busy.discard(worker)
        if self._is_fit(worker) and not self._is_closed:
            self._idle.append(worker)
            if self._has_grown(worker):
                asyncio.get_running_loop().call_later(_SECONDS_TO_SHRINK, self._replace_if_grown, worker)
        else:
            self._retire(worker)
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
                # Behind those that have run: they are warm.
                self._idle.insert(0, await self._fork())

    async def _fork(self) -> Worker:
        """A new worker, with what was learnt if that is possible."""
        if (grown := self._grown) is not None:
            try:
                worker = await grown.fork()
            except WorkerLostError:  # it has died, and is not restarted
                self._forget(grown)
                return await self._fork()
        else:
            worker = await self._template.fork()
        if self._learner is not None:
            worker.on_imports = self._learner.hear
        return worker

    def _forget(self, grown: GrownTemplate) -> None:
        if self._grown is grown:
            self._grown = None
            if self._learner is not None:
                self._learner.start_again()

    def _is_fit(self, worker: Worker) -> bool:
        """Whether it may go on: it is well, and not outdated."""
        runs = self._options.recycle_runs
        return (
            worker.is_alive
            and worker.excess is None
            and worker.template is (self._grown or self._template)
            and (not runs or worker.runs < runs)
            and len(worker.known) < _MAX_KNOWN
        )

    def _has_grown(self, worker: Worker) -> bool:
        """Whether UDFs left too much behind in it."""
        return 0 < self._options.recycle_memory < worker.memory.growth

    def _replace_if_grown(self, worker: Worker) -> None:
        """A while after a run: what it sent is no more in its memory then."""
        if worker in self._idle and self._has_grown(worker):
            self._idle.remove(worker)
            self._retire(worker)
            if not self._is_closed:
                self._top_up()

    def _retire(self, worker: Worker) -> None:
        worker.kill()
        worker.template.forget(worker.pid)
        left = {worker.template for worker in (*self._idle, *self._busy)} | {self._template, self._grown}
        if worker.template not in left:
            worker.template.close()  # nothing that it made is left

    async def _adopt(self, grown: GrownTemplate) -> None:
        """Have workers made by this template from now on. The idle ones are replaced before they go."""
        before, self._grown = self._grown, grown
        for worker in tuple(self._idle):
            fresh = await self._fork()
            if worker in self._idle:
                self._idle.remove(worker)
                self._retire(worker)
            self._idle.append(fresh)
        if before is not None and not any(worker.template is before for worker in self._busy):
            before.close()

    def _recall_for_environment(self) -> None:
        """Have leased workers back that run with variables of before."""
        wanted = self._environment.effective
        if self._leases and any(not worker.has(wanted) for worker in self._busy):
            self.on_shortage()


def _ending(status: int | None) -> str:
    if status is None:
        return "ended"
    if status == CUT_OFF << 8:
        return "lost its connection, because the UDF closed files that are not its own,"
    code = status & 0x7F
    if code:
        name = signal.strsignal(code) or "unknown"
        return f"was killed by signal {code} ({name.lower()})"
    return f"ended with exit code {status >> 8}"
