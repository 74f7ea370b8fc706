"""The host's ear: accepts the kernel and servers, proves who they are, and hands their messages to the gateway."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import json
import os
import socket
import struct
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import orjson

from fused_jupyter.errors import AccessError, FusedError, ProtocolError, UnknownRunError
from fused_jupyter.runtime.commands import Commands, Lending
from fused_jupyter.runtime.gateway import Gateway
from fused_jupyter.runtime.remains import SOCKET, socket_directory
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import (
    Ask,
    Cancel,
    DeleteResults,
    Describe,
    Described,
    DescribeShare,
    Failure,
    Heard,
    KernelAnswer,
    Message,
    Noted,
    Output,
    Published,
    Recall,
    Reply,
    Run,
    Status,
    Stop,
    decode,
    encode,
    pack,
    read_frame,
)
from fused_jupyter.wire.handshake import Role, greet

_GREETING_SECONDS = 5.0
_HEARING_SECONDS = 5.0
"""A server that takes no news for so long hangs, and answers nobody from what it knew before."""
_LIMIT = 1 << 20
_TOLD = 8000
"""Bytes of output in an answer to a server, as JSON in ASCII: it has to fit into a header of an HTTP response."""
_PIECE = 1 << 16
"""Characters of output in one message: a header has its limit, and what a UDF prints may be longer."""


class AskedKernel(Protocol):
    """Asks the kernel to run UDFs."""

    send: Callable[[Message], None] | None

    def note(self, message: KernelAnswer, body: bytes) -> None:
        """Take what came of one."""
        ...

    def lose(self) -> None:
        """The kernel is gone."""
        ...


class AskedDesk(Protocol):
    """Does what the owner of saved UDFs asks for."""

    async def obey(self, message: Ask) -> bytes:
        """Do it; gives JSON."""
        ...


class Listener:
    """A Unix socket in a private directory, and everybody connected to it."""

    def __init__(
        self,
        gateway: Gateway,
        leases: Lending | None,
        *,
        secret: str,
        status: Callable[[], Awaitable[dict[str, Any]]],
        kernel_runs: AskedKernel | None = None,
        desk: AskedDesk | None = None,
    ) -> None:
        self._gateway = gateway
        self.desk = desk
        self.kernel_runs = kernel_runs
        self.commands = Commands(gateway, leases, self.tell_servers)
        if leases is not None:
            leases.on_recall = self._recall
        self._secret = secret
        self._status = status
        self._peers: set[_Peer] = set()
        self._server: asyncio.Server | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._serial = 0
        self.kernel_left = asyncio.Event()
        """Set when the kernel's connection closed."""

    async def open(self) -> str:
        """Listen; gives the address."""
        self._directory = socket_directory()
        path = str(Path(self._directory.name) / SOCKET)
        self._server = await asyncio.start_unix_server(self._accept, path, limit=_LIMIT, backlog=128)
        os.chmod(path, 0o600)  # noqa: PTH101 - one system call; a Path would not make it faster
        return path

    async def close(self) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.close()
        for peer in tuple(self._peers):
            peer.close()
        if self._directory is not None:
            self._directory.cleanup()

    async def tell_servers(self, definition: UdfDefinition | None) -> None:
        """Tell every server what changed, one UDF or only the tokens, and wait until they have taken it over."""
        udfs = () if definition is None else (self._gateway.summary(definition),)
        self._serial += 1
        news = Published(udfs=udfs, shares=self._gateway.shares.live, serial=self._serial, epoch=self._gateway.epoch)
        heard = [peer.tell(news) for peer in self._peers if peer.role == "server"]
        if heard:
            await asyncio.wait(heard, timeout=_HEARING_SECONDS)

    def _recall(self, lease: int) -> None:
        for peer in self._peers:
            if peer.role == "kernel":
                peer.send(Recall(lease=lease))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            _check_user(writer)
            async with asyncio.timeout(_GREETING_SECONDS):
                role = await greet(reader, writer, secret=self._secret)
        except (AccessError, ProtocolError, EOFError, TimeoutError) as exc:
            print(f"a caller was refused: {exc}", file=sys.stderr, flush=True)  # noqa: T201 - stderr is the host's log
            with contextlib.suppress(OSError):
                await writer.drain()
            writer.close()
            return
        peer = _Peer(role, reader, writer, listener=self, gateway=self._gateway)
        self._peers.add(peer)
        if role == "server":
            known = self._gateway
            udfs: tuple[dict[str, Any], ...] = ()
            with contextlib.suppress(FusedError):  # of a damaged library; the server asks again, and is told then
                udfs = known.summaries()
            peer.send(Published(udfs=udfs, shares=known.shares.live, epoch=known.epoch))
        elif self.kernel_runs is not None:
            self.kernel_runs.send = peer.send
        try:
            await peer.serve()
        finally:
            self._peers.discard(peer)
            peer.close()
            if role == "kernel":
                if self.kernel_runs is not None:
                    self.kernel_runs.lose()
                self.kernel_left.set()

    async def tell(self, message: Message) -> bytes | None:
        """What kernel and servers alike may ask, and a server of saved UDFs: gives JSON; None of anything else.

        Raises:
            FusedError: what goes wrong.
        """
        if isinstance(message, Status):
            return orjson.dumps(await self._status())
        if isinstance(message, Stop):
            self.stop(message.run_id)
            return b""
        if isinstance(message, DescribeShare):
            return orjson.dumps(self._gateway.describe_share(message.share))
        if isinstance(message, Ask) and self.desk is not None:
            return await self.desk.obey(message)
        if isinstance(message, DeleteResults) and self.desk is not None:
            return await self.commands.obey(message)
        return None

    def stop(self, run_id: str) -> None:
        """Stop a run, of the host or of the kernel.

        Raises:
            UnknownRunError: there is none.
        """
        activity = self._gateway.activity
        if activity.stop(run_id):
            return
        if not activity.runs_elsewhere(run_id):
            raise UnknownRunError(f"no run {run_id!r} waits or goes on; %fused_top shows those that do")
        for peer in self._peers:
            if peer.role == "kernel":
                peer.send(Stop(run_id=run_id))


