"""The composition root of the kernel's side, and the one place that knows which runtime is the current one."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import hashlib
import os
import pickle
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from fused_jupyter.engines import WORKER_VARIABLE
from fused_jupyter.engines.environment import check_variable
from fused_jupyter.errors import (
    ArgumentError,
    FusedError,
    NoServerError,
    UdfSerializationError,
    UnknownTokenError,
    UnknownUdfError,
)
from fused_jupyter.runtime.in_kernel import InKernel
from fused_jupyter.runtime.keys import with_digest
from fused_jupyter.runtime.lane import Lane
from fused_jupyter.runtime.link import HostLink, OnText
from fused_jupyter.runtime.outcome import Outcome, lines_of, show
from fused_jupyter.runtime.registry import Registry
from fused_jupyter.runtime.server import JupyterServer, find_server, server_pid
from fused_jupyter.runtime.variables import Variables
from fused_jupyter.settings import Options
from fused_jupyter.tiles import Tile
from fused_jupyter.udfs import UdfDefinition, parse_max_age
from fused_jupyter.wire import Client, Environment, Grant, Limits, Message, Publish, Reply, Revoke, Run, Status, Stop

TOKEN_PREFIX = "fsh_"  # noqa: S105 - how a shared token begins, not one

_SMALL = frozenset({int, float, bool, str, type(None)})
"""Of arguments: what costs no time to pickle."""

_LARGE = 1 << 20
"""Bytes of a result that are no longer rebuilt in somebody's event loop."""


