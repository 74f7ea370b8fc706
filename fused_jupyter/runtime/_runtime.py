"""The composition root of the kernel's side, and the one place that knows which runtime is the current one."""

from __future__ import annotations

import atexit
import hashlib
import os
import pickle
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fused_jupyter.engines import WORKER_VARIABLE
from fused_jupyter.errors import ArgumentError, FusedError, NoServerError, UdfSerializationError, UnknownUdfError
from fused_jupyter.runtime.link import HostLink, OnText
from fused_jupyter.runtime.outcome import Lines, Outcome, show
from fused_jupyter.runtime.registry import Registry
from fused_jupyter.runtime.server import JupyterServer, find_server, server_pid
from fused_jupyter.settings import Options
from fused_jupyter.tiles import Tile
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Client, Grant, Publish, Revoke, Run, Status

TOKEN_PREFIX = "fsh_"  # noqa: S105 - how a shared token begins, not one


class KernelRuntime:
    """Registry, host and server of one kernel."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.kernel_id = _kernel_id()
        self.registry = Registry()
        self.directory = _runtime_directory()
        self.link = HostLink(options, kernel_id=self.kernel_id, server_pid=server_pid(), directory=self.directory)
        self.link.on_start.append(self._hand_over)
        self.notebook_has: Callable[[str], bool] = lambda _: False
        """Whether the notebook has a variable of that name; for better messages."""
        self._started = False
        self._handed_over: dict[str, UdfDefinition] = {}
        """What the host knows, by digest: also versions that no name means any more."""
        self._shares: dict[str, str] = {}

    def start(self) -> None:
        """Start the host in the background; it loads the geo stack meanwhile."""
        self._started = True
        self.link.start()

    def register(self, definition: UdfDefinition) -> None:
        """Make a definition what its name means: first for the host, then for the maps that will ask it."""
        if self._started:
            self._publish(definition, register=True)
        self.registry.register(definition)

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
        return self._outcome(definition, arguments, _run_of(definition, tile, cache_max_age), on_text=on_text)

    def profile(self, definition: UdfDefinition, arguments: Mapping[str, Any], *, tile: Tile | None) -> Outcome:
        """The same with the time of each line, from a run of its own: nothing of it is kept.

        Raises:
            FusedError: as `outcome` does.
        """
        run = replace(_run_of(definition, tile, "0"), profile=True)
        return self._outcome(definition, arguments, run, on_text=show)

    def _outcome(
        self, definition: UdfDefinition, arguments: Mapping[str, Any], run: Run, *, on_text: OnText
    ) -> Outcome:
        body = _pickled(arguments)
        if definition.digest not in self._handed_over:
            self._publish(definition, register=False)
        self._started = True
        printed: dict[str, list[str]] = {"stdout": [], "stderr": []}

        def hear(stream: str, text: str) -> None:
            printed[stream].append(text)
            on_text(stream, text)

        try:
            reply, answer = self.link.run(lambda number: replace(run, id=number), body, on_text=hear)
        except FusedError as exc:
            exc.stdout, exc.stderr = ("".join(pieces) for pieces in printed.values())
            raise self._with_hint(exc) from None
        return Outcome(
            value=_unpickled(answer, reply.buffers),
            seconds=reply.seconds,
            peak_memory=reply.peak_memory,
            cached=reply.cached,
            stdout="".join(printed["stdout"]),
            stderr="".join(printed["stderr"]),
            lines=_lines(reply.profile),
        )

    def status(self) -> dict[str, Any]:
        """What the host says of itself."""
        import orjson

        _, body = self.link.call(lambda number: Status(id=number))
        status: dict[str, Any] = orjson.loads(body)
        return status

    def server(self) -> JupyterServer:
        """The Jupyter server of this kernel.

        Raises:
            NoServerError: there is none with our extension.
        """
        return find_server(self.directory)

    def grant(self, udf: str) -> str:
        """A new token that opens one UDF until it is revoked or the kernel ends. Only its SHA-256 is kept."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        share = _share(token)
        self._shares[share] = udf
        self._started = True
        self.link.call(lambda number: Grant(id=number, share=share, udf=udf))
        return token

    def revoke(self, token: str) -> None:
        """Close a token."""
        share = _share(token)
        self._shares.pop(share, None)
        self.link.call(lambda number: Revoke(id=number, share=share))

    def close(self) -> None:
        """End the host and its workers."""
        self.link.close()

    def _publish(self, definition: UdfDefinition, *, register: bool) -> None:
        self.link.call(lambda number: Publish(id=number, definition=definition.to_json(), register=register))
        self._handed_over[definition.digest] = definition

    async def _hand_over(self, client: Client) -> None:
        """Tell a new host all that it has to know."""
        for definition in tuple(self._handed_over.values()):
            message = Publish(id=client.next_number(), definition=definition.to_json(), register=False)
            await client.reply_to(message)
        for definition in self.registry.all():
            await client.reply_to(Publish(id=client.next_number(), definition=definition.to_json()))
            self._handed_over[definition.digest] = definition
        for share, udf in self._shares.items():
            await client.reply_to(Grant(id=client.next_number(), share=share, udf=udf))

    def _with_hint(self, exc: FusedError) -> FusedError:
        """A name that only the notebook has is the most usual mistake; say so."""
        if exc.child_exception_class == "NameError":
            name = exc.message.partition("'")[2].partition("'")[0]
            if name and self.notebook_has(name):
                exc.message = exc.message.replace(
                    f"name '{name}' is not defined", f"{name!r} exists in the notebook but not in the UDF", 1
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

    def profile(self, definition: UdfDefinition, arguments: Mapping[str, Any], *, tile: Tile | None) -> Outcome:
        """The same with the time of each line."""
        from fused_jupyter.engines.sampling import LineSampler

        with LineSampler(definition.filename) as sampler:
            outcome = self.outcome(definition, arguments, tile=tile, cache_max_age=None)
        return replace(outcome, lines=_lines(sampler.modules))


class _NoNames:
    """The registry that a UDF sees: names belong to the notebook."""

    def get(self, name: str) -> UdfDefinition:
        """Nothing.

        Raises:
            UnknownUdfError: always; says what to do.
        """
        raise UnknownUdfError(
            f"a UDF cannot run {name!r} by its name, as names belong to the notebook; define it with @fused.udf inside "
            "this one, or run both from the notebook",
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
    )


def _lines(profile: Mapping[str, Mapping[str, Sequence[float]]] | None) -> Lines | None:
    if profile is None:
        return None
    return {
        module: {int(line): (seconds, int(growth)) for line, (seconds, growth) in lines.items()}
        for module, lines in profile.items()
    }


def _pickled(arguments: Mapping[str, Any]) -> bytes:
    try:
        return pickle.dumps(dict(arguments), protocol=5)
    except Exception as exc:  # __reduce__ of whatever was passed
        names = ", ".join(f"{name}={type(value).__name__}" for name, value in arguments.items())
        raise ArgumentError(f"an argument cannot travel to a worker ({names}): {exc}; pass data, not objects") from exc


def _unpickled(body: bytes, lengths: tuple[int, ...]) -> Any:
    """The object; its arrays lie in one writable buffer, as the caller may change them."""
    whole = memoryview(bytearray(body))
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
