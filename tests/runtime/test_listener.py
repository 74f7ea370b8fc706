from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.caching import ResultCache
from fused_jupyter.errors import AccessError, BusyError, ProtocolError, ShareError, UdfRuntimeError, WorkerLostError
from fused_jupyter.runtime.gateway import Gateway
from fused_jupyter.runtime.listener import Listener, end_of
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import (
    PROTOCOL,
    Announcement,
    Client,
    Describe,
    Described,
    GiveBack,
    Grant,
    Heard,
    Lease,
    Message,
    Output,
    Publish,
    Published,
    Reply,
    Revoke,
    Run,
    Status,
    connect,
)

SECRET = "ab" * 32
PRINTED = "".join(f"{n} grüße \U0001f600\n" for n in range(3000))
Define = Callable[..., UdfDefinition]


class EchoEngine:
    """Answers with its arguments; `loop` never answers."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.started = asyncio.Event()

    async def run(self, definition: UdfDefinition, run: Run, body: bytes = b"", *, on_text: Any = None) -> Any:
        self.started.set()
        if definition.name == "loop":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if definition.name == "fails":
            raise UdfRuntimeError("ValueError: no", line=2)
        if definition.name == "breaks":
            raise ZeroDivisionError
        if on_text is not None:
            on_text("stdout", "hello")
        if definition.name == "prints":
            return Reply(id=run.id, media_type="text/plain", stdout=PRINTED, stderr="warned\n"), b""
        if definition.name == "prints_and_dies":
            error = WorkerLostError("died")
            error.stdout, error.seconds = PRINTED, 1.5
            raise error
        return Reply(id=run.id, media_type="text/plain"), body or repr(dict(run.parameters or {})).encode()


class NoLeases:
    """Lends nothing."""

    on_recall: Any = None

    async def open(self, message: Lease) -> None:
        raise BusyError("nothing to lend")

    async def close(self, message: GiveBack) -> None:
        return None


async def fine() -> dict[str, Any]:
    return {"fine": True}


class House:
    """A listener and those who connect to it."""

    def __init__(self, options: Options) -> None:
        self.engine = EchoEngine()
        results = ResultCache(Path(options.cache_directory), memory_size=10_000, disk_size=1_000_000)
        gateway = Gateway(self.engine, results, options, kernel_id="kernel-1")
        self.listener = Listener(gateway, NoLeases(), secret=SECRET, status=fine)
        self.news: list[Message] = []

    async def open(self) -> None:
        self.announcement = Announcement(
            protocol=PROTOCOL, package_version="0", kernel_id="kernel-1", pid=1, pid_started=0, kernel_pid=1,
            server_pid=0, address=await self.listener.open(), secret=SECRET,
        )  # fmt: skip
        self.kernel = await connect(self.announcement, role="kernel", on_event=lambda _: None)
        self.server = await connect(self.announcement, role="server", on_event=self.hear)

    def hear(self, message: Message) -> None:
        self.news.append(message)
        if isinstance(message, Published) and message.serial:
            self.server.tell(Heard(id=self.server.next_number(), serial=message.serial))

    async def close(self) -> None:
        await self.kernel.close()
        await self.server.close()
        await self.listener.close()


def inside(options: Options, main: Callable[[House], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        house = House(options)
        await house.open()
        try:
            with blockbuster_ctx():
                async with asyncio.timeout(10):
                    return await main(house)
        finally:
            await house.close()

    return asyncio.run(run())


async def publish(client: Client, definition: UdfDefinition) -> None:
    await client.reply_to(Publish(id=client.next_number(), definition=definition.to_json()))


def test_socket_is_private(options: Options) -> None:
    """So is its directory, which goes with the listener."""

    async def main(house: House) -> str:
        path = Path(house.announcement.address)
        modes.extend(await asyncio.to_thread(lambda: [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)]))
        return str(path)

    modes: list[int] = []
    path = inside(options, main)

    assert modes == [0o600, 0o700]
    assert len(path) < 100
    assert not Path(path).parent.exists()


def test_what_the_kernel_publishes_the_server_may_run(options: Options, definition: Define) -> None:
    """And is told of, without the code."""

    async def main(house: House) -> None:
        await publish(house.kernel, definition("def f(n): return n"))

        reply, body = await house.server.reply_to(Run(id=house.server.next_number(), udf="f", parameters={"n": "1"}))
        described, _ = await house.server.call(Describe(id=house.server.next_number()))

        assert (reply.kernel, body) == ("kernel-1", b"{'n': '1'}")
        assert isinstance(described, Described)
        assert [udf["name"] for udf in described.udfs] == ["f"]
        told = [udf["name"] for message in house.news if isinstance(message, Published) for udf in message.udfs]
        assert told == ["f"]
        assert "return n" not in repr(house.news)

    inside(options, main)


def test_run_right_behind_its_publish_sees_it(options: Options, definition: Define) -> None:
    """Messages are taken in the order in which they come."""

    async def main(house: House) -> None:
        kernel, body = house.kernel, b"arguments"
        for n in range(20):
            udf = definition(f"def f(): return {n}")
            publishing = asyncio.create_task(publish(kernel, udf))
            await asyncio.sleep(0)
            reply, _ = await kernel.reply_to(Run(id=kernel.next_number(), udf="f", returns="object"), body)
            assert reply.digest == udf.digest
            await publishing

    inside(options, main)


def test_server_may_not_do_what_the_kernel_may(options: Options, definition: Define) -> None:
    """No code, no tokens, no pickles in either direction."""

    async def main(house: House) -> None:
        await publish(house.kernel, definition("def f(): pass"))
        server = house.server
        forbidden: list[tuple[Message, bytes]] = [
            (Publish(id=server.next_number(), definition=definition("def g(): pass").to_json()), b""),
            (Grant(id=server.next_number(), share="s", udf="f"), b""),
            (Revoke(id=server.next_number(), share="s"), b""),
            (Run(id=server.next_number(), udf="f", parameters={}, returns="object"), b""),
            (Run(id=server.next_number(), udf="f"), b"a pickle"),
        ]
        for message, body in forbidden:
            with pytest.raises(AccessError):
                await server.call(message, body)
        assert not house.engine.started.is_set()

    inside(options, main)


def test_cell_ends_when_servers_have_heard_of_it(options: Options, definition: Define) -> None:
    """Or hung up: a server that hangs is not waited for longer than a moment."""

    async def main(house: House) -> None:
        deaf = await connect(house.announcement, role="server", on_event=lambda _: None)
        publishing = asyncio.create_task(publish(house.kernel, definition("def f(): pass")))
        await asyncio.sleep(0.1)
        assert not publishing.done()
        await deaf.close()
        await asyncio.wait_for(publishing, 0.5)

    inside(options, main)


def test_tokens_open_and_close(options: Options, definition: Define) -> None:
    """Servers hear of each change; only hashes travel."""

    async def main(house: House) -> None:
        kernel, server = house.kernel, house.server
        await publish(kernel, definition("def f(): pass"))
        await kernel.reply_to(Grant(id=kernel.next_number(), share="5ha", udf="f"))
        await server.reply_to(Run(id=server.next_number(), share="5ha", parameters={}))
        await kernel.reply_to(Revoke(id=kernel.next_number(), share="5ha"))
        with pytest.raises(ShareError):
            await server.reply_to(Run(id=server.next_number(), share="5ha", parameters={}))
        assert [message.shares for message in house.news if isinstance(message, Published)] == [(), (), ("5ha",), ()]

    inside(options, main)


def test_wrong_secret_is_refused_and_others_go_on(options: Options, capfd: pytest.CaptureFixture[str]) -> None:
    """The host's log says so, without the secret."""

    async def main(house: House) -> None:
        with pytest.raises(AccessError):
            await connect(replace(house.announcement, secret="00" * 32), role="server", on_event=lambda _: None)
        await house.server.reply_to(Status(id=house.server.next_number()))

    inside(options, main)
    log = capfd.readouterr().err
    assert "refused" in log
    assert SECRET not in log


