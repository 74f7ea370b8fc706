"""From a host's reply, or an error, to status, headers and body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fused_jupyter.errors import (
    ArgumentError,
    BusyError,
    FormatError,
    FusedError,
    ShareError,
    TileError,
    UdfSerializationError,
)
from fused_jupyter.wire import Reply

_INERT = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/gif",
        "application/vnd.mapbox-vector-tile",
        "application/geo+json",
        "application/json",
        "application/octet-stream",
        "text/csv",
        "text/plain",
    }
)
"""Media types that no browser runs."""

_SANDBOXED = frozenset({"text/html", "image/svg+xml"})
"""Media types that run in an origin of their own, which has no cookie and no way to this server."""

_MEDIA_TYPE = re.compile(r"([\w.+-]+/[\w.+-]+)(?:; ?charset=[\w-]+)?", re.ASCII)
"""Strict: of ``image/png;,text/html`` a browser takes the second half."""

SANDBOX = "sandbox allow-scripts allow-popups allow-forms; frame-ancestors 'self'"
"""Never with allow-same-origin: a UDF's page with Jupyter's origin could run anything."""

_WITHOUT_BODY = frozenset({204, 205, 304})

_TELLABLE = (ArgumentError, TileError, FormatError, ShareError, BusyError)
_WHAT_FAILED = {503: "not available now; try again", 504: "the UDF ran too long and was stopped"}


def reply_status(reply: Reply) -> int:
    """HTTP status of an answer; a UDF may choose its own, but not steer the connection or the browser with it.

    Raises:
        UdfSerializationError: 1xx, a redirect, or no status at all.
    """
    if reply.status == 304 or 200 <= reply.status < 300 or 400 <= reply.status < 600:
        return reply.status
    raise UdfSerializationError(f"the UDF's response has the status {reply.status}; it may be 2xx, 4xx or 5xx")


def reply_body(reply: Reply, content: bytes) -> bytes | None:
    """What to send."""
    return None if reply.status in _WITHOUT_BODY else content


def reply_headers(reply: Reply, *, version: str | None) -> dict[str, str]:
    """Headers of an answer.

    Args:
        reply: the host's answer.
        version: the digest that the URL names, if it does.
    """
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-Fused-Kernel": reply.kernel,
        "Cache-Control": _cache_control(reply, version),
        "Vary": "Origin",  # Jupyter answers a token's caller with their own origin
        "Server-Timing": f"run;dur={reply.seconds * 1000:.1f}",
    }
    if reply.etag:
        headers["ETag"] = reply.etag
    if reply.cached:
        headers["x-fused-cached"] = "1"
    if reply.status not in _WITHOUT_BODY:
        headers |= content_headers(reply.media_type)
    return headers


def content_headers(media_type: str) -> dict[str, str]:
    """Headers that make a body harmless on this origin, whatever the UDF says it is.

    >>> content_headers("image/png")
    {'Content-Type': 'image/png'}
    >>> content_headers("text/javascript")
    {'Content-Type': 'application/octet-stream', 'Content-Disposition': 'attachment'}
    """
    match = _MEDIA_TYPE.fullmatch(media_type)
    kind = match[1].lower() if match else ""
    if kind in _INERT:
        return {"Content-Type": media_type}
    if kind in _SANDBOXED:
        return {"Content-Type": media_type, "Content-Security-Policy": SANDBOX}
    return {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}


def error_body(error: FusedError) -> dict[str, Any]:
    """An error for the owner of the UDF."""
    return error.to_wire() | {"status": error.status}


def redacted(error: FusedError) -> dict[str, Any]:
    """An error for somebody with a token: what they did wrong, but nothing of the UDF's inside."""
    message = error.message if isinstance(error, _TELLABLE) else _WHAT_FAILED.get(error.status, "the UDF failed")
    return {"type": type(error).__name__, "error": message, "status": error.status}


def error_headers(fields: Mapping[str, Any], retry_after: int | None) -> dict[str, str]:
    """Headers of an error."""
    headers = {
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    if fields.get("status") == 503:
        headers["Retry-After"] = str(retry_after or 1)
    return headers


def _cache_control(reply: Reply, version: str | None) -> str:
    if reply.max_age <= 0:
        return "no-store"
    if version is not None and version == reply.digest:
        return f"private, max-age={reply.max_age}, immutable"
    return "private, no-cache"  # the cell may be run again any moment: ask, and get a 304