class KernelRuntime:
    """Registry, host and server of one kernel."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.kernel_id = _kernel_id()
        self.registry = Registry()
        self.directory = _runtime_directory()
        self.link = HostLink(options, kernel_id=self.kernel_id, server_pid=server_pid(), directory=self.directory)
        self.link.on_start += [self._hand_over, self._look_at_disk]
        self._lane = Lane(self.link, options)
        self.notebook_has: Callable[[str], bool] = lambda _: False
        """Whether the notebook has a variable of that name; for better messages."""
        self._started = False
        self._handed_over: dict[str, UdfDefinition] = {}
        """What the host knows, by digest: also versions that no name means any more."""
        self.in_kernel = InKernel(options, self.link, self._handed_over)
        self.link.on_stop = lambda run_id: self.in_kernel.drop(run_id) or self._lane.stop(run_id)
        self.variables = Variables(Path(options.cache_directory))
        self._shares: dict[str, tuple[str, Limits]] = {}
        self._environment: dict[str, str] = {}

    def start(self) -> None:
        """Start the host in the background; it loads the geo stack meanwhile."""
        self._started = True
        self.link.start()

    def register(self, definition: UdfDefinition) -> None:
        """Make a definition what its name means: first for the host, then for the maps that will ask it."""
        if definition.runs_in_kernel:
            self.in_kernel.start()
        if self._started:
            self._publish(definition, register=True)
        self.registry.register(definition)
        self.variables.retire(self.registry.all())

    def run(
        self, definition: UdfDefinition, arguments: Mapping[str, Any], *, tile: Tile | None, cache_max_age: str | None
    ) -> Any:
        """Run a UDF in a worker and give the Python object; what it prints appears as it comes.

        Raises:
            FusedError: as `outcome` does.
        """
        return self.outcome(definition, arguments, tile=tile, cache_max_age=cache_max_age).value

    def outcome(
        self,
        definition: UdfDefinition,
        arguments: Mapping[str, Any],
        *,
        tile: Tile | None,
        cache_max_age: str | None,
        on_text: OnText = show,
    ) -> Outcome:
        """Run a UDF in a worker, and tell what that cost; `on_text` gets what it prints as it comes.

        Raises:
            UdfRuntimeError: the UDF raised.
            ArgumentError: an argument does not fit, or cannot travel.
            FusedError: what else may happen on the way. Each has the output of the run, as far as it came.
        """
        run = _run_of(definition, tile, cache_max_age)
        if definition.runs_in_kernel and not _keeps_result(definition, run):
            return self.in_kernel.outcome(definition, arguments, tile=tile, on_text=on_text)
        return self._outcome(definition, arguments, run, on_text=on_text)

    async def run_async(
        self, definition: UdfDefinition, arguments: Mapping[str, Any], *, tile: Tile | None, cache_max_age: str | None
    ) -> Any:
        """`run` for an event loop."""
        return (await self.outcome_async(definition, arguments, tile=tile, cache_max_age=cache_max_age)).value

    async def outcome_async(
        self,
        definition: UdfDefinition,
        arguments: Mapping[str, Any],
        *,
        tile: Tile | None,
        cache_max_age: str | None,
        on_text: OnText = show,
    ) -> Outcome:
        """`outcome` for an event loop, which never waits for us; a wait that is cancelled stops the run.

        Raises:
            FusedError: as `outcome` does.
        """
        run = _run_of(definition, tile, cache_max_age)
        if definition.runs_in_kernel and not _keeps_result(definition, run):
            return await self.in_kernel.outcome_async(definition, arguments, tile=tile, on_text=on_text)
        are_small = all(type(value) in _SMALL for value in arguments.values())
        body = _pickled(arguments) if are_small else await asyncio.to_thread(_pickled, arguments)
        if _keeps_result(definition, run):
            run = await asyncio.to_thread(with_digest, run, arguments)
        self._started = True

        def make(client: Client) -> Run:
            if definition.digest not in self._handed_over:
                # Its answer is not waited for: what is sent after it is looked at after it.
                client.tell(Publish(id=client.next_number(), definition=definition.to_json(), register=False))
                self._handed_over[definition.digest] = definition
            return self.in_kernel.expect(definition, replace(run, id=client.next_number()), body)

        heard = _Heard(on_text)
        try:
            reply, answer = await self.link.run_async(make, body, on_text=heard.add)
        except FusedError as exc:
            raise self._with_hint(heard.noted_in(exc)) from None
        if len(answer) < _LARGE:
            return heard.outcome(reply, answer, run_id=reply.run_id)
        return await asyncio.to_thread(heard.outcome, reply, answer, run_id=reply.run_id)

    def profile(self, definition: UdfDefinition, arguments: Mapping[str, Any], *, tile: Tile | None) -> Outcome:
        """The same with the time of each line, from a run of its own: nothing of it is kept.

        Raises:
            FusedError: as `outcome` does.
        """
        if definition.runs_in_kernel:
            return self.in_kernel.outcome(definition, arguments, tile=tile, on_text=show, is_profiled=True)
        run = replace(_run_of(definition, tile, "0"), profile=True)
        return self._outcome(definition, arguments, run, on_text=show)

    def _outcome(
        self, definition: UdfDefinition, arguments: Mapping[str, Any], run: Run, *, on_text: OnText
    ) -> Outcome:
        body = _pickled(arguments)
        if _keeps_result(definition, run):
            run = with_digest(run, arguments)
        self._started = True
        heard = _Heard(on_text)
        try:
            reply, answer, run_id = self._answer(definition, run, body, on_text=heard.add)
        except FusedError as exc:
            raise self._with_hint(heard.noted_in(exc)) from None
        return heard.outcome(reply, answer, run_id=run_id)

    def _answer(
        self, definition: UdfDefinition, run: Run, body: bytes, *, on_text: OnText
    ) -> tuple[Reply, bytes | memoryview, str]:
        """By way of the host where its cache may know the answer, else straight to a worker."""
        if not run.arguments_digest:
            return self._lane.run(definition, run, [body], on_text=on_text)
        if definition.digest not in self._handed_over:
            self._publish(definition, register=False)

        def make(number: int) -> Run:
            return self.in_kernel.expect(definition, replace(run, id=number, arena=False), body)

        reply, answer = self.link.run(make, body, on_text=on_text)
        return reply, answer, reply.run_id

    def answer(self, run: Run, *, on_wait: Callable[[], None]) -> Future[tuple[Reply, bytes]]:
        """What the host answers to a page of this kernel, without waiting for it; see `HostLink.begin`."""
        self._started = True
        return self.link.begin(lambda number: replace(run, id=number), on_wait=on_wait)

    def status(self) -> dict[str, Any]:
        """What the host says of itself, and of all that runs."""
        self._lane.report()
        status: dict[str, Any] = self.ask(lambda number: Status(id=number))
        return status

    def ask(self, make: Callable[[int], Message]) -> Any:  # as JSON has it
        """What the host answers to a message, whose number `make` is given.

        Raises:
            FusedError: the one that the host answered with.
        """
        import orjson

        _, body = self.link.call(make)
        return orjson.loads(body)

    def cancel(self, run_id: str) -> None:
        """Stop a run, whoever asked for it.

        Raises:
            UnknownRunError: no such run waits or goes on.
        """
        if not self._lane.stop(run_id):
            self.link.call(lambda number: Stop(id=number, run_id=run_id))

    def server(self) -> JupyterServer:
        """The Jupyter server of this kernel.

        Raises:
            NoServerError: there is none with our extension.
        """
        return find_server(self.directory)

    def grant(self, udf: str, limits: Limits | None = None) -> str:
        """A new token that opens one UDF until it is revoked or the kernel ends. Only its SHA-256 is kept."""
        limits = limits or Limits()
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        share = _share(token)
        self._shares[share] = udf, limits
        self._started = True
        self.link.call(lambda number: Grant(id=number, share=share, udf=udf, limits=limits.to_json()))
        return token

    def granted(self) -> Mapping[str, tuple[str, Limits]]:
        """The tokens that are open, by SHA-256: the name of the UDF, and what they allow."""
        return dict(self._shares)

    def limit(self, share: str, limits: Limits) -> None:
        """Let a token of this SHA-256 allow something else from now on.

        Raises:
            UnknownTokenError: there is none.
        """
        if share not in self._shares:
            raise UnknownTokenError("this kernel has no such token; it may be revoked")
        udf, _ = self._shares[share]
        self._shares[share] = udf, limits
        self.link.call(lambda number: Grant(id=number, share=share, udf=udf, limits=limits.to_json()))

    def revoke(self, token: str) -> None:
        """Close a token, by itself or by its SHA-256."""
        share = _share(token) if token.startswith(TOKEN_PREFIX) else token
        self._shares.pop(share, None)
        self.link.call(lambda number: Revoke(id=number, share=share))

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that this notebook chose for its UDFs."""
        return dict(self._environment)

    def choose_environment(self, changes: Mapping[str, str | None]) -> None:
        """Set variables of UDFs, from their next run on; None takes one away again. They are kept in memory only.

        Raises:
            ArgumentError: a UDF cannot have one of them.
        """
        for name, value in changes.items():
            check_variable(name, value or "")
        chosen = {name: value for name, value in {**self._environment, **changes}.items() if value is not None}
        self._environment = chosen
        if self._started:
            self._lane.close()  # idle leases: their workers have the variables of before
            self.link.call(lambda number: Environment(id=number, variables=chosen))

    def close(self) -> None:
        """End the host and its workers."""
        self.in_kernel.close()
        self._lane.close()
        self.link.close()
        self.variables.close()

    def _publish(self, definition: UdfDefinition, *, register: bool) -> None:
        self.link.call(lambda number: Publish(id=number, definition=definition.to_json(), register=register))
        self._handed_over[definition.digest] = definition

    async def _hand_over(self, client: Client) -> None:
        """Tell a new host all that it has to know."""
        if self._environment:
            await client.reply_to(Environment(id=client.next_number(), variables=self._environment))
        for definition in tuple(self._handed_over.values()):
            message = Publish(id=client.next_number(), definition=definition.to_json(), register=False)
            await client.reply_to(message)
        for definition in self.registry.all():
            await client.reply_to(Publish(id=client.next_number(), definition=definition.to_json()))
            self._handed_over[definition.digest] = definition
        for share, (udf, limits) in self._shares.items():
            number = client.next_number()
            await client.reply_to(Grant(id=number, share=share, udf=udf, limits=limits.to_json()))

    async def _look_at_disk(self, _: Client) -> None:
        """Warn where the cache lies on a disk that machines share; here, as the kernel itself has better to do."""
        from fused_jupyter.caching.folders import warn_of_network

        with contextlib.suppress(UserWarning):  # where warnings are errors, in a thread that has nobody to tell
            warn_of_network(Path(self.options.cache_directory))

    def _with_hint(self, exc: FusedError) -> FusedError:
        """A name that only the notebook has is the most usual mistake; say so."""
        if exc.child_exception_class == "NameError":
            name = exc.message.partition("'")[2].partition("'")[0]
            if name and self.notebook_has(name):
                exc.message = (
                    f"NameError: {name!r} exists in the notebook but not in the UDF. Bring it in with --use {name}, "
                    'load it inside, or set engine="kernel"'
                )
        return exc


