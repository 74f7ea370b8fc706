"""Runs for the owner: of code that comes with the request, and of saved UDFs.

The official client starts a run and asks after it until it is done; one that is done soon is answered at once. Each run
has an id of the client's, so that a request that is sent again means the same run.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fused_jupyter.errors import ArgumentError, FusedError
from fused_jupyter.server_ext.hosted.handler import HostedHandler
from fused_jupyter.server_ext.hosted.polling import Polling
from fused_jupyter.server_ext.hosted.posted import Posted
from fused_jupyter.server_ext.hosts import Hosts
from fused_jupyter.server_ext.policy import may_execute
from fused_jupyter.wire import Run
from fused_jupyter.wire.http.content import file_name
from fused_jupyter.wire.http.metadata import metadata_of_failure
from fused_jupyter.wire.http.requests import Query, client_of, make_run, parse_tile
from fused_jupyter.wire.http.responses import Answer, run_headers

RUN_ID_HEADER = "Fused-Run-Id"

_AT_ONCE_SECONDS = 3.0
"""How long the start of a run waits for its end."""
_POLL_SECONDS = 4.0
"""How long a client that asks is made to wait; by itself it waits five."""
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_TOLD_AS_IT_IS = frozenset({403, 404, 429})
"""Errors that are not the UDF's."""

