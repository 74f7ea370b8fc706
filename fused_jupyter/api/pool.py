"""Many runs of one UDF: what `udf.map(arguments)` and `fused.submit` give."""

from __future__ import annotations

import asyncio
import contextlib
import html
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from fused_jupyter.api.figures import duration, glimpse
from fused_jupyter.errors import CancelledRunError, FusedError, UdfTimeoutError

if TYPE_CHECKING:
    import pandas as pd

    from fused_jupyter.api.result import RunResult

JobStatus = Literal["pending", "running", "success", "error", "timeout", "cancelled"]
Start = Callable[[Mapping[str, Any]], Coroutine[Any, Any, "RunResult"]]
"""Runs the UDF with arguments; what goes wrong in the run stands in the result."""

_TICK = 0.1
"""Seconds after which a wait looks for Ctrl-C; with none at all some platforms would not see it."""


class Job:
    """One run of a pool."""

    def __init__(self, number: int, arguments: Mapping[str, Any]) -> None:
        self.number = number
        """From 0, in the order of the arguments."""
        self.arguments = arguments
        self._status: JobStatus = "pending"
        self._result: RunResult | None = None
        self._error: FusedError | None = None

    def status(self) -> JobStatus:
        """Where it stands now."""
        return self._status

    def done(self) -> bool:
        """Whether nothing more comes of it."""
        return self._status not in {"pending", "running"}

    def result(self) -> Any:
        """What the UDF returned.

        Raises:
            FusedError: the run failed, or was cancelled, or is not over yet.
        """
        if not self.done():
            raise CancelledRunError(f"run {self.number} is {self._status}; wait() for it")
        if (error := self.exception()) is not None:
            raise error
        return None if self._result is None else self._result.data

    def exception(self) -> FusedError | None:
        """Why it failed; None where it did not."""
        return self._error or (None if self._result is None else self._result.error)

    def logs(self) -> str:
        """What it printed."""
        return "" if self._result is None else self._result.stdout + self._result.stderr

    def time(self) -> float:
        """Seconds that the UDF ran."""
        return 0.0 if self._result is None else self._result.seconds

    def __repr__(self) -> str:
        return f"<Job {self.number} {glimpse(dict(self.arguments), 60)}: {self._status}>"

    def begin(self) -> None:
        """It runs."""
        self._status = "running"

    def finish(self, result: RunResult) -> None:
        """It has run."""
        self._result = result
        failed: JobStatus = "timeout" if isinstance(result.error, UdfTimeoutError) else "error"
        self._status = "success" if result.error is None else failed

    def drop(self, error: FusedError | None = None) -> None:
        """It was not run, or not to its end."""
        self._error = error or CancelledRunError(f"run {self.number} was cancelled")
        self._status = "cancelled" if error is None else "error"

    def renew(self) -> None:
        """It is to be run again."""
        self._status, self._result, self._error = "pending", None, None