def test_stranger_who_sends_garbage_is_hung_up_on(options: Options) -> None:
    """Before or after the greeting."""

    async def main(house: House) -> None:
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"\x00\x00\x00\x02\x00\x00\x00\x00[]"):
            reader, writer = await asyncio.open_unix_connection(house.announcement.address)
            writer.write(garbage)
            await asyncio.wait_for(reader.read(), 2)
            writer.close()
        await house.server.reply_to(Status(id=house.server.next_number()))

    inside(options, main)


def test_cancel_stops_the_run(options: Options, definition: Define) -> None:
    """A browser that left is a Cancel from its server."""

    async def main(house: House) -> None:
        await publish(house.kernel, definition("def loop(): pass"))
        call = asyncio.create_task(house.server.call(Run(id=9, udf="loop", parameters={})))
        await house.engine.started.wait()
        call.cancel()
        await house.engine.cancelled.wait()

    inside(options, main)


def test_server_that_dies_stops_its_runs(options: Options, definition: Define) -> None:
    """Nobody is left to take the answers; the kernel's end is noted, a server's is not."""

    async def main(house: House) -> None:
        await publish(house.kernel, definition("def loop(): pass"))
        call = asyncio.create_task(house.server.call(Run(id=9, udf="loop", parameters={})))
        await house.engine.started.wait()
        await house.server.close()
        await house.engine.cancelled.wait()
        await asyncio.wait([call])
        assert not house.listener.kernel_left.is_set()
        call.exception()
        await house.kernel.close()
        await house.listener.kernel_left.wait()

    inside(options, main)


