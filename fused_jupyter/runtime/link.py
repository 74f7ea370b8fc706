"""The kernel's line to its host: starts the process, talks to it from a thread of its own, restarts it if it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import orjson

from fused_jupyter.errors import CancelledRunError, HostLostError
from fused_jupyter.runtime.host_settings import HostSettings
from fused_jupyter.settings import Options
from fused_jupyter.wire import PROTOCOL, Announcement, Client, Message, Output, Reply, Run, connect

T = TypeVar("T")
OnText = Callable[[str, str], None]
"""Takes the stream (stdout or stderr) and the text."""

_START_SECONDS = 20.0
_SECRETS = frozenset(
    {"JUPYTER_TOKEN", "JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN", "CONFIGPROXY_AUTH_TOKEN", "FUSED_AUTH_TOKEN"}
)
"""Variables that open a server; no UDF gets to see them."""


class HostLink:
    """Starts the host on first use and keeps a connection to it."""

    def __init__(self, options: Options, *, kernel_id: str, server_pid: int, directory: Path) -> None:
        self._options = options
        self._kernel_id = kernel_id
        self._server_pid = server_pid
        self._directory = directory
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._starting: asyncio.Lock | None = None
        self._is_closed = False
        self.on_start: list[Callable[[Client], Coroutine[Any, Any, None]]] = []
        """Called on each new connection, before anything else is sent: they hand over what the host must know."""

    @property
    def pid(self) -> int | None:
        """Process of the host, None where it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def log_path(self) -> Path:
        """Where the host's stderr goes."""
        return self._directory / f"fused-{self._kernel_id}.log"

    def start(self) -> None:
        """Start the host in the background."""
        self._submit(self._connected())

    def call(self, make: Callable[[int], Message], body: bytes = b"") -> tuple[Reply, bytes]:
        """Send a message, whose number `make` is given, and wait for its reply.

        Raises:
            FusedError: the one that the host answered with.
        """

        async def send() -> tuple[Reply, bytes]:
            client = await self._connected()
            return await client.reply_to(make(client.next_number()), body)

        return self._wait(self._submit(send()))

    def run(self, make: Callable[[int], Run], body: bytes, *, on_text: OnText) -> tuple[Reply, bytes]:
        """Run a UDF and wait; `on_text` gets what it prints, in the calling thread, as it comes. Ctrl-C stops the run.

        Raises:
            FusedError: the one that the host answered with.
        """
        events: queue.SimpleQueue[Output | None] = queue.SimpleQueue()

        def on_output(message: Message) -> None:
            if isinstance(message, Output):
                events.put(message)

        async def send() -> tuple[Message, bytes]:
            client = await self._connected()
            return await client.call(make(client.next_number()), body, on_output=on_output)

        future = self._submit(send())
        future.add_done_callback(lambda _: events.put(None))
        try:
            while (event := events.get()) is not None:
                on_text(event.stream, event.text)
        except BaseException:  # above all KeyboardInterrupt
            future.cancel()  # a Cancel goes to the host, which kills the worker
            raise
        answer, answer_body = self._wait(future)
        assert isinstance(answer, Reply)
        return answer, answer_body

    def close(self) -> None:
        """End the host, for good."""
        self._is_closed = True
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        with contextlib.suppress(Exception):  # at exit nothing can be done about a host that does not answer
            asyncio.run_coroutine_threadsafe(self._hang_up(), loop).result(2.0)
        loop.call_soon_threadsafe(loop.stop)
        if self._process is not None:  # waited for in this thread: at exit Python starts no other
            try:
                self._process.wait(1.5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    # -- in the link's own thread

    async def _connected(self) -> Client:
        if self._starting is None:
            self._starting = asyncio.Lock()
        async with self._starting:
            if self._client is None or not self._client.is_open:
                self._client = await self._launch()
                for hand_over in self.on_start:
                    await hand_over(self._client)
            return self._client

    async def _launch(self) -> Client:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        settings = HostSettings(
            kernel_id=self._kernel_id,
            kernel_pid=os.getpid(),
            server_pid=self._server_pid,
            secret=secrets.token_hex(32),
            runtime_directory=str(self._directory),
            options=self._options.to_json(),
        )
        address = await asyncio.to_thread(self._spawn, settings)
        announcement = Announcement(
            protocol=PROTOCOL,
            package_version="",
            kernel_id=self._kernel_id,
            pid=self._process.pid if self._process else 0,
            pid_started=0.0,
            kernel_pid=settings.kernel_pid,
            server_pid=settings.server_pid,
            address=address,
            secret=settings.secret,
        )
        return await connect(announcement, role="kernel", on_event=lambda _: None, timeout=10.0)

    def _spawn(self, settings: HostSettings) -> str:
        """Start the process and wait for its address. The secret goes through a pipe: argv and environ can be read."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        environment = {name: value for name, value in os.environ.items() if name not in _SECRETS}
        descriptor = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fused_jupyter.runtime.host"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(orjson.dumps(asdict(settings)) + b"\n")
            self._process.stdin.close()
            timer = threading.Timer(_START_SECONDS, self._process.kill)
            timer.start()
            address = self._process.stdout.readline().decode().strip()
            timer.cancel()
            self._process.stdout.close()
        except OSError:
            address = ""
        if not address:
            log_text = self.log_path.read_text(errors="replace")[-2000:]
            raise HostLostError(f"the runtime host did not start; its log {self.log_path} ends with:\n{log_text}")
        return address

    async def _hang_up(self) -> None:
        async with self._starting or contextlib.nullcontext():  # a host that is being started has to be known first
            if self._client is not None:
                await self._client.close()

    # -- between the threads

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        with self._lock:
            if self._is_closed:
                coroutine.close()
                raise HostLostError(
                    "the runtime of this kernel was shut down; %reload_ext fused_jupyter starts it afresh"
                )
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="fused-host-link", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _wait(self, future: Future[T]) -> T:
        try:
            return future.result()
        except CancelledError as exc:
            raise CancelledRunError("the run was cancelled") from exc
        except BaseException:  # above all KeyboardInterrupt
            future.cancel()
            raise


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()
