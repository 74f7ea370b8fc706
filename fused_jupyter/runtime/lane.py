"""The short way of `fused.run`: from the calling thread straight to a worker that the host has lent.

A run through the host wakes three processes and an event loop in two of them; this way it wakes one. Leased workers
stay for the next call, for as long as calls come and nobody else wants them.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from fused_jupyter.engines.collation import OnText
from fused_jupyter.engines.direct import DirectWorker, UnreadError
from fused_jupyter.engines.printed import Printed
from fused_jupyter.engines.queue import KERNEL
from fused_jupyter.errors import (
    BusyError,
    CancelledRunError,
    FusedError,
    HostLostError,
    ProtocolError,
    UdfTimeoutError,
    WorkerLostError,
)
from fused_jupyter.runtime.activity import ActiveRun, Activity
from fused_jupyter.runtime.interrupts import Interrupts
from fused_jupyter.runtime.link import HostLink
from fused_jupyter.runtime.log import run_log
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Client, Failure, GiveBack, Lease, Noted, Recall, Reply, Run

_IDLE_SECONDS = 1.0
"""For which a worker waits for the next call; then others may use its slot."""

_REPORT_SECONDS = 1.0
"""After which the host hears what runs here and what came of it."""

_ATTEMPTS = 5
"""Workers that a call is sent to, where they end before it begins."""

_MOST_RUNS = 500
"""Of one lease: then the host looks whether the worker is to be replaced."""


class Lane:
    """The workers that this kernel has on lease. For any number of threads."""

    def __init__(self, link: HostLink, options: Options) -> None:
        self._link = link
        self._options = options
        self._changed = threading.Condition()
        self._idle: list[_Leased] = []
        self._count = 0
        """Workers on lease, or being asked for."""
        self._recalled: set[int] = set()
        self._running: dict[str, _Leased] = {}
        self._asked: dict[str, Future[Any]] = {}
        """Of runs that wait for the host to lend a worker."""
        self._reports = False
        self._log = run_log(options.log_level, link.log_path)
        self._activity = Activity(self._log, slow_seconds=options.slow_seconds)
        link.on_recall = self._recall
        link.on_stop = self._activity.stop

    def run(
        self, definition: UdfDefinition, run: Run, body: Sequence[bytes | memoryview], *, on_text: OnText
    ) -> tuple[Reply, memoryview, str]:
        """Run a UDF and wait; `on_text` gets what it prints, in this thread, as it comes. Ctrl-C stops the run.

        Returns:
            The answer, its body, and the id of the run.

        Raises:
            FusedError: what the UDF or its process met.
        """
        name = definition.name
        with Interrupts() as interrupts:
            active = self._activity.ask(name, tile=run.tile, client=KERNEL, stop=lambda: self._kill(active.run_id))
            try:
                answer, answer_body = self._run_until_begun(
                    active, definition, run, body, on_text=on_text, interrupts=interrupts
                )
            except FusedError as exc:
                self._activity.lose(active, exc)
                raise
            except BaseException:  # above all KeyboardInterrupt
                self._activity.lose(active, _stopped(name))
                raise
            self._activity.finish(active, answer)
        return answer, answer_body, active.run_id

    def stop(self, run_id: str) -> bool:
        """Stop a run; False where there is none of that id here."""
        return self._activity.stop(run_id)

    def report(self) -> None:
        """Tell the host what runs here, and what came of what ran."""
        self._link.note(Noted(tallies=self._activity.take()))

    def _run_until_begun(
        self,
        active: ActiveRun,
        definition: UdfDefinition,
        run: Run,
        body: Sequence[bytes | memoryview],
        *,
        on_text: OnText,
        interrupts: Interrupts,
    ) -> tuple[Reply, memoryview]:
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(UnreadError):  # the worker was killed while it was idle
                return self._run(active, definition, run, body, on_text=on_text, interrupts=interrupts)
        raise WorkerLostError(f"{_ATTEMPTS} processes ended before they began with {definition.name}; the log says why")

    def _run(
        self,
        active: ActiveRun,
        definition: UdfDefinition,
        run: Run,
        body: Sequence[bytes | memoryview],
        *,
        on_text: OnText,
        interrupts: Interrupts,
    ) -> tuple[Reply, memoryview]:
        leased = self._take(active, definition.digest, interrupts=interrupts)
        self._begin(active, leased)
        printed = Printed(self._options.output_limit, on_text)
        default = self._options.tile_timeout if run.tile is not None else self._options.file_timeout
        limit = default if run.deadline is None else run.deadline
        leased.counts["runs"] += 1
        started = time.monotonic()
        try:
            answer, answer_body = interrupts.wait_for(
                lambda: leased.worker.run(
                    definition, run, body, on_text=printed.add, until=started + limit, is_alone=len(self._running) == 1
                )
            )
        except TimeoutError as exc:
            self._end(leased, "timeouts")
            raise _timed(UdfTimeoutError.after(limit, udf=definition.name), started) from exc
        except UnreadError:
            leased.counts["runs"] -= 1
            self._end(leased)
            raise
        except EOFError as exc:
            raise _timed(self._lost(leased, definition.name), started) from exc
        except ProtocolError as exc:
            self._end(leased, "lost")
            raise _timed(WorkerLostError.after_nonsense(udf=definition.name), started) from exc
        except BaseException:  # above all KeyboardInterrupt
            self._end(leased, "cancelled")
            raise
        if isinstance(answer, Failure):
            leased.counts["failed"] += 1
            self._put_back(leased)
            raise answer.to_error()
        self._put_back(leased)
        return answer, answer_body

    def close(self) -> None:
        """Give back what is idle; a host that ends takes the rest along."""
        with self._changed:
            for leased in tuple(self._idle):
                self._idle.remove(leased)
                self._return(leased)
        for handler in self._log.handlers:
            handler.close()

    # -- being watched and stopped

    def _begin(self, active: ActiveRun, leased: _Leased) -> None:
        self._activity.begin(active.run_id)
        with self._changed:
            leased.run_id = active.run_id
            self._running[active.run_id] = leased
            is_first, self._reports = not self._reports, True
        if is_first:
            self._link.call_later(_REPORT_SECONDS, self._report_on)
        if active.is_stopped:  # just before
            self._put_back(leased)
            raise _stopped(active.udf)

    def _report_on(self) -> None:
        """Report now, and every second until nothing is new. Called by the link's loop."""
        with self._changed:
            self._reports = not self._activity.is_quiet
        if self._reports:
            self.report()
            self._link.call_later(_REPORT_SECONDS, self._report_on)

    def _kill(self, run_id: str) -> None:
        """Have the host kill the worker of a run; who waits for it sees its end."""
        with self._changed:
            leased = self._running.get(run_id)
            if leased is not None:
                leased.is_killed = True
                leased.counts["cancelled"] += 1
                self._link.tell(leased.client, replace(leased.giving_back(), kill=True))
            self._changed.notify_all()
        if (asked := self._asked.get(run_id)) is not None:
            asked.cancel()

    # -- taking and giving back

    def _take(self, active: ActiveRun, digest: str, *, interrupts: Interrupts) -> _Leased:
        """An idle worker, or a new lease; where all are at work for this kernel already, the first that comes free."""
        until = time.monotonic() + self._options.queue_timeout
        with self._changed:
            while True:
                if (leased := self._idle_one(digest)) is not None:
                    return leased
                if self._count < self._options.workers:
                    self._count += 1
                    break
                if active.is_stopped:
                    raise _stopped(active.udf)
                if not self._wait_for_change(until, interrupts):
                    message = f"other calls of this kernel held all workers for {self._options.queue_timeout:g} s"
                    raise BusyError(f"{message}; try again, or raise FUSED_WORKERS", retry_after=5)
        try:
            return _Leased(
                *self._link.lease(
                    digest,
                    on_asked=lambda future: self._asked.update({active.run_id: future}),
                    interrupts=interrupts,
                )
            )
        except BaseException:  # also Ctrl-C: the place of a lease that does not come is free
            self._leave()
            raise
        finally:
            self._asked.pop(active.run_id, None)

    def _wait_for_change(self, until: float, interrupts: Interrupts) -> bool:
        """False where nothing changed in time. Called with the lock."""
        try:
            return interrupts.wait_for(lambda: self._changed.wait(until - time.monotonic()))
        except BaseException:  # Ctrl-C
            self._changed.notify()  # it may have been told just now, and does not come
            raise

    def _idle_one(self, digest: str) -> _Leased | None:
        """One that is alive, best one that has the code. Called with the lock."""
        while self._idle:
            leased = next((each for each in self._idle if digest in each.worker.known), self._idle[-1])
            self._idle.remove(leased)
            if leased.client.is_open and not leased.worker.needs_pipes:
                return leased
            self._return(leased)
        return None

    def _put_back(self, leased: _Leased) -> None:
        with self._changed:
            self._running.pop(leased.run_id, None)
            if leased.is_killed:  # just too late
                self._forget(leased)
                leased.worker.close()
                return
            if leased.number in self._recalled or leased.counts["runs"] >= _MOST_RUNS:
                self._return(leased)
                return
            leased.idle_since = time.monotonic()
            self._idle.append(leased)
            self._changed.notify()
            if not leased.is_watched:
                leased.is_watched = True
                self._link.call_later(_IDLE_SECONDS, lambda: self._return_if_idle(leased))

    def _return_if_idle(self, leased: _Leased) -> None:
        """Called now and then by the link's loop."""
        with self._changed:
            if leased.is_returned:
                return
            idle = time.monotonic() - leased.idle_since if leased in self._idle else 0.0
            if idle < _IDLE_SECONDS:
                self._link.call_later(_IDLE_SECONDS - idle, lambda: self._return_if_idle(leased))
                return
            self._idle.remove(leased)
            self._return(leased)

    def _recall(self, message: Recall) -> None:
        """Others wait. Called by the link's loop."""
        with self._changed:
            leased = next((each for each in self._idle if each.number == message.lease), None)
            if leased is None:
                self._recalled.add(message.lease)
                return
            self._idle.remove(leased)
            self._return(leased)

    def _return(self, leased: _Leased) -> None:
        """Called with the lock; nobody waits for the host."""
        self._forget(leased)
        self._link.tell(leased.client, leased.giving_back())
        leased.worker.close()

    def _end(self, leased: _Leased, outcome: str = "") -> None:
        """Have the host kill a worker, and wait until it is done: a cell that is stopped leaves nothing that runs."""
        if outcome:
            leased.counts[outcome] += 1
        with self._changed:
            self._forget(leased)
        try:
            self._link.give_back(leased.client, replace(leased.giving_back(), kill=True))
        except FusedError:
            pass  # the host is gone, and its workers with it
        finally:
            leased.worker.close()

    def _lost(self, leased: _Leased, udf: str) -> FusedError:
        """What the host knows of a worker that died."""
        with self._changed:
            self._forget(leased)
        if leased.is_killed:
            leased.worker.close()
            return _stopped(udf)
        try:
            self._link.give_back(leased.client, replace(leased.giving_back(), lost=udf))
        except HostLostError:
            return HostLostError("the runtime host stopped while this call ran", udf=udf, retry_after=1)
        except FusedError as exc:
            return exc
        finally:
            leased.worker.close()
        return WorkerLostError(f"the process of this call ended in {udf}", udf=udf)

    def _forget(self, leased: _Leased) -> None:
        leased.is_returned = True
        self._running.pop(leased.run_id, None)
        self._recalled.discard(leased.number)
        self._count -= 1
        self._changed.notify()

    def _leave(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify()


class _Leased:
    """One worker on lease."""

    def __init__(self, client: Client, message: Lease, worker: DirectWorker) -> None:
        self.client = client
        self.number = message.id
        self.worker = worker
        self.counts: collections.Counter[str] = collections.Counter()
        self.idle_since = 0.0
        self.is_watched = False
        self.is_returned = False
        self.run_id = ""
        self.is_killed = False
        """Whether somebody stopped its run."""

    def giving_back(self) -> GiveBack:
        """The message that ends the lease; its number is filled in by who sends it."""
        return GiveBack(id=0, lease=self.number, known=tuple(self.worker.known), counts=dict(self.counts))


def _stopped(udf: str) -> CancelledRunError:
    return CancelledRunError(f"{udf} was stopped", udf=udf)


def _timed(error: FusedError, started: float) -> FusedError:
    error.seconds = time.monotonic() - started
    return error
