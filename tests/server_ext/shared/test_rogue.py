"""A kernel is its user's, not the server's: what a host sends is a stranger's word, however well it speaks."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pytest
from real_jupyter import Answer, JupyterServer, Kernel

from fused_jupyter.wire import PROTOCOL, Announcement, Described, Message, Reply, Run, UdfSummary, pack
from fused_jupyter.wire.announcement import process_started
from fused_jupyter.wire.frames import read_frame
from fused_jupyter.wire.handshake import greet
from fused_jupyter.wire.messages import decode, encode

SPLIT = "x\r\nSet-Cookie: stolen=1"
SCRIPT = b"<script>fetch('/api/sessions')</script>"
STRANGE = {"set-cookie": "a=b", "location": "/evil", "access-control-allow-origin": "*", "content-security-policy": ""}


class Rogue:
    """A host that proves itself, has one UDF and one token, and answers every run with what a test gives it."""

    def __init__(self, server: JupyterServer) -> None:
        self.token = "fsh_" + secrets.token_urlsafe(32)
        self.answer: Callable[[int], bytes] = lambda number: _frame(Reply(id=number))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self._listener = listening.result(10)
        self._announcement = Announcement(
            protocol=PROTOCOL,
            package_version="9.9.9",
            kernel_id=str(uuid.uuid4()),
            pid=os.getpid(),
            pid_started=process_started(os.getpid()),
            kernel_pid=os.getpid(),
            server_pid=server.process.pid,
            address=f"127.0.0.1:{self._listener.sockets[0].getsockname()[1]}",
            secret=secrets.token_hex(32),
        )
        self._path = self._announcement.write(server.runtime_directory)

    @property
    def kernel(self) -> str:
        return self._announcement.kernel_id

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        self._listener.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(EOFError, OSError, asyncio.CancelledError):
            await greet(reader, writer, secret=self._announcement.secret)
            while True:
                header, _ = await read_frame(reader)
                writer.write(self._reply_to(decode(header)))
                await writer.drain()

    def _reply_to(self, message: Message) -> bytes:
        if isinstance(message, Run):
            return self.answer(message.id)
        if message.id == 0:
            return b""
        share = hashlib.sha256(self.token.encode()).hexdigest()
        schema: dict[str, Any] = {"type": "object", "properties": {}}
        udf = UdfSummary(name="evil", digest="0" * 64, registered_at=time.time(), schema=schema)
        return _frame(Described(id=message.id, udfs=(asdict(udf),), shares=(share,)))


def _frame(message: Message, body: bytes = b"") -> bytes:
    return bytes(pack(encode(message), len(body))) + body


@pytest.fixture
def rogue(server: JupyterServer, kernel: Kernel) -> Iterator[Rogue]:
    del kernel
    made = Rogue(server)
    yield made
    made.close()


def ask(server: JupyterServer, rogue: Rogue) -> list[Answer]:
    """What the owner gets, and whoever has a token."""
    asked = [(f"fused/run/file/evil?kernel={rogue.kernel}", True), (f"fused/{rogue.token}", False)]
    return [server.get(address, login=login, timeout=20) for address, login in asked]


LIES: dict[str, dict[str, Any]] = {
    "headers": {"media_type": "text/html", "headers": STRANGE},
    "no type": {},
    "unknown type": {"media_type": "text/x-evil"},
    "two types": {"media_type": "image/png;,text/html"},
    "split type": {"media_type": f"text/html; charset={SPLIT}"},
    "split tag": {"media_type": "text/html", "etag": f'"{SPLIT}"'},
    "split run": {"media_type": "text/html", "run_id": SPLIT},
    "split kernel": {"media_type": "text/html", "kernel": SPLIT},
    "split source": {"media_type": "text/html", "source": SPLIT},
    "split extension": {"media_type": "text/html", "extension": SPLIT},
    "split warning": {"media_type": "text/html", "headers": {"x-fused-warning": SPLIT}},
    "split name": {"media_type": "text/html", "headers": {"content-disposition": f'inline; filename="{SPLIT}"'}},
    "redirect": {"media_type": "text/html", "status": 302, "headers": STRANGE},
    "informational": {"media_type": "text/html", "status": 101},
    "no status": {"media_type": "text/html", "status": 0},
    "large status": {"media_type": "text/html", "status": 99999},
    "negative part": {"media_type": "text/html", "start": -5, "length": -10},
    "endless part": {"media_type": "text/html", "start": 10**15, "length": 10**18},
    "for ever": {"media_type": "text/html", "max_age": 10**12, "digest": "0" * 64},
    "wrong digest": {"media_type": "text/html", "digest": "../" * 30},
}


@pytest.mark.parametrize("lie", LIES)
def test_no_lie_of_a_host_reaches_the_browser(lie: str, rogue: Rogue, server: JupyterServer) -> None:
    """No header is smuggled in, nothing that browsers run comes without a sandbox, and other kernels go on."""
    rogue.answer = lambda number: _frame(Reply(id=number, **LIES[lie]), SCRIPT)

    for answer in ask(server, rogue):
        assert not {"Set-Cookie", "Location"} & set(answer.headers), answer.headers
        assert answer.status >= 200
        assert not 300 <= answer.status < 400
        kind = answer.headers.get_content_type()
        if SCRIPT in answer.body and not answer.headers["Content-Disposition"].startswith("attachment"):
            assert kind == "text/html"
            assert answer.headers["Content-Security-Policy"].startswith("sandbox allow-scripts")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"

    assert server.get("fused/run/file/echo").status == 200


GARBAGE: dict[str, Callable[[int], bytes]] = {
    "http": lambda _: b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n",
    "long lengths": lambda _: b"\xff" * 64,
    "fields of other kinds": lambda number: pack(b'["Reply", {"id": %d, "status": "2", "headers": 5}]' % number, 0),
    "lists for texts": lambda number: pack(b'["Reply", {"id": %d, "media_type": ["text/html"]}]' % number, 0),
    "another message": lambda number: pack(b'["Run", {"id": %d}]' % number, 0),
    "a failure that is none": lambda number: pack(b'["Failure", {"id": %d, "error": 5}]' % number, 0),
    "no JSON": lambda _: pack(b"[", 0),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_of_a_host_costs_its_own_callers_only(kind: str, rogue: Rogue, server: JupyterServer) -> None:
    """They are told that it is lost or nonsense; nobody waits for ever."""
    rogue.answer = GARBAGE[kind]

    answers = ask(server, rogue)

    assert {answer.status for answer in answers} <= {404, 500, 502, 503}
    assert not [answer for answer in answers if "Set-Cookie" in answer.headers]
    assert server.get("fused/run/file/echo").status == 200
    assert server.get("fused/udfs").status == 200
