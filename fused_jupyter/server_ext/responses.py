"""From a host's reply, or an error, to status, headers and body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fused_jupyter.errors import FusedError, UdfRuntimeError, WorkerLostError
from fused_jupyter.wire import Reply

_INERT = frozenset(
    {
        "image/png",
        "application/vnd.mapbox-vector-tile",
        "application/geo+json",
        "application/json",
        "application/octet-stream",
        "text/csv",
        "text/plain",
        "",
    }
)
"""Media types that no browser runs."""

_SANDBOXED = frozenset({"text/html"})
"""Media types that run in an origin of their own, which has no cookie and no way to this server."""

SANDBOX = "sandbox allow-scripts allow-popups allow-forms; frame-ancestors 'self'"
"""Never with allow-same-origin: a UDF's page with Jupyter's origin could run anything."""


def reply_headers(reply: Reply, *, version: str | None) -> dict[str, str]:
    """Headers of an answer.

    Args:
        reply: the host's answer.
        version: the digest that the URL names, if it does.
    """
    kind = reply.media_type.partition(";")[0].strip().lower()
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-Fused-Kernel": reply.kernel,
        "Cache-Control": _cache_control(reply, version),
        "Server-Timing": f"run;dur={reply.seconds * 1000:.1f}",
    }
    if reply.etag:
        headers["ETag"] = reply.etag
    if reply.cached:
        headers["x-fused-cached"] = "1"
    if reply.status == 200:
        known = kind in _INERT or kind in _SANDBOXED
        headers["Content-Type"] = reply.media_type if known else "application/octet-stream"
        if kind in _SANDBOXED:
            headers["Content-Security-Policy"] = SANDBOX
        elif not known:
            headers["Content-Disposition"] = "attachment"
    return headers


def error_body(error: FusedError) -> dict[str, Any]:
    """An error for the owner of the UDF."""
    return error.to_wire() | {"status": error.status}


def redacted(error: FusedError) -> dict[str, Any]:
    """An error for somebody with a token: what they did wrong, but nothing of the UDF's inside."""
    inside = isinstance(error, (UdfRuntimeError, WorkerLostError)) or error.status >= 500
    message = "the UDF failed" if inside else error.message
    return {"type": type(error).__name__, "error": message, "status": error.status}


def error_headers(fields: Mapping[str, Any], retry_after: int | None) -> dict[str, str]:
    """Headers of an error."""
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    if fields.get("status") == 503:
        headers["Retry-After"] = str(retry_after or 1)
    return headers


def _cache_control(reply: Reply, version: str | None) -> str:
    if reply.max_age <= 0:
        return "no-store"
    if version is not None and version == reply.digest:
        return f"private, max-age={reply.max_age}, immutable"
    return "private, no-cache"  # the cell may be run again any moment: ask, and get a 304
