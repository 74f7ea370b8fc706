"""The loop of a worker process: one run at a time, until its socket closes. Forked from the template."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import pickle
import socket
import sys
from collections.abc import Mapping
from typing import Any

from fused_jupyter import _alias
from fused_jupyter.engines import WORKER_VARIABLE
from fused_jupyter.engines.execute import Pieces, execute
from fused_jupyter.errors import ArgumentError, FusedError, ProtocolError, UdfRuntimeError, UdfSerializationError
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Failure, Publish, Reply, Run, decode, encode, read_frame_sync, write_frame_sync


def serve(sock: socket.socket, *, crash_report: int) -> None:
    """Answer runs until the host hangs up. Stdout, stderr and the crash report are pipes to the host already."""
    os.environ[WORKER_VARIABLE] = "1"
    faulthandler.enable(file=crash_report, all_threads=False)  # a segmentation fault names the UDF's line
    _alias.install()
    spare_output = os.dup(1), os.dup(2)
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
            _open_output(spare_output)
            answer, pieces = _answer(definitions, message, body)
            _flush_output()
            _send(sock, answer, pieces, udf=message.udf)


def _answer(definitions: dict[str, UdfDefinition], run: Run, body: memoryview) -> tuple[Reply | Failure, Pieces]:
    error: FusedError
    try:
        return execute(definitions[run.digest or ""], run, _arguments(run, body))
    except FusedError as exc:
        return Failure(id=run.id, error=exc.with_udf(run.udf).to_wire()), ()
    except MemoryError:
        error = UdfRuntimeError("MemoryError: the result did not fit into memory", udf=run.udf)
        return Failure(id=run.id, error=error.to_wire()), ()
    except Exception as exc:  # noqa: BLE001 - a fault of ours in one call must not cost the worker
        error = ProtocolError(f"fused_jupyter failed around the UDF: {type(exc).__name__}: {exc}", udf=run.udf)
        return Failure(id=run.id, error=error.to_wire()), ()


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
        write_frame_sync(sock, encode(Failure(id=answer.id, error=error.to_wire())))


def _open_output(spare: tuple[int, int]) -> None:
    """Fresh stdout and stderr: the UDF before may have closed or replaced them."""
    for number, (name, source) in enumerate(zip(("stdout", "stderr"), spare, strict=True), start=1):
        os.dup2(source, number)
        stream = io.TextIOWrapper(
            io.FileIO(number, "w", closefd=False), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
        setattr(sys, name, stream)


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError, AttributeError):  # closed or replaced by the UDF
            stream.flush()
