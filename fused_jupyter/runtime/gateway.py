"""A request's way through the host: name → definition; result in the cache → answer; same run in flight → join it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

from fused_jupyter.caching import ResultCache
from fused_jupyter.engines.queue import KERNEL
from fused_jupyter.errors import (
    CancelledRunError,
    FusedError,
    ProtocolError,
    UdfSerializationError,
    UnknownUdfError,
)
from fused_jupyter.runtime.activity import Activity
from fused_jupyter.runtime.answers import Answers, Found, Wish, with_etag
from fused_jupyter.runtime.asked import asks, seen, with_request
from fused_jupyter.runtime.domains import Domains, Layer
from fused_jupyter.runtime.flights import Flights, tell
from fused_jupyter.runtime.keys import Keys
from fused_jupyter.runtime.registry import unknown_udf
from fused_jupyter.runtime.shares import Saved, Shares, within
from fused_jupyter.settings import Options
from fused_jupyter.tiles import Tile
from fused_jupyter.udfs import UdfDefinition, parse_max_age
from fused_jupyter.udfs.controls import controls_of
from fused_jupyter.wire import Failure, Limits, Noted, Reply, Run, UdfSummary, cut

if TYPE_CHECKING:
    from fused_jupyter.storage import SavedUdf

_OF_CLIENTS = frozenset({"profile", "fused_cache_disable_stream", "_stream_logs", "fused_session_token", "verbose"})
"""Query parameters that Fused's own client adds to every URL: for a UDF only if it has a parameter of that name."""

_MOST_POSTED = 2000
"""Versions that a host of saved UDFs knows beside those; each was sent with its run."""

_MOST_TOLD = 10_000
"""UDFs whose parameters are kept as they are told."""

_Told = tuple[dict[str, Any], tuple[dict[str, Any], ...]]

OnText = Callable[[Any, str], None]

Made = Found | tuple[Reply | Failure, bytes]
"""A result that was kept, or a fresh one."""


class Engine(Protocol):
    """Runs one UDF."""

    def run(
        self, definition: UdfDefinition, run: Run, body: bytes = b"", *, on_text: OnText | None = None
    ) -> Awaitable[tuple[Reply | Failure, bytes]]:
        """The answer and its body."""
        ...

    def choose_environment(self, variables: Mapping[str, str]) -> None:
        """Give these variables to every run that begins from now on."""
        ...


class SavedUdfs(Saved, Protocol):
    """The saved UDFs, where this host is theirs."""

    def all(self) -> tuple[SavedUdf, ...]:
        """Those that a name alone means."""
        ...


