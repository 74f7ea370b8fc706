"""How much memory one call may take: the system refuses more inside the worker, and the host looks on from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from fused_jupyter.engines import WORKER_VARIABLE
from fused_jupyter.errors import UdfMemoryError
from fused_jupyter.settings import allowed_memory

RESERVE = 2 << 30
"""Address space that libraries take and may never use: stacks of threads, arenas of allocators.

The system counts it, so the worker's own limit lies higher by as much. The host counts what is really used.
"""

TRACE_SIGNAL = int(getattr(signal, "SIGRTMAX", 0)) - 3
"""A worker that gets it writes into its crash report where it is; negative where the system has no such signals."""

_PAGE = resource.getpagesize()
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_BETWEEN_LOOKS_NEAR_THE_LIMIT = 0.05
_SHARE_OF_TIME = 50
"""One look costs at most this part of the time until the next one, however many processes the machine has."""
_SECONDS_TO_TRACE = 0.05


class CallLimit:
    """Inside a worker: the system refuses what a call wants beyond its limit, so Python raises MemoryError at its line.

    On Linux only; elsewhere, and with 0, nothing is limited.

    Args:
        size: bytes beyond what the process has when the call begins.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._soft, self._hard = resource.getrlimit(resource.RLIMIT_DATA)

    def renew(self) -> None:
        """Count from what the process has now. Costs 3 µs."""
        if not self._size:
            return
        with contextlib.suppress(OSError, ValueError):  # no /proc; a UDF has lowered what it may ask for
            data = _pages(os.getpid())[_DATA] * _PAGE
            wanted = data + self._size + RESERVE
            limits = [each for each in (wanted, self._soft, self._hard) if each != resource.RLIM_INFINITY]
            resource.setrlimit(resource.RLIMIT_DATA, (min(limits), self._hard))

    def explain(self, error: UdfMemoryError) -> UdfMemoryError:
        """The same error, saying what the limit is."""
        if self._size:
            error.message += f"; one call may take {readable(self._size)} (FUSED_MEMORY_LIMIT): {_ADVICE}"
        return error


