"""What all routes share: who is asked for what before a method runs, and how answers and errors are sent."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from http.client import responses as PHRASES  # noqa: N812 - a table of constants
from typing import Any
from urllib.parse import unquote

import orjson
from jupyter_server.base.handlers import JupyterHandler
from tornado import web
from tornado.iostream import StreamClosedError

from fused_jupyter.errors import FusedError
from fused_jupyter.server_ext.codings import Packer, coding_for
from fused_jupyter.server_ext.hosts import Host, Hosts
from fused_jupyter.server_ext.owner import recognise_owner
from fused_jupyter.server_ext.policy import check_site, recognise_token
from fused_jupyter.wire import Run
from fused_jupyter.wire.http.codings import tag_in, tag_in_hand
from fused_jupyter.wire.http.content import file_name
from fused_jupyter.wire.http.metadata import metadata_of_error
from fused_jupyter.wire.http.requests import client_of, make_run, names_format
from fused_jupyter.wire.http.responses import Answer, error_body, error_headers, run_headers

_SHARE = re.compile(
    r"(fsh_|fc_|(?:(?<=/fused/)|(?<=/realtime-shared/)|(?<=/by-token/))(?:UDF_|(?=[0-9a-f]{64})))[A-Za-z0-9_-]+"
)
"""A token. Those of Fused's cloud look like other things too, so they are ones only where a token stands."""
_LOGIN = re.compile(r"(token[^&=]*=)[^&]+", re.IGNORECASE)
"""Jupyter takes it out of its own lines, but not out of those that tornado writes of refusals."""


