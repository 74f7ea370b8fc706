"""Files by address: `fd://` is a directory of this machine, `/mount` the mount directory.

Whoever runs Python here may also name any other path; who comes over HTTP may not.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, Self
from urllib.parse import unquote

from fused_jupyter.errors import ArgumentError, MissingFileError
from fused_jupyter.settings import Options
from fused_jupyter.storage.addresses import scheme
from fused_jupyter.storage.buckets import check_process
from fused_jupyter.storage.mount import MOUNTS, Mount

if TYPE_CHECKING:
    from obstore.store import LocalStore

FD = "fd://"
MOUNT = "/mount/"

_DRAFTS = ".fused-drafts"
"""In each root, as only there renaming is sure to be one step. No address names it."""
_DRAFT_SECONDS = 86400.0
_LATER = frozenset({"s3", "gs", "gdrive", "dropbox", "onedrive", "az", "http", "https"})
_LONGEST_NAME = 255
_NO_CHARACTER = re.compile(r"[\\\x00-\x1f\x7f\ud800-\udfff]")

Depth = int | Literal["unlimited"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDetails:
    """One entry of a directory, as the official client describes it."""

    url: str
    file_name: str
    is_directory: bool
    size: int | None = None
    """Bytes; None for a directory."""
    last_modified: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What an address names: a key below a root."""

    root: Path
    prefix: str
    key: str
    """Without a slash at its ends; empty is the root itself."""

    @property
    def url(self) -> str:
        """The address."""
        return self.prefix + self.key

    @property
    def path(self) -> Path:
        """Where it lies, with all links followed.

        Raises:
            ArgumentError: a link leads out of the root.
        """
        root = Path(os.path.realpath(self.root))
        path = Path(os.path.realpath(root / self.key))
        if not path.is_relative_to(root) or path.is_relative_to(root / _DRAFTS):
            raise ArgumentError(f"path: {self.url} is a link that leads out of {self.prefix}; copy the file there")
        return path

    def below(self, name: str) -> Self:
        """An entry of it."""
        return type(self)(root=self.root, prefix=self.prefix, key=f"{self.key}/{name}" if self.key else name)


