from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_jupyter import JupyterServer, Kernel

from fused_jupyter.wire.http.requests import CLIENT_HEADER, client_of

# -- who is who

words = st.text(min_size=1, max_size=20)
addresses = st.ip_addresses().map(str)


def test_both_sides_call_the_header_the_same() -> None:
    """The map's page sends what the server reads."""
    source = Path(__file__).parents[2].joinpath("js/src/protocol.ts").read_text()

    assert re.findall(r'client: "(X-Fused-[A-Za-z]+)"', source) == [CLIENT_HEADER]


@given(name=words, address=addresses, agent=words, referer=words)
def test_a_map_is_one_client_wherever_it_is_seen(name: str, address: str, agent: str, referer: str) -> None:
    """Its name is all that counts; no other map and nobody without a name is the same."""
    known = client_of({CLIENT_HEADER: name}, address)

    assert known == client_of({CLIENT_HEADER: name, "User-Agent": agent, "Referer": referer}, "10.0.0.1")
    assert known != client_of({CLIENT_HEADER: f"{name}2"}, address)
    assert known != client_of({}, address)
    assert known != client_of({"User-Agent": name}, address)


@given(address=addresses, agent=words, referer=words)
def test_pages_and_programs_are_told_apart(address: str, agent: str, referer: str) -> None:
    """By where they are, what they are, and which page asks."""
    known = client_of({"User-Agent": agent, "Referer": referer}, address)

    assert known == client_of({"User-Agent": agent, "Referer": referer}, address)
    for headers in ({"User-Agent": agent}, {"Referer": referer}, {"User-Agent": agent + referer}):
        assert known != client_of(headers, address)
    assert known != client_of({"User-Agent": agent, "Referer": referer}, f"{address}0")


@given(share=words, address=addresses, made_up=words)
def test_who_has_a_token_cannot_be_many(share: str, address: str, made_up: str) -> None:
    """Nothing that is easily made up counts, and nobody becomes one of the owner's clients."""
    headers = {CLIENT_HEADER: made_up, "User-Agent": made_up, "Referer": made_up}
    known = client_of({}, address, share=share)

    assert known == client_of(headers, address, share=share)
    assert known != client_of(headers, f"{address}0", share=share)
    assert known != client_of(headers, address, share=f"{share}2")
    assert known not in {client_of(headers, address), client_of({}, address)}


@given(address=addresses, share=words)
def test_a_client_tells_nothing(address: str, share: str) -> None:
    """A name of sixteen digits, in which no secret and no address stands."""
    for client in (client_of({}, address), client_of({}, address, share=share)):
        assert re.fullmatch(r"[0-9a-f]{16}", client)


# -- in a server

MANY = 300

numbers = itertools.count()
"""No request is like another one, else their answers would be one."""


