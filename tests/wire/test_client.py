from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from fused_jupyter.errors import AccessError, HostLostError, ProtocolError, UdfRuntimeError
from fused_jupyter.wire import (
    PROTOCOL,
    Announcement,
    Cancel,
    Client,
    Describe,
    Failure,
    Grant,
    Message,
    Output,
    Published,
    Reply,
    Run,
    Status,
    connect,
    decode,
    encode,
    pack,
    read_frame,
)
from fused_jupyter.wire.handshake import greet

SECRET = "ab" * 32


class Peer:
    """Greets, keeps what comes, and answers each message by a function of the test."""

    def __init__(self, answer: Callable[[Peer, Message, bytes], Awaitable[None]]) -> None:
        self.received: list[Message] = []
        self.arrived = asyncio.Event()
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        await greet(reader, writer, secret=SECRET)
        try:
            while True:
                header, body = await read_frame(reader)
                message = decode(header)
                self.received.append(message)
                self.arrived.set()
                task = asyncio.create_task(self._answer(self, message, body))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except EOFError:
            pass

    def send(self, message: Message, body: bytes = b"") -> None:
        self.writer.write(pack(encode(message), len(body)) + body)


async def silent(peer: Peer, message: Message, body: bytes) -> None:
    """Never answers."""


def strictly(main: Awaitable[Any]) -> Any:
    """Run, and fail if anything blocks the loop."""

    async def guarded() -> Any:
        with blockbuster_ctx():
            return await main

    return asyncio.run(guarded())


def ignore(_: Message) -> None:
    pass


def test_many_calls_share_one_connection(listening: Any) -> None:
    """Answers find their callers in whatever order they come."""

    async def echo(peer: Peer, message: Message, body: bytes) -> None:
        await asyncio.sleep(random.random() / 50)
        peer.send(Reply(id=message.id, etag=str(message.id)), body)

    async def main() -> None:
        async with listening(Peer(echo)) as announcement:
            client = await connect(announcement, role="kernel", on_event=ignore)
            bodies = [bytes([n % 256]) * n for n in range(200)]

            answers = await asyncio.gather(*(client.reply_to(Status(id=client.next_number()), body) for body in bodies))

            assert [body for _, body in answers] == bodies
            assert [reply.etag for reply, _ in answers] == [str(n) for n in range(1, 201)]
            await client.close()

    strictly(main())


def test_failure_is_raised_as_the_error_that_it_was(listening: Any) -> None:
    """Class, message and line are the host's."""

    async def fail(peer: Peer, message: Message, body: bytes) -> None:
        peer.send(Failure(id=message.id, error=UdfRuntimeError("ValueError: no", line=3).to_wire()))

    async def main() -> None:
        async with listening(Peer(fail)) as announcement:
            client = await connect(announcement, role="kernel", on_event=ignore)
            with pytest.raises(UdfRuntimeError, match="ValueError: no") as caught:
                await client.call(Status(id=client.next_number()))
            assert caught.value.line == 3
            await client.close()

    strictly(main())


def test_death_of_the_host_fails_all_that_wait(listening: Any) -> None:
    """At once, with an error that says when to try again; later calls fail the same way."""

    async def main() -> None:
        peer = Peer(silent)
        async with listening(peer) as announcement:
            client = await connect(announcement, role="server", on_event=ignore)
            calls = [asyncio.create_task(client.call(Status(id=client.next_number()))) for _ in range(5)]
            await peer.arrived.wait()

            peer.writer.transport.abort()
            results = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 1)

            assert [type(result) for result in results] == [HostLostError] * 5
            assert not client.is_open
            with pytest.raises(HostLostError):
                await client.call(Status(id=client.next_number()))
            await client.close()

    strictly(main())


