from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from fused_jupyter._version import __version__
from fused_jupyter.errors import AccessError, FusedError, ProtocolError
from fused_jupyter.wire import PROTOCOL, pack
from fused_jupyter.wire.handshake import greet, introduce

SECRET = "cd" * 32


@dataclass
class Line:
    """Both ends of a connection, and all that went over it."""

    host: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    caller: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    seen: bytearray = field(default_factory=bytearray)


class Recorder:
    """A writer's end: hands bytes to the other side's reader and keeps them."""

    def __init__(self, target: asyncio.StreamReader, seen: bytearray) -> None:
        self._target, self._seen = target, seen

    def write(self, data: bytes) -> None:
        self._seen += data
        self._target.feed_data(data)


def line() -> Line:
    host, caller, seen = asyncio.StreamReader(), asyncio.StreamReader(), bytearray()
    to_caller: Any = Recorder(caller, seen)
    to_host: Any = Recorder(host, seen)
    return Line((host, to_caller), (caller, to_host), seen)


async def shake(
    *, host_secret: str = SECRET, caller_secret: str = SECRET, role: Any = "server"
) -> tuple[list[Any], Line]:
    between = line()
    results = await asyncio.gather(
        greet(*between.host, secret=host_secret),
        introduce(*between.caller, secret=caller_secret, role=role),
        return_exceptions=True,
    )
    return results, between


@pytest.mark.parametrize("role", ["kernel", "server"])
def test_caller_with_the_secret_is_welcome(role: str) -> None:
    """The host learns who calls."""
    (found, introduced), _ = asyncio.run(shake(role=role))

    assert (found, introduced) == (role, None)


def test_caller_without_the_secret_is_refused() -> None:
    """Both sides learn it."""
    (host, caller), _ = asyncio.run(shake(caller_secret="ef" * 32))

    assert isinstance(host, AccessError)
    assert isinstance(caller, AccessError)


def test_role_that_is_none_is_refused() -> None:
    """Also with the secret: there are kernels and servers."""
    (host, caller), _ = asyncio.run(shake(role="admin"))

    assert isinstance(host, AccessError)
    assert isinstance(caller, AccessError)


def test_role_is_proven_too() -> None:
    """A proof for one role opens no other."""

    async def run() -> Any:
        between = line()
        task = asyncio.create_task(greet(*between.host, secret=SECRET))
        caller = asyncio.create_task(introduce(*between.caller, secret=SECRET, role="server"))
        await asyncio.sleep(0)
        between.host[0]._buffer[:] = bytes(between.host[0]._buffer).replace(b'"server"', b'"kernel"')  # type: ignore[attr-defined]
        return await asyncio.gather(task, caller, return_exceptions=True)

    assert isinstance(asyncio.run(run())[0], AccessError)


def test_secret_never_travels() -> None:
    """Who listens on a stale socket learns nothing."""
    _, between = asyncio.run(shake())

    assert SECRET.encode() not in between.seen
    assert bytes.fromhex(SECRET) not in between.seen


def test_each_greeting_has_its_own_nonce() -> None:
    """A proof that was overheard is worth nothing the next time."""
    seen = [bytes(asyncio.run(shake())[1].seen) for _ in range(3)]

    assert len(set(seen)) == 3


@pytest.mark.parametrize("protocol", [PROTOCOL + 1, 0, None, "1"])
def test_other_protocol_names_both_versions(protocol: Any) -> None:
    """The user learns which environment has which version, and what to do."""

    async def run() -> None:
        between = line()
        header = orjson.dumps({"protocol": protocol, "version": "9.9", "nonce": "00"})
        between.host[1].write(pack(header, 0))
        await introduce(*between.caller, secret=SECRET, role="server")

    with pytest.raises(ProtocolError, match=f"9.9 .protocol {protocol}.*{__version__} .protocol {PROTOCOL}.*install"):
        asyncio.run(run())


GARBAGE: list[Any] = [
    [], 7, {}, {"role": []}, {"role": {}, "proof": {}}, {"role": "admin", "proof": ""},
    {"role": "kernel", "proof": "ü"}, {"role": "kernel", "proof": None}, {"role": "server", "proof": ["x"]},
]  # fmt: skip


@pytest.mark.parametrize("hello", GARBAGE)
def test_garbage_in_a_greeting_is_refused(hello: Any) -> None:
    """With an error that the listener expects; nothing else escapes."""

    async def run() -> None:
        between = line()
        between.caller[1].write(pack(orjson.dumps(hello), 0))
        await greet(*between.host, secret=SECRET)

    with pytest.raises(FusedError):
        asyncio.run(run())


@pytest.mark.parametrize("header", [b"GET / HTTP/1.1", b"[1]", b"\xff"])
def test_greeting_that_is_none_of_ours_is_refused(header: bytes) -> None:
    """Another program took over the address."""

    async def run(begin: Callable[[Line], Any]) -> None:
        between = line()
        between.caller[1].write(pack(header, 0))
        between.host[1].write(pack(header, 0))
        await begin(between)

    with pytest.raises(ProtocolError, match="no greeting"):
        asyncio.run(run(lambda between: greet(*between.host, secret=SECRET)))
    with pytest.raises(ProtocolError, match="no greeting"):
        asyncio.run(run(lambda between: introduce(*between.caller, secret=SECRET, role="server")))