@dataclass(frozen=True)
class Told:
    """What a client was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Crowd:
    """Many requests at once, each on a connection of its own; hanging up is one way to end them."""

    def __init__(self, server: JupyterServer, kernel: Kernel, gate: Path) -> None:
        self.kernel = kernel
        self.gate = gate
        self._server = server

    def ask(self, count: int, *, name: str, token: str = "", **query: Any) -> list[asyncio.Task[Told]]:
        """Ask for so many tiles; with a token as somebody without a login."""
        path = f"fused/{token}/run/tiles" if token else "fused/run/tiles/queued"
        more = "".join(f"&{key}={value}" for key, value in query.items())
        headers = (
            {CLIENT_HEADER: name} if token else {CLIENT_HEADER: name, "Authorization": f"token {self._server.token}"}
        )
        return [
            asyncio.create_task(
                self._get(f"{path}/0/0/0.json?kernel={self.kernel.id}&who={next(numbers)}{more}", headers=headers)
            )
            for _ in range(count)
        ]

    async def hold(self, count: int) -> list[asyncio.Task[Told]]:
        """Keep so many workers busy until the gate opens."""
        tasks = self.ask(count, name="holder", gate=self.gate)
        await self.until(lambda workers: workers["busy"] == count)
        return tasks

    async def until(self, holds: Callable[[Mapping[str, int]], bool]) -> None:
        """Wait until the workers are as they should be."""
        await asyncio.to_thread(self.kernel.wait_for_status, lambda status: holds(status["workers"]))

    async def _get(self, path: str, *, headers: Mapping[str, str]) -> Told:
        address = urlsplit(self._server.root)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            lines = [f"GET {address.path}{path} HTTP/1.1", f"Host: {address.netloc}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        status, *fields = head.decode().split("\r\n")
        return Told(int(status.split()[1]), dict(field.split(": ", 1) for field in fields), body)


@pytest.fixture(scope="module")
def crowded(server: JupyterServer) -> Iterator[Kernel]:
    """A kernel with three workers, that lets one client wait with so many calls."""
    with server.running_kernel() as kernel:
        settings = {"FUSED_WORKERS": "3", "FUSED_CLIENT_QUEUE_LENGTH": str(MANY)}
        kernel.execute(f"import os; os.environ.update({settings!r})").check()
        kernel.define(
            """
            @fused.udf
            def queued(bounds: fused.types.Bounds = None, who: str = "", gate: str = ""):
                import os, time
                started = time.monotonic()
                while gate and not os.path.exists(gate):
                    time.sleep(0.005)
                return {"started": started}
            """
        )
        kernel.execute("queued(who='warm')").check()
        yield kernel


@pytest.fixture
def crowd(server: JupyterServer, crowded: Kernel, tmp_path: Path) -> Crowd:
    return Crowd(server, crowded, tmp_path / "gate")


def grant(kernel: Kernel) -> str:
    code = "from fused_jupyter.runtime import current; print(current().grant('queued'))"
    return str(kernel.execute(code).check().text.strip())


def within(seconds: float, main: Awaitable[None]) -> None:
    async def guarded() -> None:
        async with asyncio.timeout(seconds):
            await main

    asyncio.run(guarded())


def test_many_tiles_of_a_map_delay_nobody_else(crowd: Crowd) -> None:
    """Whoever waits beside 300 tiles that were asked for before and after: a map, a token, `fused.run`."""
    token = grant(crowd.kernel)

    async def main() -> None:
        holders = await crowd.hold(3)
        tiles = crowd.ask(MANY // 2, name="map")
        await crowd.until(lambda workers: workers["waiting"] == MANY // 2)
        others = [*crowd.ask(1, name="other"), *crowd.ask(1, name="guest", token=token)]
        cell = crowd.kernel.start("print(queued(who='cell')['started'])")
        await crowd.until(lambda workers: workers["waiting"] == MANY // 2 + 3)
        tiles += crowd.ask(MANY // 2, name="late")
        tiles += crowd.ask(MANY // 2, name="map")
        await crowd.until(lambda workers: workers["waiting"] == MANY // 2 * 3 + 3)

        crowd.gate.touch()

        told = await asyncio.gather(*holders, *tiles, *others)
        assert {answer.status for answer in told} == {200}
        printed = await asyncio.to_thread(crowd.kernel.result, cell)
        starts = sorted(answer.json()["started"] for answer in told[3:])
        for started in (*(answer.json()["started"] for answer in told[-2:]), float(printed.check().text)):
            before = sum(other < started for other in starts)
            assert before <= 2 * 5, "two turns of each of five clients"

    within(50, main())


def test_a_token_never_has_the_last_worker(crowd: Crowd) -> None:
    """Whatever is asked for with it, from several tokens too, the owner is answered at once."""
    tokens = [grant(crowd.kernel), grant(crowd.kernel)]

    async def main() -> None:
        guests = [
            task for n in range(4) for task in crowd.ask(2, name=f"guest{n}", token=tokens[n % 2], gate=crowd.gate)
        ]
        await crowd.until(lambda workers: (workers["busy"], workers["waiting"]) == (2, 6))

        told, *_ = await asyncio.gather(*crowd.ask(1, name="owner"))
        assert told.status == 200
        assert not any(guest.done() for guest in guests)

        crowd.gate.touch()
        assert {answer.status for answer in await asyncio.gather(*guests)} == {200}

    within(30, main())


def test_a_client_that_asks_for_too_much_is_told_when_to_come_again(crowd: Crowd) -> None:
    """503 with Retry-After and JSON; it costs others nothing, and who hangs up waits no more."""

    async def main() -> None:
        holders = await crowd.hold(3)
        tiles = crowd.ask(MANY, name="map")
        await crowd.until(lambda workers: workers["waiting"] == MANY)

        refused, *_ = await asyncio.gather(*crowd.ask(1, name="map", extra=1))

        assert refused.status == 503
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.json()["type"] == "BusyError"
        assert re.search(r"300 calls of this client wait.*FUSED_CLIENT_QUEUE_LENGTH", refused.json()["error"])
        assert refused.json()["retry_after"] == int(refused.headers["Retry-After"])
        other = crowd.ask(1, name="other")
        await crowd.until(lambda workers: workers["waiting"] == MANY + 1)
        for tile in tiles:
            tile.cancel()
        await asyncio.wait(tiles)
        await crowd.until(lambda workers: workers["waiting"] == 1)
        crowd.gate.touch()
        assert {answer.status for answer in await asyncio.gather(*holders, *other)} == {200}

    within(50, main())
