"""What came from GitHub, kept on disk: contents by their hash, and what stands where by repository, commit and path.

All is written beside its place and renamed, so that nobody reads half a file; a content that is not what its name says
is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson


class Kept:
    """A directory of contents and notes.

    Args:
        directory: made when something is kept.
    """

    def __init__(self, directory: Path) -> None:
        self._contents = directory / "contents"
        self._notes = directory / "notes"

    def note(self, key: str) -> Mapping[str, Any] | None:
        """What is noted under a key; None where nothing is, or nothing that can be read."""
        with contextlib.suppress(OSError, ValueError):
            found = orjson.loads(self._place(key).read_bytes())
            return found if isinstance(found, dict) and found.get("key") == key else None
        return None

    def write_note(self, key: str, about: Mapping[str, Any]) -> None:
        """Note something under a key."""
        _write(self._place(key), orjson.dumps({"key": key, **about}))

    def content(self, digest: str) -> bytes | None:
        """The content with this SHA-256; None where it is not kept, or is not that any more."""
        with contextlib.suppress(OSError):
            content = (self._contents / digest).read_bytes()
            return content if hashlib.sha256(content).hexdigest() == digest else None
        return None

    def keep(self, content: bytes) -> str:
        """Keep a content; gives its SHA-256."""
        digest = hashlib.sha256(content).hexdigest()
        if self.content(digest) is None:
            _write(self._contents / digest, content)
        return digest

    def lock(self, key: str) -> str:
        """The path of a file by which one process at a time works on a key."""
        self._notes.mkdir(mode=0o700, parents=True, exist_ok=True)
        return str(self._place(key).with_suffix(".lock"))

    def place(self, key: str) -> str:
        """The path of the file in which the note of a key stands."""
        return str(self._place(key))

    def _place(self, key: str) -> Path:
        return self._notes / f"{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()}.json"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