def allow_mapped(size: int) -> None:
    """Let the present call of a worker map so many bytes of a file beside what it may take.

    They are shared until they are written to, but Linux counts what may be written as if it were.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if WORKER_VARIABLE in os.environ and soft != resource.RLIM_INFINITY:
        wanted = soft + size if hard == resource.RLIM_INFINITY else min(soft + size, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


class ProcessMemory:
    """What a process has of memory, as the host sees it. A look costs 1 µs; 0 where the system does not tell."""

    def __init__(self, pid: int) -> None:
        self._file: int | None = None
        with contextlib.suppress(OSError):
            self._file = os.open(f"/proc/{pid}/statm", os.O_RDONLY)
        self._at_start = self._anonymous
        self.before = self.resident
        """Bytes that were resident when the present call began."""

    @property
    def resident(self) -> int:
        """Bytes in memory now, mapped files included."""
        return self._look()[_RESIDENT] * _PAGE

    @property
    def growth(self) -> int:
        """Bytes that it has more than at its start; mapped files not counted, as the system takes those back."""
        return self._anonymous - self._at_start

    def begin(self) -> None:
        """A call begins: what is there now is not its own."""
        self.before = self.resident

    def close(self) -> None:
        """Look no more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @property
    def _anonymous(self) -> int:
        pages = self._look()
        return (pages[_RESIDENT] - pages[_SHARED]) * _PAGE

    def _look(self) -> list[int]:
        if self._file is not None:
            with contextlib.suppress(OSError):  # it has ended
                if data := os.pread(self._file, 128, 0):
                    return [int(each) for each in data.split()]
        return [0] * (_DATA + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """Why a call was stopped."""

    used: int
    """Bytes that the call used, with the processes that it started."""
    allowed: int
    together: int = 0
    """Bytes that all calls used, where it was that which was too much."""

    def error(self, udf: str, **details: str | int | None) -> UdfMemoryError:
        """What its caller is told."""
        used, allowed = readable(self.used), readable(self.allowed)
        message = (
            f"{udf} used {used} of memory, a call may take {allowed} (FUSED_MEMORY_LIMIT), and was stopped: {_ADVICE}"
        )
        if self.together:
            message = (
                f"the calls that ran used {readable(self.together)} of memory together, all may take {allowed}; {udf} "
                f"used the most, {used}, and was stopped: {_ADVICE}, or run fewer at once (FUSED_WORKERS)"
            )
        error = UdfMemoryError(message, udf=udf, child_exception_class="MemoryError", **details)  # type: ignore[arg-type]  # fields of FusedError
        error.peak_memory = self.used
        return error


class Watched(Protocol):
    """A busy worker, as the watch needs it."""

    pid: int
    memory: ProcessMemory
    excess: Excess | None

    def end(self) -> None:
        """Kill it and all that it started."""


class MemoryWatch:
    """Looks at busy workers, some times a second and only while there are any, and stops those that use too much.

    Args:
        busy: the workers that have a call.
        limit: bytes for one call; 0 watches nothing. All together may have as much, or 80 % of the machine.
        on_look: called at each look.
    """

    def __init__(self, busy: Collection[Watched], *, limit: int, on_look: Callable[[], None] = lambda: None) -> None:
        self._busy = busy
        self._limit = limit
        self._together = max(limit, allowed_memory() * 4 // 5)
        self._on_look = on_look
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._look_exactly_at = 0.0

    def wake(self) -> None:
        """A worker became busy."""
        if self._timer is None and not self._is_closed:
            self._timer = asyncio.get_running_loop().call_later(_SECONDS_BETWEEN_LOOKS, self._look)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._is_closed = True

    def _look(self) -> None:
        self._timer = None
        if not self._busy:
            return
        started = time.perf_counter()
        self._on_look()
        is_near = bool(self._limit) and self._judge(started)
        pause = _SECONDS_BETWEEN_LOOKS_NEAR_THE_LIMIT if is_near else _SECONDS_BETWEEN_LOOKS
        taken = time.perf_counter() - started
        self._timer = asyncio.get_running_loop().call_later(max(pause, taken * _SHARE_OF_TIME), self._look)

    def _judge(self, now: float) -> bool:
        """Stop those that use too much; gives whether the limit is near."""
        watched = [worker for worker in self._busy if worker.excess is None]
        if not watched:
            return False
        families = descendants({worker.pid for worker in watched})
        used = {worker: _at_most(worker, families[worker.pid]) for worker in watched}
        if self._is_too_much(used.values()) and now >= self._look_exactly_at:
            used = {worker: min(most, _exactly(worker.pid, families[worker.pid])) for worker, most in used.items()}
            if not self._stop_who_uses_too_much(used, families):
                self._look_exactly_at = now + 1.0  # forked children share most of what they seem to have
        return 2 * max(used.values()) > self._limit or 2 * sum(used.values()) > self._together

    def _is_too_much(self, used: Collection[int]) -> bool:
        return max(used) > self._limit or sum(used) > self._together

    def _stop_who_uses_too_much(self, used: dict[Watched, int], families: dict[int, dict[int, int]]) -> bool:
        guilty = {worker: Excess(used=size, allowed=self._limit) for worker, size in used.items() if size > self._limit}
        together = sum(used.values())
        if not guilty and together > self._together:
            worker = max(used, key=lambda worker: used[worker])
            guilty[worker] = Excess(used=used[worker], allowed=self._together, together=together)
        for worker, excess in guilty.items():
            worker.excess = excess
            _stop(worker, families[worker.pid])
        return bool(guilty)


def descendants(pids: Collection[int]) -> dict[int, dict[int, int]]:
    """For each process, the resident bytes of all that descend from it: also those in a session of their own."""
    children: dict[int, list[int]] = {}
    resident: dict[int, int] = {}
    for pid, parent, size in _processes():
        children.setdefault(parent, []).append(pid)
        resident[pid] = size
    found = {}
    for root in pids:
        family, waiting = dict[int, int](), list(children.get(root, ()))
        while waiting:
            pid = waiting.pop()
            family[pid] = resident[pid]
            waiting += children.get(pid, ())
        found[root] = family
    return found


def children(parent: int) -> list[int]:
    """The processes whose parent this one is now; none where the system does not tell."""
    return [pid for pid, its_parent, _ in _processes() if its_parent == parent]


def with_variable(name: str, value: str) -> list[int]:
    """The processes that began with this in their environment: one that was started with it, and all that it starts."""
    wanted, found = f"{name}={value}".encode(), []
    for pid, _, _ in _processes():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - no Path needed
            if wanted in file.read().split(b"\0"):
                found.append(pid)
    return found


def readable(size: int) -> str:
    """Bytes as people say them.

    >>> readable(1_500_000_000), readable(300_000_000)
    ('1.5 GB', '300 MB')
    """
    return f"{size / 1e9:.3g} GB" if size >= 1_000_000_000 else f"{size / 1e6:.3g} MB"


_ADVICE = "read less at once (a smaller area, fewer columns, a coarser overview), or raise it"

_CAN_TELL_EXACTLY = os.path.exists("/proc/self/smaps_rollup")  # noqa: PTH110 - no Path needed

_RESIDENT, _SHARED, _DATA = 1, 2, 5
"""Places of the numbers in /proc/<pid>/statm, all in pages."""


def _pages(pid: int) -> list[int]:
    descriptor = os.open(f"/proc/{pid}/statm", os.O_RDONLY)
    try:
        return [int(each) for each in os.read(descriptor, 128).split()]
    finally:
        os.close(descriptor)


def _processes() -> Iterator[tuple[int, int, int]]:
    """Of every process: its id, its parent, its resident bytes."""
    with contextlib.suppress(OSError):  # a system without /proc
        for name in os.listdir("/proc"):  # noqa: PTH208 - some hundred names, some times a second
            if name.isdigit():
                with contextlib.suppress(OSError):  # it has ended
                    descriptor = os.open(f"/proc/{name}/stat", os.O_RDONLY)
                    try:
                        text = os.read(descriptor, 1024)
                    finally:
                        os.close(descriptor)
                    fields = text[text.rindex(b")") + 2 :].split()  # the name before may hold blanks and brackets
                    yield int(name), int(fields[1]), int(fields[21]) * _PAGE


def _at_most(worker: Watched, family: dict[int, int]) -> int:
    """Bytes that a call has taken, quickly; what processes share is counted for each."""
    return max(0, worker.memory.resident - worker.memory.before) + sum(family.values())


def _exactly(pid: int, family: dict[int, int]) -> int:
    """Bytes that a worker and its family have; of what they share with others only their share, of files nothing."""
    size = 0
    for each in (pid, *family):
        with contextlib.suppress(OSError), open(f"/proc/{each}/smaps_rollup", encoding="ascii") as file:  # noqa: PTH123 - no Path needed
            size += 1024 * sum(int(line.split()[1]) for line in file if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    return size if _CAN_TELL_EXACTLY else sys.maxsize


def _stop(worker: Watched, family: Collection[int]) -> None:
    """Have a worker say in which line it is, then kill it and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if TRACE_SIGNAL > 0:
            os.kill(worker.pid, TRACE_SIGNAL)
    asyncio.get_running_loop().call_later(_SECONDS_TO_TRACE, _end, worker, family)


def _end(worker: Watched, family: Collection[int]) -> None:
    worker.end()  # first: it must not go on with what is left of its children
    for pid in family:  # those with a session of their own
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
