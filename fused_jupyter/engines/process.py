"""The processes of the local engine as the host sees them: the template, and one worker with its socket and pipes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from fused_jupyter.engines.collation import OnText
from fused_jupyter.engines.direct import UnreadError
from fused_jupyter.engines.limits import Excess, ProcessMemory, with_variable
from fused_jupyter.engines.pipes import OutputPipes
from fused_jupyter.engines.preload import Notes
from fused_jupyter.engines.template import DESCRIPTORS, FORK, GROW, REPORT, TemplateSettings
from fused_jupyter.errors import HostLostError, ProtocolError, WorkerLostError
from fused_jupyter.settings import without_secrets
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Environment, Failure, Message, Publish, Reply, Run, decode, encode, pack, read_frame

_ATTEMPTS = 3
"""Templates that are started for one worker before one gives up."""

_STREAM_LIMIT = 8 << 20

_MARK = "FUSED_JUPYTER_TEMPLATE"

_SECONDS_TO_END = 2.0
"""How long a template may take to end what its workers have started; milliseconds, where nobody stops it."""

_SOCKET_BUFFER = 1 << 20
"""Bytes on their way to or from a worker; Linux doubles it, and may allow less."""


class Template:
    """The process that forks workers. Started once; restarted when it dies."""

    def __init__(self, settings: TemplateSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._lock = asyncio.Lock()
        self._loaded = asyncio.Event()
        self._forked: asyncio.Future[int] | None = None
        self._abandoned: set[asyncio.Task[Worker]] = set()
        self._exits: dict[int, asyncio.Future[int | None]] = {}
        self._pending = b""
        self._is_closed = False
        self._offspring: set[GrownTemplate] = set()
        self._mark = secrets.token_hex(16)
        """Stands in the environment of all that descends from it."""

    @property
    def is_ready(self) -> bool:
        """Whether the geo stack is loaded."""
        return self._sock is not None and self._loaded.is_set()

    def start(self) -> None:
        """Launch the process; it loads in the background."""
        ours, theirs = socket.socketpair()
        settings = json.dumps(asdict(self._settings))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fused_jupyter.engines.template", str(theirs.fileno()), settings],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            env=without_secrets(os.environ) | {_MARK: self._mark},
        )
        theirs.close()
        self._listen_to(ours)

    def _listen_to(self, sock: socket.socket) -> None:
        sock.settimeout(0)
        self._sock, self._pending = sock, b""
        self._loaded.clear()
        asyncio.get_running_loop().add_reader(sock, self._read_reports)

    async def grow(self, names: Sequence[str]) -> GrownTemplate:
        """A copy of this process that imports these modules too; it loads in the background.

        Raises:
            EOFError: this process died.
        """
        async with self._lock:
            ours, theirs = socket.socketpair()
            with theirs:
                try:
                    pid = await self._request(GROW, [theirs.fileno()])
                except BaseException:  # also a cancelled wait: the end that would have been ours
                    ours.close()
                    raise
        grown = GrownTemplate(self._settings, names, pid=pid, sock=ours)
        self._offspring.add(grown)
        grown.on_stop = self._lose
        return grown

    def _lose(self, grown: GrownTemplate) -> None:
        self._offspring.discard(grown)
        self.forget(grown.pid)

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

    async def _request(self, kind: bytes, descriptors: Sequence[int]) -> int:
        """Send one request and wait for its answer, the process that was made.

        Raises:
            EOFError: the template died.
        """
        if self._sock is None:
            self.start()
        sock = self._sock
        await self._loaded.wait()
        if sock is None or self._sock is not sock:
            raise EOFError("the template died while it loaded")
        socket.send_fds(sock, [kind], descriptors)
        self._forked = asyncio.get_running_loop().create_future()
        return await self._forked

    async def _ask(self) -> Worker:
        """Have a worker made.

        Raises:
            EOFError: the template died.
        """
        pairs = [(one.detach(), other.detach()) for one, other in (_roomy_pair(), socket.socketpair())]
        pairs += [os.pipe() for _ in range(DESCRIPTORS - len(pairs))]
        ours, theirs = zip(*pairs, strict=True)
        try:
            pid = await self._request(FORK, theirs)
        except BaseException:  # also a cancelled wait: the ends that would have been the worker's
            for descriptor in ours:
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        messages, channel, stdout, stderr, crash_report, notes = ours
        sock = socket.socket(fileno=messages)
        sock.settimeout(0)
        reader, writer = await asyncio.open_unix_connection(sock=sock, limit=_STREAM_LIMIT)
        output = OutputPipes((stdout, stderr), socket.socket(fileno=channel))
        return Worker(pid, reader, writer, output=output, crash_report=crash_report, notes=notes, template=self)

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
        for grown in tuple(self._offspring):
            grown.stop()
        ends_by_itself = self.is_ready
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
            if ends_by_itself:  # and looks after daemons that UDFs started
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_SECONDS_TO_END)
            self._process.kill()
            if self._process.wait() != 0:
                _end_all(with_variable(_MARK, self._mark))  # it was killed, and could not look after daemons of UDFs
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
        while self._sock is not None and len(self._pending) >= REPORT.size:
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


class GrownTemplate(Template):
    """A copy of a template that has imported more. It is not restarted: the one that it is a copy of is still there."""

    def __init__(self, settings: TemplateSettings, names: Sequence[str], *, pid: int, sock: socket.socket) -> None:
        super().__init__(settings)
        self.loaded: set[str] = set()
        self.failed: set[str] = set()
        self.loading: str | None = None
        self.on_stop: Callable[[GrownTemplate], None] = lambda _: None
        self._names = tuple(names)
        self.pid = pid
        sock.sendall(json.dumps(self._names).encode() + b"\n")
        self._listen_to(sock)

    def start(self) -> None:
        """Nothing can start it again.

        Raises:
            EOFError: always.
        """
        raise EOFError("the process that had imported what was learnt has ended")

    async def until_ready(self) -> bool:
        """Wait for its imports; False where one of them ended it."""
        await self._loaded.wait()
        return self._sock is not None

    def stop(self) -> None:
        """End the process; it takes its workers along."""
        if self._sock is not None and not self.is_ready:  # else it ends by itself, and with it all that UDFs started
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        super().stop()
        self.on_stop(self)

    def _note(self, kind: bytes, pid: int, status: int) -> None:
        if kind not in _OF_GROWTH:
            super()._note(kind, pid, status)
            return
        name = self._names[pid]
        if kind == b"I":
            self.loading = name
        elif kind == b"L":
            self.loaded.add(name)
        elif kind == b"E":
            self.failed.add(name)
        elif kind == b"U":
            self.stop()


_OF_GROWTH = frozenset({b"I", b"L", b"N", b"E", b"U"})


def _end_all(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _roomy_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that hold a whole result of some hundred kilobytes, where the system allows it.

    With the usual 208 kB, 4 MB took 10.9 ms and not 0.7: the two processes wake each other for every piece.
    """
    pair = socket.socketpair()
    for sock in pair:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
    return pair


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
        notes: int,
        template: Template,
    ) -> None:
        self.pid = pid
        self.template = template
        """The one that made it, and will know how it ended."""
        self.memory = ProcessMemory(pid)
        self.excess: Excess | None = None
        """Why it was stopped, if it used too much memory."""
        self.on_imports: Callable[[Sequence[str]], None] = lambda _: None
        """Called with the installed modules that a run was the first to import."""
        self._environment: Mapping[str, str] | None = None
        self._notes = Notes(notes)
        asyncio.get_running_loop().add_reader(self._notes, self._read_notes)
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

    @property
    def _transport(self) -> asyncio.Transport:
        transport = self._writer.transport
        assert isinstance(transport, asyncio.Transport)  # that of a socket goes both ways
        return transport

    async def run(
        self, definition: UdfDefinition, run: Run, body: bytes, *, on_text: OnText
    ) -> tuple[Reply | Failure, bytes]:
        """Send a run and wait for its answer; what the UDF prints goes to `on_text` as it comes.

        Raises:
            UnreadError: the process ended before the run began.
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
            kind = UnreadError if isinstance(exc.__cause__ or exc, ConnectionError) else EOFError
            raise kind("the worker ended") from exc
        finally:
            self._output.shut()
        answer = decode(header)
        if not isinstance(answer, (Reply, Failure)) or answer.id != run.id:
            raise ProtocolError("an answer came that nobody asked for")
        return answer, answer_body

    def begin(self, environment: Mapping[str, str]) -> None:
        """Prepare for a call, or for a lease: what its memory is counted from, the variables that it sees."""
        self.memory.begin()
        if environment is not self._environment and (environment or self._environment):
            self._write(Environment(id=0, variables=environment))
        self._environment = environment

    def has(self, environment: Mapping[str, str]) -> bool:
        """Whether its runs see these variables."""
        return environment is self._environment

    def lend(self) -> tuple[int, ...]:
        """The descriptors for a `DirectWorker`; until `take_back` nobody here reads from them.

        Raises:
            EOFError: the process ended.
        """
        if not self.is_alive:
            raise EOFError("the worker ended")
        sock = self._writer.get_extra_info("socket")
        self._transport.pause_reading()
        return (sock.fileno(), *self._output.lend())

    def take_back(self) -> None:
        """Read again."""
        if not self._is_closed:
            self._transport.resume_reading()
            self._output.take_back()

    def kill(self) -> None:
        """End the process and all that it started."""
        self.end()
        self.close()

    def end(self) -> None:
        """The same, for whoever does not know how the call ended: what the process still said can be read."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

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
        self.memory.close()
        self._read_notes()
        self._stop_reading_notes()
        self._notes.close()

    def _read_notes(self) -> None:
        if names := self._notes.read():
            self.on_imports(names)
        if not self._notes.is_open:
            self._stop_reading_notes()

    def _stop_reading_notes(self) -> None:
        asyncio.get_running_loop().remove_reader(self._notes)

    def _write(self, message: Message, body: bytes = b"") -> None:
        self._writer.write(pack(encode(message), len(body)))
        if body:
            self._writer.write(body)
