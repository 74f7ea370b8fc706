"""A repository at one commit, and a folder of it as the files of a UDF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fused_jupyter.errors import UdfDefinitionError, UdfNotFoundError
from fused_jupyter.storage.folder import inner_name
from fused_jupyter.storage.layout import MAX_BYTES
from fused_jupyter.storage.meta import META


class Snapshot(Protocol):
    """A repository at one commit."""

    @property
    def name(self) -> str:
        """``owner/repository``."""

    @property
    def ref(self) -> str:
        """The commit, as it can stand in an address."""

    @property
    def told_by(self) -> tuple[str, ...]:
        """Files that say what the ref means; none where it will always mean this commit."""

    def __hash__(self) -> int:
        """Of what it is: two of one commit are the same."""

    def content(self, path: str) -> bytes | None:
        """A file; None where there is none.

        Raises:
            DownloadError: it cannot be had now.
        """

    def entries(self, path: str) -> tuple[Sequence[str], Sequence[str]] | None:
        """The files and the folders in a folder; None where there is no such folder."""


class RepositoryFolder:
    """The files of a UDF in a folder of a repository.

    Args:
        snapshot: the repository.
        path: the folder in it; empty is all of it.
    """

    def __init__(self, snapshot: Snapshot, path: str) -> None:
        self._snapshot = snapshot
        self._path = path
        self._meta: bytes | None = None

    @property
    def where(self) -> str:
        """Its address."""
        place = f"/{self._path}" if self._path else ""
        return f"https://github.com/{self._snapshot.name}/tree/{self._snapshot.ref}{place}"

    def names(self) -> Sequence[str]:
        """The files at the top. `meta.json` alone where there is one: it says which others belong to the UDF.

        Raises:
            UdfNotFoundError: there is no such folder.
        """
        # Over HTTPS a list costs a request that GitHub counts, so it is asked for only where it is needed.
        self._meta = self._snapshot.content(self._inside(META))
        if self._meta is not None:
            return [META]
        files, _ = self._entries()
        return sorted(files)

    def folders(self) -> Sequence[str]:
        """The folders at the top that hold a UDF."""
        _, folders = self._entries()
        return sorted(name for name in folders if self._snapshot.content(self._inside(f"{name}/{META}")) is not None)

    def read(self, name: str) -> bytes:
        """One of them, or one in a folder below.

        Raises:
            UdfDefinitionError: it is not there, outside, or too long.
        """
        if name == META and self._meta is not None:
            return self._meta
        content = self._snapshot.content(self._inside(inner_name(name, self.where)))
        if content is None:
            raise UdfDefinitionError(f"{self.where} has no file {name!r}, which belongs to the UDF")
        if len(content) > MAX_BYTES:
            raise UdfDefinitionError(f"{self.where}/{name} is {len(content)} bytes long; {MAX_BYTES} are allowed")
        return content

    def _inside(self, name: str) -> str:
        return f"{self._path}/{name}" if self._path else name

    def _entries(self) -> tuple[Sequence[str], Sequence[str]]:
        if (found := self._snapshot.entries(self._path)) is None:
            raise UdfNotFoundError(f"{self.where}: there is no such folder in the repository at this commit")
        return found
