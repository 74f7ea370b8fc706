"""Local clones of repositories, read by `git cat-file`: nothing is checked out or asked over the network."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from fused_jupyter.errors import ArgumentError
from fused_jupyter.storage.repositories.address import SHA, RepositoryAddress

_BRANCHES = ("refs/heads/{}", "refs/tags/{}", "refs/remotes/origin/{}", "refs/remotes/upstream/{}")
_SECONDS = 60.0
_REMOTE = re.compile(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$")
_TREE = b"40000"
_LINK, _SUBMODULE = b"120000", b"160000"
_LAZY = {"GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def mirrors_of(settings: Sequence[str], name: str) -> tuple[Mirror, ...]:
    """The mirrors of a repository.

    Args:
        settings: as `Options.git_mirrors` has them.
        name: ``owner/repository``.

    Raises:
        ArgumentError: a setting names no directory.
    """
    return tuple(Mirror(name=name, path=path) for setting in settings for path in _places(setting, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A clone of a repository, bare or with files."""

    name: str
    """``owner/repository``."""
    path: Path

    def snapshot(self, address: RepositoryAddress) -> tuple[MirrorSnapshot, str] | None:
        """The repository at the commit that an address means, and the path in it; None where it knows no such ref."""
        with _Objects(self.path) as objects:
            for ref, path in address.splits:
                for pattern in _BRANCHES:
                    if commit := objects.commit(f"{pattern.format(ref)}^{{commit}}"):
                        return MirrorSnapshot(
                            mirror=self, ref=commit, told_by=self._files_of(pattern.format(ref))
                        ), path
                if (SHA.fullmatch(ref) or ref == "HEAD") and (commit := objects.commit(f"{ref}^{{commit}}")):
                    told_by = self._files_of(ref) if ref == "HEAD" else ()
                    return MirrorSnapshot(mirror=self, ref=commit, told_by=told_by), path
        return None

    def _files_of(self, ref: str) -> tuple[str, ...]:
        directory = self.path / ".git" if (self.path / ".git").is_dir() else self.path
        return tuple(str(directory / name) for name in ("packed-refs", ref))

    def git(self, *arguments: str) -> bytes:
        """What a command of git prints; nothing where it fails, as `git grep` does that finds nothing."""
        # The mirror may belong to whoever keeps it for a company: that the user named it is the leave to read it.
        command = ["git", "-c", "safe.directory=*", "-C", str(self.path), *arguments]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(
                command, capture_output=True, timeout=_SECONDS, check=False, env={**os.environ, **_LAZY}
            )
            return done.stdout if done.returncode == 0 else b""
        return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorSnapshot:
    """A mirror at one commit."""

    mirror: Mirror
    ref: str
    """The whole hash."""
    told_by: tuple[str, ...]

    @property
    def name(self) -> str:
        """``owner/repository``."""
        return self.mirror.name

    def content(self, path: str) -> bytes | None:
        """A file; None where there is none."""
        with _Objects(self.mirror.path) as objects:
            kind, content = objects.read(f"{self.ref}:{path}")
            return content if kind == "blob" else None

    def entries(self, path: str) -> tuple[Sequence[str], Sequence[str]] | None:
        """The files and the folders in a folder; links are neither."""
        with _Objects(self.mirror.path) as objects:
            kind, content = objects.read(f"{self.ref}:{path}")
        if kind != "tree":
            return None
        entries = list(_entries(content))
        files = [name for mode, name in entries if mode not in {_TREE, _LINK, _SUBMODULE}]
        return files, [name for mode, name in entries if mode == _TREE]

    def folders_with(self, file: str, *, below: str) -> Sequence[str]:
        """All folders, however deep, that hold a file of this name."""
        listed = self.mirror.git("ls-tree", "-r", "-z", "--name-only", self.ref, "--", *([below] if below else []))
        names = [name.decode(errors="surrogateescape") for name in listed.split(b"\0") if name]
        return [name.rpartition("/")[0] for name in names if name.rpartition("/")[2] == file]

    def folders_that_say(self, text: str, file: str, *, below: str) -> Sequence[str]:
        """All folders in whose file of this name a text stands."""
        pattern = f":(glob){below}/**/{file}" if below else f":(glob)**/{file}"
        found = self.mirror.git("grep", "-l", "-z", "-F", "-e", text, self.ref, "--", pattern)
        names = [name.decode(errors="surrogateescape") for name in found.split(b"\0") if name]
        return [name.partition(":")[2].rpartition("/")[0] for name in names]


