"""The kernel's line to its host: starts the process, talks to it from a thread of its own, restarts it if it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import orjson

from fused_jupyter._version import __version__
from fused_jupyter.engines.direct import LEASE_ID, LENT, DirectWorker
from fused_jupyter.errors import CancelledRunError, FusedError, HostLostError, ProtocolError
from fused_jupyter.runtime.interrupts import Interrupts
from fused_jupyter.settings import Options, without_secrets
from fused_jupyter.wire import (
    PROTOCOL,
    Announcement,
    Client,
    Failure,
    GiveBack,
    KernelRun,
    Lease,
    Message,
    Noted,
    Output,
    Recall,
    Reply,
    Run,
    Stop,
    connect,
)
from fused_jupyter.wire.announcement import process_started
from fused_jupyter.wire.host_settings import MODULE, HostSettings

T = TypeVar("T")
OnText = Callable[[str, str], None]
"""Takes the stream (stdout or stderr) and the text."""

_START_SECONDS = 20.0
_LOOK_SECONDS = 0.25
"""See `_Awake`."""
_SIGN_SECONDS = 1.0
"""Between two signs of life to whoever waits for an answer. Twin: js/src/link/comm.ts, which is patient for longer."""
_PATIENCE_SECONDS = 10.0
"""For the host to take a worker back; Ctrl-C is not heard meanwhile."""
_LONG_LIFE = 5.0
"""Seconds after which a host is taken for well; one that dies earlier may die again."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 30.0
"""Seconds between the death of a host and the start of the next; they double while hosts die young."""
_LEASES_AT_ONCE = 1000
"""Numbers of messages between two leases that are asked for at the same time, at most."""


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
        self._starting: asyncio.Task[None] | None = None
        self._healing: asyncio.Task[None] | None = None
        self._pause = _FIRST_PAUSE
        """Seconds before the next host replaces one that died."""
        self._is_closed = False
        self._places = asyncio.Semaphore(options.workers)
        """For runs of `run_async`."""
        self._lane: socket.socket | None = None
        self._strays: dict[int, tuple[int, ...]] = {}
        """Descriptors of leases whose answer has not been read yet."""
        self.on_stop: Callable[[str], object] = lambda _: None
        """Called in the link's thread with the id of a run that somebody stops."""
        self.on_recall: Callable[[Recall], None] = lambda _: None
        """Called in the link's thread when the host wants a leased worker back."""
        self.on_kernel_run: Callable[[KernelRun], None] = lambda _: None
        """Called in the link's thread when the host wants a UDF run in this process."""
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

    def begin(self, make: Callable[[int], Run], *, on_wait: Callable[[], None]) -> Future[tuple[Reply, bytes]]:
        """Send a run and do not wait; a future that is cancelled stops the run.

        Args:
            make: gives the message.
            on_wait: called in the link's thread every second for as long as the answer is not there.
        """

        async def ask() -> tuple[Reply, bytes]:
            client = await self._connected()
            return await client.reply_to(make(client.next_number()))

        async def send() -> tuple[Reply, bytes]:
            asking = asyncio.create_task(ask())
            try:
                while not (await asyncio.wait([asking], timeout=_SIGN_SECONDS))[0]:
                    on_wait()
                return await asking
            finally:
                asking.cancel()

        return self._submit(send())

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

    async def run_async(self, make: Callable[[Client], Run], body: bytes, *, on_text: OnText) -> tuple[Reply, bytes]:
        """`run` for any event loop, which never waits for us; a wait that is cancelled stops the run.

        Only as many as there are workers are sent at a time. The rest wait here, for as long as it takes: in the host
        a call that waits for long is refused, and those that wait are in the way of others.

        Args:
            make: gives the message, and may send others before; called in the link's thread.
            body: its body.
            on_text: takes what the UDF prints, in the calling task.

        Raises:
            FusedError: the one that the host answered with.
        """
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Output | None] = asyncio.Queue()

        def hear(event: Output | None) -> None:
            with contextlib.suppress(RuntimeError):  # that loop is closed, and nobody waits
                loop.call_soon_threadsafe(events.put_nowait, event)

        def hear_output(message: Message) -> None:
            if isinstance(message, Output):
                hear(message)

        async def send() -> tuple[Message, bytes]:
            async with self._places:
                with _Awake(loop):
                    client = await self._connected()
                    return await client.call(make(client), body, on_output=hear_output)

        future = self._submit(send())
        future.add_done_callback(lambda _: hear(None))
        try:
            while (event := await events.get()) is not None:
                on_text(event.stream, event.text)
        except BaseException:  # above all CancelledError
            future.cancel()  # a Cancel goes to the host, which kills the worker
            raise
        answer, answer_body = self._wait(future)  # which is done
        assert isinstance(answer, Reply)
        return answer, answer_body

    def lease(
        self, digest: str, *, interrupts: Interrupts, on_asked: Callable[[Future[Any]], None] = lambda _: None
    ) -> tuple[Client, Lease, DirectWorker]:
        """Have a worker lent; `on_asked` gets what can be cancelled while it waits.

        Raises:
            FusedError: the one that the host answered with.
        """
        lent: list[tuple[Client, Lease, DirectWorker]] = []

        async def ask() -> tuple[Client, Lease, DirectWorker]:
            client = await self._connected()
            message = Lease(id=client.next_number(), digest=digest)
            try:
                await client.reply_to(message)
            except asyncio.CancelledError:  # it may be lent already
                client.tell(GiveBack(id=client.next_number(), lease=message.id))
                raise
            lent.append((client, message, DirectWorker(self._descriptors(message.id))))
            return lent[0]

        def give_back() -> None:  # in the link's thread: after this moment nothing is lent any more
            for client, message, worker in lent:
                client.tell(GiveBack(id=client.next_number(), lease=message.id))
                worker.close()

        future = self._submit(ask())
        on_asked(future)
        try:
            return interrupts.wait_for(lambda: self._wait(future))
        except BaseException:  # it may have come at the very moment
            if self._loop is not None and not self._is_closed:
                self._loop.call_soon_threadsafe(give_back)
            raise

    def give_back(self, client: Client, message: GiveBack) -> None:
        """Return a worker, and hear what happened to it.

        Raises:
            FusedError: how it was lost.
        """

        async def send() -> None:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await client.reply_to(replace(message, id=client.next_number()))

        try:
            self._wait(self._submit(send()))
        except TimeoutError as exc:
            raise HostLostError("the runtime host does not answer", retry_after=1) from exc

    def tell(self, client: Client, message: GiveBack) -> None:
        """Return a worker that is well, without waiting for anything."""

        async def send() -> None:
            client.tell(replace(message, id=client.next_number()))

        with contextlib.suppress(HostLostError):  # it ends, and its workers with it
            self._submit(send())

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something done by the link's thread."""
        loop = self._loop
        if loop is not None and not self._is_closed:
            loop.call_soon_threadsafe(loop.call_later, seconds, action)

    def note(self, message: Noted) -> None:
        """Tell the host what it had better know, before anything that is sent later; one that is gone need not."""

        def tell() -> None:
            if self._client is not None and self._client.is_open:
                self._client.tell(message)

        if self._loop is not None and not self._is_closed:
            self._loop.call_soon_threadsafe(tell)

    def answer(
        self, make: Callable[[int, Reply | Failure], Message], answer: Reply | Failure, body: bytes = b""
    ) -> None:
        """Tell the host what came of a run that it wanted here, without waiting for anything."""

        async def send() -> None:
            client = self._client
            if client is None or not client.is_open:
                return  # another host knows nothing of it
            try:
                await client.reply_to(make(client.next_number(), answer), body)
            except ProtocolError as exc:  # longer than a frame may be
                await client.reply_to(make(client.next_number(), Failure.of(answer.id, exc)))

        with contextlib.suppress(HostLostError):
            self._submit(send())

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
        self._close_lane()

    # -- in the link's own thread

    async def _connected(self) -> Client:
        if self._client is None or not self._client.is_open:
            if self._starting is None or self._starting.done():
                self._starting = asyncio.create_task(self._start())
            # Not stopped midway by a Ctrl-C: others wait for the same host, and it has to be told everything.
            await asyncio.shield(self._starting)
        assert self._client is not None
        return self._client

    async def _start(self) -> None:
        announcement = await self._launch()
        client = await connect(announcement, role="kernel", on_event=self._note, timeout=10.0)
        for hand_over in self.on_start:
            await hand_over(client)
        # Not before: a server that finds a host without the UDFs of this kernel takes them for gone.
        await asyncio.to_thread(announcement.write, self._directory)
        self._client = client
        self._healing = asyncio.create_task(self._heal(client))

    async def _heal(self, client: Client) -> None:
        """Replace a host that died: the maps go on, and no cell need run for it."""
        started = time.monotonic()
        await client.wait_closed()
        lived = time.monotonic() - started
        self._pause = _FIRST_PAUSE if lived > _LONG_LIFE else min(2 * self._pause, _LONGEST_PAUSE)
        while not self._is_closed and self._client is client:
            await asyncio.sleep(self._pause)
            try:
                await self._connected()
            except (FusedError, OSError):  # it did not even start
                self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    async def _launch(self) -> Announcement:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        theirs = self._new_lane()
        settings = HostSettings(
            lane=theirs.fileno(),
            kernel_id=self._kernel_id,
            kernel_pid=os.getpid(),
            secret=secrets.token_hex(32),
            runtime_directory=str(self._directory),
            options=self._options.to_json(),
        )
        with theirs:
            address = await asyncio.to_thread(self._spawn, settings)
        assert self._process is not None
        return Announcement(
            protocol=PROTOCOL,
            package_version=__version__,
            kernel_id=self._kernel_id,
            pid=self._process.pid,
            pid_started=process_started(self._process.pid),
            kernel_pid=settings.kernel_pid,
            server_pid=self._server_pid,
            address=address,
            secret=settings.secret,
        )

    def _note(self, message: Message) -> None:
        if isinstance(message, Recall):
            self.on_recall(message)
        elif isinstance(message, Stop):
            self.on_stop(message.run_id)
        elif isinstance(message, KernelRun):
            self.on_kernel_run(message)

    def _new_lane(self) -> socket.socket:
        """A socket pair for leases, of which this is the host's end; the last host's leases are void."""
        self._close_lane()
        self._lane, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._lane.settimeout(0)
        return theirs

    def _close_lane(self) -> None:
        if self._lane is not None:
            self._lane.close()
        for descriptors in self._strays.values():
            _close(descriptors)
        self._strays.clear()

    def _descriptors(self, lease: int) -> tuple[int, ...]:
        """Those of a lease; the host sent them before it answered.

        Raises:
            HostLostError: they did not come.
        """
        assert self._lane is not None
        while lease not in self._strays:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._lane, LEASE_ID.size, LENT)
            except OSError as exc:
                raise HostLostError("the runtime host lent a worker that did not arrive", retry_after=1) from exc
            self._strays[LEASE_ID.unpack(data)[0]] = tuple(descriptors)
        for stray in [number for number in self._strays if number < lease - _LEASES_AT_ONCE]:
            _close(self._strays.pop(stray))  # of a call that was cancelled
        return self._strays.pop(lease)

    def _spawn(self, settings: HostSettings) -> str:
        """Start the process and wait for its address. The secret goes through a pipe: argv and environ can be read."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=without_secrets(os.environ),
                start_new_session=True,
                pass_fds=[settings.lane],
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
        if self._starting is not None:  # a host that is being started has to be known first
            await asyncio.wait([self._starting])
        if self._healing is not None:
            self._healing.cancel()
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


class _Awake:
    """Has somebody's loop look around now and then: ipykernel's hears of a stop button only when something wakes it.

    Its handler of the signal adds a callback and wakes nobody (7.4); so `await asyncio.sleep(60)` cannot be stopped.
    The timer is one of the link's loop, and only runs that have begun have one: others may be thousands.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._theirs = loop
        self._ours = asyncio.get_running_loop()

    def __enter__(self) -> None:
        self._handle = self._ours.call_later(_LOOK_SECONDS, self._wake)

    def __exit__(self, *_: object) -> None:
        self._handle.cancel()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is closed
            self._theirs.call_soon_threadsafe(lambda: None)
            self._handle = self._ours.call_later(_LOOK_SECONDS, self._wake)


def _close(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()
