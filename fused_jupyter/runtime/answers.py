"""Answers that are kept: how they lie in the result cache, when they hold, and who makes one that is not there."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from fused_jupyter.caching import Entry, ResultCache
from fused_jupyter.caching.turns import State, Turn
from fused_jupyter.errors import FusedError
from fused_jupyter.wire import Reply, Run

_KEPT = (
    "run_id",
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
    "files",
)
"""Fields of a reply that belong to the result, not to the request."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05
"""Seconds between two looks at what another process makes; each pause is twice the one before."""
_LONGEST_TEXT = 300
_AT_ONCE = 1 << 18
"""Bytes that are hashed in the event loop; it takes less than a millisecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A result that may be kept."""

    key: str
    udf: str
    digest: str
    max_age: int
    """Seconds."""
    generation: int
    """Of the cache, when it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A kept answer that holds."""

    entry: Entry
    meta: dict[str, Any]
    source: str

    def reply(self, run: Run, *, max_age: int, kernel: str, digest: str) -> tuple[Reply, bytes]:
        """As the answer to a request."""
        meta, body = self.meta, self.entry.body
        if meta["etag"] and meta["etag"] in (run.if_none_match or ""):
            meta, body = meta | {"status": 304}, b""
        fields = meta | {"buffers": tuple(meta["buffers"]), "files": (), "recheck": bool(meta["files"])}
        remaining = max(0, int(max_age - self.entry.age))
        reply = Reply(
            id=run.id, max_age=remaining, cached=True, source=self.source, kernel=kernel, digest=digest, **fields
        )
        return reply, body


class Answers:
    """Kept answers, in memory over the disk."""

    def __init__(self, results: ResultCache) -> None:
        self._results = results
        self._writes: set[asyncio.Future[None]] = set()

    @property
    def generation(self) -> int:
        """Grows when answers are deleted."""
        return self._results.generation

    def at_once(self, wish: Wish) -> Found | None:
        """One that memory has, if no file has to be looked at."""
        entry = self._results.in_memory(wish.key, max_age=wish.max_age)
        if entry is None:
            return None
        meta = orjson.loads(entry.meta)
        return None if meta["files"] else Found(entry=entry, meta=meta, source="hit-memory")

    async def wait(self, wish: Wish, turn: Turn, *, patience: float) -> Found | None:
        """One from the disk, or from a process that makes it now. None where the caller has to; it has the turn then.

        Raises:
            FusedError: the UDF raised in that process.
        """
        until, pause = time.monotonic() + patience, _FIRST_PAUSE
        while True:
            look = asyncio.create_task(asyncio.to_thread(self._look, wish, turn))
            try:
                found, state = await asyncio.shield(look)
            except asyncio.CancelledError:
                await asyncio.wait([look])  # it may be taking the turn, which is to be given back
                raise
            if state is State.FAILED and isinstance(turn.error, FusedError):
                raise turn.error
            if state is State.TAKEN and time.monotonic() < until:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            elif state is not State.OVER:
                return found

    def turn(self, wish: Wish) -> Turn:
        """The right to make an answer, among all processes."""
        return Turn(self._results.turn(wish.key))

    async def end(self, turn: Turn, error: FusedError | None = None) -> None:
        """Give a turn back; those who wait get the error, or try themselves.

        In the background, but for an error: whoever asks once it has been told is to try again, not to wait for it.
        """
        if not turn.is_begun:
            return
        if error is None:
            self._in_background(lambda: _end(turn, None))
        else:
            await asyncio.shield(asyncio.to_thread(_end, turn, error))

    def keep(self, wish: Wish, reply: Reply, body: bytes, *, run: Run, turn: Turn) -> None:
        """Keep an answer, and give back the turn. In the background."""
        meta = orjson.dumps({name: getattr(reply, name) for name in _KEPT})
        entry = Entry(created=time.time(), meta=meta, body=body, about=_about(wish, run))
        self._results.remember(wish.key, entry, generation=wish.generation)

        def write() -> None:
            try:
                self._results.write(wish.key, entry, generation=wish.generation)
            finally:
                _end(turn, None)

        self._in_background(write)

    async def close(self) -> None:
        """Finish what is being written."""
        if self._writes:
            await asyncio.wait(self._writes, timeout=1.0)

    # -- looking through them

    def describe(self) -> dict[str, Any]:
        """How many there are and how large they are, by UDF; reads the head of each file."""
        entries: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        for listed in self._results.listed():
            about = _read(listed.about)
            entries[about.get("udf", "")] += about.get("kind") != "range"
            sizes[about.get("udf", "")] += listed.size
        in_memory, memory = self._results.in_use
        return {
            "udfs": {name: {"entries": entries[name], "bytes": sizes[name]} for name in sorted(sizes)},
            "memory_entries": in_memory,
            "memory_bytes": memory,
        }

    def list(self, udf: str | None, *, limit: int) -> list[dict[str, Any]]:
        """The newest ones."""
        found = [
            about | {"created": listed.created, "bytes": listed.size}
            for listed in self._results.listed()
            if (about := _read(listed.about)).get("kind") == "result" and udf in {None, about.get("udf")}
        ]
        return sorted(found, key=lambda about: float(about["created"]), reverse=True)[:limit]

    def delete(self, udf: str | None) -> int:
        """Delete those of a UDF, or all; gives how many results there were."""
        deleted = self._results.delete(lambda about: udf in {None, _read(about).get("udf")})
        return sum(_read(about).get("kind") != "range" for about in deleted.values())

    def note_deletions(self) -> bool:
        """Whether another process has deleted some since the last look."""
        return self._results.note_deletions()

    def _look(self, wish: Wish, turn: Turn) -> tuple[Found | None, State]:
        if (found := self._look_up(wish)) is not None:
            return found, State.NOT_KEPT
        try:
            state = turn.look()
        except OSError:  # a disk without locks, or a full one
            return None, State.NOT_KEPT
        if state is State.MINE:  # it may have come just before the lock did
            found = self._look_up(wish)
        return found, state

    def _look_up(self, wish: Wish) -> Found | None:
        for source, look in (("hit-memory", self._results.in_memory), ("hit-disk", self._results.on_disk)):
            entry = look(wish.key, max_age=wish.max_age)
            if entry is not None:
                meta = orjson.loads(entry.meta)
                if all(_is_unchanged(*file) for file in meta["files"]):
                    return Found(entry=entry, meta=meta, source=source)
        return None

    def _in_background(self, work: Callable[[], None]) -> None:
        # No task: one that is cancelled before it begins would never give its turn back.
        future = asyncio.get_running_loop().run_in_executor(None, work)
        self._writes.add(future)
        future.add_done_callback(self._writes.discard)


