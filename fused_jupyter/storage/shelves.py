"""Folders of UDF folders, on disk or in a repository, and the UDFs that stand in them by their names."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fused_jupyter.errors import UdfDefinitionError
from fused_jupyter.storage.folder import Folder
from fused_jupyter.storage.layout import Files
from fused_jupyter.storage.meta import META, read_meta
from fused_jupyter.storage.repositories import Repositories, RepositoryFolder, Snapshot

COLLECTION_FILE = "collection.json"
"""What a canvas of the official client has beside its UDFs."""

_TOKENS = ("fused:userCreatedShareToken", "fused:sharedToken")
_DEEPEST = 6
_MOST_SEEN = 2000
"""Entries of a folder that are looked at to see whether it holds UDFs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A UDF on a shelf."""

    files: Files
    file: str | None = None
    """The Python file, where it is one alone."""
    shelf: str = ""
    """The shelf on which it stands."""
    told_by: tuple[str, ...] = ()
    """Files by which something else may be found tomorrow."""


class Shelf(Protocol):
    """A place with UDFs."""

    def find(self, name: str) -> Found | None:
        """The one of that name that stands right in it."""

    def search(self, path: str) -> Found | None:
        """One whose path ends so, however deep."""

    def of_token(self, token: str) -> Found | None:
        """The one that says of itself that it was shared by this token, however deep."""


def shelf(place: str) -> Shelf:
    """The shelf at a path, or at an address of a repository."""
    repositories = Repositories.current()
    return _Repository(place, repositories) if repositories.has(place) else _Directory(place)


def has_siblings(folder: Path) -> bool:
    """Whether the UDF in a folder stands among others: in a canvas, or beside a second folder with a UDF."""
    parent = folder.parent
    if (parent / COLLECTION_FILE).is_file():
        return True
    try:
        with os.scandir(parent) as entries:
            seen = [
                entry.path for entry, _ in zip(entries, range(_MOST_SEEN), strict=False) if entry.name != folder.name
            ]
    except OSError:
        return False
    return any(os.path.isfile(f"{path}/{META}") for path in seen)  # noqa: PTH113 - many


class _Directory:
    def __init__(self, place: str) -> None:
        self._path = Path(os.path.expanduser(place))  # noqa: PTH111 - a Path raises where there is no such user

    def find(self, name: str) -> Found | None:
        if not _is_name(name):
            return None
        folder, file = self._path / name, self._path / f"{name}.py"
        if (folder / META).is_file():
            return self._found(folder)
        if file.is_file():
            return Found(files=Folder(self._path), file=file.name, shelf=str(self._path))
        return next((self._found(each) for each in self._folders(deepest=1) if _name_in(each / META) == name), None)

    def search(self, path: str) -> Found | None:
        parts = tuple(path.split("/"))
        folders = self._folders(deepest=_DEEPEST)
        return next((self._found(each) for each in folders if each.parts[-len(parts) :] == parts), None)

    def of_token(self, token: str) -> Found | None:
        folders = self._folders(deepest=_DEEPEST)
        return next((self._found(each) for each in folders if _says((each / META).read_bytes(), token)), None)

    def _found(self, folder: Path) -> Found:
        return Found(files=Folder(folder), shelf=str(folder.parent))

    def _folders(self, *, deepest: int) -> Iterator[Path]:
        """All with a UDF, those that lie higher first."""
        level = [self._path]
        for _ in range(deepest):
            below = [Path(entry) for folder in level for entry in _directories(folder)]
            yield from (folder for folder in below if (folder / META).is_file())
            level = [folder for folder in below if not (folder / META).is_file()]


class _Repository:
    def __init__(self, url: str, repositories: Repositories) -> None:
        self._url = url
        self._repositories = repositories

    def find(self, name: str) -> Found | None:
        if not _is_name(name):
            return None
        snapshot, path = self._repositories.open(self._url)
        place = f"{path}/{name}" if path else name
        if not _is_there(snapshot, f"{place}/{META}"):
            return None
        return _in_repository(snapshot, place)

    def search(self, path: str) -> Found | None:
        if (mirrored := self._repositories.mirrored(self._url)) is not None:
            snapshot, below = mirrored
            folders = snapshot.folders_with(META, below=below)
            place = next((each for each in sorted(folders, key=_depth) if f"/{each}".endswith(f"/{path}")), None)
            return None if place is None else _in_repository(snapshot, place)
        return self.find(path)

    def of_token(self, token: str) -> Found | None:
        if (mirrored := self._repositories.mirrored(self._url)) is None:
            return None  # all of it would have to be downloaded
        snapshot, below = mirrored
        folders = snapshot.folders_that_say(token, META, below=below)
        said = (each for each in folders if _says(snapshot.content(f"{each}/{META}") or b"", token))
        place = next(said, None)
        return None if place is None else _in_repository(snapshot, place)


def _in_repository(snapshot: Snapshot, place: str) -> Found:
    parent = place.rpartition("/")[0]
    files = RepositoryFolder(snapshot, place)
    return Found(files=files, shelf=RepositoryFolder(snapshot, parent).where, told_by=snapshot.told_by)


@functools.lru_cache(maxsize=1024)
def _is_there(snapshot: Snapshot, path: str) -> bool:
    """Once in a process, as a commit never changes: over HTTPS each look would be a request."""
    return snapshot.content(path) is not None


def _is_name(name: str) -> bool:
    return bool(name) and "/" not in name and "\\" not in name and "\0" not in name and name not in {".", ".."}


def _directories(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(each.path for each in entries if not each.name.startswith(".") and each.is_dir())
    except OSError:
        return []


def _name_in(path: Path) -> str | None:
    try:
        return read_meta(path.read_bytes(), str(path)).name
    except (UdfDefinitionError, OSError):
        return None


def _says(content: bytes, token: str) -> bool:
    if token.encode() not in content:
        return False
    try:
        metadata: Mapping[str, Any] = read_meta(content, META).metadata
    except UdfDefinitionError:
        return False
    return any(metadata.get(name) == token for name in _TOKENS)


def _depth(path: str) -> tuple[int, str]:
    return path.count("/"), path