def test_death_of_the_host_while_a_large_body_is_sent(listening: Any) -> None:
    """It is the same error, not one of the socket's."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, secret=SECRET)
        await reader.read(1000)
        writer.transport.abort()

    async def main() -> None:
        async with listening(hang_up) as announcement:
            client = await connect(announcement, role="kernel", on_event=ignore)
            with pytest.raises(HostLostError):
                await asyncio.wait_for(client.call(Run(id=client.next_number()), bytes(30_000_000)), 5)
            await client.close()

    strictly(main())


def test_cancelled_call_is_cancelled_at_the_host(listening: Any) -> None:
    """The host hears of it; the connection goes on for others."""

    async def answer_status(peer: Peer, message: Message, body: bytes) -> None:
        if isinstance(message, Status):
            peer.send(Reply(id=message.id))

    async def main() -> None:
        peer = Peer(answer_status)
        async with listening(peer) as announcement:
            client = await connect(announcement, role="server", on_event=ignore)
            call = asyncio.create_task(client.call(Run(id=7)))
            await peer.arrived.wait()

            call.cancel()
            await asyncio.wait([call])
            await client.reply_to(Status(id=8))

            assert call.cancelled()
            assert [type(message) for message in peer.received] == [Run, Cancel, Status]
            assert peer.received[1] == Cancel(id=7)
            await client.close()

    strictly(main())


def test_answer_after_a_cancel_is_nobodys(listening: Any) -> None:
    """It came too late; the next call is not confused by it."""

    async def slow(peer: Peer, message: Message, body: bytes) -> None:
        if isinstance(message, Cancel):
            peer.send(Reply(id=message.id, etag="late"))
        elif isinstance(message, Status):
            peer.send(Reply(id=message.id, etag="right"))

    async def main() -> None:
        peer = Peer(slow)
        async with listening(peer) as announcement:
            client = await connect(announcement, role="server", on_event=ignore)
            call = asyncio.create_task(client.call(Run(id=1)))
            await peer.arrived.wait()
            call.cancel()
            await asyncio.wait([call])

            reply, _ = await client.reply_to(Status(id=2))

            assert reply.etag == "right"
            await client.close()

    strictly(main())


def test_prints_go_to_the_call_and_news_to_everybody(listening: Any) -> None:
    """`Output` belongs to a run; what has number 0 to nobody."""

    async def talk(peer: Peer, message: Message, body: bytes) -> None:
        peer.send(Published(udfs=({"name": "a"},)))
        peer.send(Output(id=message.id, stream="stdout", text="one"))
        peer.send(Output(id=message.id, stream="stderr", text="two"))
        peer.send(Reply(id=message.id))

    async def main() -> None:
        news: list[Message] = []
        printed: list[Message] = []
        async with listening(Peer(talk)) as announcement:
            client = await connect(announcement, role="kernel", on_event=news.append)
            await client.call(Run(id=client.next_number()), on_output=printed.append)

            assert [message.text for message in printed if isinstance(message, Output)] == ["one", "two"]
            assert news == [Published(udfs=({"name": "a"},))]
            await client.close()

    strictly(main())


def test_answer_of_another_kind_is_refused(listening: Any) -> None:
    """A peer that answers a question with another question is none of ours."""

    async def confuse(peer: Peer, message: Message, body: bytes) -> None:
        peer.send(Describe(id=message.id))

    async def main() -> None:
        async with listening(Peer(confuse)) as announcement:
            client = await connect(announcement, role="kernel", on_event=ignore)
            with pytest.raises(ProtocolError, match="Grant was answered by Describe"):
                await client.reply_to(Grant(id=client.next_number(), share="s", udf="u"))
            await client.close()

    strictly(main())


def test_garbage_from_the_host_ends_the_connection(listening: Any) -> None:
    """What waits is told; nothing hangs."""

    async def garbage(peer: Peer, message: Message, body: bytes) -> None:
        peer.writer.write(pack(b"garbage", 0))

    async def main() -> None:
        async with listening(Peer(garbage)) as announcement:
            client = await connect(announcement, role="kernel", on_event=ignore)
            with pytest.raises(HostLostError):
                await asyncio.wait_for(client.call(Status(id=1)), 1)
            await asyncio.wait_for(client.wait_closed(), 1)
            assert not client.is_open
            await client.close()

    strictly(main())


def test_news_whose_answer_fails_end_the_connection(listening: Any) -> None:
    """As if the host had hung up; closing raises nothing."""

    async def news(peer: Peer, message: Message, body: bytes) -> None:
        peer.send(Published(udfs=()))

    def fail(_: Message) -> None:
        raise HostLostError("gone meanwhile")

    async def main() -> None:
        async with listening(Peer(news)) as announcement:
            client = await connect(announcement, role="server", on_event=fail)
            with pytest.raises(HostLostError):
                await asyncio.wait_for(client.call(Status(id=1)), 1)
            await client.close()

    strictly(main())


def test_news_that_break_whoever_hears_them_end_the_connection(listening: Any) -> None:
    """Whoever waits for its end goes on, and finds another host; whoever closes it is told of the fault."""

    async def news(peer: Peer, message: Message, body: bytes) -> None:
        peer.send(Published(udfs=()))

    def fail(_: Message) -> None:
        raise KeyError("ours")

    async def main() -> None:
        async with listening(Peer(news)) as announcement:
            client = await connect(announcement, role="server", on_event=fail)
            with pytest.raises(HostLostError):
                await asyncio.wait_for(client.call(Status(id=1)), 1)
            await asyncio.wait_for(client.wait_closed(), 1)
            with pytest.raises(KeyError, match="ours"):
                await client.close()

    strictly(main())


def test_closing_fails_what_waits(listening: Any) -> None:
    """A server that stops leaves no request hanging."""

    async def main() -> None:
        peer = Peer(silent)
        async with listening(peer) as announcement:
            client = await connect(announcement, role="server", on_event=ignore)
            call = asyncio.create_task(client.call(Status(id=1)))
            await peer.arrived.wait()

            await client.close()

            with pytest.raises(HostLostError):
                await asyncio.wait_for(call, 1)

    strictly(main())


def test_nobody_listening_is_a_lost_host(announcement: Announcement) -> None:
    """The announcement outlived its host."""
    with pytest.raises(HostLostError, match="kernel-1 does not answer"):
        asyncio.run(connect(announcement, role="server", on_event=ignore))


def test_host_that_does_not_greet_is_lost_in_time(listening: Any) -> None:
    """A stopped process must not stop the server."""

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        async with listening(mute) as announcement:
            with pytest.raises(HostLostError):
                await asyncio.wait_for(connect(announcement, role="server", on_event=ignore, timeout=0.1), 1)

    strictly(main())


def test_wrong_secret_is_refused(listening: Any) -> None:
    """The announcement is older than the host."""

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with pytest.raises(AccessError):
            await greet(reader, writer, secret="00" * 32)

    async def main() -> None:
        async with listening(other) as announcement:
            with pytest.raises(AccessError, match="restart the kernel"):
                await connect(announcement, role="server", on_event=ignore)

    strictly(main())


def test_other_protocol_is_no_lost_host(listening: Any) -> None:
    """The user has to install something, not to wait."""

    async def newer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(pack(b'{"protocol":%d,"version":"9.9"}' % (PROTOCOL + 1), 0))
        await reader.read()

    async def main() -> None:
        async with listening(newer) as announcement:
            with pytest.raises(ProtocolError, match=r"9\.9"):
                await connect(announcement, role="server", on_event=ignore)

    strictly(main())


def test_client_is_a_context_of_one_loop(listening: Any) -> None:
    """Numbers of calls are never used twice."""

    async def main() -> None:
        async with listening(Peer(silent)) as announcement:
            client: Client = await connect(announcement, role="kernel", on_event=ignore)
            assert len({client.next_number() for _ in range(100)}) == 100
            await client.close()

    strictly(main())
