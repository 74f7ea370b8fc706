"""`python -m fused_jupyter.runtime.host`: the runtime host, a child of the kernel in a session of its own.

Reads its settings as one line of JSON on stdin, answers with one line on stdout when it listens, and lives as long as
the kernel does. A Jupyter server has one too, for saved UDFs.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from fused_jupyter._version import __version__
from fused_jupyter.caching import ResultCache
from fused_jupyter.engines.local import LocalEngine
from fused_jupyter.runtime.activity import Activity
from fused_jupyter.runtime.footprint import footprint
from fused_jupyter.runtime.gateway import Gateway
from fused_jupyter.runtime.kernel_runs import KernelRuns
from fused_jupyter.runtime.leases import Leases
from fused_jupyter.runtime.listener import Listener
from fused_jupyter.runtime.log import run_log, trim_log
from fused_jupyter.runtime.remains import remove_remains
from fused_jupyter.runtime.variables import remove_left_variables
from fused_jupyter.settings import Options
from fused_jupyter.udfs import KERNEL_ENGINE
from fused_jupyter.wire import Announcement
from fused_jupyter.wire.host_settings import HostSettings

if TYPE_CHECKING:
    from fused_jupyter.runtime.desk import Desk

_PARENT_CHECK_SECONDS = 0.2


async def serve(settings: HostSettings) -> None:
    """Run the host until its kernel is gone."""
    started = time.time()
    options = Options.from_json(settings.options)
    engine = LocalEngine(options)
    cache_directory = Path(options.cache_directory)
    results = ResultCache(cache_directory, memory_size=options.cache_memory, disk_size=options.cache_size)
    activity = Activity(run_log(options.log_level), slow_seconds=options.slow_seconds)
    kernel_runs = KernelRuns(options)
    engine.on_begin = kernel_runs.on_begin = activity.begin
    saved = SavedSide(options) if settings.is_of_saved else None
    gateway = Gateway(
        engine,
        results,
        options,
        kernel_id=settings.kernel_id,
        activity=activity,
        environment=lambda: f"{engine.environment_digest} {options.mount_directory}",
        engines={} if saved else {KERNEL_ENGINE: kernel_runs},
        saved=saved.catalogue if saved else None,
    )

    async def status() -> dict[str, Any]:
        memory = await asyncio.to_thread(footprint, engine.pids)
        return {
            "version": __version__,
            "pid": os.getpid(),
            "kernel": settings.kernel_id,
            "uptime": time.time() - started,
            "is_ready": engine.is_ready,
            "workers": engine.load,
            "worker_pids": engine.pids,
            "memory": memory,
            **activity.snapshot(),
            **gateway.counts,
            "runs": engine.counts.runs,
            "failed": engine.counts.failed,
            "timeouts": engine.counts.timeouts,
            "lost": engine.counts.lost,
            "cancelled": engine.counts.cancelled,
        }

    desk = saved.desk(gateway) if saved else None
    leases = None if saved else _leases(engine, settings.lane)
    listener = Listener(gateway, leases, secret=settings.secret, status=status, kernel_runs=kernel_runs, desk=desk)
    address = await listener.open()
    engine.start()
    print(address, flush=True)  # noqa: T201 - the kernel waits for this line
    sweep = asyncio.create_task(asyncio.to_thread(_tidy, results, Path(settings.runtime_directory), cache_directory))
    try:
        await _until_kernel_is_gone(settings, listener, gateway)
    finally:
        _withdraw(Announcement.path_for(Path(settings.runtime_directory), settings.kernel_id))
        sweep.cancel()
        await listener.close()
        await kernel_runs.close()
        await gateway.close()
        await engine.close()
        await asyncio.to_thread(remove_left_variables, cache_directory)  # of a kernel that was killed


class SavedSide:
    """What the host of saved UDFs has beyond that of a kernel, which loads none of it."""

    def __init__(self, options: Options) -> None:
        from fused_jupyter.storage import Catalogue, Library

        self._options = options
        self._library = Library(Path(options.data_directory))
        self.catalogue = Catalogue(self._library)

    def desk(self, gateway: Gateway) -> Desk:
        """What its owner may ask for."""
        from fused_jupyter.runtime.desk import Desk

        return Desk(self._library, self._options, functools.partial(gateway.publish, register=False))


def _leases(engine: LocalEngine, lane: int) -> Leases:
    os.set_inheritable(lane, False)  # noqa: FBT003 - the call has no keyword
    return Leases(engine, socket.socket(fileno=lane))


def _tidy(results: ResultCache, runtime_directory: Path, cache_directory: Path) -> None:
    results.evict()
    remove_remains(runtime_directory)
    remove_left_variables(cache_directory)


def _withdraw(path: Path) -> None:
    """Take the announcement away, unless a restarted kernel has put its own there."""
    with contextlib.suppress(OSError, ValueError):
        if orjson.loads(path.read_bytes()).get("pid") == os.getpid():
            path.unlink()


async def _until_kernel_is_gone(settings: HostSettings, listener: Listener, gateway: Gateway) -> None:
    """The kernel hung up, or its process is not our parent any more: that shows even while it holds its GIL."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    log = Path(settings.runtime_directory) / f"fused-{settings.kernel_id}.log"
    while os.getppid() == settings.kernel_pid and not listener.kernel_left.is_set() and not stop.is_set():
        trim_log(log)
        if await gateway.look_around():
            await listener.tell_servers(None)
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
