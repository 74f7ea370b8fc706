"""The last answers of each host, by what was asked and the version that ran: for the tile that is asked for again."""

from __future__ import annotations

import time
from dataclasses import replace

import orjson

from fused_jupyter.server_ext.lru import Lru
from fused_jupyter.wire import Reply, Run

LARGEST = 1 << 20
"""Bytes of one answer; a bigger one is worth the way to its host."""


class RecentAnswers:
    """Answers by host and request, the ones asked for longest ago go first.

    A request here always names a version: its URL does, or the server knows which one the name means now. And an
    answer is for one state of its host, of which each registration makes another, and each deletion of kept results.
    An answer that used the user's own modules is not kept, as only the host looks at those. So none can be stale.
    """

    def __init__(self, size: int) -> None:
        self._answers: Lru[tuple[float, Reply, bytes]] = Lru(size)

    def get(self, state: str, run: Run) -> tuple[Reply, bytes] | None:
        """The answer, where there is one that may still be given."""
        if run.digest is None or (found := self._answers.get(_key(state, run))) is None:
            return None
        until, reply, body = found
        remaining = int(until - time.monotonic())
        if remaining <= 0:
            return None
        if reply.etag and reply.etag in (run.if_none_match or ""):
            return replace(reply, id=run.id, status=304, max_age=remaining), b""
        return replace(reply, id=run.id, max_age=remaining), body

    def put(self, state: str, run: Run, reply: Reply, body: bytes) -> None:
        """Keep an answer, if it is whole and the version that was asked for ran."""
        fits = reply.status == 200 and reply.length is None and reply.max_age > 0 and len(body) <= LARGEST
        if not fits or reply.recheck or run.digest != reply.digest:
            return
        kept = time.monotonic() + reply.max_age, replace(reply, cached=True, source="server"), body
        self._answers.put(_key(state, run), kept, len(body) + len(reply.stdout) + len(reply.stderr))


def _key(state: str, run: Run) -> bytes:
    wanted = (run.extension, run.format, run.dtype_out_raster, run.dtype_out_vector, run.accept, run.cache_max_age)
    parts = [state, run.udf, run.share, run.digest, run.tile, run.parameters, wanted]
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
