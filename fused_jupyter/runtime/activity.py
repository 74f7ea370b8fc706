"""What runs, what waits, and what came of what ran: for `%fused_top`, for metrics, for the log.

The host has one for what it runs; the kernel has one for what it runs on leased workers, and hands that over to the
host every second, so that one place knows all.
"""

from __future__ import annotations

import collections
import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fused_jupyter.errors import (
    BusyError,
    CancelledRunError,
    FusedError,
    HostLostError,
    UdfTimeoutError,
    WorkerLostError,
)
from fused_jupyter.runtime.log import log_run
from fused_jupyter.runtime.tally import OTHERS, Tally
from fused_jupyter.wire import Failure, Reply

_MOST_UDFS = 200
"""Names that are told apart; a notebook that makes more has them in one line, so that nothing grows without bound."""

_MOST_ERRORS = 20
_MESSAGE = 300
"""Characters of an error's message."""

_OUTCOMES: dict[type[FusedError], str] = {
    UdfTimeoutError: "timeout",
    WorkerLostError: "lost",
    HostLostError: "lost",
    CancelledRunError: "cancelled",
    BusyError: "refused",
}
"""What else may come of a run than `ok` and `failed`."""


@dataclass(slots=True, eq=False)
class ActiveRun:
    """A run that waits or goes on."""

    run_id: str
    udf: str
    tile: tuple[int, int, int] | None
    client: str
    stop: Callable[[], object]
    """Ends it; called at most once, in any thread."""
    asked_at: float = field(default_factory=time.perf_counter)
    began_at: float | None = None
    is_stopped: bool = False

    @property
    def queue_seconds(self) -> float:
        """How long it waited, or has been waiting."""
        return (self.began_at or time.perf_counter()) - self.asked_at

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return 0.0 if self.began_at is None else time.perf_counter() - self.began_at

    def note_begun(self) -> None:
        """It ran, though its engine has not said since when."""
        if self.began_at is None:
            self.began_at = self.asked_at

    def to_json(self) -> dict[str, Any]:
        """For whoever looks."""
        return {
            "run_id": self.run_id,
            "udf": self.udf,
            "tile": self.tile,
            "client": self.client,
            "state": "waiting" if self.began_at is None else "running",
            "since": time.time() - (time.perf_counter() - self.asked_at),
            "queue_seconds": self.queue_seconds,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """What came of a run."""

    run: ActiveRun
    outcome: str
    status: int
    seconds: float
    encode_seconds: float = 0.0
    error: FusedError | None = None


class Activity:
    """The runs of one process. For any number of threads.

    Args:
        log: takes a line for each run that is worth one.
        slow_seconds: a run that takes longer is worth a line.
    """

    def __init__(self, log: logging.Logger | None = None, *, slow_seconds: float = 10.0) -> None:
        self._log = log
        self._slow_seconds = slow_seconds
        self._lock = threading.Lock()
        self._prefix = secrets.token_hex(3)
        self._numbers = itertools.count(secrets.randbelow(1 << 20))
        self._active: dict[str, ActiveRun] = {}
        self._elsewhere: dict[str, Mapping[str, Any]] = {}
        """What the kernel runs on leased workers, as it said last."""
        self._tallies: dict[str, Tally] = {}
        self._errors: collections.deque[dict[str, Any]] = collections.deque(maxlen=_MOST_ERRORS)

    # -- one run

    def ask(
        self, udf: str, *, tile: tuple[int, int, int] | None = None, client: str = "", stop: Callable[[], object]
    ) -> ActiveRun:
        """A run is asked for; this gives it its id."""
        # 12 digits: a few that no other process has, and a number. Random ones would cost ten times as much.
        run_id = f"{self._prefix}{next(self._numbers) & 0xFFFFFF:06x}"
        run = ActiveRun(run_id, udf, tile, client, stop)
        with self._lock:
            self._active[run_id] = run
        return run

    def begin(self, run_id: str) -> None:
        """It has a worker now."""
        run = self._active.get(run_id)
        if run is not None and run.began_at is None:
            run.began_at = time.perf_counter()

    def succeed(self, run: ActiveRun, reply: Reply) -> Reply:
        """It ended well; gives the reply with what is known of the run."""
        self.finish(run, reply)
        return replace(reply, run_id=run.run_id, queue_seconds=run.queue_seconds, source="miss")

    def finish(self, run: ActiveRun, reply: Reply) -> None:
        """It ended well."""
        run.note_begun()
        self._end(
            FinishedRun(
                run=run, outcome="ok", status=reply.status, seconds=reply.seconds, encode_seconds=reply.encode_seconds
            )
        )

    def fail(self, run: ActiveRun, failure: Failure) -> Failure:
        """The UDF failed; gives the failure with what is known of the run."""
        error = failure.to_error()
        run.note_begun()
        self._end(_failed(run, error))
        return replace(failure, run_id=run.run_id, queue_seconds=run.queue_seconds)

    def lose(self, run: ActiveRun, error: FusedError) -> None:
        """It was refused, stopped or lost; the error gets what is known of the run."""
        error.run_id, error.queue_seconds = run.run_id, run.queue_seconds
        self._end(_failed(run, error))

    def stop(self, run_id: str) -> bool:
        """Stop a run of this process; False where there is none of that id."""
        with self._lock:
            run = self._active.get(run_id)
            if run is None or run.is_stopped:
                return run is not None
            run.is_stopped = True
        run.stop()
        return True

    def runs_elsewhere(self, run_id: str) -> bool:
        """Whether the kernel runs it on a leased worker."""
        return run_id in self._elsewhere

    def _end(self, finished: FinishedRun) -> None:
        run, error = finished.run, finished.error
        with self._lock:
            self._active.pop(run.run_id, None)
            self._tally(run.udf).add(finished.outcome, None if run.began_at is None else finished.seconds)
            if error is not None and finished.outcome != "cancelled":
                self._errors.append(_told(finished, error))
        if self._log is not None:
            log_run(self._log, finished, slow_seconds=self._slow_seconds)

    # -- answers that cost no run

    def hit(self, udf: str, source: str, *, count: int = 1) -> None:
        """A request was answered from what was kept, or joined a run."""
        with self._lock:
            self._tally(udf).hits[source] += count

    def _tally(self, udf: str) -> Tally:
        """Called with the lock."""
        tally = self._tallies.get(udf)
        if tally is None:
            name = udf if len(self._tallies) < _MOST_UDFS else OTHERS
            tally = self._tallies.setdefault(name, Tally())
        return tally

    # -- between processes

    @property
    def is_quiet(self) -> bool:
        """Whether `take` would say nothing that is new."""
        return not (self._active or self._tallies)

    def take(self) -> dict[str, Any]:
        """What was counted since the last time, and what runs now; for `merge`."""
        with self._lock:
            tallies, self._tallies = self._tallies, {}
            errors = list(self._errors)
            self._errors.clear()
            active = list(self._active.values())
        return {
            "active": [run.to_json() for run in active],
            "udfs": {name: tally.to_json() for name, tally in tallies.items()},
            "errors": errors,
        }

    def merge(self, taken: Mapping[str, Any]) -> None:
        """Add what the kernel counted."""
        with self._lock:
            self._elsewhere = {run["run_id"]: run for run in taken["active"]}
            for name, values in taken["udfs"].items():
                self._tally(name).merge(Tally.from_json(values))
            self._errors.extend(taken["errors"])

    def snapshot(self) -> dict[str, Any]:
        """All that is known: `active`, `udfs`, `errors` (the newest first)."""
        with self._lock:
            tallies = {name: tally.copy() for name, tally in self._tallies.items()}
            errors = sorted(self._errors, key=lambda error: float(error["at"]), reverse=True)
            active = list(self._active.values())
            elsewhere = list(self._elsewhere.values())
        runs = [*(run.to_json() for run in active), *elsewhere]
        return {
            "active": sorted(runs, key=lambda run: float(run["since"])),
            "udfs": {name: tally.shown() for name, tally in sorted(tallies.items())},
            "errors": errors,
        }


def _failed(run: ActiveRun, error: FusedError) -> FinishedRun:
    outcome = next((name for kind, name in _OUTCOMES.items() if isinstance(error, kind)), "failed")
    seconds = error.seconds or run.seconds
    return FinishedRun(run=run, outcome=outcome, status=error.status, seconds=seconds, error=error)


def _told(finished: FinishedRun, error: FusedError) -> dict[str, Any]:
    return {
        "run_id": finished.run.run_id,
        "udf": finished.run.udf,
        "tile": finished.run.tile,
        "type": error.child_exception_class or type(error).__name__,
        "message": error.message[:_MESSAGE],
        "line": error.line,
        "at": time.time(),
    }