async def with_etag(reply: Reply, body: bytes) -> Reply:
    """The reply with its ETag: strong, and of the bytes, as a result that is made again may be another one."""
    if len(body) > _AT_ONCE:
        return replace(reply, etag=await asyncio.to_thread(_etag, reply.media_type, body))
    return replace(reply, etag=_etag(reply.media_type, body))


def _etag(media_type: str, body: bytes) -> str:
    digest = hashlib.blake2b(media_type.encode() + b"\n", digest_size=16)
    digest.update(body)
    return f'"{digest.hexdigest()}"'


def _about(wish: Wish, run: Run) -> bytes:
    texts = run.arguments_text if run.parameters is None else _shown(run.parameters.items())
    wanted = run.extension or run.format or run.dtype_out_raster or run.dtype_out_vector or run.accept
    about = {
        "kind": "result",
        "udf": wish.udf,
        "digest": wish.digest,
        "arguments": texts[:_LONGEST_TEXT].encode(errors="replace").decode(),
        "tile": run.tile,
        "format": "object" if run.returns == "object" else (wanted or "")[:50],
    }
    return orjson.dumps(about)


def _shown(arguments: Any) -> str:  # pairs of name and value
    return ", ".join(f"{name}={str(value)[:50]}" for name, value in arguments)


def _read(about: bytes) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = orjson.loads(about)
    except ValueError:  # of a version to come
        return {}
    return fields


def _is_unchanged(path: str, modified: int, size: int) -> bool:
    try:
        status = os.stat(path)  # noqa: PTH116 - one for each module, at each hit
    except OSError:
        return False
    return (status.st_mtime_ns, status.st_size) == (modified, size)


def _end(turn: Turn, error: FusedError | None) -> None:
    with contextlib.suppress(OSError):  # a full disk: those who wait try themselves
        if error is not None:
            turn.leave(error)
    with contextlib.suppress(OSError):
        turn.end()
