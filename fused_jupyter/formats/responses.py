"""Web responses that a UDF makes itself: passed on with their media type, status and headers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.encoding import Encoded
from fused_jupyter.formats.kinds import type_name

_OWN = frozenset({"content-type", "content-length"})
"""Headers that are made anew from the body and the media type."""


def pass_response(value: Any) -> Encoded:  # Any: a starlette Response; starlette is the user's
    """The response as it is. The server decides which of its headers and statuses may leave it.

    Raises:
        UdfSerializationError: it has no body that can be read here.
    """
    # html_to_obj, the most used helper of public UDFs, returns a starlette Response that says its own media type.
    media_type = value.headers.get("content-type", "application/octet-stream")
    headers = {name: text for name, text in value.headers.items() if name not in _OWN}
    return Encoded(body=_body(value), media_type=media_type, format="", status=value.status_code, headers=headers)


def _body(response: Any) -> bytes:
    if (body := getattr(response, "body", None)) is not None:
        return bytes(body)
    if (path := getattr(response, "path", None)) is not None:
        try:
            return Path(path).read_bytes()
        except OSError as exc:
            raise UdfSerializationError(f"The UDF returned a FileResponse of {str(path)!r}: {exc.strerror}") from exc
    if (parts := getattr(response, "body_iterator", None)) is not None:
        # In a thread of its own, for the thread of a kernel runs a loop already.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(copy_context().run, asyncio.run, _collect(parts)).result()
    raise UdfSerializationError(
        f"The UDF returned {type_name(response)}, which has no body to send; return a plain Response or the data"
    )


async def _collect(parts: AsyncIterable[Any] | Iterable[Any]) -> bytes:
    if isinstance(parts, AsyncIterable):
        return b"".join([_as_bytes(part) async for part in parts])
    return b"".join(_as_bytes(part) for part in parts)


def _as_bytes(part: Any) -> bytes:
    return part.encode() if isinstance(part, str) else bytes(part)
