"""A map's requests that come by the kernel's comm, from pages that reach no Jupyter server of ours.

VS Code and Colab show such pages, and so does a JupyterLab whose server lacks the extension. What is answered is what
the server's routes would give the owner of this kernel, and no more: tiles and files of its UDFs, and the map's code.
The twin is js/src/link/comm.ts.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import unquote

import orjson

from fused_jupyter._version import __version__
from fused_jupyter.errors import AccessError, FusedError, UnknownUdfError
from fused_jupyter.widgets._protocol import ANSWER, WAIT
from fused_jupyter.widgets._registry import Runtime
from fused_jupyter.wire import PROTOCOL, Reply, Run
from fused_jupyter.wire.http import routes
from fused_jupyter.wire.http.codings import tag_in_hand
from fused_jupyter.wire.http.content import file_name
from fused_jupyter.wire.http.metadata import metadata_of_error
from fused_jupyter.wire.http.requests import Query, client_of, first, make_run, names_format, parse_tile, query_of
from fused_jupyter.wire.http.responses import Answer, error_body, error_headers, run_headers

Tile = tuple[int, int, int]


class Sender(Protocol):
    """A widget."""

    def send(self, content: Mapping[str, Any], buffers: list[bytes] | None = None) -> None:
        """Send a message to all of its pages, from any thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a page asks for."""

    path: str
    """Below the base URL, as it was encoded."""
    query: Query
    headers: Mapping[str, str]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Request:
        """The request in a message."""
        path, _, query = str(content.get("path", "")).partition("?")
        headers = {str(name).title(): str(text) for name, text in dict(content.get("headers") or {}).items()}
        return cls(path=path, query=query_of(query), headers=headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An answer as it is sent."""

    status: int = 200
    headers: Mapping[str, str]
    body: bytes = b""

    @classmethod
    def of_error(cls, error: FusedError) -> Told:
        """An error, as the server's routes tell it."""
        fields = error_body(error)
        headers = error_headers(fields, error.retry_after) | metadata_of_error(error) | run_headers(error)
        return cls(status=error.status, headers=headers, body=orjson.dumps(fields))

    @classmethod
    def of_reply(cls, run: Run, reply: Reply, body: bytes) -> Told:
        """What the host answered.

        Raises:
            UdfSerializationError: the UDF chose a status that nobody can have.
        """
        if reply.status == 304:
            answer = Answer(reply=reply, content=b"", tag=tag_in_hand(reply.etag, run.if_none_match or ""))
        else:
            answer = Answer(reply=reply, content=body, tag=reply.etag)
        name = file_name(run.udf, run.tile, extension=reply.extension, media_type=reply.media_type)
        headers = answer.headers(version=run.digest, is_open=not names_format(run), file_name=name)
        return cls(status=answer.status, headers=headers, body=answer.body or b"")


class Link:
    """Requests of one map that are under way.

    Nothing here waits: the thread that takes a message may be the one that runs the user's cells. Answers are sent from
    the thread of the host's link.
    """

    def __init__(self, widget: Sender, runtime: Runtime) -> None:
        self._widget = weakref.ref(widget)
        self._runtime = runtime
        self._lock = threading.Lock()
        self._running: dict[str, Future[tuple[Reply, bytes]] | None] = {}
        """By the page's name for it; None for one that is just beginning."""

    def take(self, content: Mapping[str, Any]) -> None:
        """Answer a request, now or later. One that is under way may be said again: messages get lost."""
        name = str(content.get("request", ""))
        with self._lock:
            if name in self._running:
                return
            self._running[name] = None
        try:
            self._begin(name, Request.of(content))
        except FusedError as exc:
            self._answer(name, Told.of_error(exc))
        except Exception as exc:  # noqa: BLE001 - a fault of ours, or no request at all: a page that hears nothing waits
            error = FusedError(f"fused_jupyter failed in its kernel: {type(exc).__name__}: {exc}")
            self._answer(name, Told.of_error(error))

    def cancel(self, content: Mapping[str, Any]) -> None:
        """Stop what nobody waits for any more."""
        with self._lock:
            future = self._running.pop(str(content.get("request", "")), None)
        if future is not None:
            future.cancel()

    def close(self) -> None:
        """Stop everything."""
        with self._lock:
            names = [*self._running]
        for name in names:
            self.cancel({"request": name})

    def _begin(self, name: str, request: Request) -> None:
        kernel = first(request.query, "kernel")
        if kernel not in {None, self._runtime.kernel_id}:
            raise AccessError(f"this map belongs to kernel {self._runtime.kernel_id}, not to {kernel}; run its cell")
        for pattern, route in _ROUTES:
            if (match := pattern.fullmatch(request.path)) is not None:
                parts = [None if part is None else unquote(part) for part in match.groups()]
                answer = route(request, *parts)
                break
        else:
            raise UnknownUdfError(
                "no such route; by its comm a kernel gives tiles, files and the map's code. Open the notebook where "
                "the Jupyter server has the fused_jupyter extension for the rest"
            )
        if isinstance(answer, Told):
            self._answer(name, answer)
        else:
            self._run(name, answer)

    def _run(self, name: str, run: Run) -> None:
        future = self._runtime.answer(run, on_wait=partial(self._send, {"kind": WAIT, "request": name}))
        with self._lock:
            is_wanted = name in self._running
            if is_wanted:
                self._running[name] = future
        if not is_wanted:  # cancelled in another thread while it began
            future.cancel()
            return
        future.add_done_callback(partial(self._finish, name, run))

    def _finish(self, name: str, run: Run, future: Future[tuple[Reply, bytes]]) -> None:
        """Called in the link's thread."""
        if future.cancelled():
            return
        try:
            told = Told.of_reply(run, *future.result())
        except FusedError as exc:
            told = Told.of_error(exc)
        self._answer(name, told)

    def _answer(self, name: str, told: Told) -> None:
        with self._lock:
            self._running.pop(name, None)
        content = {"kind": ANSWER, "request": name, "status": told.status, "headers": dict(told.headers)}
        self._send(content, [told.body] if told.body else None)

    def _send(self, content: Mapping[str, Any], buffers: list[bytes] | None = None) -> None:
        if (widget := self._widget()) is not None:
            widget.send(content, buffers)


def _ping(request: Request) -> Told:
    fields = {"version": __version__, "protocol": PROTOCOL, "kernel": first(request.query, "kernel"), "alive": True}
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return Told(headers=headers, body=orjson.dumps(fields))


def _file(request: Request, udf: str, extension: str | None) -> Run:
    return _run_of(request, udf, extension, tile=None)


def _tile(request: Request, udf: str, z: str, x: str, y: str, extension: str | None) -> Run:
    return _run_of(request, udf, extension, tile=parse_tile(z, x, y))


def _run_of(request: Request, udf: str, extension: str | None, *, tile: Tile | None) -> Run:
    return make_run(
        0,  # the link to the host numbers it
        udf=udf,
        client=client_of(request.headers, ""),
        method="GET",
        query=request.query,
        headers=request.headers,
        extension=extension,
        tile=tile,
        body={},
    )


def _static(request: Request, name: str) -> Told:
    headers, body = routes.static_file(name, request.query)
    return Told(headers=headers, body=body)


_ROUTES: list[tuple[re.Pattern[str], Callable[..., Told | Run]]] = [
    (re.compile(routes.PING), _ping),
    (re.compile(routes.FILE), _file),
    (re.compile(routes.TILE), _tile),
    (re.compile(routes.STATIC), _static),
]
"""A subset of the server's."""