class WorkerRuntime:
    """The runtime inside a worker: `fused.run` in a UDF runs in the same process, so calls cannot starve the pool."""

    def __init__(self) -> None:
        from fused_jupyter.engines.capture import Captures

        self.kernel_id = ""
        self.registry = _NoNames()
        self._captures = Captures()

    def register(self, definition: UdfDefinition) -> None:
        """Nothing: a UDF defined inside a UDF is for that run only."""

    def run(
        self, definition: UdfDefinition, arguments: Mapping[str, Any], *, tile: Tile | None, cache_max_age: str | None
    ) -> Any:
        """Call the UDF here and now."""
        from fused_jupyter.engines.execute import call

        return call(definition, arguments, tile=tile).value

    def outcome(
        self,
        definition: UdfDefinition,
        arguments: Mapping[str, Any],
        *,
        tile: Tile | None,
        cache_max_age: str | None,
        on_text: OnText = show,
    ) -> Outcome:
        """The same, and what it cost; what the UDF prints is passed on when it has ended.

        The peak of memory is known only where it exceeds that of the calling UDF.
        """
        from fused_jupyter.engines.capture import Captured
        from fused_jupyter.engines.execute import call
        from fused_jupyter.engines.memory import highest_memory

        highest, started, printed = highest_memory(), time.perf_counter(), Captured()
        try:
            with self._captures.capture() as printed:
                called = call(definition, arguments, tile=tile)
        except FusedError as exc:
            exc.stdout, exc.stderr = printed.stdout, printed.stderr
            exc.seconds, exc.peak_memory = time.perf_counter() - started, highest_memory() - highest
            raise
        finally:
            on_text("stdout", printed.stdout)
            on_text("stderr", printed.stderr)
        return Outcome(
            value=called.value,
            seconds=called.seconds,
            peak_memory=highest_memory() - highest,
            stdout=printed.stdout,
            stderr=printed.stderr,
        )

    # In threads: the loop of the UDF that waits goes on, several of these run beside each other, and a UDF may have a
    # loop of its own, as it may everywhere. A thread cannot be stopped: of a cancelled wait nothing is left but that.

    async def run_async(
        self, definition: UdfDefinition, arguments: Mapping[str, Any], *, tile: Tile | None, cache_max_age: str | None
    ) -> Any:
        """`run` beside an event loop."""
        return await asyncio.to_thread(self.run, definition, arguments, tile=tile, cache_max_age=cache_max_age)

    async def outcome_async(
        self,
        definition: UdfDefinition,
        arguments: Mapping[str, Any],
        *,
        tile: Tile | None,
        cache_max_age: str | None,
        on_text: OnText = show,
    ) -> Outcome:
        """`outcome` beside an event loop."""
        return await asyncio.to_thread(
            self.outcome, definition, arguments, tile=tile, cache_max_age=cache_max_age, on_text=on_text
        )

    def profile(self, definition: UdfDefinition, arguments: Mapping[str, Any], *, tile: Tile | None) -> Outcome:
        """The same with the time of each line."""
        from fused_jupyter.engines.sampling import LineSampler

        with LineSampler(definition.filename) as sampler:
            outcome = self.outcome(definition, arguments, tile=tile, cache_max_age=None)
        return replace(outcome, lines=lines_of(sampler.modules))


