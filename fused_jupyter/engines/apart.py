"""What keeps a UDF that runs in the kernel apart from the notebook: its output, and what it leaves changed."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Literal, TypeVar

from fused_jupyter.engines.collation import OnText, Stream

T = TypeVar("T")

_NAMES: tuple[Literal["stdout"], Literal["stderr"]] = ("stdout", "stderr")

_listener: ContextVar[OnText | None] = ContextVar("listener", default=None)
"""Who hears what is printed in this context. Threads that a UDF starts have contexts of their own."""


class Outputs:
    """Divides `sys.stdout` and `sys.stderr` of this process between those who print. For any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Divide them for as long as this lasts; others may do so meanwhile."""
        with self._lock:
            self._count += 1
            for name in _NAMES:
                stream = getattr(sys, name)
                if not isinstance(stream, _Divided):
                    setattr(sys, name, _Divided(name, stream))
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                if not self._count:
                    self._join()

    def hear(self, on_text: OnText, work: Callable[[], T]) -> T:
        """Do something; `on_text` gets what it prints in this context. What `on_text` prints goes where it did."""
        outer = _listener.get()

        def hear(stream: Stream, text: str) -> None:
            token = _listener.set(outer)
            try:
                on_text(stream, text)
            finally:
                _listener.reset(token)

        _listener.set(hear)
        return work()

    def _join(self) -> None:
        for name in _NAMES:
            setattr(sys, name, _undivided(getattr(sys, name)))


class _Divided:
    """A stream that a listener of the present context hears, if there is one; else it is what it was."""

    def __init__(self, name: Stream, outside: Any) -> None:
        self._name: Stream = name
        self.outside = outside

    def write(self, text: str) -> int:
        listener = _listener.get()
        if listener is None:
            return int(self.outside.write(text))
        if text:
            listener(self._name, text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.outside, name)


def _undivided(stream: Any) -> Any:
    return stream.outside if isinstance(stream, _Divided) else stream


class Undone:
    """The state of the process as it is when this is made, as far as a UDF is likely to change it."""

    def __init__(self) -> None:
        self._directory = _directory()
        self._path, self._places = sys.path, tuple(sys.path)
        self._environment = dict(os.environ)
        self._streams = {name: getattr(sys, name) for name in _NAMES}
        self._figures = set(_figures())

    def undo(self, *, all_of_it: bool) -> None:
        """Put back what differs.

        Args:
            all_of_it: also what a cell that runs meanwhile may have changed, as nobody can tell who it was.
        """
        if self._directory and _directory() != self._directory:
            with contextlib.suppress(OSError):  # it is gone
                os.chdir(self._directory)
        if not all_of_it:
            return
        if sys.path is not self._path or tuple(sys.path) != self._places:
            sys.path = self._path
            sys.path[:] = self._places
        self._restore_environment()
        for name, stream in self._streams.items():
            if _undivided(getattr(sys, name)) is not _undivided(stream):
                setattr(sys, name, stream)
        for number in _figures():
            if number not in self._figures:
                sys.modules["matplotlib.pyplot"].close(number)

    def _restore_environment(self) -> None:
        now = dict(os.environ)
        if now == self._environment:
            return
        for name in now.keys() - self._environment.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in self._environment.items() if now.get(name) != value})


def _directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a string is what is compared
    except OSError:  # it is gone
        return ""


def _figures() -> list[int]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    return [] if pyplot is None else list(pyplot.get_fignums())