class FusedHandler(JupyterHandler):
    """JSON errors, no login page, no cookie, no ETag of tornado's, cancel on a closed connection."""

    route = ""
    """What this route is called in metrics."""
    _call: asyncio.Task[Answer] | None = None
    _is_gone = False

    def initialize(self) -> None:
        """A token in the path is a secret: it is out of the request before anything can log it."""
        self.request.uri = _masked(self.request.uri or "")
        self.request.path = _masked(self.request.path)
        if referer := self.request.headers.get("Referer"):
            self.request.headers["Referer"] = _masked(referer)

    @property
    def hosts(self) -> Hosts:
        """The broker."""
        hosts: Hosts = self.settings["fused_hosts"]
        return hosts

    @property
    def _packer(self) -> Packer:
        packer: Packer = self.settings["fused_packer"]
        return packer

    async def prepare(self) -> None:  # type: ignore[override]  # the argument of Jupyter's own is for itself
        """Recognise the token the short way, then let Jupyter do all of its checks."""
        user = recognise_owner(self) or recognise_token(self)
        if user is not None:
            self._jupyter_current_user = user
            self._token_authenticated = True
        await super().prepare()
        if self.current_user is not None:
            check_site(self)
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin" if self.token_authenticated else "same-origin")

    def get_login_url(self) -> str:
        """No redirect: a tile client has no use for a login page."""
        raise web.HTTPError(403, "not logged in; send the header Authorization: token <token of the Jupyter server>")

    def compute_etag(self) -> None:
        """Results bring their own ETag, made where they were encoded."""

    def on_connection_close(self) -> None:
        """Nobody waits for the answer any more: the run stops, or does not start."""
        self._is_gone = True
        if self._call is not None:
            self._call.cancel()

    def on_finish(self) -> None:
        """Count the answer."""
        requests: Counter[tuple[str, int]] = self.settings["fused_requests"]
        requests[self.route, self.get_status()] += 1

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Errors are JSON; those of the UDF carry its line and traceback."""
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        if isinstance(error, FusedError):
            for name, value in (self.tell_of_run(error) | run_headers(error)).items():
                self.set_header(name, value)
            self.send_failure(self.describe(error), error.retry_after)
            if error.run_id:
                self.log.debug("run=%s udf=%s status=%d", error.run_id, error.udf or "-", error.status)
            return
        message = error.log_message and error.log_message % error.args if isinstance(error, web.HTTPError) else None
        message = message or PHRASES.get(status_code, "unknown error")
        self.send_failure({"type": "HTTPError", "error": message, "status": status_code}, None)

    def describe(self, error: FusedError) -> dict[str, Any]:
        """What the caller is told of an error: everything, as it is their UDF."""
        return error_body(error)

    def tell_of_run(self, error: FusedError) -> dict[str, str]:
        """Headers with what a UDF printed until it failed."""
        return metadata_of_error(error)

    def log_exception(self, *args: Any) -> None:
        """What a UDF raised is its owner's business, and told to them; the log keeps what is ours."""
        if not isinstance(args[1], FusedError):
            super().log_exception(*args)

    def _handle_request_exception(self, error: BaseException) -> None:
        """Give our errors the status that their class has."""
        if isinstance(error, FusedError) and not self._finished:
            self.send_error(error.status, exc_info=(type(error), error, error.__traceback__))
        elif isinstance(error, StreamClosedError) or (isinstance(error, asyncio.CancelledError) and self._is_gone):
            return  # nobody is there to be told
        else:
            super()._handle_request_exception(error)

    async def answer(
        self,
        host: Host,
        udf: str,
        *,
        extension: str | None,
        tile: tuple[int, int, int] | None = None,
        body: Mapping[str, Any] | None = None,
        share: str | None = None,
    ) -> None:
        """Run and respond."""
        if self._is_gone:
            return
        request = self.request
        run = make_run(
            host.client.next_number(),
            udf=udf,
            share=share,
            client=client_of(request.headers, request.remote_ip or "", share=share),
            method=request.method or "GET",
            query=request.query_arguments,
            headers=request.headers,
            extension=extension,
            tile=tile,
            body=body or {},
        )
        self._call = asyncio.ensure_future(self._obtain(host, run))
        answer = await self._call
        extension, media_type = answer.reply.extension, answer.reply.media_type
        await self._send(
            answer,
            run,
            file_name(udf or ("tile" if tile else "result"), tile, extension=extension, media_type=media_type),
        )

    async def _send(self, answer: Answer, run: Run, name: str) -> None:
        self.set_status(answer.status)
        self.clear_header("Content-Type")
        if answer.is_beyond:
            self.set_header("Content-Range", answer.content_range)
            message = f"the result has {answer.reply.length} bytes, and none of them is in the range that was asked for"
            self.send_failure({"type": "HTTPError", "error": message, "status": answer.status}, None)
            return
        if self.log.isEnabledFor(logging.DEBUG):
            run_id, source = answer.reply.run_id or "-", answer.reply.source or "-"
            self.log.debug("run=%s udf=%s status=%d cache=%s", run_id, run.udf or "-", answer.status, source)
        headers = answer.headers(version=run.digest, is_open=not names_format(run), file_name=name)
        for header, value in headers.items():
            self.set_header(header, value)
        await self.finish(answer.body)

    async def _obtain(self, host: Host, run: Run) -> Answer:
        """The host's answer, compressed where it is worth it; of a part, never: its bytes are counted as they are."""
        headers, is_head = self.request.headers, self.request.method == "HEAD"
        reply, content = await self.hosts.run(host, run)
        if reply.status == 304:
            return Answer(reply=reply, content=b"", tag=tag_in_hand(reply.etag, headers.get("If-None-Match", "")))
        length = len(content) if reply.length is None else reply.length
        accepted = headers.get("Accept-Encoding", "") if is_head or run.part is None else ""
        coding = coding_for(reply, length, accepted)
        if not coding:
            return Answer(reply=reply, content=content, tag=reply.etag, is_head=is_head)
        if reply.length is not None:
            # The length of a compressed body is not known before it is compressed.
            reply, content = await self.hosts.run(host, replace(run, part=None))
        packed = await self._packer.pack(content, coding, etag=reply.etag)
        return Answer(reply=reply, content=packed, coding=coding, tag=tag_in(coding, reply.etag), is_head=is_head)

    async def ask(self, what: str, **arguments: Any) -> Any:  # as JSON has it
        """Have the host of saved UDFs do something for their owner, who has been let in by now.

        Raises:
            FusedError: the one that it answered with.
        """
        return await self.hosts.ask_saved(what, arguments)

    def send_json(self, value: Any) -> None:  # Any: whatever JSON carries
        """Respond with JSON."""
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(orjson.dumps(value))

    def send_failure(self, fields: Mapping[str, Any], retry_after: int | None) -> None:
        """Respond with an error."""
        for name, value in error_headers(fields, retry_after).items():
            self.set_header(name, value)
        self.finish(orjson.dumps(fields))


def _masked(address: str) -> str:
    """An address without tokens, however they are spelled.

    >>> _masked("/fused/fsh_abc.csv?n=1"), _masked("/fused/%66sh_abc.csv?n=1")
    ('/fused/fsh_[secret].csv?n=1', '/fused/[secret]?n=1')
    """
    path, mark, query = address.partition("?")
    query = _LOGIN.sub(r"\1[secret]", query)
    return f"{_masked_part(path, '/fused/[secret]')}{mark}{_masked_part(query, '[secret]')}"


def _masked_part(text: str, odd: str) -> str:
    if "%" in text and _tokens(unquote(text)) != _tokens(text):
        return odd  # a token that is spelled in an unusual way is a token
    return _SHARE.sub(r"\1[secret]", text)


def _tokens(text: str) -> list[str]:
    return [found[0] for found in _SHARE.finditer(text)]
