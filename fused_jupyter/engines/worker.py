"""The loop of a worker process: one run at a time, until its socket closes. Forked from the template."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fused_jupyter import _alias
from fused_jupyter.engines import WORKER_VARIABLE
from fused_jupyter.engines.execute import Pieces, execute
from fused_jupyter.engines.memory import PeakMemory
from fused_jupyter.engines.streams import Streams
from fused_jupyter.errors import ArgumentError, FusedError, ProtocolError, UdfRuntimeError, UdfSerializationError
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Failure, Publish, Reply, Run, decode, encode, read_frame_sync, write_frame_sync


def serve(sock: socket.socket, *, channel: socket.socket, crash_report: int) -> None:
    """Answer runs until the host hangs up. Stdout, stderr and the crash report are pipes to the host already."""
    os.environ[WORKER_VARIABLE] = "1"
    faulthandler.enable(file=crash_report, all_threads=False)  # a segmentation fault names the UDF's line
    _alias.install()
    streams = Streams(channel)
    definitions: dict[str, UdfDefinition] = {}
    while True:
        try:
            header, body = read_frame_sync(sock)
        except (EOFError, OSError):
            return
        message = decode(header)
        if isinstance(message, Publish):
            definition = UdfDefinition.from_json(message.definition)
            definitions[definition.digest] = definition
        elif isinstance(message, Run):
            streams.open()
            answer, pieces = _answer(definitions, message, body)
            streams.close()
            _send(sock, answer, pieces, udf=message.udf)
            _close_figures()


def _answer(definitions: dict[str, UdfDefinition], run: Run, body: memoryview) -> tuple[Reply | Failure, Pieces]:
    error: FusedError
    memory, started = PeakMemory(), time.perf_counter()
    try:
        reply, pieces = execute(definitions[run.digest or ""], run, _arguments(run, body))
        return replace(reply, peak_memory=memory.growth), pieces
    except FusedError as exc:
        error = exc.with_udf(run.udf)
    except MemoryError:
        error = UdfRuntimeError("MemoryError: the result did not fit into memory", udf=run.udf)
    except Exception as exc:  # noqa: BLE001 - a fault of ours in one call must not cost the worker
        error = ProtocolError(f"fused_jupyter failed around the UDF: {type(exc).__name__}: {exc}", udf=run.udf)
    error.seconds, error.peak_memory = time.perf_counter() - started, memory.growth
    return Failure.of(run.id, error), ()


def _arguments(run: Run, body: memoryview) -> Mapping[str, Any]:
    if run.parameters is not None:
        return run.parameters
    try:
        arguments: dict[str, Any] = pickle.loads(body)  # noqa: S301 - from our kernel, through our host
    except Exception as exc:  # a class that only the notebook knows
        raise ArgumentError(f"an argument cannot be rebuilt in the worker: {exc}; pass data, not objects") from exc
    return arguments


def _send(sock: socket.socket, answer: Reply | Failure, pieces: Pieces, *, udf: str) -> None:
    try:
        write_frame_sync(sock, encode(answer), *pieces)
    except ProtocolError as exc:  # too long, and nothing of it was sent
        error = UdfSerializationError(f"the UDF returned too much to hand over: {exc.message}; return less", udf=udf)
        write_frame_sync(sock, encode(Failure.of(answer.id, error)))


def _close_figures() -> None:
    """Forget what pyplot keeps for whoever comes back to a figure: here nobody does, and each one is megabytes."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        with contextlib.suppress(Exception):  # a backend of the user's
            pyplot.close("all")
