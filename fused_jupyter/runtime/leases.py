"""Workers that the host lends to its kernel, so that `fused.run` reaches them without a detour."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from fused_jupyter.engines.direct import LEASE_ID
from fused_jupyter.engines.local import LocalEngine
from fused_jupyter.engines.process import Worker
from fused_jupyter.errors import HostLostError, WorkerLostError
from fused_jupyter.wire import GiveBack, Lease

_ATTEMPTS = 3
"""Workers that are tried for one lease, where they end before it begins."""


class Leases:
    """The workers that are lent.

    Args:
        engine: whose workers they are.
        lane: a socket to the kernel that takes descriptors along; every lease is one datagram.
    """

    def __init__(self, engine: LocalEngine, lane: socket.socket) -> None:
        self._engine = engine
        self._lane = lane
        self._lent: dict[int, _Lent] = {}
        self._recalled: set[int] = set()
        self.on_recall: Callable[[int], None] = lambda _: None
        """Called with the lease whose worker is wanted back."""
        engine.on_shortage = self.recall

    async def open(self, message: Lease) -> None:
        """Lend a worker. Its descriptors are on the lane when this is done.

        Raises:
            BusyError: no worker became free in time.
            WorkerLostError: none can be started.
        """
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(EOFError):  # the worker was killed while it was idle
                return await self._open(message)
        raise WorkerLostError(f"{_ATTEMPTS} processes ended before they could be lent; the host's log says why")

    async def close(self, message: GiveBack) -> None:
        """Take a worker back.

        Raises:
            WorkerLostError: it died; says how.
        """
        lent = self._lent.get(message.lease)
        if lent is None or lent.task is None:
            return  # it was asked for, and cancelled before it was there
        error = None
        if lent.worker is not None:
            lent.worker.known.update(message.known)
            self._count(lent.worker, message)
            if message.lost:
                error = await self._engine.lost(lent.worker, message.lost)
            elif message.kill:
                lent.worker.kill()
            if not lent.returned.done():
                lent.returned.set_result(None)
        else:
            lent.task.cancel()
        await asyncio.wait([lent.task])
        if error is not None:
            raise error

    def recall(self) -> None:
        """Ask for all that are not asked for yet."""
        for lease in self._lent.keys() - self._recalled:
            self._recalled.add(lease)
            self.on_recall(lease)

    async def _open(self, message: Lease) -> None:
        lent = _Lent()
        task = lent.task = asyncio.create_task(self._hold(message, lent))
        self._lent[message.id] = lent
        task.add_done_callback(lambda _: self._forget(message.id, lent))
        try:
            await asyncio.wait([task, lent.begun], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # the kernel waits no longer
            task.cancel()
            raise
        if task.done():
            task.result()
            raise HostLostError("the lease ended before it began")

    async def _hold(self, message: Lease, lent: _Lent) -> None:
        async with self._engine.lease(message.digest) as worker:
            lent.worker = worker
            # As many bytes as a datagram may have are free: the kernel takes each before it asks for the next.
            socket.send_fds(self._lane, [LEASE_ID.pack(message.id)], worker.lend())
            lent.begun.set_result(None)
            await lent.returned

    def _forget(self, lease: int, lent: _Lent) -> None:
        if self._lent.get(lease) is lent:
            del self._lent[lease]
            self._recalled.discard(lease)

    def _count(self, worker: Worker, message: GiveBack) -> None:
        worker.runs += message.counts.get("runs", 0)
        counts = self._engine.counts
        for name, number in message.counts.items():
            setattr(counts, name, getattr(counts, name) + number)


class _Lent:
    """One lease."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.worker: Worker | None = None
        self.task: asyncio.Task[None] | None = None
        self.begun: asyncio.Future[None] = loop.create_future()
        self.returned: asyncio.Future[None] = loop.create_future()
