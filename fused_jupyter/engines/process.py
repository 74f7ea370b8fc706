"""The processes of the local engine as the host sees them: the template, and one worker with its socket and pipes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

from fused_jupyter.engines.collation import OnText
from fused_jupyter.engines.pipes import OutputPipes
from fused_jupyter.engines.template import DESCRIPTORS, FORK, REPORT
from fused_jupyter.errors import HostLostError, WorkerLostError
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Failure, Message, Publish, Reply, Run, decode, encode, pack, read_frame

_ATTEMPTS = 3
"""Templates that are started for one worker before one gives up."""

_STREAM_LIMIT = 8 << 20


class Template:
    """The process that forks workers. Started once; restarted when it dies."""

    def __init__(self, preload: Sequence[str]) -> None:
        self._preload = tuple(preload)
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._lock = asyncio.Lock()
        self._loaded = asyncio.Event()
        self._forked: asyncio.Future[int] | None = None
        self._abandoned: set[asyncio.Task[Worker]] = set()
        self._exits: dict[int, asyncio.Future[int | None]] = {}
        self._pending = b""
        self._is_closed = False

    @property
    def is_ready(self) -> bool:
        """Whether the geo stack is loaded."""
        return self._sock is not None and self._loaded.is_set()

    def start(self) -> None:
        """Launch the process; it loads in the background."""
        ours, theirs = socket.socketpair()
        argv = [sys.executable, "-m", "fused_jupyter.engines.template", str(theirs.fileno()), *self._preload]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
        )
        theirs.close()
        ours.settimeout(0)
        self._sock, self._pending = ours, b""
        self._loaded.clear()
        asyncio.get_running_loop().add_reader(ours, self._read_reports)

    async def fork(self) -> Worker:
        """A new worker; waits for the preload.

        Raises:
            WorkerLostError: the template dies again and again, for instance from a module that it preloads.
        """
        task = asyncio.create_task(self._fork())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Not stopped midway: the answer to this request would be taken for the answer to the next one.
            self._abandoned.add(task)
            task.add_done_callback(self._discard)
            raise

    async def _fork(self) -> Worker:
        async with self._lock:
            for _ in range(_ATTEMPTS):
                if self._is_closed:
                    raise HostLostError("the engine was closed")
                with contextlib.suppress(EOFError, ConnectionError):
                    return await self._ask()
                self.stop()
        raise WorkerLostError("the process that starts workers dies before it starts one; the host's log says why")

    def _discard(self, task: asyncio.Task[Worker]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled() and task.exception() is None:
            task.result().kill()

    async def _ask(self) -> Worker:
        """Send one request and wait for its answer.

        Raises:
            EOFError: the template died.
        """
        if self._sock is None:
            self.start()
        sock = self._sock
        await self._loaded.wait()
        if sock is None or self._sock is not sock:
            raise EOFError("the template died while it loaded")
        pairs = [(one.detach(), other.detach()) for one, other in (socket.socketpair(), socket.socketpair())]
        pairs += [os.pipe() for _ in range(DESCRIPTORS - len(pairs))]
        ours, theirs = zip(*pairs, strict=True)
        try:
            socket.send_fds(sock, [FORK], theirs)
            self._forked = asyncio.get_running_loop().create_future()
            pid = await self._forked
        except BaseException:  # also a cancelled wait: the ends that would have been the worker's
            for descriptor in ours:
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        messages, channel, stdout, stderr, crash_report = ours
        sock = socket.socket(fileno=messages)
        sock.settimeout(0)
        reader, writer = await asyncio.open_unix_connection(sock=sock, limit=_STREAM_LIMIT)
        output = OutputPipes((stdout, stderr), socket.socket(fileno=channel))
        return Worker(pid, reader, writer, output=output, crash_report=crash_report)

    async def exit_status(self, pid: int) -> int | None:
        """How a worker ended, as `os.waitpid` gives it; None where it is not known in time."""
        future = self._exits.get(pid)
        if future is None:
            return None
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(future), 1.0)
        return None

    def forget(self, pid: int) -> None:
        """The worker's end is of no more interest."""
        self._exits.pop(pid, None)

    def close(self) -> None:
        """End the process for good."""
        self._is_closed = True
        self.stop()

    def stop(self) -> None:
        """End the process; it takes its workers along. The next fork starts another one."""
        if self._sock is not None:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()
            self._sock = None
            self._loaded.set()  # whoever waits for it finds that it is gone
        if self._forked is not None and not self._forked.done():
            self._forked.set_exception(EOFError("the template died"))
        for future in self._exits.values():
            if not future.done():
                future.set_result(None)  # nobody is left who could tell
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _read_reports(self) -> None:
        assert self._sock is not None
        try:
            data = self._sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.stop()  # it died; the next fork starts another one
            return
        self._pending += data
        while len(self._pending) >= REPORT.size:
            kind, pid, status = REPORT.unpack_from(self._pending)
            self._pending = self._pending[REPORT.size :]
            self._note(kind, pid, status)

    def _note(self, kind: bytes, pid: int, status: int) -> None:
        if kind == b"R":
            self._loaded.set()
        elif kind == b"F":
            self._exits[pid] = asyncio.get_running_loop().create_future()
            if self._forked is not None and not self._forked.done():
                self._forked.set_result(pid)
        elif (future := self._exits.get(pid)) is not None and not future.done():
            future.set_result(status)


class Worker:
    """One worker process, idle or with one run."""

    def __init__(
        self,
        pid: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        output: OutputPipes,
        crash_report: int,
    ) -> None:
        self.pid = pid
        self.known: set[str] = set()
        """Digests of the code that it has."""
        self.runs = 0
        self._reader = reader
        self._writer = writer
        self._is_closed = False
        self._output = output
        self._crash_report = crash_report

    @property
    def is_alive(self) -> bool:
        """Whether its socket is still open."""
        return not (self._is_closed or self._reader.at_eof() or self._writer.is_closing())

    async def run(
        self, definition: UdfDefinition, run: Run, body: bytes, *, on_text: OnText
    ) -> tuple[Reply | Failure, bytes]:
        """Send a run and wait for its answer; what the UDF prints goes to `on_text` as it comes.

        Raises:
            EOFError: the process ended before it answered.
        """
        self.runs += 1
        self._output.open(on_text)
        try:
            if definition.digest not in self.known:
                self._write(Publish(id=0, definition=definition.to_json()))
                self.known.add(definition.digest)
            self._write(run, body)
            header, answer_body = await read_frame(self._reader)
        except (ConnectionError, EOFError) as exc:
            raise EOFError("the worker ended") from exc
        finally:
            self._output.shut()
        answer = decode(header)
        assert isinstance(answer, (Reply, Failure))
        return answer, answer_body

    def kill(self) -> None:
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.close()

    def read_crash_report(self) -> str:
        """What the interpreter wrote when it crashed; empty where it was killed."""
        if self._is_closed:
            return ""
        os.set_blocking(self._crash_report, False)
        try:
            return os.read(self._crash_report, 65536).decode(errors="replace")
        except BlockingIOError:
            return ""

    def close(self) -> None:
        """Hang up; an idle worker ends by itself."""
        if self._is_closed:
            return
        self._is_closed = True
        self._writer.close()
        os.close(self._crash_report)
        self._output.close()

    def _write(self, message: Message, body: bytes = b"") -> None:
        self._writer.write(pack(encode(message), len(body)))
        if body:
            self._writer.write(body)
