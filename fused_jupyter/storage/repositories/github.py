"""Repositories over HTTPS: single files by their raw addresses, and the names of branches as git asks for them.

Weighed: GitHub's API allows sixty requests an hour to those without an account, so it is asked for lists of folders
only, which a UDF with `meta.json` needs none of. An archive of all the repository is a hundred times what one UDF is.
`git fetch` takes no short hash. Raw files have no such limit, and the list of refs is one request for any number.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import orjson
from filelock import FileLock

from fused_jupyter.errors import DownloadError, UdfNotFoundError
from fused_jupyter.storage.addresses import shown
from fused_jupyter.storage.layout import MAX_BYTES
from fused_jupyter.storage.repositories.address import FULL_SHA, GITHUB, SHA, RepositoryAddress
from fused_jupyter.storage.repositories.kept import Kept
from fused_jupyter.storage.sources import SourceError, Version
from fused_jupyter.storage.web import WebFile

_PAUSE = 0.5
"""Seconds before the second and last try, where the server was reached at all."""
_RAW, _API = "https://raw.githubusercontent.com", "https://api.github.com"
_TAKE_BEARER = frozenset({"raw.githubusercontent.com", "api.github.com"})
_REF = re.compile(rb"([0-9a-f]{40}) refs/(heads|tags)/([^\n\0]+)")
_MISSING = frozenset({404, 410, 422})
_HINT = (
    "; where GitHub cannot be reached, a local clone answers: fused.options.git_mirrors = ['owner/name=/path/to/clone']"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A repository of a GitHub server.

    Args:
        name: ``owner/repository``.
        server: its address.
        kept: where what came is kept.
        max_age: seconds for which a branch means what it meant.
    """

    name: str
    server: str
    kept: Kept
    max_age: int

    def snapshot(self, address: RepositoryAddress) -> tuple[RemoteSnapshot, str]:
        """The repository at the commit that an address means, and the path in it.

        Raises:
            DownloadError: the server cannot be reached, and nothing that is kept says it.
            UdfNotFoundError: there is no such repository, or no such ref.
        """
        first, path = address.splits[0]
        if FULL_SHA.fullmatch(first) or (SHA.fullmatch(first) and self.kept.note(self._pin(first)) is not None):
            return RemoteSnapshot(remote=self, ref=first, told_by=()), path
        refs = self._refs()
        for ref, path in address.splits:
            if (commit := refs.get(ref)) is not None:
                return RemoteSnapshot(remote=self, ref=commit, told_by=(self.kept.place(self._refs_key),)), path
        if SHA.fullmatch(first):  # no branch is called so: it is the begin of a hash
            return RemoteSnapshot(remote=self, ref=first, told_by=()), address.splits[0][1]
        raise UdfNotFoundError(f"{address.url}: the repository has no branch or tag {first!r}")

    def fetch(self, ref: str, path: str) -> bytes | None:
        """A file as the server has it; None where it has none.

        Raises:
            DownloadError: it cannot be reached.
        """
        # Raw files of private repositories are opened by a token at their own host, not on the way there.
        is_private = self.server == GITHUB and bool(_token())
        start = f"{_RAW}/{self.name}" if is_private else f"{self.server}/{self.name}/raw"
        content = self._get(f"{start}/{quote(ref)}/{quote(path)}")
        if content is not None and SHA.fullmatch(ref):
            self.kept.write_note(self._pin(ref), {})
        return content

    def listed(self, ref: str, path: str) -> tuple[Sequence[str], Sequence[str]] | None:
        """The files and folders in a folder, by the API; None where there is no such folder.

        Raises:
            DownloadError: it cannot be reached, or has been asked too often.
        """
        api = _API if self.server == GITHUB else f"{self.server}/api/v3"
        answer = self._get(f"{api}/repos/{self.name}/contents/{quote(path)}?ref={quote(ref)}")
        found = None if answer is None else orjson.loads(answer)
        if not isinstance(found, list):
            return None
        by_kind = {kind: [str(each["name"]) for each in found if each.get("type") == kind] for kind in ("file", "dir")}
        return by_kind["file"], by_kind["dir"]

    def _refs(self) -> Mapping[str, str]:
        """Branches and tags with their commits: as kept, asked for anew, or, where that fails, as kept long ago."""
        key = self._refs_key
        note = self.kept.note(key)
        if note is not None and time.time() - note["at"] < self.max_age:
            return dict(note["refs"])
        with FileLock(self.kept.lock(key)):
            note = self.kept.note(key)
            if note is not None and time.time() - note["at"] < self.max_age:  # by whoever had the lock
                return dict(note["refs"])
            try:
                refs = self._asked_refs()
            except DownloadError as exc:
                if note is None:
                    raise
                when = time.strftime("%Y-%m-%d %H:%M", time.localtime(note["at"]))
                warnings.warn(f"{exc.message}. What the branches meant at {when} is used", stacklevel=2)
                return dict(note["refs"])
            self.kept.write_note(key, {"at": time.time(), "refs": refs})
            return refs

    def _asked_refs(self) -> dict[str, str]:
        scheme, _, host = self.server.partition("://")
        user = f"x-access-token:{quote(_token(), safe='')}@" if _token() else ""  # git's own way to bring a token
        answer = self._get(f"{scheme}://{user}{host}/{self.name}.git/info/refs?service=git-upload-pack")
        if answer is None:
            raise UdfNotFoundError(f"{self.server}/{self.name}: there is no such repository, or it is a private one")
        refs: dict[str, str] = {}
        head = re.search(rb"([0-9a-f]{40}) HEAD\0", answer)
        if head is not None:
            refs["HEAD"] = head[1].decode()
        for commit, kind, name in _REF.findall(answer):
            # Of a tag with a text of its own the commit comes second, with `^{}` behind its name; a branch wins.
            text = name.decode(errors="replace").removesuffix("^{}")
            if kind == b"heads" or text not in refs or name.endswith(b"^{}"):
                refs[text] = commit.decode()
        return refs

    @property
    def _refs_key(self) -> str:
        return f"refs {self.server}/{self.name}"

    def _pin(self, ref: str) -> str:
        return f"pin {self.server}/{self.name}@{ref}"

    def _get(self, url: str) -> bytes | None:
        for is_last in (False, True):
            try:
                return _content(url)
            except DownloadError as exc:
                if exc.answered in _MISSING:
                    return None
                raise
            except SourceError as exc:
                if is_last or (exc.retry_after is None and "cannot be reached" in str(exc)):
                    raise DownloadError(f"{shown(url)}: {exc}{_HINT}") from exc
                time.sleep(min(exc.retry_after or _PAUSE, 5.0))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSnapshot:
    """A repository of a server at one commit. What it says once is kept: a commit never changes."""

    remote: Remote
    ref: str
    told_by: tuple[str, ...]

    @property
    def name(self) -> str:
        """``owner/repository``."""
        return self.remote.name

    def content(self, path: str) -> bytes | None:
        """A file; None where there is none."""
        kept, key = self.remote.kept, self._key("file", path)
        if (found := self._kept(key)) is not None:
            return found
        with FileLock(kept.lock(key)):
            if (found := self._kept(key)) is not None:  # by whoever had the lock
                return found
            content = self.remote.fetch(self.ref, path)
            if content is not None:
                kept.write_note(key, {"sha256": kept.keep(content)})
            return content

    def entries(self, path: str) -> tuple[Sequence[str], Sequence[str]] | None:
        """The files and the folders in a folder; None where there is no such folder."""
        kept, key = self.remote.kept, self._key("folder", path)
        if (note := kept.note(key)) is not None:
            return list(note["files"]), list(note["folders"])
        found = self.remote.listed(self.ref, path)
        if found is not None:
            kept.write_note(key, {"files": list(found[0]), "folders": list(found[1])})
        return found

    def _kept(self, key: str) -> bytes | None:
        note = self.remote.kept.note(key)
        return None if note is None else self.remote.kept.content(str(note.get("sha256")))

    def _key(self, kind: str, path: str) -> str:
        return f"{kind} {self.remote.server}/{self.name}@{self.ref}:{path}"


def _content(url: str) -> bytes:
    pieces, length = [], 0
    bearer = _token() if urlsplit(url).hostname in _TAKE_BEARER else ""
    with WebFile(url, bearer=bearer).open(0, Version()) as answer:
        for piece in answer.pieces:
            pieces.append(bytes(piece))
            length += len(piece)
            if length > MAX_BYTES:
                raise DownloadError(f"{shown(url)}: it is longer than the {MAX_BYTES} bytes that are allowed")
    return b"".join(pieces)


def _token() -> str:
    """What opens private repositories."""
    return os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN") or ""