class _Heard:
    """What a run printed, as far as it came."""

    def __init__(self, on_text: OnText) -> None:
        self._on_text = on_text
        self._printed: dict[str, list[str]] = {"stdout": [], "stderr": []}

    def add(self, stream: str, text: str) -> None:
        self._printed[stream].append(text)
        self._on_text(stream, text)

    def noted_in(self, error: FusedError) -> FusedError:
        error.stdout, error.stderr = ("".join(pieces) for pieces in self._printed.values())
        return error

    def outcome(self, reply: Reply, body: bytes | memoryview, *, run_id: str) -> Outcome:
        return Outcome(
            value=_unpickled(body, reply.buffers),
            seconds=reply.seconds,
            peak_memory=reply.peak_memory,
            cached=reply.cached,
            stdout="".join(self._printed["stdout"]),
            stderr="".join(self._printed["stderr"]),
            lines=lines_of(reply.profile),
            run_id=run_id,
        )


class _NoNames:
    """The registry that a UDF sees: names belong to the notebook."""

    def get(self, name: str) -> UdfDefinition:
        """Nothing.

        Raises:
            UnknownUdfError: always; says what to do.
        """
        raise UnknownUdfError(
            f"a UDF cannot run {name!r} by its name, as names belong to the notebook; save it with to_fused(), define "
            "it with @fused.udf inside this one, or run both from the notebook",
            udf=name,
        )