class Files:
    """Files of this machine by their addresses.

    Args:
        directory: the root of `fd://`, absolute.
        mount: the mount directory, absolute: what `/mount` and `/mnt/cache` mean.
        buckets: by their addresses, such as `s3://name`, the directories that stand for buckets.
        anywhere: whether other absolute paths mean themselves.

    >>> import tempfile
    >>> files = Files(Path(tempfile.mkdtemp()), mount=Path(tempfile.mkdtemp()))
    >>> files.put("fd://roads/a.csv", b"1,2")
    >>> [entry.url for entry in files.list("fd://roads")], files.get("fd://roads/a.csv")
    (['fd://roads/a.csv'], b'1,2')
    """

    def __init__(
        self, directory: Path, *, mount: Path, buckets: Mapping[str, Path] | None = None, anywhere: bool = False
    ) -> None:
        self._anywhere = anywhere
        self._directory = directory
        self._mount = mount
        self._buckets = dict(buckets or {})

    @classmethod
    def of(cls, options: Options, *, anywhere: bool = False) -> Self:
        """Those of the settings.

        Raises:
            ArgumentError: a directory of the settings is not absolute.
        """
        root = _absolute("FUSED_FILES_DIRECTORY", options.files_directory) if options.files_directory else None
        data = _absolute("FUSED_DATA_DIRECTORY", options.data_directory)
        return cls(
            root or data / "files",
            mount=_absolute("FUSED_MOUNT_DIRECTORY", options.mount_directory),
            buckets=dict(map(_bucket, options.buckets)),
            anywhere=anywhere,
        )

    def place(self, url: str) -> Place:
        """What an address names, whether it is there or not.

        Raises:
            ArgumentError: it names nothing here, or could leave its root; says what to write.
        """
        if not isinstance(url, str) or not url.strip():
            raise ArgumentError(f"path: got {url!r}, need an address, e.g. 'fd://data/roads.parquet'")
        kind = scheme(url)
        if kind == "fd":
            return self._of_fd(url[len(FD) :], url)
        if kind == "file" or (not kind and url.startswith("/")):
            return self._of_path(unquote(url[len("file://") :]) if kind else url, url)
        if (stand_in := self._stand_in(url)) is not None:
            return stand_in
        if kind in _LATER:
            raise ArgumentError(
                f"path: got {url!r}; fd:// and /mount/ are files of this machine, and {kind}:// is not served yet. "
                "fused.download fetches https://, s3:// and gs://, and FUSED_BUCKETS names directories that stand for "
                "buckets"
            )
        raise ArgumentError(f"path: got {url!r}, need an address that begins with {FD} or {MOUNT}")

    def stands_for(self, url: str) -> Path | None:
        """Where a file of a bucket lies for which a directory stands; None of all others."""
        place = self._stand_in(url)
        return None if place is None else place.path

    def resolve(self, url: str) -> str:
        """The address that other programs understand; a slash at its end stays.

        Raises:
            ArgumentError: it names nothing here.
        """
        path = self.place(url).path.as_uri()
        return f"{path}/" if url.endswith("/") and not path.endswith("/") else path

    def list(self, url: str) -> list[ListDetails]:
        """The entries of a directory, by name; of one file, itself; of what is not there, none.

        Raises:
            ArgumentError: it names nothing here.
        """
        place = self.place(url)
        path = place.path
        if path.is_file():
            return [_details(place, path)]
        if not path.is_dir():
            return []
        # Not by obstore: it gives no list at all where one name has a control character, and none of names like "a#1".
        names = sorted(entry.name for entry in path.iterdir() if _fault(entry.name) is None)
        return [_details(each, each.path) for each in map(place.below, names) if _is_inside(each)]

    def walk(self, url: str) -> Iterator[ListDetails]:
        """All files below a directory, however deep; a file itself."""
        for entry in self.list(url):
            if entry.is_directory:
                yield from self.walk(entry.url)
            else:
                yield entry

    def get(self, url: str) -> bytes:
        """The content of a file.

        Raises:
            MissingFileError: it is not there, or a directory.
        """
        from obstore.exceptions import BaseError

        path = self.file(url)
        store = _store(path.parent)
        try:
            return bytes(store.get(path.name).bytes())
        except (BaseError, OSError) as exc:
            raise MissingFileError(f"{url} cannot be read: {_first_line(exc)}") from exc

    def file(self, url: str) -> Path:
        """Where a file lies.

        Raises:
            MissingFileError: it is not there, or a directory.
        """
        path = self.place(url).path
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "is not there"
            raise MissingFileError(f"{url} {what}; fused.api.list shows what there is")
        return path

    def put(self, url: str, content: bytes | IO[bytes] | Path) -> None:
        """Write a file, whole or not at all; directories are made.

        Raises:
            ArgumentError: no file can be there.
        """
        from obstore.exceptions import BaseError

        path = self._target(url)
        store = _store(path.parent)
        try:
            store.put(path.name, content)
        except (BaseError, OSError) as exc:
            raise ArgumentError(f"path: {url} cannot be written: {_first_line(exc)}") from exc

    def delete(self, url: str, *, max_depth: Depth = 3) -> bool:
        """Delete a file, or a directory with all in it.

        Args:
            url: which one.
            max_depth: how deep below the directory files may lie; where one lies deeper, nothing is deleted. A file
                in the directory itself is at depth 1.

        Returns:
            Whether there was something.

        Raises:
            ArgumentError: files lie deeper, or it is a root.
        """
        place = self.place(url)
        if not place.key:
            raise ArgumentError(f"path: got {url!r}, which is all of it; delete what is in it by name")
        limit = _depth(max_depth)
        path = place.root / place.key
        _ = place.path  # a link that leads out is refused, one that stays in is deleted itself
        if path.is_symlink() or path.is_file():
            path.unlink(missing_ok=True)
        elif path.is_dir():
            self._check_depth(path, limit, url=url)
            shutil.rmtree(path)
        else:
            return False
        return True

    def begin(self, url: str) -> str:
        """Make an empty draft, to be filled by whoever knows its name; see `draft` and `commit`.

        Raises:
            ArgumentError: no file can be there.
        """
        self._target(url)
        directory = self.place(url).root / _DRAFTS
        directory.mkdir(mode=0o700, exist_ok=True)
        _remove_old(directory)
        name = secrets.token_hex(16)
        (directory / name).touch(exist_ok=False)
        return name

    def draft(self, url: str, name: str) -> Path:
        """Where a draft lies.

        Raises:
            MissingFileError: there is no such draft.
        """
        path = self.place(url).root / _DRAFTS / name
        if len(name) != 32 or not set(name) <= set("0123456789abcdef") or not path.is_file():
            raise MissingFileError(f"the upload of {url} was given up; begin it again")
        return path

    def commit(self, url: str, name: str) -> None:
        """Put a draft into its place, in one step.

        Raises:
            MissingFileError: there is no such draft.
            ArgumentError: no file can be there.
        """
        draft, target = self.draft(url, name), self._target(url)
        with draft.open("rb") as file:
            os.fsync(file.fileno())  # a file that is renamed before it is written would be empty after a power cut
        draft.replace(target)
        self._tidy(url)

    def drop(self, url: str, name: str) -> None:
        """Throw a draft away."""
        self.draft(url, name).unlink(missing_ok=True)
        self._tidy(url)

    def _tidy(self, url: str) -> None:
        """Leave no directory of drafts where none of ours is."""
        place = self.place(url)
        if place.prefix not in {FD, MOUNT}:
            with contextlib.suppress(OSError):  # another draft is in it
                (place.root / _DRAFTS).rmdir()

    def _target(self, url: str) -> Path:
        """Where a file is to be written; its directory is there afterwards."""
        place = self.place(url)
        if not place.key or url.endswith("/"):
            raise ArgumentError(f"path: got {url!r}, need the address of a file, e.g. '{place.url}/roads.parquet'")
        path = place.path
        if path.is_dir():
            raise ArgumentError(f"path: {url} is a directory; name a file in it")
        try:
            place.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise ArgumentError(f"path: the directory of {url} cannot be made ({exc.strerror})") from exc
        return path

    def _stand_in(self, url: str) -> Place | None:
        for start, directory in self._buckets.items():
            if url == start or url.startswith(f"{start}/"):
                return Place(root=directory, prefix=f"{start}/", key=_checked(url[len(start) + 1 :], url))
        return None

    def _of_fd(self, key: str, url: str) -> Place:
        if key.startswith("/"):
            raise ArgumentError(f"path: got {url!r}, with a slash too many; need e.g. '{FD}{key.lstrip('/')}'")
        return Place(root=self._directory, prefix=FD, key=_checked(key, url))

    def _of_path(self, path: str, url: str) -> Place:
        """A path of this machine, in one of the two directories or, where that is allowed, anywhere."""
        mounts = dict.fromkeys(Mount(self._mount).path_map().paths, self._mount)
        mounts |= {mount: Path(mount) for mount in MOUNTS if mount not in mounts}  # really there: it means itself
        roots = {
            **{mount: (MOUNT, root) for mount, root in mounts.items()},
            str(self._directory): (FD, self._directory),
            os.path.realpath(self._directory): (FD, self._directory),
            str(self._mount): (MOUNT, self._mount),
        }
        for start, (prefix, root) in roots.items():
            if path == start or path.startswith(f"{start}/"):
                return Place(root=root, prefix=prefix, key=_checked(path[len(start) + 1 :], url))
        if self._anywhere:
            real = Path(os.path.abspath(path))  # noqa: PTH100 - links stay, for `Place.path` to look at
            return Place(root=real.parent, prefix=f"{str(real.parent).rstrip('/')}/", key=_checked(real.name, url))
        raise ArgumentError(f"path: got {url!r}, which is neither in {MOUNT} nor in {FD}; upload the file first")

    def _check_depth(self, path: Path, limit: float, *, url: str) -> None:
        base = len(path.parts) - 1
        for directory, _, names in os.walk(path):
            depth = len(Path(directory).parts) - base
            if names and depth > limit:
                raise ArgumentError(
                    f"{url} has files {depth} levels deep, such as {names[0]!r}, and max_deletion_depth is {limit}; "
                    "nothing was deleted. Raise it, or say max_deletion_depth='unlimited'"
                )


