"""The host of saved UDFs: a child of the server, started when it is needed, stopped when nobody needs it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import orjson

from fused_jupyter._version import __version__
from fused_jupyter.errors import FusedError, HostLostError
from fused_jupyter.settings import Options, without_secrets
from fused_jupyter.wire import PROTOCOL, Announcement, Client, Message, connect
from fused_jupyter.wire.announcement import process_started
from fused_jupyter.wire.host_settings import MODULE, SAVED, HostSettings

_START_SECONDS = 60.0
_END_SECONDS = 3.0
_LIBRARY = "library.sqlite3"
"""Twin: storage/library.py."""


class StandingHost:
    """Starts the host, connects to it, and stops it.

    Args:
        python: the interpreter that runs saved UDFs.
        directory: the runtime directory, for its log.
        options: the settings of the host.
        idle_seconds: how long after the last use it stops.
    """

    def __init__(self, *, python: str, directory: Path, options: Options, idle_seconds: float) -> None:
        self._python = python
        self._directory = directory
        self._options = options
        self._idle_seconds = idle_seconds
        self._process: Process | None = None
        self._client: Client | None = None
        self._announcement: Announcement | None = None
        self._starting = asyncio.Lock()
        self._watcher: asyncio.Task[None] | None = None
        self._used_at = 0.0
        self.in_use: Callable[[], bool] = lambda: False
        """Whether somebody waits for an answer."""

    @property
    def has_library(self) -> bool:
        """Whether anything was saved at all."""
        return Path(os.path.expanduser(f"{self._options.data_directory}/{_LIBRARY}")).exists()  # noqa: PTH111 - a Path raises where there is no home

    @property
    def pid(self) -> int | None:
        """Its process, None where it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def connected(self, on_event: Callable[[Message], None]) -> tuple[Announcement, Client, bool]:
        """The connection, and whether it is a new one; `on_event` takes what a new host says.

        Raises:
            HostLostError: it did not start; says where its log is.
        """
        self._used_at = time.monotonic()
        async with self._starting:
            if self._client is not None and self._client.is_open and self._announcement is not None:
                return self._announcement, self._client, False
            if self._watcher is not None:
                self._watcher.cancel()
            await self._stop()
            self._announcement = await self._launch()
            self._client = await connect(self._announcement, role="server", on_event=on_event, timeout=10.0)
            self._watcher = asyncio.create_task(self._watch())
            return self._announcement, self._client, True

    async def close(self) -> None:
        """End it."""
        if self._watcher is not None:
            self._watcher.cancel()
        async with self._starting:
            await self._stop()

    async def _launch(self) -> Announcement:
        settings = HostSettings(
            kernel_id=SAVED,
            kernel_pid=os.getpid(),
            secret=secrets.token_hex(32),
            runtime_directory=str(self._directory),
            options=self._options.to_json(),
        )
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / f"fused-{SAVED}.log"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._python,
                "-m",
                MODULE,
                stdin=PIPE,
                stdout=PIPE,
                stderr=descriptor,
                # As kernels have it: UDFs find this server by it, to sign addresses.
                env=without_secrets(os.environ) | {"JPY_PARENT_PID": str(os.getpid())},
                start_new_session=True,
            )
        except OSError as exc:
            raise HostLostError(f"saved UDFs cannot run, as {self._python} does not start: {exc}") from exc
        finally:
            os.close(descriptor)
        address = await self._address(self._process, settings)
        if not address:
            self._process.kill()
            log = path.read_text(errors="replace")[-2000:]
            raise HostLostError(f"the host of saved UDFs did not start; its log {path} ends with:\n{log}")
        return Announcement(
            protocol=PROTOCOL,
            package_version=__version__,
            kernel_id=SAVED,
            pid=self._process.pid,
            pid_started=process_started(self._process.pid),
            kernel_pid=os.getpid(),
            server_pid=os.getpid(),
            address=address,
            secret=settings.secret,
        )

    @staticmethod
    async def _address(process: Process, settings: HostSettings) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError, TimeoutError):
            process.stdin.write(orjson.dumps(asdict(settings)) + b"\n")
            process.stdin.close()
            async with asyncio.timeout(_START_SECONDS):
                return (await process.stdout.readline()).decode().strip()
        return ""

    async def _watch(self) -> None:
        """Stop it when nobody has used it for long; who comes at that moment waits until it is gone."""
        while True:
            left = self._used_at + self._idle_seconds - time.monotonic()
            await asyncio.sleep(max(left, 0.05))
            if self.in_use():
                self._used_at = time.monotonic()
            if time.monotonic() - self._used_at >= self._idle_seconds and not self._starting.locked():
                async with self._starting:
                    await self._stop()
                return

    async def _stop(self) -> None:
        client, process = self._client, self._process
        self._client = self._announcement = None
        if client is not None:
            with contextlib.suppress(FusedError):
                await client.close()
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
