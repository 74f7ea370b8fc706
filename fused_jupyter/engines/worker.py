"""The loop of a worker process: one run at a time, until its socket closes.

Forked from the template, or a fresh interpreter by `python -m fused_jupyter.engines.worker`.
"""

from __future__ import annotations

import contextlib
import contextvars
import faulthandler
import json
import os
import pickle
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from fused_jupyter import _alias
from fused_jupyter.engines import WORKER_VARIABLE, duckdb_offline
from fused_jupyter.engines.arena import Arena
from fused_jupyter.engines.environment import WorkerEnvironment
from fused_jupyter.engines.execute import Pieces, execute
from fused_jupyter.engines.limits import TRACE_SIGNAL, CallLimit
from fused_jupyter.engines.local_modules import LocalModules
from fused_jupyter.engines.memory import PeakMemory
from fused_jupyter.engines.nesting import follow_threads
from fused_jupyter.engines.preload import Noticed, load
from fused_jupyter.engines.streams import CUT_OFF, Streams, flush
from fused_jupyter.engines.surroundings import Surroundings, seed_anew
from fused_jupyter.errors import ArgumentError, FusedError, ProtocolError, UdfMemoryError, UdfSerializationError
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import (
    Environment,
    Failure,
    FrameReader,
    Publish,
    Reply,
    Run,
    Share,
    bodiless,
    decode,
    encode,
    write_frame_sync,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """The descriptors of a worker's ways to the host; stdout and stderr lead there already."""

    messages: int
    channel: int
    """Where fresh pipes for the output come from."""
    crash_report: int
    notes: int
    """What the host is told beside the answers."""


def main() -> None:
    """Serve as a fresh interpreter, which has to import the preload itself."""
    given = json.loads(sys.argv[1])
    load(given["preload"])
    code = 1
    try:
        serve(Ends(**given["ends"]), memory_limit=given["memory_limit"], learn=given["learn"])
        code = 0
    except OSError:
        code = CUT_OFF
    finally:
        os._exit(code)  # without exit handlers and threads of UDFs, as where a worker was forked


def make_ready(ready: LocalModules | None = None) -> LocalModules:
    """Do before the fork what walks through all modules: in a worker, each that is touched is copied, 20 ms in all.

    Args:
        ready: what this gave before more modules were imported.
    """
    _alias.install()
    duckdb_offline.install()
    ready = ready or LocalModules()
    ready.look_for_others()
    return ready


def serve(ends: Ends, *, memory_limit: int, learn: bool, ready: LocalModules | None = None) -> None:
    """Answer runs until the host hangs up.

    Args:
        ends: the ways to the host.
        memory_limit: bytes for each run; 0 is no limit.
        learn: whether the host wants to know what runs import.
        ready: what `make_ready` gave in the template.
    """
    sock = socket.socket(fileno=ends.messages)
    os.environ[WORKER_VARIABLE] = "1"
    faulthandler.enable(file=ends.crash_report, all_threads=False)  # a segmentation fault names the UDF's line
    if TRACE_SIGNAL > 0:
        faulthandler.register(TRACE_SIGNAL, file=ends.crash_report, all_threads=False)
    follow_threads()
    seed_anew()
    streams = Streams(socket.socket(fileno=ends.channel))
    environment, limit = WorkerEnvironment(), CallLimit(memory_limit)
    limit.renew()
    local_modules = ready or make_ready()  # first: where Python looks for modules is among the surroundings
    surroundings = Surroundings()
    tidy = [
        _close_figures,
        environment.restore,
        surroundings.restore,
        limit.renew,
        streams.prepare,
    ]
    tell_imports = Noticed(ends.notes).tell if learn else _nothing
    frames, sender = FrameReader(sock), _Sender(sock)
    definitions: dict[str, UdfDefinition] = {}
    own_pid = os.getpid()
    while True:
        try:
            header, body = frames.read()
        except (EOFError, OSError):
            return
        message = decode(header)
        if isinstance(message, Publish):
            definition = UdfDefinition.from_json(message.definition)
            definitions[definition.digest] = definition
        elif isinstance(message, Share):
            sender.share()
        elif isinstance(message, Environment):
            environment.choose(message.variables)
        elif isinstance(message, Run):
            streams.open()
            local_modules.forget_changed(_directory(definitions, message))
            context = contextvars.copy_context()  # the decimal context and the like end with the run
            answer, pieces = context.run(_answer, definitions, message, body, limit=limit, own=local_modules)
            if os.getpid() != own_pid:
                _end_child(answer)
            streams.close()
            tell_imports()  # before the answer, after which the host may end this process
            sender.send(message, answer, pieces)
            del answer, pieces, body, context
            for each in tidy:  # the caller has its answer already
                each()


def _answer(
    definitions: dict[str, UdfDefinition], run: Run, body: memoryview, *, limit: CallLimit, own: LocalModules
) -> tuple[Reply | Failure, Pieces]:
    error: FusedError
    memory, started = PeakMemory(), time.perf_counter()
    try:
        definition = definitions[run.digest or ""]
        reply, pieces = execute(definition, run, _arguments(run, body), memory=memory)
        files = own.used(definition, body if run.parameters is None else b"")
        return (replace(reply, files=(*files, *reply.files)) if files else reply), pieces
    except UdfMemoryError as exc:
        error = limit.explain(exc.with_udf(run.udf))
    except FusedError as exc:
        error = exc.with_udf(run.udf)
    except MemoryError:
        error = UdfMemoryError("MemoryError: the result did not fit into memory", udf=run.udf)
        error = limit.explain(error)
    except Exception as exc:  # noqa: BLE001 - a fault of ours in one call must not cost the worker
        error = ProtocolError(f"fused_jupyter failed around the UDF: {type(exc).__name__}: {exc}", udf=run.udf)
    error.seconds, error.peak_memory = time.perf_counter() - started, memory.growth
    failure = Failure.of(run.id, error)
    del error  # and with it the UDF's frames and all that they hold: otherwise a cycle, which lives on into other runs
    return failure, ()


def _directory(definitions: dict[str, UdfDefinition], run: Run) -> str:
    definition = definitions.get(run.digest or "")  # where it is None, `_answer` says so
    return "" if definition is None else definition.directory


def _arguments(run: Run, body: memoryview) -> Mapping[str, Any]:
    if run.parameters is not None:
        return run.parameters
    try:
        arguments: dict[str, Any] = pickle.loads(body)  # noqa: S301 - from our kernel, through our host
    except BaseException as exc:  # a class that only the notebook knows, or one whose own code raises anything
        raise ArgumentError(f"an argument cannot be rebuilt in the worker: {exc}; pass data, not objects") from exc
    return arguments


class _Sender:
    """Sends answers: their bodies through the socket, or through memory that the caller shares."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._arena: Arena | None = None
        self._unshared: tuple[int, ...] = ()

    def share(self) -> None:
        """Make the memory, if it is not there yet, and send its descriptor along with the next answer."""
        if self._arena is None:
            self._arena = Arena()
        self._unshared = (self._arena.descriptor,)

    def send(self, run: Run, answer: Reply | Failure, pieces: Pieces) -> None:
        header, length = encode(answer), sum(map(len, pieces))
        if run.arena and not self._unshared and self._arena is not None and self._arena.fits(length):
            self._arena.put(pieces)
            self._sock.sendall(bodiless(header, length))
            return
        try:
            write_frame_sync(self._sock, header, *pieces, descriptors=self._unshared)
            self._unshared = ()
        except ProtocolError as exc:  # too long, and nothing of it was sent
            message = f"the UDF returned too much to hand over: {exc.message}; return less"
            write_frame_sync(self._sock, encode(Failure.of(answer.id, UdfSerializationError(message, udf=run.udf))))


def _end_child(answer: Reply | Failure) -> NoReturn:
    """End a process that a UDF forked and that came back to us as well: the answer is its parent's to give."""
    if isinstance(answer, Failure):
        with contextlib.suppress(Exception):
            print(answer.error.get("traceback") or answer.error["error"], file=sys.stderr)  # noqa: T201 - as Python does
    flush()
    os._exit(isinstance(answer, Failure))


def _nothing() -> None:
    """Done where nothing is to be done."""


def _close_figures() -> None:
    """Forget what pyplot keeps for whoever comes back to a figure: here nobody does, and each one is megabytes."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        with contextlib.suppress(Exception):  # a backend of the user's
            pyplot.close("all")


if __name__ == "__main__":
    main()
