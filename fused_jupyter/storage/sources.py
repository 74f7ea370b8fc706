"""Where a download comes from: what each kind of source gives, and files of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from fused_jupyter.errors import DownloadError

PIECE = 1 << 20
"""Bytes that are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Which content a source has, as far as it says."""

    size: int | None = None
    """Bytes of the whole."""
    etag: str = ""
    """A strong one."""
    modified: str = ""
    """A date, as the source writes it."""

    @property
    def is_known(self) -> bool:
        """Whether a later part can be told to be of the same content."""
        return bool(self.etag or self.modified)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Content from some place to its end."""

    version: Version
    offset: int
    """Where the pieces begin: where they were asked to, or at 0."""
    pieces: Iterator[bytes | memoryview]
    """They may raise a `SourceError`."""


class Source(Protocol):
    """One file somewhere."""

    def open(self, offset: int, version: Version) -> AbstractContextManager[Answer]:
        """Ask for the content.

        Args:
            offset: where to begin; 0 is the whole.
            version: of the bytes before; if the source has another one now, it sends the whole.

        Raises:
            SourceError: it broke, and may do better in a moment.
            DownloadError: it does not give the file.
        """
        ...


class SourceError(Exception):
    """A fault that may pass. It never leaves this package.

    Args:
        message: what happened.
        retry_after: seconds that the source asks for.
        is_changed: it has another content than before, so what is there of it is worth nothing.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, is_changed: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.is_changed = is_changed


class LocalFile:
    """A file of this machine.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def open(self, offset: int, version: Version) -> Iterator[Answer]:
        """As of every source."""
        try:
            file = self._path.open("rb")
        except OSError as exc:
            hint = "; an address begins with https://, s3:// or gs://" if isinstance(exc, FileNotFoundError) else ""
            raise DownloadError(f"{self._path} cannot be read: {exc.strerror}{hint}") from exc
        with file:
            status = self._path.stat()
            now = Version(size=status.st_size, modified=str(status.st_mtime_ns))
            start = offset if now == version else 0
            file.seek(start)
            yield Answer(version=now, offset=start, pieces=_pieces(file))


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    try:
        while piece := file.read(PIECE):
            yield piece
    except OSError as exc:  # a disk or network that fails
        raise SourceError(f"it cannot be read to its end: {exc.strerror}") from exc
