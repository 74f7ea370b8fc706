"""Files of `fd://` and `/mount`, for the server: what is there, where it lies, who may have it.

Bytes do not pass here: the server reads and writes the files itself, at the paths that it gets from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fused_jupyter.errors import ArgumentError
from fused_jupyter.settings import Options
from fused_jupyter.storage import Library
from fused_jupyter.storage.fd import Files, ListDetails
from fused_jupyter.storage.signing import (
    READ,
    WRITE,
    Permit,
    read_permit,
    reading_permit,
    signing_secret,
    writing_permit,
)
from fused_jupyter.udfs import UdfDefinition

_MAX_UPLOAD = 5_000_000_000_000
"""Bytes, as S3 has it."""


def desk(
    library: Library, options: Options, publish: Callable[[UdfDefinition], None]
) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
    """What the owner, or a signature of theirs, may ask for."""
    del library, publish
    files = _FileDesk(Files.of(options), Path(options.data_directory).expanduser())
    return {
        "files.list": files.addresses,
        "files.list_details": files.details,
        "files.resolve": files.resolve,
        "files.delete": files.delete,
        "files.sign": files.sign,
        "files.sign_prefix": files.sign_prefix,
        "files.sign_upload": files.sign_upload,
        "files.open": files.open,
        "files.open_signed": files.open_signed,
        "files.begin_upload": files.begin_upload,
        "files.begin_signed_upload": files.begin_signed_upload,
        "files.commit_upload": files.commit_upload,
        "files.drop_upload": files.drop_upload,
    }


class _FileDesk:
    def __init__(self, files: Files, data_directory: Path) -> None:
        self._files = files
        self._data_directory = data_directory

    def addresses(self, said: Mapping[str, Any]) -> list[str]:
        """Addresses of what is in a directory."""
        return [entry.url for entry in self._files.list(_path(said))]

    def details(self, said: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The same with sizes and times."""
        return [_to_json(entry) for entry in self._files.list(_path(said))]

    def resolve(self, said: Mapping[str, Any]) -> str:
        """The address for other programs."""
        return self._files.resolve(_path(said))

    def delete(self, said: Mapping[str, Any]) -> bool:
        """Whether there was something to delete."""
        return self._files.delete(_path(said), max_depth=_depth(said.get("max_deletion_depth", 3)))

    def sign(self, said: Mapping[str, Any]) -> str:
        """A signed address of a file, below those of the extension."""
        return self._signed(reading_permit(self._files.place(_path(said)).url))

    def sign_prefix(self, said: Mapping[str, Any]) -> dict[str, str]:
        """Signed addresses of all files in a directory, by their own."""
        entries = self._files.walk(_path(said))
        return {entry.url: self._signed(reading_permit(entry.url)) for entry in entries}

    def sign_upload(self, said: Mapping[str, Any]) -> str:
        """A signed address to send a file to."""
        length = _number("content_length", said.get("content_length"), most=_MAX_UPLOAD)
        return self._signed(writing_permit(self._files.place(_path(said)).url, length=length))

    def open(self, said: Mapping[str, Any]) -> str:
        """Where a file lies, for its owner."""
        return str(self._files.file(_path(said)))

    def open_signed(self, said: Mapping[str, Any]) -> str:
        """Where a file lies, for who has a signature."""
        return str(self._files.file(self._permit(said, READ).url))

    def begin_upload(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """A draft to write to, for the owner."""
        name = self._files.begin(_path(said))
        return {"draft": name, "file": str(self._files.draft(_path(said), name))}

    def begin_signed_upload(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """A draft to write to, and how much; for who has a signature."""
        permit = self._permit(said, WRITE)
        return self.begin_upload({"path": permit.url}) | {"length": permit.length or 0}

    def commit_upload(self, said: Mapping[str, Any]) -> str:
        """The address, where the file is now."""
        self._files.commit(_path(said), str(said["draft"]))
        return self._files.place(_path(said)).url

    def drop_upload(self, said: Mapping[str, Any]) -> None:
        """Nothing; what came is thrown away."""
        self._files.drop(_path(said), str(said["draft"]))

    def _permit(self, said: Mapping[str, Any], method: str) -> Permit:
        url = self._files.place(_path(said)).url
        return read_permit(url, method, said.get("query", {}), secret=signing_secret(self._data_directory))

    def _signed(self, permit: Permit) -> str:
        return permit.address(signing_secret(self._data_directory))


def _path(said: Mapping[str, Any]) -> str:
    path = said.get("path")
    if not isinstance(path, str):
        raise ArgumentError(f"path: got {path!r}, need an address, e.g. path=fd://data/roads.parquet")
    return path


def _depth(said: Any) -> Any:  # as JSON or a query has it; `Files` says what it must be
    return int(said) if isinstance(said, str) and said.isascii() and said.isdigit() else said


def _number(name: str, said: Any, *, most: int) -> int:  # as JSON or a query has it
    text = str(said)
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) <= most):
        raise ArgumentError(f"{name}: got {said!r}, need a number of bytes up to {most}")
    return int(text)


def _to_json(entry: ListDetails) -> dict[str, Any]:
    modified = entry.last_modified and entry.last_modified.isoformat().replace("+00:00", "Z")
    return asdict(entry) | {"last_modified": modified}
