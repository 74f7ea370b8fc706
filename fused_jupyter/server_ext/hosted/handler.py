"""What the routes of the hosted API share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from fused_jupyter.errors import ArgumentError
from fused_jupyter.server_ext.base import FusedHandler
from fused_jupyter.wire.http.requests import first


class HostedHandler(FusedHandler):
    """Errors as Fused's own client reads them: what went wrong is in `detail`."""

    route = "hosted"

    def send_failure(self, fields: Mapping[str, Any], retry_after: int | None) -> None:
        """Respond with an error."""
        super().send_failure({"detail": fields.get("error"), **fields}, retry_after)

    async def pass_on(self, what: str, arguments: Mapping[str, Any]) -> None:
        """Respond with what the host of saved UDFs answers.

        Raises:
            FusedError: the one that it answered with.
        """
        self.send_json(await self.hosts.ask_saved(what, arguments))

    @property
    def said(self) -> dict[str, str]:
        """The query, each name once."""
        query = self.request.query_arguments
        return {name: text for name in query if (text := first(query, name)) is not None}

    @property
    def sent(self) -> dict[str, Any]:
        """The body: a JSON object."""
        return json_object(self.request.body)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body, an empty one where there is none.

    Raises:
        ArgumentError: it is something else.

    >>> json_object(b'{"name": "roads"}'), json_object(b"")
    ({'name': 'roads'}, {})
    """
    try:
        sent = orjson.loads(body or b"{}")
    except ValueError as exc:
        raise ArgumentError(f"the body is no JSON: {exc}") from exc
    if not isinstance(sent, dict):
        raise ArgumentError(f"the body is a JSON {type(sent).__name__}, an object is needed")
    return sent
