"""A request's way through the host: name → definition; result in the cache → answer; same run in flight → join it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import orjson

from fused_jupyter.caching import Entry
from fused_jupyter.errors import FusedError, ShareError, UdfSerializationError, UnknownUdfError
from fused_jupyter.runtime.domains import Domains, layer_key
from fused_jupyter.runtime.registry import unknown_udf
from fused_jupyter.settings import Options
from fused_jupyter.tiles import Tile
from fused_jupyter.udfs import UdfDefinition, parse_max_age
from fused_jupyter.wire import Failure, Reply, Run, UdfSummary, cut

ENCODER_VERSION = 2
"""Raised when the same value gives other bytes: old results are not found any more."""

_KEPT = (
    "status",
    "media_type",
    "etag",
    "buffers",
    "stdout",
    "stderr",
    "seconds",
    "encode_seconds",
    "peak_memory",
    "extension",
    "headers",
)
"""Fields of a reply that belong to the result, not to the request."""

_OF_CLIENTS = frozenset({"profile", "fused_cache_disable_stream", "_stream_logs", "fused_session_token"})
"""Query parameters that Fused's own client adds to every URL: for a UDF only if it has a parameter of that name."""

OnText = Callable[[Any, str], None]

Made = Entry | tuple[Reply | Failure, bytes]
"""A result that was on disk, or a fresh one."""


class Engine(Protocol):
    """Runs one UDF."""

    def run(
        self, definition: UdfDefinition, run: Run, body: bytes = b"", *, on_text: OnText | None = None
    ) -> Awaitable[tuple[Reply | Failure, bytes]]:
        """The answer and its body."""
        ...


class Results(Protocol):
    """Keeps results."""

    def in_memory(self, key: str, *, max_age: float) -> Entry | None:
        """A young enough result, at once."""
        ...

    def on_disk(self, key: str, *, max_age: float) -> Entry | None:
        """The same from a slower place."""
        ...

    def remember(self, key: str, entry: Entry) -> None:
        """Keep in memory."""
        ...

    def write(self, key: str, entry: Entry) -> None:
        """Keep for longer."""
        ...