_lock = threading.Lock()
_current: KernelRuntime | WorkerRuntime | None = None
_owner = 0


def current() -> KernelRuntime | WorkerRuntime:
    """The runtime of this process, built on first use. A forked child gets one of its own."""
    global _current, _owner  # noqa: PLW0603 - the one module-level state (style.md 6)
    with _lock:
        if _current is None or _owner != os.getpid():
            _owner = os.getpid()
            if WORKER_VARIABLE in os.environ:
                _current = WorkerRuntime()
            else:
                _current = KernelRuntime(Options.from_environment())
                atexit.register(shut_down)
        return _current


def current_kernel() -> KernelRuntime:
    """The runtime of this kernel.

    Raises:
        NoServerError: this is the inside of a UDF, which has no kernel and no URLs.
    """
    runtime = current()
    if not isinstance(runtime, KernelRuntime):
        raise NoServerError("inside a UDF there are no URLs and no maps; ask for them in the notebook")
    return runtime


def running_runtime() -> KernelRuntime | WorkerRuntime | None:
    """The runtime of this process, where it is built already."""
    return _current if _owner == os.getpid() else None


def current_server() -> JupyterServer:
    """The Jupyter server of this kernel, also as a UDF of it sees it.

    Raises:
        NoServerError: there is none with our extension.
    """
    return find_server(_runtime_directory())


def shut_down() -> None:
    """End the current runtime and its host; the next use builds another one."""
    global _current
    with _lock:
        runtime, _current = _current, None
    if isinstance(runtime, KernelRuntime) and _owner == os.getpid():
        runtime.close()


def _kernel_id() -> str:
    """The id that Jupyter gave this kernel, else one of our own."""
    ipykernel = sys.modules.get("ipykernel.kernelapp")
    if ipykernel is not None and ipykernel.IPKernelApp.initialized():
        stem = Path(ipykernel.IPKernelApp.instance().abs_connection_file).stem.removeprefix("kernel-")
        try:
            return str(uuid.UUID(stem))
        except ValueError:  # VS Code and nbclient name the file as they like
            pass
    return str(uuid.uuid4())


def _runtime_directory() -> Path:
    from jupyter_core.paths import jupyter_runtime_dir

    return Path(jupyter_runtime_dir())


def _share(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _run_of(definition: UdfDefinition, tile: Tile | None, cache_max_age: str | None) -> Run:
    return Run(
        id=0,
        udf=definition.name,
        digest=definition.digest,
        tile=None if tile is None else (tile.z, tile.x, tile.y),
        returns="object",
        cache_max_age=cache_max_age,
        stream=True,
        arena=True,
    )


def _keeps_result(definition: UdfDefinition, run: Run) -> bool:
    if run.cache_max_age is not None:
        return parse_max_age(run.cache_max_age) > 0
    return bool(definition.cache_max_age)


def _pickled(arguments: Mapping[str, Any]) -> bytes:
    try:
        return pickle.dumps(dict(arguments), protocol=5)
    except Exception as exc:  # __reduce__ of whatever was passed
        names = ", ".join(f"{name}={type(value).__name__}" for name, value in arguments.items())
        raise ArgumentError(f"an argument cannot travel to a worker ({names}): {exc}; pass data, not objects") from exc


def _unpickled(body: bytes | memoryview, lengths: tuple[int, ...]) -> Any:
    """The object; its arrays lie in one writable buffer, as the caller may change them."""
    whole = body if isinstance(body, memoryview) else memoryview(bytearray(body))
    pieces, start = [], 0
    for length in lengths:
        pieces.append(whole[start : start + length])
        start += length
    try:
        return pickle.loads(pieces[0], buffers=pieces[1:])  # noqa: S301 - from our own worker, through our own host
    except Exception as exc:  # a class that only the worker knows, or of another version
        message = (
            f"the result cannot be rebuilt in the kernel: {exc}; return data, not an object of a class made in the UDF"
        )
        raise UdfSerializationError(message) from exc
