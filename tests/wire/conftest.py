"""A peer to talk to: a Unix socket that greets like a host and answers as the test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from fused_jupyter.wire import PROTOCOL, Announcement

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Listening = Callable[[Serve], contextlib.AbstractAsyncContextManager[Announcement]]

SECRET = "ab" * 32


@pytest.fixture
def announcement(tmp_path: Path) -> Announcement:
    """What a host would announce; nobody listens yet."""
    return Announcement(
        protocol=PROTOCOL,
        package_version="0",
        kernel_id="kernel-1",
        pid=1,
        pid_started=0.0,
        kernel_pid=1,
        server_pid=0,
        address=str(tmp_path / "host.sock"),
        secret=SECRET,
    )


@pytest.fixture
def listening(announcement: Announcement) -> Listening:
    """Listens at the announced address with a handler of the test."""

    @contextlib.asynccontextmanager
    async def listen(serve: Serve) -> AsyncIterator[Announcement]:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await serve(reader, writer)
            finally:
                writer.close()

        async with await asyncio.start_unix_server(accept, announcement.address):
            yield announcement

    return listen
