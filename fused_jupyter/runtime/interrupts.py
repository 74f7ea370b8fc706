"""Ctrl-C where it does no harm: between two lines that belong together it waits."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # part of Python, without stubs
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Interrupts:
    """Ctrl-C raises only while something is waited for; else it is kept until then, or until the end.

    Python raises `KeyboardInterrupt` between any two instructions of the main thread. A worker that has just been
    taken, and is known to nobody yet, would be lost with its slot. In other threads this does nothing.

    What raises inside a finalizer or a callback of the garbage collector is swallowed by Python. So a Ctrl-C counts as
    heard only when what its handler raised leaves the block; else it is raised again at the next wait, or at the end.

    >>> with Interrupts() as interrupts:
    ...     interrupts.wait_for(lambda: 5)
    5
    """

    def __init__(self) -> None:
        self._handler: Callable[[int, FrameType | None], Any] | None = None
        self._may_raise = False
        self._came = False
        self._raised: BaseException | None = None
        """By the handler, while something was waited for."""

    def __enter__(self) -> Self:
        # Not `signal.signal`, which turns handlers and numbers into enums and back: that would cost each call 15 µs.
        handler = _signal.getsignal(_signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
        if callable(handler):
            self._handler = handler
            _signal.signal(_signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._handler is not None:
            _signal.signal(_signal.SIGINT, self._handler)
            raised, self._raised = self._raised, None
            if error is None or error is not raised:
                self._raise_what_came()

    def wait_for(self, wait: Callable[[], T]) -> T:
        """What a function gives that may be interrupted.

        Raises:
            KeyboardInterrupt: it was, or before it began.
        """
        try:
            self._may_raise = True
            self._raise_what_came()
            return wait()
        finally:
            self._may_raise = False

    def _raise_what_came(self) -> None:
        if self._came and self._handler is not None:
            self._came = False
            self._handler(signal.SIGINT, None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        if self._may_raise and self._handler is not None:
            self._may_raise = False  # whoever clears up after this one is not interrupted again
            try:
                self._handler(number, frame)
            except BaseException as exc:
                self._raised = exc
                raise
            self._may_raise, self._came = True, False  # it raised nothing, and the wait goes on
