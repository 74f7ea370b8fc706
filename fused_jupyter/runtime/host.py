"""`python -m fused_jupyter.runtime.host`: the runtime host, a child of the kernel in a session of its own.

Reads its settings as one line of JSON on stdin, answers with one line on stdout when it listens, and lives as long as
the kernel does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from fused_jupyter._version import __version__
from fused_jupyter.caching import ResultCache
from fused_jupyter.engines.local import LocalEngine
from fused_jupyter.runtime.gateway import Gateway
from fused_jupyter.runtime.host_settings import HostSettings
from fused_jupyter.runtime.listener import Listener
from fused_jupyter.settings import Options
from fused_jupyter.wire import PROTOCOL, Announcement
from fused_jupyter.wire.announcement import process_started

_PARENT_CHECK_SECONDS = 0.2


async def serve(settings: HostSettings) -> None:
    """Run the host until its kernel is gone."""
    started = time.time()
    options = Options.from_json(settings.options)
    engine = LocalEngine(options)
    results = ResultCache(Path(options.cache_directory), memory_size=options.cache_memory, disk_size=options.cache_size)
    gateway = Gateway(engine, results, options, kernel_id=settings.kernel_id)

    def status() -> dict[str, Any]:
        return {
            "version": __version__,
            "pid": os.getpid(),
            "kernel": settings.kernel_id,
            "uptime": time.time() - started,
            "is_ready": engine.is_ready,
            "workers": engine.load,
            "worker_pids": engine.pids,
            **gateway.counts,
            "runs": engine.counts.runs,
            "failed": engine.counts.failed,
            "timeouts": engine.counts.timeouts,
            "lost": engine.counts.lost,
            "cancelled": engine.counts.cancelled,
        }

    listener = Listener(gateway, secret=settings.secret, status=status)
    address = await listener.open()
    path = _announce(settings, address)
    engine.start()
    print(address, flush=True)  # noqa: T201 - the kernel waits for this line
    sweep = asyncio.create_task(asyncio.to_thread(results.evict))
    try:
        await _until_kernel_is_gone(settings, listener)
    finally:
        _withdraw(path)
        sweep.cancel()
        await listener.close()
        await gateway.close()
        await engine.close()


def _announce(settings: HostSettings, address: str) -> Path:
    announcement = Announcement(
        protocol=PROTOCOL,
        package_version=__version__,
        kernel_id=settings.kernel_id,
        pid=os.getpid(),
        pid_started=process_started(os.getpid()),
        kernel_pid=settings.kernel_pid,
        server_pid=settings.server_pid,
        address=address,
        secret=settings.secret,
    )
    return announcement.write(Path(settings.runtime_directory))


def _withdraw(path: Path) -> None:
    """Take the announcement away, unless a restarted kernel has put its own there."""
    with contextlib.suppress(OSError, ValueError):
        if orjson.loads(path.read_bytes()).get("pid") == os.getpid():
            path.unlink()


async def _until_kernel_is_gone(settings: HostSettings, listener: Listener) -> None:
    """The kernel hung up, or its process is not our parent any more: that shows even while it holds its GIL."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    while os.getppid() == settings.kernel_pid and not listener.kernel_left.is_set() and not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _PARENT_CHECK_SECONDS)


async def _serve_and_leave(settings: HostSettings) -> None:
    await serve(settings)
    # Threads that still write a file are not waited for: the file is a draft until it is renamed.
    os._exit(0)


def main() -> None:
    """Read the settings and serve."""
    settings = HostSettings(**orjson.loads(sys.stdin.readline()))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a cell stops no tile
    asyncio.run(_serve_and_leave(settings))


if __name__ == "__main__":
    main()