def current_files() -> Files:
    """Those of the settings, and all other paths of this machine: for the owner's own Python."""
    names = ("FUSED_FILES_DIRECTORY", "FUSED_DATA_DIRECTORY", "FUSED_MOUNT_DIRECTORY", "FUSED_BUCKETS")
    return _files(*map(os.environ.get, (*names, "XDG_DATA_HOME", "HOME")))


@functools.lru_cache
def _files(*_: str | None) -> Files:  # what the settings depend on, so that a change of one is seen
    return Files.of(Options.from_environment(), anywhere=True)


def _bucket(setting: str) -> tuple[str, Path]:
    address, _, directory = setting.partition("=")
    if scheme(address) not in _LATER or not directory:
        raise ArgumentError(f"FUSED_BUCKETS: got {setting!r}, need an address and a directory: s3://name=/path")
    return address.rstrip("/"), _absolute("FUSED_BUCKETS", directory)


def _absolute(setting: str, text: str) -> Path:
    path = Path(os.path.expanduser(text))  # noqa: PTH111 - a Path raises where there is no home
    if not path.is_absolute():
        raise ArgumentError(f"{setting}: got {text!r}, need an absolute path, as UDFs run in more than one place")
    return Path(os.path.normpath(path))


def _checked(key: str, url: str) -> str:
    """A key that names the same everywhere and stays below its root."""
    key = key.removesuffix("/")
    for part in key.split("/") if key else ():
        if (fault := _fault(part)) is not None:
            raise ArgumentError(f"path: got {url[:80]!r}; {fault}")
    return key


