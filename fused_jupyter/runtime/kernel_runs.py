"""The host's side of the kernel engine: hands runs to the kernel, one at a time, over the connection that it has."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from fused_jupyter.engines.collation import OnText
from fused_jupyter.engines.queue import Caller, QueueBounds, RunQueue
from fused_jupyter.errors import BusyError, FusedError, HostLostError, ProtocolError, UdfTimeoutError
from fused_jupyter.runtime.flights import tell
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Failure, KernelAnswer, KernelRun, Message, Reply, Run, Stop, decode, encode

Answer = tuple[Reply | Failure, bytes]


class KernelRuns:
    """An engine whose runs are the kernel's.

    The kernel cannot stop a run. So whoever waits for one goes away after the deadline, and its slot is taken until the
    kernel says that it has ended.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._queue = RunQueue(replace(QueueBounds.of(options), slots=1))
        self._numbers = itertools.count(secrets.randbelow(1 << 40))  # answers to a host that died mean nothing here
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._holds: set[asyncio.Task[None]] = set()
        self._running: tuple[str, float] | None = None
        """Name and start of what the kernel runs."""
        self.send: Callable[[Message], None] | None = None
        """To the kernel, while it is there."""
        self.on_begin: Callable[[str], None] = lambda _: None
        """Called with the id of a run that the kernel got."""

    async def run(
        self, definition: UdfDefinition, run: Run, body: bytes = b"", *, on_text: OnText | None = None
    ) -> Answer:
        """Have the kernel run a UDF; what it prints is passed on when it has ended.

        Raises:
            BusyError: the kernel did not get to it.
            UdfTimeoutError: it gave no answer in time.
            HostLostError: it is gone.
        """
        default = self._options.tile_timeout if run.tile is not None else self._options.file_timeout
        deadline = default if run.deadline is None else run.deadline
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        hold = asyncio.create_task(self._hold(definition, run, begun=begun, answered=answered))
        self._holds.add(hold)
        hold.add_done_callback(self._holds.discard)
        try:
            await asyncio.wait([hold, begun], return_when=asyncio.FIRST_COMPLETED)
            if not begun.done():
                self._explain(hold)
            async with asyncio.timeout(deadline):
                answer, answer_body = await asyncio.shield(answered)
        except TimeoutError as exc:
            self._give_up(run)
            raise UdfTimeoutError.in_kernel(deadline, udf=definition.name) from exc
        except asyncio.CancelledError:
            hold.cancel() if not begun.done() else self._give_up(run)
            raise
        tell(on_text, answer)
        return answer, answer_body

    def choose_environment(self, variables: Mapping[str, str]) -> None:
        """Nothing: the kernel's variables are its own."""

    def note(self, message: KernelAnswer, body: bytes) -> None:
        """An answer came; one that nobody waits for frees the kernel.

        Raises:
            ProtocolError: it is none.
        """
        answer = decode(message.answer.encode())
        if not isinstance(answer, (Reply, Failure)):
            raise ProtocolError(f"the kernel answered a run with a {type(answer).__name__}")
        answered = self._asked.pop(message.number, None)
        if answered is not None and not answered.done():
            answered.set_result((answer, body))

    def lose(self) -> None:
        """The kernel hung up."""
        self.send = None
        for answered in self._asked.values():
            if not answered.done():
                answered.set_exception(_lost())
        self._asked.clear()

    async def _hold(
        self, definition: UdfDefinition, run: Run, *, begun: asyncio.Future[None], answered: asyncio.Future[Answer]
    ) -> None:
        """Hold the kernel's slot until it has answered."""
        async with self._queue.slot(Caller.of(run), is_tile=run.tile is not None):
            if self.send is None:
                raise _lost()
            number = next(self._numbers)
            self._asked[number] = answered
            self._running = definition.name, time.monotonic()
            self.send(KernelRun(number=number, run=encode(run).decode()))
            self.on_begin(run.run_id)
            begun.set_result(None)
            await asyncio.wait([answered])
            self._running = None
            if not answered.cancelled():
                answered.exception()  # perhaps nobody else looks at it

    def _explain(self, hold: asyncio.Task[None]) -> None:
        """Raise why a run did not begin."""
        try:
            hold.result()
        except BusyError as exc:
            if self._running is not None:
                name, since = self._running
                exc.message = (
                    f"the kernel runs one UDF at a time, and has been at {name} for {time.monotonic() - since:.0f} s; "
                    "wait, or let them run in workers with --use"
                )
            raise

    def _give_up(self, run: Run) -> None:
        if self.send is not None:
            self.send(Stop(run_id=run.run_id))  # it counts where the kernel has not begun yet

    async def close(self) -> None:
        """Wait for nobody any more."""
        self.lose()
        for hold in tuple(self._holds):
            hold.cancel()
            with contextlib.suppress(asyncio.CancelledError, FusedError):
                await hold


def _lost() -> HostLostError:
    return HostLostError("the kernel that this UDF runs in is gone", retry_after=1)