class _Objects:
    """One `git cat-file --batch`, which is asked for many objects."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        command = ["git", "-c", "safe.directory=*", "-C", str(self._path), "cat-file", "--batch"]
        try:
            self._git = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_LAZY},
            )
        except OSError as exc:
            raise ArgumentError(
                f"git_mirrors: {self._path} is read by the program git, which cannot be run here ({exc.strerror})"
            ) from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # it has ended, and did not read what was written
            self._in.close()
        self._out.close()
        self._git.wait()

    @property
    def _in(self) -> IO[bytes]:
        assert self._git.stdin is not None
        return self._git.stdin

    @property
    def _out(self) -> IO[bytes]:
        assert self._git.stdout is not None
        return self._git.stdout

    def read(self, what: str) -> tuple[str, bytes]:
        """The kind and the content of an object; no kind where there is none."""
        head = self._ask(what)
        if len(head) != 3:
            return "", b""
        content = self._out.read(int(head[2]) + 1)[:-1]
        return head[1].decode(), content

    def commit(self, what: str) -> str:
        """The hash of a commit; empty where there is none."""
        head = self._ask(what)
        if len(head) != 3:
            return ""
        self._out.read(int(head[2]) + 1)
        return head[0].decode() if head[1] == b"commit" else ""

    def _ask(self, what: str) -> list[bytes]:
        if "\n" in what:
            return []
        try:
            self._in.write(what.encode(errors="surrogateescape") + b"\n")
            self._in.flush()
        except OSError as exc:
            raise ArgumentError(f"git_mirrors: {self._path} is no repository that git can read") from exc
        head = self._out.readline()
        if not head:
            raise ArgumentError(f"git_mirrors: {self._path} is no repository that git can read")
        # What is not there is answered with what was asked for, which may have spaces in it.
        return [] if head.endswith((b" missing\n", b" ambiguous\n")) else head.split()


def _entries(tree: bytes) -> Iterator[tuple[bytes, str]]:
    """Mode and name of each: in a tree they stand as text, each with twenty bytes of hash behind."""
    start = 0
    while start < len(tree):
        end = tree.index(b"\0", start)
        mode, _, name = tree[start:end].partition(b" ")
        yield mode, name.decode(errors="surrogateescape")
        start = end + 21


def _places(setting: str, name: str) -> Iterator[Path]:
    """Where a setting says that a repository lies."""
    said, is_named, place = setting.rpartition("=")
    if is_named and said.casefold() != name.casefold():
        return
    path = Path(os.path.expanduser(place))  # noqa: PTH111 - a Path raises where there is no such user
    if not path.is_dir():
        raise ArgumentError(f"git_mirrors: {place} is no directory; give owner/name=/path/of/the/clone")
    if is_named:
        yield path
    elif _is_repository(path):
        if name.casefold() in _names_of(str(path)):
            yield path
    else:
        owner, _, repository = name.partition("/")
        below = (f"{owner}/{repository}", f"{owner}/{repository}.git", repository, f"{repository}.git")
        found = [path / each for each in below if _is_repository(path / each)]
        # One that is not in its owner's folder may be somebody else's of the same name.
        yield from (each for each in found if each.parent != path or name.casefold() in _names_of(str(each)))


def _is_repository(path: Path) -> bool:
    return (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir())


@functools.lru_cache(maxsize=64)
def _names_of(path: str) -> frozenset[str]:
    """What GitHub calls the repository of a clone, by its remotes; else by the path."""
    told = Mirror(name="", path=Path(path)).git("config", "--get-regexp", r"^remote\..*\.url$").decode(errors="replace")
    names = {found[1].casefold() for line in told.splitlines() if (found := _REMOTE.search(line))}
    if not names:
        *_, owner, repository = ("", *Path(path).parts)[-2:]
        names = {f"{owner}/{repository.removesuffix('.git')}".casefold()}
    return frozenset(names)