def test_prints_are_sent_to_whom_they_belong(options: Options, definition: Define) -> None:
    """If the caller wants them."""

    async def main(house: House) -> None:
        printed: list[Message] = []
        await publish(house.kernel, definition("def f(): pass"))
        for stream in (True, False):
            run = Run(id=house.kernel.next_number(), udf="f", returns="object", stream=stream)
            await house.kernel.call(run, b"x", on_output=printed.append)
        assert [message.text for message in printed if isinstance(message, Output)] == ["hello"]

    inside(options, main)


@pytest.mark.parametrize("age", ["0", "1h"])
def test_server_gets_the_end_of_what_was_printed(options: Options, definition: Define, age: str) -> None:
    """As much as a header holds, fresh, from memory or with an error; who has a token gets none of it.

    A kernel gets it as a server does for a page of its own, and else in pieces.
    """

    async def main(house: House) -> None:
        for name in ("prints", "prints_and_dies"):
            await publish(house.kernel, definition(f"def {name}(): pass"))
            await house.kernel.reply_to(Grant(id=house.kernel.next_number(), share=f"of {name}", udf=name))

        async def ask(client: Client, **fields: Any) -> Any:
            run = Run(id=client.next_number(), parameters={}, cache_max_age=age, **fields)
            try:
                return (await client.reply_to(run))[0]
            except WorkerLostError as exc:
                return exc

        for name in ("prints", "prints_and_dies"):
            for _ in range(2):
                told = await ask(house.server, udf=name)
                assert PRINTED.endswith(told.stdout)
                assert 7500 < len(json.dumps(told.stdout) + json.dumps(told.stderr)) <= 8004
                for_page = await ask(house.kernel, udf=name)
                assert (for_page.stdout, for_page.stderr) == (told.stdout, told.stderr)
                in_pieces = await ask(house.kernel, udf=name, stream=True)
                for silent in (await ask(house.server, share=f"of {name}"), in_pieces):
                    assert (silent.stdout, silent.stderr) == ("", "")
        assert (await ask(house.server, udf="prints")).stderr == "warned\n"
        assert (await ask(house.server, udf="prints_and_dies")).seconds == 1.5

    inside(options, main)


def test_server_may_not_measure(options: Options, definition: Define) -> None:
    """The lines of the code are the kernel's business."""

    async def main(house: House) -> None:
        await publish(house.kernel, definition("def f(): pass"))
        with pytest.raises(AccessError, match="for the kernel only"):
            await house.server.call(Run(id=house.server.next_number(), udf="f", parameters={}, profile=True))

    inside(options, main)


@given(st.text(max_size=200), st.integers(1, 300))
def test_end_of_a_text_is_as_long_as_it_may_be(text: str, size: int) -> None:
    """One character more would be too long."""
    end = end_of(text, size)

    assert text.endswith(end)
    assert len(json.dumps(end)) - 2 <= size
    assert end == text or len(json.dumps(text[-len(end) - 1 :])) - 2 > size


def test_errors_are_answers(options: Options, definition: Define) -> None:
    """The UDF's own, and faults of ours, which cost one call."""

    async def main(house: House) -> None:
        for name in ("fails", "breaks"):
            await publish(house.kernel, definition(f"def {name}(): pass"))
        server = house.server
        with pytest.raises(UdfRuntimeError, match="ValueError") as caught:
            await server.call(Run(id=server.next_number(), udf="fails", parameters={}))
        assert caught.value.line == 2
        with pytest.raises(ProtocolError, match="ZeroDivisionError"):
            await server.call(Run(id=server.next_number(), udf="breaks", parameters={}))
        for odd in ((), (1, 2), ("a", "b", "c"), (1, 2, 3, 4), 7):
            with pytest.raises(Exception, match=r"tile|failed in its host"):
                await server.call(Run(id=server.next_number(), udf="fails", parameters={}, tile=odd))  # type: ignore[arg-type]
        with pytest.raises(ProtocolError, match="does not take Output"):
            await house.kernel.call(Output(id=house.kernel.next_number(), stream="stdout", text=""))
        await server.reply_to(Status(id=server.next_number()))

    inside(options, main)
