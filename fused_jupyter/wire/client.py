"""The caller's end of a connection to a runtime host: many calls at once over one socket."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Protocol

from fused_jupyter.errors import FusedError, HostLostError, ProtocolError
from fused_jupyter.wire.announcement import Announcement
from fused_jupyter.wire.frames import pack, read_frame
from fused_jupyter.wire.handshake import Role, introduce
from fused_jupyter.wire.messages import Cancel, Failure, Message, Output, Reply, decode, encode

_LIMIT = 1 << 20


class OnEvent(Protocol):
    """Takes messages that answer no call, and `Output` of calls."""

    def __call__(self, message: Message, /) -> None:
        """Take one, at once: the connection waits."""
        ...


async def connect(announcement: Announcement, *, role: Role, on_event: OnEvent, timeout: float = 2.0) -> Client:  # noqa: ASYNC109 - of the whole handshake
    """A connection, ready to call.

    Raises:
        HostLostError: nobody listens there any more.
        ProtocolError: the host has another version.
        AccessError: the host refused the secret.
    """
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await _open(announcement.address)
            try:
                await introduce(reader, writer, secret=announcement.secret, role=role)
            except BaseException:  # also a deadline: whatever ends the greeting ends the connection
                writer.close()
                raise
    except (OSError, EOFError) as exc:  # TimeoutError is an OSError
        raise HostLostError(
            f"the runtime host of kernel {announcement.kernel_id} does not answer", retry_after=1
        ) from exc
    return Client(reader, writer, on_event=on_event)


class Client:
    """One multiplexed connection. Used from one event loop only."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, on_event: OnEvent) -> None:
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[tuple[Message, bytes]]] = {}
        self._outputs: dict[int, OnEvent] = {}
        self._task = asyncio.create_task(self._receive())

    @property
    def is_open(self) -> bool:
        """Whether the host can still be asked."""
        return not self._task.done()

    def next_number(self) -> int:
        """A number for the next call."""
        return next(self._numbers)

    async def call(
        self, message: Message, body: bytes | bytearray | memoryview = b"", *, on_output: OnEvent | None = None
    ) -> tuple[Message, bytes]:
        """Send a message and wait for its answer; a cancelled wait is a `Cancel` for the host.

        Raises:
            FusedError: the one that the host answered with.
            HostLostError: the host died meanwhile.
        """
        if not self.is_open:
            raise HostLostError("the runtime host has stopped", retry_after=1)
        future: asyncio.Future[tuple[Message, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[message.id] = future
        if on_output is not None:
            self._outputs[message.id] = on_output
        try:
            self._write(message, body)
            if self._writer.transport.get_write_buffer_size() > _LIMIT:
                await self._writer.drain()
            answer, answer_body = await future
        except asyncio.CancelledError:
            self.tell(Cancel(id=message.id))
            raise
        except OSError as exc:  # of drain: the host hung up while the body was on its way
            raise HostLostError("the runtime host has stopped", retry_after=1) from exc
        finally:
            self._waiting.pop(message.id, None)
            self._outputs.pop(message.id, None)
        if isinstance(answer, Failure):
            raise answer.to_error()
        return answer, answer_body

    def tell(self, message: Message) -> None:
        """Send a message that is not answered; a host that is gone does not get it."""
        with contextlib.suppress(HostLostError):
            self._write(message)

    async def reply_to(self, message: Message, body: bytes | bytearray | memoryview = b"") -> tuple[Reply, bytes]:
        """`call` for messages that are answered by a `Reply`."""
        answer, answer_body = await self.call(message, body)
        if not isinstance(answer, Reply):
            raise ProtocolError(f"{type(message).__name__} was answered by {type(answer).__name__}")
        return answer, answer_body

    async def close(self) -> None:
        """Hang up; calls that wait fail with `HostLostError`."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def wait_closed(self) -> None:
        """Return when the host has hung up, or when what was to hear its news broke."""
        await asyncio.wait([self._task])

    def _write(self, message: Message, body: bytes | bytearray | memoryview = b"") -> None:
        if self._writer.transport.is_closing():
            raise HostLostError("the runtime host has stopped", retry_after=1)
        self._writer.write(pack(encode(message), len(body)))
        if len(body):
            self._writer.write(body)

    async def _receive(self) -> None:
        try:
            while True:
                header, body = await read_frame(self._reader)
                self._dispatch(decode(header), body)
        except (EOFError, FusedError):  # gone, garbage, or gone while somebody answers its news
            pass  # all mean that this host is lost; what waits is told so below
        finally:
            self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(HostLostError("the runtime host stopped while this call ran", retry_after=1))

    def _dispatch(self, message: Message, body: bytes) -> None:
        if isinstance(message, Output):
            self._outputs.get(message.id, self._on_event)(message)
        elif (future := self._waiting.get(message.id)) is not None:
            if not future.done():
                future.set_result((message, body))
        elif message.id == 0:
            self._on_event(message)


async def _open(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("127.0.0.1:"):
        return await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]), limit=_LIMIT)
    return await asyncio.open_unix_connection(address, limit=_LIMIT)