class JobPool:
    """Runs of a UDF that go on beside the notebook; some at a time, the others wait.

    Its methods are those of Fused's own pool. Those that want results wait for them.

    Args:
        name: what the UDF is called.
        arguments: of each run.
        start: runs it.
        max_workers: how many run at a time.
        constants: names of arguments that are the same for all, and say nothing of a run.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[Mapping[str, Any]],
        *,
        start: Start,
        max_workers: int,
        constants: Collection[str] = (),
    ) -> None:
        self.name = name
        self.max_workers = max_workers
        self._jobs = [Job(number, each) for number, each in enumerate(arguments)]
        self._start = start
        self._constants = frozenset(constants)
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._began = time.perf_counter()
        self._seconds = 0.0
        self._thread: threading.Thread | None = None
        self._launch(self._jobs)

    # -- waiting

    def wait(self) -> JobPool:
        """Wait until all runs are over. Ctrl-C ends the wait, and not the runs; `cancel()` ends those."""
        with self._changed:
            while not self.done():
                self._changed.wait(_TICK)
        return self

    def tail(self, *, stop_on_exception: bool = False, timeout: float | None = None) -> None:
        """Print a line for each run that ends, until all have.

        Args:
            stop_on_exception: raise the first error.
            timeout: seconds, at most.

        Raises:
            TimeoutError: the time is over; says which runs are not.
            FusedError: a run failed, with `stop_on_exception`.
        """
        until = None if timeout is None else time.monotonic() + timeout
        left = list(self._jobs)
        while left:
            for job in [each for each in left if each.done()]:
                left.remove(job)
                told = "" if job.exception() is None else f": {job.exception()}"
                print(f"{self.name} {job.number} {dict(job.arguments)}: {job.status()}{told}")  # noqa: T201 - its purpose
                if stop_on_exception and (error := job.exception()) is not None:
                    raise error
            if left and until is not None and time.monotonic() > until:
                raise TimeoutError(f"{len(left)} of {len(self)} runs are not over: {left[:10]}")
            if left:
                with self._changed:
                    self._changed.wait(_TICK)

    def done(self) -> bool:
        """Whether all are over."""
        return all(job.done() for job in self._jobs)

    def cancel(self, wait: bool = False) -> JobPool:  # noqa: FBT001, FBT002 - Fused's own signature
        """Stop the runs that go on, and leave out those that wait.

        Args:
            wait: until they have ended.
        """
        if self._loop is not None and self._work is not None:
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                self._loop.call_soon_threadsafe(self._work.cancel)
        return self.wait() if wait else self

    def retry(self) -> JobPool:
        """Run those again that failed or were cancelled; the others keep their results."""
        self.wait()
        if self._thread is not None:
            self._thread.join()  # it clears up behind the last run, and must not find these
        again = [job for job in self._jobs if job.status() != "success"]
        for job in again:
            job.renew()
        self._launch(again)
        return self

    # -- what came of it

    def results(self, return_exceptions: bool = False) -> list[Any]:  # noqa: FBT001, FBT002 - Fused's own signature
        """What the runs returned, in the order of the arguments.

        Args:
            return_exceptions: give errors in the list, in place of raising the first.

        Raises:
            FusedError: one failed.
        """
        self.wait()
        return [(job.exception() or job.result()) if return_exceptions else job.result() for job in self._jobs]

    def results_now(self, return_exceptions: bool = False) -> dict[int, Any]:  # noqa: FBT001, FBT002 - see above
        """The same of those that are over, by their numbers."""
        over = [job for job in self._jobs if job.done()]
        return {job.number: (job.exception() or job.result()) if return_exceptions else job.result() for job in over}

    def df(
        self,
        *,
        ignore_exceptions: bool = False,
        flatten: bool = True,
        drop_index: bool = False,
    ) -> pd.DataFrame:
        """All results as one table.

        Tables are put below each other, with the arguments as the first levels of the index; other values stand in a
        column `result`, one row each.

        Args:
            ignore_exceptions: leave out runs that failed; else the first error is raised.
            flatten: False puts tables into the column, too.
            drop_index: number the runs in the index, as `arg_pos`, in place of their arguments.

        Raises:
            FusedError: a run failed.
        """
        from fused_jupyter.api.collecting import collected

        self.wait()
        kept = [job for job in self._jobs if not (ignore_exceptions and job.exception() is not None)]
        return collected(
            [job.result() for job in kept],
            [{"arg_pos": job.number} if drop_index else self._own(job) for job in kept],
            is_flat=flatten,
        )

    def collect(self, **options: Any) -> pd.DataFrame:
        """The same as `df`."""
        return self.df(**options)

    def logs_df(self) -> pd.DataFrame:
        """One row for each run: arguments, status, seconds, result, error and what it printed."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    **job.arguments,
                    "status": job.status(),
                    "time": job.time(),
                    "result": job.result() if job.status() == "success" else None,
                    "exception": job.exception(),
                    "logs": job.logs(),
                }
                for job in self._jobs
            ]
        )

    def arg_df(self) -> pd.DataFrame:
        """The arguments, one row for each run."""
        import pandas as pd

        return pd.DataFrame([dict(job.arguments) for job in self._jobs])

    def status(self) -> dict[str, int]:
        """How many runs stand where."""
        return dict(Counter(job.status() for job in self._jobs))

    def times(self) -> list[float]:
        """Seconds that each UDF ran."""
        return [job.time() for job in self._jobs]

    def total_time(self) -> float:
        """Seconds from the first run to the end of the last, or until now."""
        return self._seconds or time.perf_counter() - self._began

    def logs(self) -> list[str]:
        """What each run printed."""
        return [job.logs() for job in self._jobs]

    def errors(self) -> dict[int, FusedError]:
        """Why runs failed, by their numbers; of those that are over."""
        return {job.number: error for job in self._jobs if (error := job.exception()) is not None}

    def first_error(self) -> FusedError | None:
        """The first of these."""
        return next(iter(self.errors().values()), None)

    def first_log(self) -> str:
        """What the first run that failed had printed; where none did, what the first one printed."""
        failed = next((job for job in self._jobs if job.exception() is not None), self._jobs[0])
        return failed.logs()

    def success(self) -> list[Job]:
        """Runs that went well."""
        return self._those("success")

    def pending(self) -> list[Job]:
        """Runs that wait."""
        return self._those("pending")

    def running(self) -> list[Job]:
        """Runs that go on."""
        return self._those("running")

    def cancelled(self) -> list[Job]:
        """Runs that were cancelled."""
        return self._those("cancelled")

    def all_succeeded(self) -> bool:
        """Whether all are over and went well."""
        return all(job.status() == "success" for job in self._jobs)

    def any_succeeded(self) -> bool:
        """Whether one went well."""
        return bool(self.success())

    def any_failed(self) -> bool:
        """Whether one failed."""
        return bool(self.errors())

    # -- as an object

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, number: int) -> Job:
        return self._jobs[number]

    def __iter__(self) -> Iterator[Any]:
        """The results, each as soon as it and all before it are there."""
        for job in self._jobs:
            with self._changed:
                while not job.done():
                    self._changed.wait(_TICK)
            yield job.result()

    def __repr__(self) -> str:
        told = ", ".join(f"{count} {status}" for status, count in self.status().items())
        return f"<JobPool of {self.name}: {told}, {duration(self.total_time())}>"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{status}</td><td>{count}</td></tr>" for status, count in self.status().items())
        return f"<table><tr><th>{html.escape(self.name)}</th><th>{duration(self.total_time())}</th></tr>{rows}</table>"

    # -- how it works

    def _own(self, job: Job) -> Mapping[str, Any]:
        """What tells a run from the others."""
        own = {name: value for name, value in job.arguments.items() if name not in self._constants}
        return own or {"arg_pos": job.number}

    def _those(self, status: JobStatus) -> list[Job]:
        return [job for job in self._jobs if job.status() == status]

    def _launch(self, jobs: Sequence[Job]) -> None:
        """Have a thread run them: a loop of its own, as the caller may be in one, which needs no patch then."""
        self._began, self._seconds = time.perf_counter(), 0.0
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(jobs, ready)), name=f"fused-{self.name}", daemon=True
        )
        self._thread.start()
        ready.wait()

    async def _run(self, jobs: Sequence[Job], ready: threading.Event) -> None:
        self._loop, self._work = asyncio.get_running_loop(), asyncio.current_task()
        ready.set()
        waiting = iter(jobs)
        lanes = [self._one_after_the_other(waiting) for _ in range(min(self.max_workers, len(jobs)))]
        try:
            await asyncio.gather(*lanes)
        except asyncio.CancelledError:
            pass
        finally:
            for job in jobs:
                if not job.done():
                    job.drop()
            self._seconds = time.perf_counter() - self._began
            self._tell()

    async def _one_after_the_other(self, waiting: Iterator[Job]) -> None:
        for job in waiting:
            job.begin()
            try:
                job.finish(await self._start(job.arguments))
            except asyncio.CancelledError:
                job.drop()
                raise
            except FusedError as exc:
                job.drop(exc)
            finally:
                self._tell()

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()
