"""What a UDF prints, on the worker's side: stdout and stderr that lead to the host, fresh for each run."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import io
import os
import socket
import sys
import threading
import weakref
from typing import Any, Self

from fused_jupyter.engines.collation import MARK

_OWN = {"_turns", "_left_behind"}
"""Attributes of a stream that is as it was made."""

ASK = b"?"
"""What a worker sends to the host where it needs fresh pipes."""

GIVE = b"!"
"""What the host sends along with them."""

CUT_OFF = 113
"""Exit code of a worker in which a UDF closed what leads to the host."""

STANDARD = {1: "stdout", 2: "stderr"}

_PR_SET_CHILD_SUBREAPER = 36
_IOLBF = 1
_C_BUFFER = 4096


class Streams:
    """stdout and stderr of a worker.

    Args:
        channel: where fresh pipes come from, when processes that outlive their run hold the present ones.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._pipes = [_Pipe(os.dup(1)), _Pipe(os.dup(2))]
        self._left_behind: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        self._streams: list[_Stream] = []
        self._has_asked = False
        self._is_open = False
        self._c_stdout = CStdout()
        self._c_stdout.buffer_by_lines()
        adopt_orphans()

    def open(self) -> None:
        """Begin a run: the UDF before may have closed or replaced what it found, or left children that print on."""
        if self._is_open:
            return
        self._is_open = True
        if self._has_asked:
            self._renew()
        for number, pipe in zip(STANDARD, self._pipes, strict=True):
            os.dup2(pipe.descriptor, number)
        if not all(stream.is_as_made for stream in self._streams):
            self._streams = []
        if not self._streams:
            turns = _Turns(self._pipes)
            self._streams = [_Stream(number, turns, self._left_behind) for number in STANDARD]
        for name, stream in zip(STANDARD.values(), self._streams, strict=True):
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)

    def prepare(self) -> None:
        """Begin the next run early, while the last answer is on its way, where no thread is left to spoil it."""
        if not self._has_asked and threading.active_count() == 1:
            self.open()

    def close(self) -> None:
        """End a run: what it printed is with the host, and what comes late will not be taken for the next run's."""
        self._is_open = False
        flush(*self._streams, self._c_stdout)
        for stream in self._streams:
            stream.end_turn()
        if len(threads := threading.enumerate()) > 1:
            self._left_behind.update(thread for thread in threads if thread is not threading.main_thread())
        if _has_children() or not all(pipe.is_whole for pipe in self._pipes):
            self._channel.sendall(ASK)
            self._has_asked = True

    def _renew(self) -> None:
        _, descriptors, _, _ = socket.recv_fds(self._channel, 1, len(STANDARD))
        for pipe in self._pipes:
            if pipe.is_whole:
                os.close(pipe.descriptor)
        self._pipes = [_Pipe.above_standard(descriptor) for descriptor in descriptors]
        self._has_asked = False
        self._streams = []


class CStdout:
    """stdout as C code has it, with a buffer of its own."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(None)
        name = "__stdoutp" if sys.platform == "darwin" else "stdout"
        self._file: ctypes.c_void_p | None = None
        self._buffer: ctypes.Array[ctypes.c_char] | None = None
        with contextlib.suppress(ValueError):  # a C library of another kind
            self._file = ctypes.c_void_p.in_dll(self._c, name)

    def buffer_by_lines(self) -> None:
        """As on a terminal, though it is a pipe."""
        if self._file is not None:
            # A buffer of ours: glibc, left to itself, gives a stream that was used before one of a single byte.
            self._buffer = ctypes.create_string_buffer(_C_BUFFER)
            self._c.setvbuf(self._file, self._buffer, _IOLBF, _C_BUFFER)

    def flush(self) -> None:
        """Only stdout: other files of C code may be locked by a thread that never ends."""
        if self._file is not None:
            self._c.fflush(self._file)


def flush(*streams: Any) -> None:
    """Send on what `sys.stdout`, `sys.stderr` and these hold back."""
    for stream in (sys.stdout, sys.stderr, *streams):
        try:  # noqa: SIM105 - which takes longer than to flush nothing
            stream.flush()
        except (ValueError, OSError, AttributeError):  # closed or replaced by the UDF
            pass


class _Stream(io.TextIOWrapper):
    """`sys.stdout` or `sys.stderr` of a UDF. Threads that an earlier run left behind write into the void."""

    def __init__(self, number: int, turns: _Turns, left_behind: weakref.WeakSet[threading.Thread]) -> None:
        # On the raw file: also what is written to `sys.stdout.buffer` keeps its place.
        super().__init__(
            io.FileIO(number, "w", closefd=False), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
        self._turns = turns
        self._left_behind = left_behind

    @property
    def is_as_made(self) -> bool:
        """Whether no UDF has closed, detached or configured it, or left anything on it: then the next may have it."""
        try:
            return not self.closed and self.__dict__.keys() == _OWN
        except ValueError:  # detached
            return False

    def reconfigure(self, **changes: Any) -> None:
        self.changes = changes
        super().reconfigure(**changes)

    def end_turn(self) -> None:
        """The next run begins with neither stream."""
        self._turns.last = None

    def write(self, text: str, /) -> int:
        if self._left_behind and threading.current_thread() in self._left_behind:
            return len(text)
        if self._turns.last is not self:
            self._turns.take(self)
        return super().write(text)


class _Turns:
    """Whose turn it is, of the two streams of a run."""

    def __init__(self, pipes: list[_Pipe]) -> None:
        self.last: _Stream | None = None
        self._pipes = pipes

    def take(self, stream: _Stream) -> None:
        """Note in both pipes that this stream goes on from here."""
        before, self.last = self.last, stream
        if before is None:
            return
        with contextlib.suppress(ValueError, OSError):  # closed by the UDF
            before.flush()
        for pipe in self._pipes:
            pipe.mark()


class _Pipe:
    """The worker's end of a pipe to the host, whatever the UDF does with descriptors 1 and 2."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._inode = os.fstat(descriptor).st_ino

    @classmethod
    def above_standard(cls, descriptor: int) -> Self:
        """The same pipe under a number above 2: a UDF may have closed those below, and they are given out first."""
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
        os.close(descriptor)
        return cls(moved)

    @property
    def is_whole(self) -> bool:
        """Whether no UDF has closed the descriptor, and perhaps has a file of its own under the number."""
        try:
            return os.fstat(self.descriptor).st_ino == self._inode
        except OSError:
            return False

    def mark(self) -> None:
        if self.is_whole:
            os.write(self.descriptor, MARK)


def adopt_orphans() -> None:
    """On Linux, what descendants start and leave becomes this process's child, so that it is known."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _has_children() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