class Gateway:
    """The mirror of the kernel's registry, and the way of each request."""

    def __init__(self, engine: Engine, results: Results, options: Options, *, kernel_id: str) -> None:
        self._engine = engine
        self._results = results
        self._domains = Domains(results)
        self._options = options
        self._kernel_id = kernel_id
        self._by_digest: dict[str, UdfDefinition] = {}
        self._by_name: dict[str, UdfDefinition] = {}
        self._registered_at: dict[str, float] = {}
        self._shares: dict[str, str] = {}
        self._flights: dict[tuple[str, int], _Flight] = {}
        self._writes: set[asyncio.Task[None]] = set()
        self.counts = {"requests": 0, "cached": 0, "joined": 0, "not_modified": 0}

    # -- what the kernel says

    def publish(self, definition: UdfDefinition, *, register: bool) -> None:
        """Take over code; `register` makes it what its name means."""
        self._by_digest[definition.digest] = definition
        if register:
            self._by_name[definition.name] = definition
            self._registered_at[definition.name] = time.time()

    def grant(self, share: str, udf: str) -> None:
        """Open a UDF for whoever has the token of this SHA-256."""
        self._shares[share] = udf

    def revoke(self, share: str) -> None:
        """Close it again."""
        self._shares.pop(share, None)

    # -- what servers ask

    @property
    def shares(self) -> tuple[str, ...]:
        """SHA-256 of every token that opens something."""
        return tuple(self._shares)

    def summaries(self) -> tuple[dict[str, Any], ...]:
        """Every registered UDF, without its code."""
        return tuple(self.summary(definition) for definition in self._by_name.values())

    def summary(self, definition: UdfDefinition) -> dict[str, Any]:
        """One UDF, without its code."""
        spatial = definition.spatial_parameter
        return asdict(
            UdfSummary(
                name=definition.name,
                digest=definition.digest,
                registered_at=self._registered_at.get(definition.name, 0.0),
                description=definition.description,
                schema=definition.schema(),
                spatial=spatial.name if spatial else None,
            )
        )

    def known(self, run: Run, body: bytes = b"") -> tuple[Reply, bytes] | None:
        """The answer, if memory has it: a warm tile costs no task and no turn of the event loop.

        Raises:
            FusedError: as `run` does before it asks an engine.
        """
        return self._remembered(self._request(run, body))

    async def run(self, run: Run, body: bytes = b"", *, on_text: OnText | None = None) -> tuple[Reply | Failure, bytes]:
        """Answer a request.

        Raises:
            UnknownUdfError: no such name or version.
            ShareError: the token opens nothing.
            FusedError: what the engine raises.
        """
        request = self._request(run, body)
        if (known := self._remembered(request)) is not None:
            return known
        self.counts["requests"] += 1
        is_alone = on_text is not None or run.returns == "object"  # what it prints belongs to one cell
        made = await (self._make(request, body, on_text) if is_alone else self._join(request, body))
        if isinstance(made, Entry):
            return self._from_cache(request, made)
        answer, answer_body = made
        if isinstance(answer, Failure):
            return replace(answer, id=run.id), answer_body
        signed = replace(
            answer,
            id=run.id,
            max_age=request.max_age,
            kernel=self._kernel_id,
            digest=request.definition.digest,
        )
        return cut(run, signed, answer_body)

    async def close(self) -> None:
        """Finish what is being written."""
        if self._writes:
            await asyncio.wait(self._writes, timeout=1.0)

    def _request(self, run: Run, body: bytes) -> _Request:
        definition = self._definition(run)
        run = _without_names_of_clients(run, definition)
        if run.tile is not None:
            Tile(*run.tile)  # outside the grid: said here, before it costs a worker
        return _Request(
            definition=definition,
            run=run
            if run.udf and run.digest == definition.digest
            else replace(run, udf=definition.name, digest=definition.digest),
            key=_key(definition, run, body),
            max_age=self._max_age(definition, run),
        )

    def _definition(self, run: Run) -> UdfDefinition:
        name = run.udf
        if run.share is not None:
            name = self._shares.get(run.share, "")
            if not name:
                raise ShareError("this token opens nothing here")
        wanted = self._by_digest.get(run.digest or "")
        if wanted is not None and wanted.name == name:  # a token opens one name, whatever version it asks for
            return wanted
        if (definition := self._by_name.get(name)) is not None:
            return definition
        raise UnknownUdfError(unknown_udf(name, list(self._by_name)), udf=name)

    def _max_age(self, definition: UdfDefinition, run: Run) -> int:
        """Seconds: what the caller says, else the UDF, else the settings; a Python call only if somebody says so."""
        if run.cache_max_age is not None:
            return parse_max_age(run.cache_max_age)
        if definition.cache_max_age is not None:
            return definition.cache_max_age
        return parse_max_age(self._options.cache_max_age) if run.returns == "encoded" else 0

    def _remembered(self, request: _Request) -> tuple[Reply, bytes] | None:
        if request.max_age <= 0 or (entry := self._results.in_memory(request.key, max_age=request.max_age)) is None:
            return None
        self.counts["requests"] += 1
        return self._from_cache(request, entry)

    def _from_cache(self, request: _Request, entry: Entry) -> tuple[Reply, bytes]:
        self.counts["cached"] += 1
        meta = orjson.loads(entry.meta)
        meta["buffers"] = tuple(meta["buffers"])
        body = entry.body
        if meta["etag"] and meta["etag"] in (request.run.if_none_match or ""):
            self.counts["not_modified"] += 1
            meta["status"], body = 304, b""
        reply = Reply(
            id=request.run.id,
            max_age=max(0, int(request.max_age - entry.age)),
            cached=True,
            kernel=self._kernel_id,
            digest=request.definition.digest,
            **meta,
        )
        return cut(request.run, reply, body)

    def _keep(self, key: str, reply: Reply, body: bytes) -> None:
        meta = orjson.dumps({name: getattr(reply, name) for name in _KEPT})
        entry = Entry(created=time.time(), meta=meta, body=body)
        self._results.remember(key, entry)
        task = asyncio.create_task(asyncio.to_thread(self._results.write, key, entry))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _join(self, request: _Request, body: bytes) -> Made:
        """One look at the disk and one run for all who ask for the same at the same time.

        It stops when the last of them went away.
        """
        key = request.key, request.max_age
        flight = self._flights.get(key)
        if flight is None or flight.is_abandoned:
            flight = self._flights[key] = _Flight(asyncio.create_task(self._make(request, body, None)))
            flight.task.add_done_callback(lambda task: self._land(key, task))
        else:
            self.counts["joined"] += 1
        return await flight.join()

    def _land(self, key: tuple[str, int], task: asyncio.Task[Made]) -> None:
        if (flight := self._flights.get(key)) is not None and flight.task is task:
            del self._flights[key]

    async def _make(self, request: _Request, body: bytes, on_text: OnText | None) -> Made:
        """The result from disk, or from a run, which is kept if it may be."""
        if request.max_age > 0:
            entry = await asyncio.to_thread(self._results.on_disk, request.key, max_age=request.max_age)
            if entry is not None:
                return entry
        answer, answer_body = await self._run_tile(request, body, on_text)
        if request.max_age > 0 and isinstance(answer, Reply):
            answer = replace(answer, etag=_etag(answer, answer_body) if request.run.returns == "encoded" else "")
            if answer.status in {200, 204}:
                self._keep(request.key, answer, answer_body)
        return answer, answer_body

    async def _run_tile(self, request: _Request, body: bytes, on_text: OnText | None) -> tuple[Reply | Failure, bytes]:
        """A run; for a tile, drawn with the range of values that its layer has."""
        definition, run = request.definition, request.run
        if run.tile is None or run.returns == "object":
            return await self._run(definition, run, body, on_text)
        layer = layer_key(definition.digest, run)
        run = replace(run, domain=await self._domains.get(layer, max_age=request.max_age))
        answer, answer_body = await self._run(definition, run, body, on_text)
        if not isinstance(answer, Reply) or answer.domain is None or run.domain is not None:
            return answer, answer_body
        settled = await self._domains.settle(layer, answer.domain, max_age=request.max_age)
        if settled == answer.domain:
            return answer, answer_body
        # Tiles that ran beside the first one; there are at most as many as workers.
        return await self._run(definition, replace(run, domain=settled), body, on_text)

    async def _run(
        self, definition: UdfDefinition, run: Run, body: bytes, on_text: OnText | None
    ) -> tuple[Reply | Failure, bytes]:
        answer, answer_body = await self._engine.run(definition, run, body, on_text=on_text)
        if run.returns == "encoded" and len(answer_body) > self._options.response_limit:
            raise UdfSerializationError(
                f"the response has {len(answer_body)} bytes, {self._options.response_limit} are allowed "
                "(FUSED_RESPONSE_LIMIT); return less, or a denser format",
                udf=definition.name,
            )
        return answer, answer_body


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A run with all that is known of it before it runs."""

    definition: UdfDefinition
    run: Run
    key: str
    max_age: int
    """Seconds; 0 keeps nothing."""


class _Flight:
    """One run with all who wait for it."""

    def __init__(self, task: asyncio.Task[Made]) -> None:
        self.task = task
        self.is_abandoned = False
        """Whether it is being stopped: who comes now needs another one."""
        self._waiters = 0

    async def join(self) -> Made:
        self._waiters += 1
        try:
            return await asyncio.shield(self.task)
        finally:
            self._waiters -= 1
            if self._waiters == 0 and not self.task.done():
                self.is_abandoned = True
                self.task.cancel()
                with contextlib.suppress(asyncio.CancelledError, FusedError):
                    await self.task


def _without_names_of_clients(run: Run, definition: UdfDefinition) -> Run:
    if not run.parameters or _OF_CLIENTS.isdisjoint(run.parameters):
        return run
    dropped = _OF_CLIENTS - {parameter.name for parameter in definition.parameters}
    return replace(run, parameters={name: value for name, value in run.parameters.items() if name not in dropped})


def _etag(reply: Reply, body: bytes) -> str:
    """Strong, and of the bytes: a result that grew too old and was made again may be another one."""
    return f'"{hashlib.blake2b(body, digest_size=16, person=reply.media_type.encode()[:16]).hexdigest()}"'


def _key(definition: UdfDefinition, run: Run, body: bytes) -> str:
    """What the answer depends on: code, arguments, tile, format, encoder."""
    arguments: Mapping[str, Any] | str = hashlib.sha256(body).hexdigest() if run.parameters is None else run.parameters
    wanted = [run.extension, run.format, run.dtype_out_raster, run.dtype_out_vector, run.accept, run.returns]
    parts = [ENCODER_VERSION, definition.digest, arguments, run.tile, wanted]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()