class _Peer:
    """One connection and the calls on it."""

    def __init__(
        self,
        role: Role,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        listener: Listener,
        gateway: Gateway,
    ) -> None:
        self.role = role
        self._reader = reader
        self._writer = writer
        self._listener = listener
        self._gateway = gateway
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._unheard: dict[int, asyncio.Future[None]] = {}

    async def serve(self) -> None:
        """Take messages until the peer hangs up; its calls are cancelled then."""
        try:
            while True:
                header, body = await read_frame(self._reader)
                self._take(decode(header), body)
        except (EOFError, ProtocolError):
            return  # gone, or no peer of ours
        finally:
            for task in tuple(self._calls.values()):
                task.cancel()

    def send(self, message: Message, body: bytes = b"") -> None:
        """Queue a message for the peer."""
        if self._writer.is_closing():
            return
        self._writer.write(pack(encode(message), len(body)))
        if body:
            self._writer.write(body)

    def tell(self, news: Published) -> asyncio.Future[None]:
        """Send news; done when the peer has heard, or hung up."""
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unheard[news.serial] = heard
        self.send(news)
        return heard

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
        for serial in tuple(self._unheard):
            self._note_heard(serial)

    def _note_heard(self, serial: int) -> None:
        heard = self._unheard.pop(serial, None)
        if heard is not None and not heard.done():
            heard.set_result(None)

    def _take(self, message: Message, body: bytes) -> None:
        if isinstance(message, Cancel):
            if (running := self._calls.get(message.id)) is not None:
                running.cancel()
            return
        if isinstance(message, Heard):
            self._note_heard(message.serial)
            return
        if isinstance(message, Noted):
            self._gateway.note(message, is_kernel=self.role == "kernel")
            return
        if isinstance(message, Run) and message.parameters is not None and self._answer_at_once(message):
            return
        # In the order in which they come: a run that follows a Publish sees it.
        task = asyncio.create_task(self._answer(message, body))
        self._calls[message.id] = task
        task.add_done_callback(lambda _: self._calls.pop(message.id, None))

    def _answer_at_once(self, run: Run) -> bool:
        """Send what memory holds, to a server that reads. The kernel's runs wait their turn behind its `Publish`."""
        if self.role == "kernel" or self._writer.transport.get_write_buffer_size() > _LIMIT:
            return False
        try:
            known = self._gateway.known(run)
        except (FusedError, TypeError, ValueError):
            return False  # the long way says it
        if known is not None:
            reply, body = known
            self.send(self._with_output_for(run, reply), body)
        return known is not None

    async def _answer(self, message: Message, body: bytes) -> None:
        try:
            answer, answer_body = await self._dispatch(message, body)
        except FusedError as exc:
            answer, answer_body = self._with_output_for(message, Failure.of(message.id, exc)), b""
        except Exception as exc:  # noqa: BLE001 - a fault of ours in one call; the host goes on for the others
            error = ProtocolError(f"fused_jupyter failed in its host: {type(exc).__name__}: {exc}")
            answer, answer_body = Failure.of(message.id, error), b""
        try:
            self.send(answer, answer_body)
        except ProtocolError as exc:  # longer than a frame may be; whoever waits has to hear of it
            self.send(Failure.of(message.id, exc))
        await self._drain()

    async def _drain(self) -> None:
        with contextlib.suppress(OSError):
            await self._writer.drain()

    async def _dispatch(self, message: Message, body: bytes) -> tuple[Message, bytes]:
        if isinstance(message, Run):
            return await self._run(message, body)
        if isinstance(message, Describe):
            known = self._gateway
            udfs, shares, epoch = known.summaries(), known.shares.live, known.epoch
            return Described(id=message.id, udfs=udfs, shares=shares, epoch=epoch), b""
        if (json := await self._listener.tell(message)) is not None:
            return Reply(id=message.id, media_type="application/json" if json else ""), json
        if self.role != "kernel":
            raise AccessError(f"only the kernel may send {type(message).__name__}")
        if isinstance(message, KernelAnswer) and self._listener.kernel_runs is not None:
            self._listener.kernel_runs.note(message, body)
            return Reply(id=message.id), b""
        return Reply(id=message.id), await self._listener.commands.obey(message)

    async def _run(self, run: Run, body: bytes) -> tuple[Message, bytes]:
        if self.role != "kernel" and (run.returns != "encoded" or run.parameters is None or run.profile):
            raise AccessError("pickles and profiles are for the kernel only")
        on_text = None
        if run.stream:

            def on_text(stream: Any, text: str) -> None:
                self.send(Output(id=run.id, stream=stream, text=text))

        answer, answer_body = await self._gateway.run(run, body, on_text=on_text)
        if on_text is not None and isinstance(answer, Reply) and answer.cached:
            for stream, text in (("stdout", answer.stdout), ("stderr", answer.stderr)):
                for start in range(0, len(text), _PIECE):
                    on_text(stream, text[start : start + _PIECE])
        return self._with_output_for(run, answer), answer_body

    def _with_output_for(self, message: Message, answer: Reply | Failure) -> Reply | Failure:
        """The answer, and of what the UDF printed what the caller may see and has not got yet.

        Servers get the end of it, for the owner of the UDF; to whom somebody gave a token it is nothing. The kernel got
        all of it, in pieces, unless it asked for a page.
        """
        if not (answer.stdout or answer.stderr):
            return answer
        run = message if isinstance(message, Run) else None
        has_it = self.role == "kernel" and (run is None or run.stream)
        if has_it or (run is not None and run.share is not None and not answer.is_told):
            return replace(answer, stdout="", stderr="")
        stderr = end_of(answer.stderr, _TOLD // 2)
        return replace(answer, stdout=end_of(answer.stdout, _TOLD - len(json.dumps(stderr))), stderr=stderr)


def end_of(text: str, size: int) -> str:
    """The last characters of a text, as many as have `size` bytes in JSON that is ASCII.

    >>> end_of("one two", 4)
    ' two'
    >>> end_of("größer", 8)
    'ßer'
    """
    text = text[-size:]
    start = bisect.bisect_left(range(len(text)), -size, key=lambda at: 2 - len(json.dumps(text[at:])))
    return text[start:]


def _check_user(writer: asyncio.StreamWriter) -> None:
    """On Linux the system itself says who called."""
    if not sys.platform.startswith("linux"):
        return
    sock = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    if uid != os.getuid():
        raise AccessError(f"user {uid} is not the owner of this host")
