"""The kernel engine: runs UDFs in the kernel itself, where they see the notebook's variables and share its fate.

From Python in the thread that asks, as a function would; over HTTP in one thread of the engine's own, one at a time,
beside whatever cell runs. Nothing can stop a thread, so a deadline ends the wait and not the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ctypes
import os
import pickle
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

from fused_jupyter.engines.apart import Outputs, Undone
from fused_jupyter.engines.collation import OnText
from fused_jupyter.engines.execute import Called, Notebook, Pieces, call, execute
from fused_jupyter.engines.headers import only_looking
from fused_jupyter.engines.memory import highest_memory
from fused_jupyter.engines.printed import Printed
from fused_jupyter.errors import (
    ArgumentError,
    FusedError,
    HostLostError,
    ProtocolError,
    UdfMemoryError,
    UdfTimeoutError,
)
from fused_jupyter.settings import Options
from fused_jupyter.tiles import Tile
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Failure, Reply, Run

T = TypeVar("T")

_CLONE_FS = 0x200
"""Linux: the current directory is shared with other threads."""


class KernelEngine:
    """Runs UDFs in this process.

    Args:
        options: how long a call may be waited for, how much of its output is kept.
        notebook: gives the variables of the notebook.
        quiet: None while a cell runs, else how many have run. What a UDF of the engine's thread leaves changed in the
            process is put back only where no cell can have changed it meanwhile.
    """

    def __init__(
        self, options: Options, notebook: Callable[[], Notebook] = dict, *, quiet: Callable[[], int | None] = int
    ) -> None:
        self._options = options
        self._notebook = notebook
        self._quiet = quiet
        self._outputs = Outputs()
        self._waiting: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def start(self) -> None:
        """Nothing: its thread begins with the first call that needs it."""

    async def run(
        self, definition: UdfDefinition, run: Run, body: bytes = b"", *, on_text: OnText | None = None
    ) -> tuple[Reply | Failure, bytes]:
        """Run a UDF in the engine's thread.

        Raises:
            UdfTimeoutError: the deadline passed; the UDF goes on, and those that come later wait for it.
            HostLostError: the engine was closed.
        """
        default = self._options.tile_timeout if run.tile is not None else self._options.file_timeout
        deadline = default if run.deadline is None else run.deadline
        hear = None if on_text is None else _in_loop(on_text)
        future = self.submit(lambda: self.answer(definition, run, arguments_of(run, body), on_text=hear))
        try:
            async with asyncio.timeout(deadline):
                return await asyncio.wrap_future(future)  # a cancelled wait: it never begins, if it has not begun
        except TimeoutError as exc:
            raise UdfTimeoutError.in_kernel(deadline, udf=definition.name) from exc

    async def close(self) -> None:
        """Take no more calls; what runs goes on until it ends, or the process does."""
        self.stop()

    def stop(self) -> None:
        """`close` for those who have no event loop."""
        self._is_closed = True
        self._waiting.put(None)

    def call(
        self, definition: UdfDefinition, arguments: Mapping[str, Any], *, tile: Tile | None, on_text: OnText
    ) -> Called:
        """Run a UDF in the calling thread, and give what it returns as it is; Ctrl-C reaches the UDF.

        Raises:
            FusedError: as `engines.execute` does.
            KeyboardInterrupt: Ctrl-C.
        """
        is_main = threading.current_thread() is threading.main_thread()  # where cells run, so none does beside it
        return self._call(definition, arguments, tile, on_text, is_alone=is_main)

    async def call_async(
        self, definition: UdfDefinition, arguments: Mapping[str, Any], *, tile: Tile | None, on_text: OnText
    ) -> Called:
        """The same in the engine's thread, for an event loop, which goes on; for as long as it takes."""
        hear = _in_loop(on_text)

        def work() -> Called:
            return self._call(definition, arguments, tile, hear, is_alone=False)

        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have the engine's thread do something, after what it was given before. Until it begins it can be cancelled.

        Raises:
            HostLostError: the engine was closed.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._is_closed:
                raise HostLostError("the engine was closed")
            if self._thread is None:
                # A daemon, as one that hangs must not keep the kernel from ending.
                self._thread = threading.Thread(target=self._serve, name="fused-kernel-engine", daemon=True)
                self._thread.start()
        self._waiting.put((future, work))
        return future

    def answer(
        self, definition: UdfDefinition, run: Run, arguments: Mapping[str, Any], *, on_text: OnText | None = None
    ) -> tuple[Reply | Failure, bytes]:
        """The answer to a request, made in the calling thread; what the UDF printed is in it."""
        printed = Printed(self._options.output_limit, on_text)
        answer, pieces = self._run(lambda: self._answer(definition, run, arguments), printed.add, is_alone=False)
        answer = replace(answer, stdout=printed.text("stdout"), stderr=printed.text("stderr"))
        return answer, b"".join(pieces)

    def _answer(
        self, definition: UdfDefinition, run: Run, arguments: Mapping[str, Any]
    ) -> tuple[Reply | Failure, Pieces]:
        memory, started = _Growth(), time.perf_counter()
        error: FusedError
        try:
            return execute(definition, run, arguments, memory=memory, notebook=self._notebook())
        except FusedError as exc:
            error = exc.with_udf(definition.name)
        except MemoryError:
            error = UdfMemoryError("MemoryError: the result did not fit into memory", udf=definition.name)
        except Exception as exc:  # noqa: BLE001 - a fault of ours in one call must not cost the thread
            message = f"fused_jupyter failed around the UDF: {type(exc).__name__}: {exc}"
            error = ProtocolError(message, udf=definition.name)
        error.seconds, error.peak_memory = time.perf_counter() - started, memory.growth
        failure = Failure.of(run.id, error)
        del error  # and with it the UDF's frames and all that they hold
        return failure, ()

    def _call(
        self,
        definition: UdfDefinition,
        arguments: Mapping[str, Any],
        tile: Tile | None,
        on_text: OnText,
        *,
        is_alone: bool,
    ) -> Called:
        notebook = self._notebook()
        return self._run(lambda: call(definition, arguments, tile=tile, notebook=notebook), on_text, is_alone=is_alone)

    def _run(self, work: Callable[[], T], on_text: OnText, *, is_alone: bool) -> T:
        """Do something with its output apart, and the process afterwards as it was."""
        quiet, before = self._quiet(), Undone()
        context = contextvars.copy_context()
        context.run(only_looking.set, True)  # noqa: FBT003 - what the UDF marks as a UDF is for this run
        try:
            with self._outputs.apart():
                return context.run(self._outputs.hear, on_text, work)
        finally:
            before.undo(all_of_it=is_alone or (quiet is not None and quiet == self._quiet()))

    def _serve(self) -> None:
        has_own_directory = _own_directory()
        while (waiting := self._waiting.get()) is not None:
            future, work = waiting
            if not future.set_running_or_notify_cancel():
                continue
            if has_own_directory:
                with contextlib.suppress(OSError):
                    os.chdir("/proc/self/cwd")  # that of the main thread
            try:
                future.set_result(work())
            except BaseException as exc:  # noqa: BLE001 - whatever it is, somebody waits for it
                future.set_exception(exc)
            del future, work, waiting  # and what they hold


def arguments_of(run: Run, body: bytes) -> Mapping[str, Any]:
    """The arguments of a run.

    Raises:
        ArgumentError: one cannot be rebuilt.
    """
    if run.parameters is not None:
        return run.parameters
    try:
        arguments: dict[str, Any] = pickle.loads(body)  # noqa: S301 - from this process
    except Exception as exc:
        raise ArgumentError(f"an argument cannot be rebuilt: {exc}; pass data, not objects") from exc
    return arguments


def _in_loop(on_text: OnText) -> OnText:
    """Calls `on_text` in the present event loop, with what the present task knows, such as the cell that it is of."""
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()

    def hear(stream: Any, text: str) -> None:
        with contextlib.suppress(RuntimeError):  # that loop is closed, and nobody waits
            loop.call_soon_threadsafe(on_text, stream, text, context=context)

    return hear


class _Growth:
    """Memory that a run needs; only what exceeds all that the process ever had, as others may measure it too."""

    def __init__(self) -> None:
        self._before = highest_memory()

    @property
    def growth(self) -> int:
        return highest_memory() - self._before


def _own_directory() -> bool:
    """Give this thread a current directory of its own, where the system can: a cell that runs keeps its own."""
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None).unshare(_CLONE_FS) == 0)
