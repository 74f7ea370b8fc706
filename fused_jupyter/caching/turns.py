"""One at a time: who makes a value holds the lock of its file; the others wait, and hear how it ended.

The kernel frees the lock of whoever dies. Every making has a file of its own: who ends one removes the file first, so
later callers start afresh; those who waited still hold the removed file, and read there what went wrong.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import traceback
from enum import Enum

from fused_jupyter.errors import UdfRuntimeError


class State(Enum):
    """What a look at the lock shows."""

    MINE = "nobody makes the value; now the caller does"
    TAKEN = "another call makes it"
    OVER = "the other call is done, or gave up"
    FAILED = "the function raised in the other call"
    NOT_KEPT = "the other call has a value that no file can hold"


class Turn:
    """One wait for one value, and the making of it.

    Args:
        path: the lock's file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1
        self._is_mine = False
        self.error: Exception | None = None
        """What the function raised in the other call, where it failed."""

    @property
    def is_begun(self) -> bool:
        """Whether it has looked, and so has to be ended."""
        return self._file >= 0

    def look(self) -> State:
        """See whether it is the caller's turn.

        Raises:
            OSError: there can be no locks here.
        """
        if self._file < 0:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return State.TAKEN
        if self._is_current():
            self._is_mine = True
            return State.MINE
        with open(self._file, "rb") as file:  # noqa: PTH123 - a descriptor, which is closed here
            self._file = -1
            left = file.read()
        try:
            self.error = _rebuilt(left)
        except Exception:  # noqa: BLE001 - nothing was left there, or half of it on a full disk
            return State.OVER
        return State.NOT_KEPT if self.error is None else State.FAILED

    def leave(self, error: Exception | None) -> None:
        """Tell those who wait what the function raised; or, with None, that each has to run it."""
        if self._is_mine:
            self._remove()
            os.write(self._file, _described(error))

    def end(self) -> None:
        """Let the next one have it."""
        if self._file < 0:
            return
        if self._is_mine:
            self._remove()
            fcntl.flock(self._file, fcntl.LOCK_UN)  # closing is not enough where the function forked
            self._is_mine = False
        os.close(self._file)
        self._file = -1

    def _remove(self) -> None:
        if self._is_current():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)  # noqa: PTH108 - a string: no Path is needed on the way

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._file))  # noqa: PTH116 - the same
        except FileNotFoundError:
            return False


def _described(error: Exception | None) -> bytes:
    if error is None:
        return pickle.dumps(None)
    try:
        whole = pickle.dumps(error)
        pickle.loads(whole)  # noqa: S301 - made above; many exceptions can be written and not read
    except Exception:  # noqa: BLE001 - the user's own class
        whole = b""
    text = "".join(traceback.format_exception(error))
    return pickle.dumps((whole, type(error).__name__, traceback.format_exception_only(error)[-1].strip(), text))


def _rebuilt(left: bytes) -> Exception | None:
    """The exception of the other call; its text where it cannot be had."""
    found = pickle.loads(left)  # noqa: S301 - from a private directory
    if found is None:
        return None
    whole, name, message, text = found
    error: Exception
    try:
        error = pickle.loads(whole)  # noqa: S301 - the same
    except Exception:  # noqa: BLE001 - a class that only the other process knows
        error = UdfRuntimeError(message, traceback=text, child_exception_class=name)
    error.add_note(f"Raised in an equal call, which this one waited for:\n{text}")
    return error