def _fault(name: str) -> str | None:
    """Why no file of an address can have that name."""
    if name in {"", ".", ".."}:
        return f"leave out {name or '/'!r}, as an address names one place only"
    if _NO_CHARACTER.search(name):
        return "a backslash or a control character is in it, which no name may have"
    if name == _DRAFTS or len(name.encode()) > _LONGEST_NAME:
        return f"{name[:40]!r} cannot be the name of a file there"
    return None


def _depth(max_depth: Depth) -> float:
    if max_depth == "unlimited":
        return float("inf")
    if isinstance(max_depth, bool) or not isinstance(max_depth, int) or max_depth < 0:
        raise ArgumentError(f"max_deletion_depth: got {max_depth!r}, need a whole number, or 'unlimited'")
    return max_depth


def _is_inside(place: Place) -> bool:
    """Whether an entry is no link that leads out, or nowhere."""
    try:
        return place.path.exists()
    except ArgumentError:
        return False


def _details(place: Place, path: Path) -> ListDetails:
    status, name = path.stat(), place.key.rpartition("/")[2]
    if path.is_dir():
        return ListDetails(url=f"{place.url}/", file_name=name, is_directory=True)
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return ListDetails(url=place.url, file_name=name, is_directory=False, size=status.st_size, last_modified=modified)


def _store(directory: Path) -> LocalStore:
    from obstore.store import LocalStore

    check_process(str(directory))
    return LocalStore(directory)


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0][:300]


def _remove_old(directory: Path) -> None:
    """Take away what uploads left that never ended."""
    for draft in directory.iterdir():
        if draft.stat().st_mtime < time.time() - _DRAFT_SECONDS:
            draft.unlink(missing_ok=True)
