"""What a UDF finds around it in its process: put back after each call, so that the next one finds the same."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # no stub
import asyncio
import contextlib
import gc
import locale
import os
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

_Read = Callable[[], Any]
_Write = Callable[[Any], Any]

_SIGNALS = tuple(sorted(n for n in signal.valid_signals() if n < 32 and n not in {signal.SIGKILL, signal.SIGSTOP}))
"""Without those for real time: hardly anybody handles them, and each look takes half a microsecond."""


class Surroundings:
    """The state of this process that is no module's own, as it is when this is made; for the main thread.

    Where nothing changed, all is read at once and compared at once: the next call may be waiting. What stays: modules
    and what is set in them, threads, children, open files. The environment has a class of its own, and context
    variables (of `decimal`, of numpy) are a copy for each call.
    """

    def __init__(self) -> None:
        self._umask = os.umask(0o022)
        os.umask(self._umask)
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._kept: list[tuple[_Read, _Write, Any]] = []
        for read, write in (*_STATE, *map(_list_of_sys, _LISTS)):
            with contextlib.suppress(OSError):  # the directory of the beginning may be gone
                self._kept.append((read, write, read()))
        self._reads = tuple(read for read, _, _ in self._kept)
        self._values = [value for _, _, value in self._kept]

    def restore(self) -> None:
        """Undo what a UDF changed."""
        for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)  # first: its handler is about to go
        signal.set_wakeup_fd(-1)
        _signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
        os.umask(self._umask)
        _forget_event_loop()
        with contextlib.suppress(Exception):  # such as a directory that is gone: it is not as it was
            if [read() for read in self._reads] == self._values:
                return
        for read, write, value in self._kept:
            try:
                if read() == value:
                    continue
            except Exception:  # noqa: BLE001, S110 - such as a directory that is gone: it is not as it was
                pass
            with contextlib.suppress(Exception):  # it may be gone now, or forbidden
                write(value)


def seed_anew() -> None:
    """Give a fork random numbers of its own: `random` sees to that by itself, numpy's global generator does not."""
    if (generators := sys.modules.get("numpy.random")) is not None:
        generators.seed()


def _handlers() -> list[Any]:
    return list(
        map(_signal.getsignal, _SIGNALS)
    )  # those of `signal` make an enum of each, which takes ten times as long


def _set_handlers(handlers: list[Any]) -> None:
    for number, handler in zip(_SIGNALS, handlers, strict=True):
        if handler is not None and _signal.getsignal(number) != handler:  # None: C code has it
            signal.signal(number, handler)


def _set_filters(filters: list[Any]) -> None:
    warnings.resetwarnings()  # tells those who remember what was filtered
    warnings.filters[:] = filters  # type: ignore[index]  # a list, whatever its stub says


def _list_of_sys(name: str) -> tuple[_Read, _Write]:
    kept = getattr(sys, name)

    def write(value: tuple[Any, ...]) -> None:
        kept[:] = value
        setattr(sys, name, kept)  # a UDF may have put another list there

    return lambda: tuple(getattr(sys, name)), write


def _soft_limit(kind: int) -> tuple[_Read, _Write]:
    def write(soft: int) -> None:
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY and not 0 <= soft <= hard:
            soft = hard  # a UDF has lowered it for good
        resource.setrlimit(kind, (soft, hard))

    return lambda: resource.getrlimit(kind)[0], write


def _attribute(owner: Any, name: str) -> tuple[_Read, _Write]:
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)


def _forget_event_loop() -> None:
    """After `asyncio.run`, `asyncio.get_event_loop` fails for ever; newer Pythons never make a loop there."""
    if sys.version_info < (3, 14):
        asyncio.set_event_loop_policy(None)


_LISTS = ("path", "argv", "meta_path", "path_hooks")

_STATE: tuple[tuple[_Read, _Write], ...] = (
    (_handlers, _set_handlers),
    (os.getcwd, os.chdir),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (sys.getswitchinterval, sys.setswitchinterval),
    (sys.gettrace, sys.settrace),
    (sys.getprofile, sys.setprofile),
    (gc.isenabled, lambda _: gc.enable()),
    (gc.get_threshold, lambda value: gc.set_threshold(*value)),
    (lambda: locale.setlocale(locale.LC_ALL), lambda value: locale.setlocale(locale.LC_ALL, value)),
    (lambda: time.tzname, lambda _: time.tzset()),
    (lambda: list(warnings.filters), _set_filters),
    # Not RLIMIT_DATA, which is set anew for each call.
    *(_soft_limit(getattr(resource, f"RLIMIT_{name}")) for name in ("CPU", "FSIZE", "NOFILE", "STACK", "CORE", "AS")),
    *(_attribute(sys, name) for name in ("excepthook", "unraisablehook", "breakpointhook", "displayhook", "stdin")),
    *(_attribute(threading, name) for name in ("excepthook",)),
)
