"""Tokens of saved UDFs, as the official client makes, lists, changes and deletes them."""

from __future__ import annotations

from typing import Any

from fused_jupyter.server_ext.hosted.handler import HostedHandler
from fused_jupyter.server_ext.policy import may_execute


class NewTokenHandler(HostedHandler):
    """`POST fused/server/v1/udf-access-token/new`."""

    @may_execute
    async def post(self) -> None:
        """A new token, with its secret, which is told this once."""
        await self.pass_on("tokens.create", self.sent)


class TokensHandler(HostedHandler):
    """`GET fused/server/v1/udf-access-token/self?skip=&limit=`."""

    @may_execute
    async def get(self) -> None:
        """A page of a list, at the end an empty one; their public ids for their secrets."""
        await self.pass_on("tokens.list", self.said)

    head = get


class TokenHandler(HostedHandler):
    """`GET|POST|DELETE fused/server/v1/udf-access-token/by-token/<secret or public id>`."""

    @may_execute
    async def get(self, token: str) -> None:
        """What is known of it."""
        await self.pass_on("tokens.get", {"token": token})

    head = get

    @may_execute
    async def post(self, token: str) -> None:
        """What it is now."""
        await self.pass_on("tokens.update", {**self.sent, "token": token})

    @may_execute
    async def delete(self, token: str) -> None:
        """What it was."""
        await self.pass_on("tokens.delete", {"token": token})


_BASE = r"/fused/server/v1/udf-access-token"

TOKEN_ROUTES: list[tuple[str, Any]] = [
    (rf"{_BASE}/new", NewTokenHandler),
    (rf"{_BASE}/(?:self|all)", TokensHandler),
    (rf"{_BASE}/by-token/([^/]+)", TokenHandler),
]
