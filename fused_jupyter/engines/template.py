"""`python -m fused_jupyter.engines.template`: a process that has imported the geo stack once and forks workers from it.

It has one thread and only imports, so forking is safe and a worker costs milliseconds and little memory. It is also the
one who notices that the host died (its socket closes) and kills every worker's process group then, whatever they do.

It also forks templates: such a one imports what was learnt since, and makes the workers from then on. With the start
method `spawn` nothing is imported here, and a worker that was forked becomes a fresh interpreter at once.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NoReturn

from fused_jupyter.engines.limits import children
from fused_jupyter.engines.preload import grow, load
from fused_jupyter.engines.streams import CUT_OFF, adopt_orphans

if TYPE_CHECKING:  # it belongs to what is preloaded, or not
    from fused_jupyter.engines.local_modules import LocalModules

REPORT = struct.Struct("!cii")
"""What the template tells: b"R" ready, b"F" forked (pid), b"X" exited (pid, wait status), and what `grow` reports."""

FORK = b"F"
"""A request: fork a worker with the descriptors that are sent along."""

GROW = b"G"
"""A request: fork a template that listens to the socket that is sent along, where it finds the names of modules."""

DESCRIPTORS = 6
"""Socket for messages, socket for fresh pipes, stdout, stderr, crash report, notes."""

_PR_SET_PDEATHSIG = 1

_SECONDS_TO_END = 1.0
"""How long a template looks for what its workers leave behind, when the host hangs up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSettings:
    """What the host tells a template at the start, as JSON."""

    preload: tuple[str, ...] = ()
    spawn: bool = False
    """Whether workers are fresh interpreters, each of which imports the preload itself."""
    memory_limit: int = 0
    """Bytes for each call; 0 is no limit."""
    learn: bool = False
    """Whether workers tell what UDFs import."""


def main() -> None:
    """Preload, report, fork on request, until the host hangs up."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    settings = TemplateSettings(**json.loads(sys.argv[2]))
    _die_with_parent()
    if not settings.spawn:
        load(settings.preload)
    _be_a_template(sock, settings)


def _be_a_template(sock: socket.socket, settings: TemplateSettings, ready: LocalModules | None = None) -> None:
    worker = sys.modules.get("fused_jupyter.engines.worker")
    if worker is not None and not settings.spawn:
        ready = worker.make_ready(ready)
    gc.collect()
    gc.freeze()  # what is shared with the workers stays shared: no collector touches it
    _outlive_parent()  # from now on there are workers to take along; the closed socket tells
    sock.sendall(REPORT.pack(b"R", 0, 0))
    _Template(sock, settings, ready).loop()


class _Template:
    def __init__(self, sock: socket.socket, settings: TemplateSettings, ready: LocalModules | None) -> None:
        self._sock = sock
        self._settings = settings
        self._ready = ready
        adopt_orphans()
        self._children: set[int] = set()
        self._of_preload = set(children(os.getpid()))
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
                self._end_all()
                return

    def _serve(self) -> bool:
        try:
            request, descriptors, _, _ = socket.recv_fds(self._sock, 1, DESCRIPTORS)
        except OSError:
            return False
        kinds: dict[tuple[bytes, int], Callable[[list[int]], NoReturn]] = {
            (FORK, DESCRIPTORS): self._become_worker,
            (GROW, 1): self._become_template,
        }
        become = kinds.get((request, len(descriptors)))
        if become is None:
            return False
        pid = os.fork()
        if pid == 0:
            become(descriptors)
        self._children.add(pid)
        for descriptor in descriptors:
            os.close(descriptor)
        self._report(b"F", pid, 0)
        return True

    def _become_template(self, descriptors: list[int]) -> NoReturn:
        code = 1
        try:
            self._begin_anew()
            sock = socket.socket(fileno=descriptors[0])
            grow(_names(sock), lambda kind, index: sock.sendall(REPORT.pack(kind, index, 0)))
            _be_a_template(sock, self._settings, self._ready)
            code = 0
        finally:
            os._exit(code)

    def _begin_anew(self) -> None:
        """After a fork: nothing here belongs to the parent any more."""
        os.setsid()  # a process group of its own: what the UDF starts dies with it
        _die_with_parent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._sock.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _become_worker(self, descriptors: list[int]) -> NoReturn:
        code = 1
        try:
            self._begin_anew()
            messages, channel, stdout, stderr, crash_report, notes = descriptors
            for descriptor, number in ((stdout, 1), (stderr, 2)):
                os.dup2(descriptor, number)
                os.close(descriptor)
            ends = {"messages": messages, "channel": channel, "crash_report": crash_report, "notes": notes}
            if self._settings.spawn:
                _spawn(ends, self._settings)
            from fused_jupyter.engines.worker import Ends, serve

            serve(
                Ends(**ends),
                memory_limit=self._settings.memory_limit,
                learn=self._settings.learn,
                ready=self._ready,
            )
            code = 0
        except OSError:
            code = CUT_OFF
        finally:
            os._exit(code)  # never back into the template's loop, whatever happened

    def _reap(self) -> bool:
        """Note who ended; whether others run on."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return self._end_orphans() or bool(self._children)
            if pid in self._children:
                self._children.discard(pid)
                self._report(b"X", pid, status)

    def _end_orphans(self) -> bool:
        """Kill what dead workers leave behind; whether there was any.

        What a UDF starts belongs to its worker, even as a daemon with a session of its own. Linux makes it a child of
        this process when the worker dies.
        """
        orphans = set(children(os.getpid())) - self._children - self._of_preload
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        return bool(orphans)

    def _report(self, kind: bytes, pid: int, status: int) -> None:
        with contextlib.suppress(OSError):  # the host is gone; the loop notices next
            self._sock.sendall(REPORT.pack(kind, pid, status))

    def _end_all(self) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        until = time.monotonic() + _SECONDS_TO_END
        while self._reap() and time.monotonic() < until:
            time.sleep(0.002)


def _names(sock: socket.socket) -> list[str]:
    """What a template shall import: one line of JSON, before anything else."""
    line = b""
    while not line.endswith(b"\n"):
        piece = sock.recv(65536)
        if not piece:
            raise EOFError("the host hung up")
        line += piece
    names: list[str] = json.loads(line)
    return names


def _spawn(ends: dict[str, int], settings: TemplateSettings) -> NoReturn:
    """Become a fresh interpreter that serves: nothing of this one is left but its place in the family."""
    for descriptor in ends.values():
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - how the function has it
    given = json.dumps({"ends": ends, **asdict(settings)})
    os.execv(sys.executable, [sys.executable, "-m", "fused_jupyter.engines.worker", given])  # noqa: S606 - our own program


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