class Gateway:
    """The mirror of the kernel's registry, and the way of each request."""

    def __init__(
        self,
        engine: Engine,
        results: ResultCache,
        options: Options,
        *,
        kernel_id: str,
        activity: Activity | None = None,
        environment: Callable[[], str] = str,
        engines: Mapping[str, Engine] | None = None,
        saved: SavedUdfs | None = None,
    ) -> None:
        self.activity = activity or Activity()
        self._engine = engine
        self._engines = engines or {}
        """By name, those that a UDF has to ask for; whatever else it asks for, it gets the one above."""
        self.answers = Answers(results)
        self._domains = Domains(results)
        self._keys = Keys(environment)
        self._environment = environment
        self._seen_environment = environment()
        self.epoch = int(time.time() * 1000)  # a host that takes over has another one
        """Grows when what others keep of our answers is worth nothing any more."""
        self._options = options
        self._kernel_id = kernel_id
        self._by_digest: dict[str, UdfDefinition] = {}
        self._by_name: dict[str, UdfDefinition] = {}
        self._registered_at: dict[str, float] = {}
        self._told: dict[str, _Told] = {}
        self._saved = saved
        self._seen_saved: list[tuple[str, int]] = []
        self.shares = Shares(saved)
        """What tokens open."""
        self._flights: Flights[Made] = Flights()
        self.counts = {"requests": 0, "cached": 0, "joined": 0, "not_modified": 0, "misses": 0}

    # -- what the kernel says

    def publish(self, definition: UdfDefinition, *, register: bool) -> None:
        """Take over code; `register` makes it what its name means."""
        self._by_digest[definition.digest] = definition
        if self._saved is not None and len(self._by_digest) > _MOST_POSTED:
            del self._by_digest[next(iter(self._by_digest))]
        if register:
            self._by_name[definition.name] = definition
            self._registered_at[definition.name] = time.time()

    def choose_environment(self, variables: Mapping[str, str]) -> None:
        """Give these variables to every run that begins from now on.

        Raises:
            ArgumentError: a UDF cannot have one of them.
        """
        self._engine.choose_environment(variables)
        self._note_environment()

    async def look_around(self) -> bool:
        """Whether variables or saved UDFs changed or answers were deleted: then what others keep is void."""
        are_deleted = await asyncio.to_thread(self.answers.note_deletions)
        is_saved_anew = self._saved is not None and await asyncio.to_thread(self._note_saved, self._saved)
        self.epoch += are_deleted or is_saved_anew
        return self._note_environment() or are_deleted or is_saved_anew

    async def describe_results(self) -> dict[str, Any]:
        """What is kept, and how much it helped since the host began."""
        described = await asyncio.to_thread(self.answers.describe)
        tallies = self.activity.snapshot()["udfs"]
        for name in described["udfs"].keys() | tallies.keys():
            row = described["udfs"].setdefault(name, {"entries": 0, "bytes": 0})
            tally = tallies.get(name, {"hits": {}, "runs": 0})
            row["joined"] = tally["hits"].get("joined", 0)
            row["hits"] = sum(tally["hits"].values()) - row["joined"]
            row["runs"] = tally["runs"]
        options = self._options
        limits = {"bytes_limit": options.cache_size, "memory_limit": options.cache_memory}
        return described | limits | {"directory": options.cache_directory, "misses": self.counts["misses"]}

    async def delete_results(self, udf: str | None) -> int:
        """Delete the results of a UDF, or all, and the ranges of their layers; gives how many there were."""
        count = await asyncio.to_thread(self.answers.delete, udf)
        self._domains.forget(udf)
        self.epoch += 1
        return count

    def note(self, message: Noted, *, is_kernel: bool) -> None:
        """Count what was done without this host.

        Raises:
            ProtocolError: nobody of ours counts so.
        """
        try:
            if is_kernel:
                self.activity.merge(message.tallies)
            for digest, count in message.answered.items():
                if (definition := self._by_digest.get(digest)) is not None:
                    self.activity.hit(definition.name, "server", count=int(count))
        except (KeyError, TypeError, ValueError) as exc:
            raise ProtocolError("what was counted elsewhere is not told as expected") from exc

    def _note_saved(self, saved: SavedUdfs) -> bool:
        before = self._seen_saved
        try:
            self._seen_saved = [(each.id, each.version) for each in saved.all()]
        except FusedError:  # the library is damaged: who asks for what is in it is told so, the rest goes on
            self._seen_saved = []
        return before != self._seen_saved

    def _note_environment(self) -> bool:
        before, self._seen_environment = self._seen_environment, self._environment()
        self.epoch += before != self._seen_environment
        return before != self._seen_environment

    # -- what servers ask

    def summaries(self) -> tuple[dict[str, Any], ...]:
        """Every registered UDF, without its code, and every saved one that a name alone means.

        Raises:
            FusedError: the library of saved UDFs cannot be read.
        """
        found = [self.summary(definition) for definition in self._by_name.values()]
        if self._saved is not None:
            found += [self.summary(saved.definition, since=saved.saved_at) for saved in self._saved.all()]
        return tuple(found)

    def describe_share(self, share: str) -> dict[str, Any]:
        """What a token opens, as JSON.

        Raises:
            ShareError: nothing.
        """
        described = dict(self.shares.describe(share))
        definitions = described.pop("definitions", None)
        if definitions is None:
            definitions = [self._named(described.pop("name"), None)]
        limits: Limits = described.pop("limits")
        udfs = [self.summary(definition) for definition in definitions]
        return described | {"udfs": udfs, "limits": limits.to_json()}

    def summary(self, definition: UdfDefinition, *, since: float | None = None) -> dict[str, Any]:
        """One UDF, without its code."""
        spatial = definition.spatial_parameter
        since = self._registered_at.get(definition.name, 0.0) if since is None else since
        schema, controls = self._parameters_of(definition)
        summary = UdfSummary(
            name=definition.name,
            digest=definition.digest,
            registered_at=since,
            description=definition.description,
            schema=schema,
            spatial=spatial.name if spatial else None,
            controls=controls,
        )
        return {field.name: getattr(summary, field.name) for field in fields(summary)}

    def _parameters_of(self, definition: UdfDefinition) -> _Told:
        """Schema and controls; kept, as whatever changes in a catalogue has all of it told."""
        told = self._told.get(definition.digest)
        if told is None:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            told = definition.schema(), tuple(asdict(control) for control in controls_of(definition.parameters))
            self._told[definition.digest] = told
        return told

    def known(self, run: Run, body: bytes = b"") -> tuple[Reply, bytes] | None:
        """The answer, if memory has it: a warm tile costs no task and no turn of the event loop.

        Raises:
            FusedError: as `run` does before it asks an engine.
        """
        request = self._request(run, body)
        known = self._remembered(request)
        if known is not None:
            self._count(request)
        return known

    async def run(self, run: Run, body: bytes = b"", *, on_text: OnText | None = None) -> tuple[Reply | Failure, bytes]:
        """Answer a request.

        Raises:
            UnknownUdfError: no such name or version.
            ShareError: the token opens nothing.
            RateError: too often.
            FusedError: what the engine raises.
        """
        request = self._request(run, body)
        self._count(request)
        if (known := self._remembered(request)) is not None:
            return known
        self.counts["requests"] += 1
        # A Python call that nothing is kept of is to run, and what it prints belongs to one cell.
        is_alone = request.max_age <= 0 and (on_text is not None or run.returns == "object" or not request.key)
        made = await (self._make if is_alone else self._join)(request, body, on_text)
        if isinstance(made, Found):
            return self._from_cache(request, made)
        answer, answer_body = made
        if isinstance(answer, Failure):
            return replace(answer, id=run.id, is_told=request.is_told), answer_body
        signed = replace(
            answer,
            id=run.id,
            is_told=request.is_told,
            max_age=request.max_age,
            recheck=answer.recheck or asks(request.definition),
            kernel=self._kernel_id,
            digest=request.definition.digest,
        )
        return cut(run, signed, answer_body)

    async def close(self) -> None:
        """Finish what is being written."""
        await self.answers.close()

    def _request(self, run: Run, body: bytes) -> _Request:
        definition, limits = self._definition(run)
        run = with_request(definition, _without_names_of_clients(run, definition))
        if limits is not None:
            run = within(limits, run)
        if run.tile is not None:
            Tile(*run.tile)  # outside the grid: said here, before it costs a worker
        key = self._keys.of(definition, run)
        max_age = self._max_age(definition, run)
        return _Request(
            definition=definition,
            run=run
            if run.udf and run.digest == definition.digest
            else replace(run, udf=definition.name, digest=definition.digest),
            key=key,
            max_age=max_age if key else 0,
            generation=self.answers.generation,
            limits=limits,
        )

    def _count(self, request: _Request) -> None:
        if request.run.share is not None and request.limits is not None:
            self.shares.note(request.run.share, request.limits)

    def _definition(self, run: Run) -> tuple[UdfDefinition, Limits | None]:
        if run.share is None:
            return self._named(run.udf, run.digest), None
        opened = self.shares.open(run.share, run.udf)
        # A token opens one name, whatever version it asks for; of what is saved the newest.
        return opened.definition or self._named(opened.name, run.digest), opened.limits

    def _named(self, name: str, digest: str | None) -> UdfDefinition:
        wanted = self._by_digest.get(digest or "")
        if wanted is not None and wanted.name == name:
            return wanted
        if (definition := self._by_name.get(name)) is not None:
            return definition
        if self._saved is None:
            raise UnknownUdfError(unknown_udf(name, list(self._by_name)), udf=name)
        if (definition := self._saved.named(name)) is None:
            raise UnknownUdfError(unknown_udf(name, [saved.name for saved in self._saved.all()]), udf=name)
        return definition

    def _max_age(self, definition: UdfDefinition, run: Run) -> int:
        """Seconds: what the caller says, else the UDF, else the settings; a Python call only if somebody says so."""
        if run.cache_max_age is not None:
            return parse_max_age(run.cache_max_age)
        if definition.cache_max_age is not None:
            return definition.cache_max_age
        if definition.runs_in_kernel:
            return 0  # nobody knows what it reads of the notebook
        return parse_max_age(self._options.cache_max_age) if run.returns == "encoded" else 0

    def _remembered(self, request: _Request) -> tuple[Reply, bytes] | None:
        if request.max_age <= 0 or (found := self.answers.at_once(request.wish)) is None:
            return None
        self.counts["requests"] += 1
        return self._from_cache(request, found)

    def _from_cache(self, request: _Request, found: Found) -> tuple[Reply, bytes]:
        self.counts["cached"] += 1
        self.activity.hit(request.definition.name, found.source)
        digest = request.definition.digest
        reply, body = found.reply(request.run, max_age=request.max_age, kernel=self._kernel_id, digest=digest)
        self.counts["not_modified"] += reply.status == 304
        if asks(request.definition):  # others than this host do not tell whose answer it is
            reply = replace(reply, recheck=True)
        if request.is_told:
            reply = replace(reply, is_told=True)
        return cut(request.run, reply, body)

    async def _join(self, request: _Request, body: bytes, on_text: OnText | None) -> Made:
        """One look at the disk and one run for all who ask for the same at the same time.

        It stops when the last of them went away. Who joined gets at the end what was printed.
        """
        key = request.key, request.max_age, request.generation
        if not self._flights.has(key):
            return await self._flights.begin(key, lambda voice: self._make(request, body, voice), on_text)
        self.counts["joined"] += 1
        self.activity.hit(request.definition.name, "joined")
        try:
            made = await self._flights.join(key)
        except FusedError as exc:
            tell(on_text, exc)
            raise
        if isinstance(made, Found):
            return made
        answer, answer_body = made
        tell(on_text, answer)
        return (replace(answer, source="joined") if isinstance(answer, Reply) else answer), answer_body

    async def _make(self, request: _Request, body: bytes, on_text: OnText | None) -> Made:
        """The result from disk, from another process that makes it now, or from a run, which is kept if it may be."""
        if request.max_age <= 0:
            return await self._run_noted(request, body, on_text)
        wish, run = request.wish, request.run
        turn, failed = self.answers.turn(wish), None
        try:
            try:
                found = await self.answers.wait(wish, turn, patience=self._patience)
            except FusedError as exc:
                tell(on_text, exc)
                raise
            if found is not None:
                return found
            self.counts["misses"] += 1
            answer, answer_body = await self._run_noted(request, body, on_text)
            if isinstance(answer, Failure):
                failed = answer.to_error()
                return answer, answer_body
            if run.returns == "encoded":
                answer = await with_etag(answer, answer_body)
            if answer.status in {200, 204}:
                taken, turn = turn, self.answers.turn(wish)
                self.answers.keep(wish, answer, answer_body, run=run, turn=taken)
            return replace(answer, files=(), recheck=bool(answer.files)), answer_body
        finally:
            await self.answers.end(turn, failed)

    @property
    def _patience(self) -> float:
        """Seconds that a run in another process may take, with its wait for a worker."""
        return self._options.queue_timeout + max(self._options.tile_timeout, self._options.file_timeout)

    async def _run_noted(self, request: _Request, body: bytes, on_text: OnText | None) -> tuple[Reply | Failure, bytes]:
        """A run that has an id, by which it is found and stopped."""
        task = asyncio.current_task()
        assert task is not None
        run, name = request.run, request.definition.name
        active = self.activity.ask(name, tile=run.tile, client=run.client or KERNEL, stop=task.cancel)
        headers = seen(request.definition, run)
        request = replace(request, run=replace(run, run_id=active.run_id, headers=headers))
        try:
            answer, answer_body = await self._run_tile(request, body, on_text)
        except asyncio.CancelledError:
            error = CancelledRunError(f"{name} was stopped", udf=name)
            self.activity.lose(active, error)
            if not active.is_stopped:
                raise  # nobody waits any more
            task.uncancel()
            raise error from None
        except FusedError as exc:
            self.activity.lose(active, exc)
            raise
        except BaseException:  # whatever it is, the run is over and is not to be listed for ever
            self.activity.lose(active, FusedError("a fault of this package", udf=name))
            raise
        if isinstance(answer, Failure):
            return self.activity.fail(active, answer), answer_body
        return self.activity.succeed(active, answer), answer_body

    async def _run_tile(self, request: _Request, body: bytes, on_text: OnText | None) -> tuple[Reply | Failure, bytes]:
        """A run; for a tile, drawn with the range of values that its layer has."""
        definition, run = request.definition, request.run
        if run.tile is None or run.returns == "object":
            return await self._run(definition, run, body, on_text)
        layer = Layer(key=self._keys.layer(definition, run), udf=definition.name, max_age=request.max_age)
        run = replace(run, domain=await self._domains.get(layer))
        answer, answer_body = await self._run(definition, run, body, on_text)
        if not isinstance(answer, Reply) or answer.domain is None or run.domain is not None:
            return answer, answer_body
        settled = await self._domains.settle(layer, answer.domain)
        if settled == answer.domain:
            return answer, answer_body
        # Tiles that ran beside the first one; there are at most as many as workers.
        return await self._run(definition, replace(run, domain=settled), body, on_text)

    async def _run(
        self, definition: UdfDefinition, run: Run, body: bytes, on_text: OnText | None
    ) -> tuple[Reply | Failure, bytes]:
        engine = self._engines.get(definition.placement.get("engine", ""), self._engine)
        answer, answer_body = await engine.run(definition, run, body, on_text=on_text)
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
    """Empty where nothing tells the arguments from others."""
    max_age: int
    """Seconds; 0 keeps nothing."""
    generation: int
    """Of the cache."""
    limits: Limits | None = None
    """Of the token, where one opened it."""

    @property
    def is_told(self) -> bool:
        """Whether who has the token may know what the UDF prints."""
        return self.limits is not None and self.limits.show_errors

    @property
    def wish(self) -> Wish:
        """What the cache is asked for."""
        return Wish(
            key=self.key,
            udf=self.definition.name,
            digest=self.definition.digest,
            max_age=self.max_age,
            generation=self.generation,
        )


def _without_names_of_clients(run: Run, definition: UdfDefinition) -> Run:
    if not run.parameters or _OF_CLIENTS.isdisjoint(run.parameters):
        return run
    dropped = _OF_CLIENTS - {parameter.name for parameter in definition.parameters}
    return replace(run, parameters={name: value for name, value in run.parameters.items() if name not in dropped})
