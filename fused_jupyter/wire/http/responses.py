"""From a host's reply, or an error, to status, headers and body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fused_jupyter.errors import (
    ArgumentError,
    BusyError,
    FormatError,
    FusedError,
    RateError,
    ShareError,
    TileError,
    UdfSerializationError,
)
from fused_jupyter.wire import Reply
from fused_jupyter.wire.http.codings import is_compressible
from fused_jupyter.wire.http.content import content_headers, passed_on
from fused_jupyter.wire.http.metadata import metadata_of_result

RUN_HEADER = "X-Fused-Run"
"""The run that made the answer, as logs and `%fused_top` call it."""
CACHED_HEADER = "x-fused-cached"
"""There where an answer cost no run. Twin: `HEADERS` in js/src/protocol.ts."""

_WITHOUT_BODY = frozenset({204, 205, 304})

_TELLABLE = (ArgumentError, TileError, FormatError, ShareError, BusyError, RateError)
_WHAT_FAILED = {503: "not available now; try again", 504: "the UDF ran too long and was stopped"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a host replied, as it is sent."""

    reply: Reply
    content: bytes
    coding: str = ""
    """The coding that `content` is in; empty where it is as the host sent it."""
    tag: str = ""
    """The ETag of exactly these bytes."""
    is_head: bool = False
    """Whether nobody wants the content, so that `reply.length` says only how long it would be."""

    @property
    def is_part(self) -> bool:
        """Whether the content is a part of the whole."""
        return self.reply.length is not None and not self.is_head

    @property
    def is_beyond(self) -> bool:
        """Whether the part lies behind the end of the whole."""
        return self.is_part and not self.content

    @property
    def status(self) -> int:
        """HTTP status; a UDF may choose its own, but not steer the connection or the browser with it.

        Raises:
            UdfSerializationError: 1xx, a redirect, or no status at all.
        """
        if self.is_part:
            return 416 if self.is_beyond else 206
        status = self.reply.status
        if status == 304 or 200 <= status < 300 or 400 <= status < 600:
            return status
        raise UdfSerializationError(f"the UDF's response has the status {status}; it may be 2xx, 4xx or 5xx")

    @property
    def body(self) -> bytes | None:
        """What to send."""
        return None if self.reply.status in _WITHOUT_BODY else self.content

    def headers(self, *, version: str | None, is_open: bool, file_name: str) -> dict[str, str]:
        """All headers.

        Args:
            version: the digest that the URL names, if it does.
            is_open: whether the URL names no format, so that `Accept` counts.
            file_name: what the file is called where the UDF does not say.
        """
        reply = self.reply
        headers = {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "X-Fused-Kernel": reply.kernel,
            "Cache-Control": _cache_control(reply, version),
            "Vary": _vary(reply, is_open=is_open),
            "Server-Timing": _timing(reply),
        }
        if reply.run_id:
            headers[RUN_HEADER] = reply.run_id
        if self.tag:
            headers["ETag"] = self.tag
        if reply.cached:
            headers[CACHED_HEADER] = "1"
        if reply.stdout or reply.stderr:
            headers |= metadata_of_result(reply)
        if reply.status not in _WITHOUT_BODY:
            headers |= _body_headers(reply, file_name)
        if self.coding:
            headers["Content-Encoding"] = self.coding
        if reply.length is not None:
            headers |= {"Content-Length": str(reply.length)} if self.is_head else {"Content-Range": self.content_range}
        return headers

    @property
    def content_range(self) -> str:
        """The place of a part; of one beyond the end, how long the whole is."""
        start, length = self.reply.start, self.reply.length
        place = "*" if self.is_beyond else f"{start}-{start + len(self.content) - 1}"
        return f"bytes {place}/{length}"


def error_body(error: FusedError) -> dict[str, Any]:
    """An error for the owner of the UDF."""
    return error.to_wire() | {"status": error.status} | ({"run": error.run_id} if error.run_id else {})


def redacted(error: FusedError) -> dict[str, Any]:
    """An error for somebody with a token: what they did wrong, but nothing of the UDF's inside."""
    # What the UDF itself raised is its inside, also where it is an error of this package.
    is_theirs = isinstance(error, _TELLABLE) and error.child_exception_class is None
    message = error.message if is_theirs else _WHAT_FAILED.get(error.status, "the UDF failed")
    return {"type": type(error).__name__, "error": message, "status": error.status}


def run_headers(error: FusedError) -> dict[str, str]:
    """Headers that tell which run failed, if one had begun or waited."""
    if not error.run_id:
        return {}
    timing = f"queue;dur={error.queue_seconds * 1000:.1f}, run;dur={error.seconds * 1000:.1f}"
    return {RUN_HEADER: error.run_id, "Server-Timing": timing}


def error_headers(fields: Mapping[str, Any], retry_after: int | None) -> dict[str, str]:
    """Headers of an error."""
    headers = {
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    if fields.get("status") in {429, 503}:
        headers["Retry-After"] = str(retry_after or 1)
    return headers


def _body_headers(reply: Reply, file_name: str) -> dict[str, str]:
    own = {name.lower(): str(text) for name, text in reply.headers.items()}
    disposition = own.get("content-disposition", "")
    headers = content_headers(reply.media_type, file_name=file_name, own_disposition=disposition)
    # A second run might give other bytes, so there are parts only of what is kept.
    headers["Accept-Ranges"] = "bytes" if reply.etag and reply.status == 200 else "none"
    return headers | passed_on(own)


def _timing(reply: Reply) -> str:
    """Where the time went, in milliseconds; an answer that was kept has cost none of it this time."""
    source = f'cache;desc="{reply.source or "miss"}"'
    if reply.cached:
        return source
    times = {"queue": reply.queue_seconds, "run": reply.seconds, "encode": reply.encode_seconds}
    return ", ".join([*(f"{name};dur={seconds * 1000:.1f}" for name, seconds in times.items()), source])


def _vary(reply: Reply, *, is_open: bool) -> str:
    names = ["Origin"]  # Jupyter answers a token's caller with their own origin
    if is_open:
        names.append("Accept")
    if is_compressible(reply):
        names.append("Accept-Encoding")
    return ", ".join(names)


def _cache_control(reply: Reply, version: str | None) -> str:
    if reply.max_age <= 0:
        return "no-store"
    if version is not None and version == reply.digest and not reply.recheck:
        return f"private, max-age={reply.max_age}, immutable"
    return "private, no-cache"  # the cell may be run again any moment: ask, and get a 304