Tile = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a run gave, as often as it is asked for."""

    answer: Answer
    name: str
    """What its file is called."""

    @property
    def status(self) -> int:
        """HTTP status. The client takes nothing but 200 for a result, not 204 for none."""
        return 200 if self.answer.status == 204 else self.answer.status

    @property
    def headers(self) -> dict[str, str]:
        """All headers."""
        return self.answer.headers(version=None, is_open=False, file_name=self.name)


def make_polling() -> Polling[Made]:
    """The runs of one server that somebody asks after."""
    return Polling(lambda made: len(made.answer.content))


async def run(hosts: Hosts, run: Run, udf: Mapping[str, str], *, tile: Tile | None) -> Made:
    """Have the host of saved UDFs run what it was just told of."""
    host = await hosts.standing()
    run = replace(run, id=host.client.next_number(), udf=udf["name"], digest=udf["digest"])
    reply, content = await hosts.run(host, run)
    name = file_name(run.udf, tile, extension=reply.extension, media_type=reply.media_type)
    return Made(answer=Answer(reply=reply, content=content, tag=reply.etag), name=name)


class _RunHandler(HostedHandler):
    """How results and errors are sent."""

    route = "hosted runs"

    @property
    def _polling(self) -> Polling[Made]:
        polling: Polling[Made] = self.settings["fused_polling"]
        return polling

    def _request(self, *, query: Query, tile: Tile | None, body: Mapping[str, Any]) -> Run:
        """The request, of which it is not known yet what it runs."""
        request = self.request
        return make_run(
            0,
            udf="",
            client=client_of(request.headers, request.remote_ip or ""),
            method="POST",
            query=query,
            headers=request.headers,
            extension=None,
            tile=tile,
            body=body,
        )

    async def _make_posted(self, posted: Posted, tile: Tile | None) -> Made:
        udf = await self.ask("udfs.publish", udf=posted.udf)
        request = self._request(query=posted.query, tile=tile, body=posted.arguments)
        return await run(self.hosts, request, udf, tile=tile)

    def _give(self, made: Made) -> None:
        self.set_status(made.status)
        self.clear_header("Content-Type")
        for header, value in made.headers.items():
            self.set_header(header, value)
        self.finish(made.answer.body or b"")

    def _give_error(self, error: FusedError) -> None:
        """As the official client makes a `UdfRuntimeError` of it: it must be 422, and no status that it tries again."""
        if error.status in _TOLD_AS_IT_IS:
            raise error
        self.set_status(422)
        for name, value in (metadata_of_failure(error) | run_headers(error)).items():
            self.set_header(name, value)
        self.send_failure({**self.describe(error), "status": 422}, None)

    async def _answer_now(self, making: asyncio.Task[Made]) -> None:
        """The answer to a request that waits for it; who hangs up ends the run."""
        self._call = making  # type: ignore[assignment]  # only ever cancelled
        try:
            self._give(await making)
        except FusedError as exc:
            self._give_error(exc)


class StartHandler(_RunHandler):
    """`POST fused/server/v1/realtime/<client>/api/v1/run/udf/start[/tiles/<z>/<x>/<y>]` with `step_config`."""

    @may_execute
    async def post(self, z: str | None = None, x: str | None = None, y: str | None = None) -> None:
        """The result of a run that is done soon, else 202; who sends it again means the same run."""
        tile = parse_tile(z, x or "", y or "") if z else None
        posted = Posted.of(self.request.body, self.request.query_arguments)
        run_id = self.request.headers.get(RUN_ID_HEADER) or str(uuid.uuid4())
        if not _RUN_ID.fullmatch(run_id):
            raise ArgumentError(f"{RUN_ID_HEADER}: got {run_id!r}, need letters, digits, - and _")
        self.set_header(RUN_ID_HEADER, run_id)
        fingerprint = f"{posted.fingerprint} {self.request.path} {posted.wanted}"
        self._polling.begin(run_id, lambda: self._make_posted(posted, tile), fingerprint=fingerprint)
        await self._wait(run_id)

    async def _wait(self, run_id: str) -> None:
        try:
            made = await self._polling.result(run_id, patience=_AT_ONCE_SECONDS)
        except FusedError as exc:
            if exc.status == 503:  # no run at all: the client tries again by itself
                self._polling.forget(run_id)
                raise
            self._give_error(exc)
            return
        self._give(made) if made else self._say_that_it_runs(run_id)

    def _say_that_it_runs(self, run_id: str) -> None:
        self.set_status(202)
        self.send_json({"run_id": run_id, "status": "running"})


class ResultHandler(_RunHandler):
    """`GET fused/server/v1/realtime/<client>/api/v1/run/udf/get/<run id>`."""

    @may_execute
    async def get(self, run_id: str) -> None:
        """The result, or 202 after some seconds."""
        try:
            made = await self._polling.result(run_id, patience=_POLL_SECONDS)
        except FusedError as exc:
            self._give_error(exc)
            return
        if made is not None:
            self._give(made)
            return
        self.set_status(202)
        self.send_json({"run_id": run_id, "status": "running"})

    head = get


class PostedHandler(_RunHandler):
    """`POST fused/run/udf` with `step_config`; also as `fused/server/v1/realtime/<client>/api/v1/run/udf`."""

    @may_execute
    async def post(self, z: str | None = None, x: str | None = None, y: str | None = None) -> None:
        """The result, when it is there."""
        tile = parse_tile(z, x or "", y or "") if z else None
        posted = Posted.of(self.request.body, self.request.query_arguments)
        await self._answer_now(asyncio.ensure_future(self._make_posted(posted, tile)))


class SavedHandler(_RunHandler):
    """`GET fused/server/v1/realtime/<client>/api/v1/run/udf/saved/<user>/<udf>[/tiles/<z>/<x>/<y>]`."""

    @may_execute
    async def get(
        self, owner: str, slug: str, z: str | None = None, x: str | None = None, y: str | None = None
    ) -> None:
        """A saved UDF, with arguments in the query."""
        tile = parse_tile(z, x or "", y or "") if z else None
        await self._answer_now(asyncio.ensure_future(self._make_saved(owner, slug, tile)))

    head = get

    async def _make_saved(self, owner: str, slug: str, tile: Tile | None) -> Made:
        udf = await self.ask("udfs.publish_saved", owner=owner, slug=slug)
        request = self._request(query=self.request.query_arguments, tile=tile, body={})
        return await run(self.hosts, request, udf, tile=tile)


_RUN = r"/fused/server/v1/realtime/[^/]+/api/v1/run/udf"
_TILES = r"/tiles/([^/]+)/([^/]+)/([^/]+)"

RUN_ROUTES: list[tuple[str, Any]] = [
    (rf"{_RUN}/start(?:{_TILES})?", StartHandler),
    (rf"{_RUN}/get/([^/]+)", ResultHandler),
    (rf"{_RUN}(?:{_TILES})?", PostedHandler),
    (rf"{_RUN}/saved/([^/]+)/([^/]+?)(?:/file)?(?:{_TILES})?", SavedHandler),
    (r"/fused/run/udf", PostedHandler),
]
