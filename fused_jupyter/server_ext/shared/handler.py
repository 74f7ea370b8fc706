"""What all routes with a token in their path share: the token is the credential, and no other one counts."""

from __future__ import annotations

import functools
import hashlib
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from jupyter_server.auth.decorator import allow_unauthenticated
from tornado import web

from fused_jupyter.errors import FusedError, ShareError
from fused_jupyter.server_ext.base import FusedHandler
from fused_jupyter.server_ext.shared.guard import NOTHING, Guard
from fused_jupyter.wire.http.requests import MAX_BODY
from fused_jupyter.wire.http.responses import error_body, redacted

P = ParamSpec("P")
H = TypeVar("H", bound="SharedHandler")
Method = Callable[Concatenate[H, str, P], Coroutine[Any, Any, None]]

_METHODS = "GET, HEAD, POST, OPTIONS"
_PREFLIGHT_SECONDS = 7200


def may_open(method: Method[H, P]) -> Method[H, P]:
    """Let in whoever has a token, which is the first part of the path that the method gets.

    Every method of every route with a token carries this. All that such a method finds out about the token, it finds
    out in here, so that all tokens that open nothing are answered alike.
    """

    @functools.wraps(method)
    async def guarded(self: H, token: str, /, *args: P.args, **kwargs: P.kwargs) -> None:
        self.share = hashlib.sha256(token.encode()).hexdigest()
        guard: Guard = self.settings["fused_guard"]
        async with guard.watch(self.request.remote_ip or "", self.share):
            if not self.settings["fused_allow_shares"]:
                raise ShareError(NOTHING)
            await method(self, token, *args, **kwargs)

    return allow_unauthenticated(guarded)


@web.stream_request_body
class SharedHandler(FusedHandler):
    """No login, no cookie; pages of other sites may read it; nothing of the UDF's inside."""

    route = "shared"
    share = ""
    """SHA-256 of the token."""

    def initialize(self) -> None:
        """A stranger may send a little only; Jupyter's own limit is for notebooks."""
        super().initialize()
        self.body = bytearray()

    async def prepare(self) -> None:  # type: ignore[override]  # as in the base class
        """A login, if there is one, gives no more rights here, so nobody asks for it and no cookie is set."""
        self.current_user = self._jupyter_current_user = None
        if not self.check_host():
            raise web.HTTPError(403)
        self.request.connection.set_max_body_size(MAX_BODY)  # type: ignore[union-attr]  # tornado's HTTP/1
        length = self.request.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > MAX_BODY:
            raise web.HTTPError(413, f"the body has {length} bytes, {MAX_BODY} are allowed")

    async def data_received(self, chunk: bytes) -> None:
        """Some of the body."""
        self.body += chunk

    def check_xsrf_cookie(self) -> None:
        """Nothing: no cookie opens anything here."""

    def set_default_headers(self) -> None:
        """The token in the path is all that opens this: a page elsewhere that has it may read what it opens."""
        super().set_default_headers()
        origins: list[str] = self.settings["fused_share_origins"]
        origin = self.request.headers.get("Origin", "")
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin" if origins else "same-origin")
        if "*" not in origins:
            self.set_header("Vary", "Origin")
        if "*" in origins or origin in origins:
            self.set_header("Access-Control-Allow-Origin", "*" if "*" in origins else origin)
            self.set_header("Access-Control-Expose-Headers", "*")

    @allow_unauthenticated
    async def options(self, *path: str) -> None:
        """What a browser asks before a page may send more than a plain GET; it is the same for any token."""
        del path
        self.set_status(204)
        self.set_header("Allow", _METHODS)
        if "Access-Control-Allow-Origin" in self._headers:
            self.set_header("Access-Control-Allow-Methods", _METHODS)
            self.set_header("Access-Control-Allow-Headers", "*")
            self.set_header("Access-Control-Max-Age", str(_PREFLIGHT_SECONDS))
        await self.finish()

    def describe(self, error: FusedError) -> dict[str, Any]:
        """What went wrong, without the inside of the UDF: that is in the log, under the number that the caller gets."""
        if error.is_told:
            return error_body(error)
        told = redacted(error)
        if told["error"] != error.message:
            told["id"] = error.run_id or secrets.token_hex(4)
            # In one line: part of the message may be an argument, and a stranger is not to write lines of this log.
            self.log.warning(
                "who has a token of %s met %s (%s)", error.udf, " ".join(error.message.split()), told["id"]
            )
        return told

    def tell_of_run(self, error: FusedError) -> dict[str, str]:
        """What the UDF printed, if the token's owner allows it; of results the host knows that itself."""
        return super().tell_of_run(error) if error.is_told else {}
