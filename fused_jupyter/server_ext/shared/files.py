"""Results as files and tiles, for whoever has a token."""

from __future__ import annotations

from typing import Any

from tornado.httputil import HTTPInputError, parse_body_arguments

from fused_jupyter.errors import ArgumentError, ShareError
from fused_jupyter.server_ext.shared.guard import NOTHING
from fused_jupyter.server_ext.shared.handler import SharedHandler, may_open
from fused_jupyter.wire.http.requests import parse_body, parse_tile


class SharedFileHandler(SharedHandler):
    """`GET|HEAD|POST fused/<token>[.<ext>]` or `fused/<token>/run[/file[.<ext>]]`, and below `<collection>/<udf>`."""

    @may_open
    async def get(self, token: str, udf: str, extension: str | None) -> None:
        """Arguments in the query."""
        del token
        host = await self.hosts.find_share(self.share)
        await self.answer(host, udf, extension=extension, share=self.share)

    head = get

    @may_open
    async def post(self, token: str, udf: str, extension: str | None) -> None:
        """Arguments in the query and, over them, in the body: a JSON object or a form. Never code."""
        del token
        host = await self.hosts.find_share(self.share)
        await self.answer(host, udf, extension=extension, body=self._sent(), share=self.share)

    def _sent(self) -> dict[str, Any]:
        body, content_type = bytes(self.body), self.request.headers.get("Content-Type", "")
        form: dict[str, list[bytes]] = {}
        try:
            parse_body_arguments(content_type, body, form, {}, self.request.headers)
        except HTTPInputError as exc:
            raise ArgumentError(f"the body is no form: {exc}") from exc
        return parse_body(body, content_type, form)


class SharedTileHandler(SharedHandler):
    """`GET|HEAD fused/<token>/run/tiles/<z>/<x>/<y>[.<ext>]`, and below `<collection>/<udf>`."""

    @may_open
    async def get(self, token: str, udf: str, z: str, x: str, y: str, extension: str | None) -> None:
        """Arguments in the query."""
        del token
        tile = parse_tile(z, x, y)
        host = await self.hosts.find_share(self.share)
        await self.answer(host, udf, extension=extension, tile=tile, share=self.share)

    head = get


class SharedMissingHandler(SharedHandler):
    """Everything else below a token, and tokens of Fused's own cloud: as if there was no such token."""

    @may_open
    async def get(self, token: str) -> None:
        """Nothing."""
        del token
        raise ShareError(NOTHING)

    head = get
    post = get
