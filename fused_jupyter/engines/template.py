"""`python -m fused_jupyter.engines.template`: a process that has imported the geo stack once and forks workers from it.

It has one thread and only imports, so forking is safe and a worker costs milliseconds and little memory. It is also the
one who notices that the host died (its socket closes) and kills every worker's process group then, whatever they do.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys

REPORT = struct.Struct("!cii")
"""What the template tells: b"R" ready, b"F" forked (pid), b"X" exited (pid, wait status)."""

FORK = b"F"
"""The one request: fork a worker with the descriptors that are sent along."""

DESCRIPTORS = 5
"""Socket for messages, socket for fresh pipes, stdout, stderr, crash report."""

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Preload, report, fork on request, until the host hangs up."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    _die_with_parent()
    for name in sys.argv[2:]:
        with contextlib.suppress(
            Exception, SystemExit
        ):  # a package that does not import here fails in the UDF that needs it
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is shared with the workers stays shared: no collector touches it
    _outlive_parent()  # from now on there are workers to take along; the closed socket tells
    sock.sendall(REPORT.pack(b"R", 0, 0))
    _Template(sock).loop()


class _Template:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._children: set[int] = set()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)
        signal.set_wakeup_fd(self._wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def loop(self) -> None:
        while True:
            sources: list[socket.socket | int] = [self._sock, self._wake_read]
            readable, _, _ = select.select(sources, [], [])
            if self._wake_read in readable:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
                self._reap()
            if self._sock in readable and not self._serve():
                self._kill_all()
                return

    def _serve(self) -> bool:
        try:
            request, descriptors, _, _ = socket.recv_fds(self._sock, 1, DESCRIPTORS)
        except OSError:
            return False
        if request != FORK or len(descriptors) != DESCRIPTORS:
            return False
        pid = os.fork()
        if pid == 0:
            self._become_worker(descriptors)
        self._children.add(pid)
        for descriptor in descriptors:
            os.close(descriptor)
        self._report(b"F", pid, 0)
        return True

    def _become_worker(self, descriptors: list[int]) -> None:
        code = 1
        try:
            os.setsid()  # a process group of its own: what the UDF starts dies with it
            _die_with_parent()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._sock.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            messages, channel, stdout, stderr, crash_report = descriptors
            for descriptor, number in ((stdout, 1), (stderr, 2)):
                os.dup2(descriptor, number)
                os.close(descriptor)
            from fused_jupyter.engines.worker import serve

            serve(socket.socket(fileno=messages), channel=socket.socket(fileno=channel), crash_report=crash_report)
            code = 0
        finally:
            os._exit(code)  # never back into the template's loop, whatever happened

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._children.discard(pid)
            self._report(b"X", pid, status)

    def _report(self, kind: bytes, pid: int, status: int) -> None:
        with contextlib.suppress(OSError):  # the host is gone; the loop notices next
            self._sock.sendall(REPORT.pack(kind, pid, status))

    def _kill_all(self) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere the closed socket has to do."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)


def _outlive_parent() -> None:
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)


if __name__ == "__main__":
    main()
