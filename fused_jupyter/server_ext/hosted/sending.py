"""Sends a file of this machine: whole or in part, in pieces, harmless for browsers."""

from __future__ import annotations

import asyncio
import mimetypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO

from tornado.web import RequestHandler

from fused_jupyter.errors import MissingFileError
from fused_jupyter.wire.http.content import content_headers
from fused_jupyter.wire.http.ranges import parse_range

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What of a file is sent, and how."""

    status: int
    headers: Mapping[str, str]
    start: int = 0
    stop: int = 0

    @classmethod
    def of(cls, name: str, status: os.stat_result, asked: Mapping[str, str]) -> Sent:
        """The answer to a request.

        Args:
            name: what the file is called.
            status: of the file, as it was opened.
            asked: the headers of the request.
        """
        tag = f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"'
        modified = formatdate(status.st_mtime, usegmt=True)
        headers = {
            "ETag": tag,
            "Last-Modified": modified,
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        if _holds(tag, asked.get("If-None-Match", "")):
            return cls(status=304, headers=headers)
        size, part = status.st_size, parse_range(asked.get("Range"))
        headers |= _described(name)
        if part is None or asked.get("If-Range", tag) not in {tag, modified}:
            return cls(status=200, headers=headers | {"Content-Length": str(size)}, stop=size)
        start, stop, _ = slice(*part).indices(size)
        if start >= stop:
            return cls(status=416, headers={**headers, "Content-Range": f"bytes */{size}", "Content-Length": "0"})
        headers |= {"Content-Range": f"bytes {start}-{stop - 1}/{size}", "Content-Length": str(stop - start)}
        return cls(status=206, headers=headers, start=start, stop=stop)


async def send_file(handler: RequestHandler, path: Path) -> None:
    """Answer a GET or HEAD with a file.

    Raises:
        MissingFileError: it went away meanwhile.
    """
    try:
        file = await asyncio.to_thread(_opened, path)
    except OSError as exc:
        raise MissingFileError(f"{path.name} cannot be read: {exc.strerror}") from exc
    try:
        sent = Sent.of(path.name, os.fstat(file.fileno()), handler.request.headers)
        handler.set_status(sent.status)
        handler.clear_header("Content-Type")
        for name, value in sent.headers.items():
            handler.set_header(name, value)
        if handler.request.method != "HEAD":
            await _send(handler, file, sent.start, sent.stop)
    finally:
        file.close()
    await handler.finish()


async def _send(handler: RequestHandler, file: BinaryIO, start: int, stop: int) -> None:
    """The bytes; the next ones are read when the connection has taken those before."""
    file.seek(start)
    while start < stop:
        piece = await asyncio.to_thread(file.read, min(_PIECE, stop - start))
        if not piece:  # it was cut off meanwhile: the connection ends too early, and the caller sees that
            break
        handler.write(piece)
        await handler.flush()
        start += len(piece)


def _opened(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def _holds(tag: str, known: str) -> bool:
    return known.strip() == "*" or tag in {each.strip().removeprefix("W/") for each in known.split(",")}


def _described(name: str) -> dict[str, str]:
    """Headers that tell what it is. What browsers would run scripts of is saved, not shown."""
    media_type, packed = mimetypes.guess_type(name)
    headers = content_headers(("" if packed else media_type) or "", file_name=name)
    if "Content-Security-Policy" in headers:
        headers |= content_headers(media_type or "", file_name=name, own_disposition="attachment")
    return headers
