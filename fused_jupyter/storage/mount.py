"""The mount directory: where files of UDFs are kept, and what `/mnt/cache` and `/mount` mean in their code."""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass
from pathlib import Path

from fused_jupyter.errors import ArgumentError
from fused_jupyter.settings import Options

MOUNTS = ("/mnt/cache", "/mount")
"""What Fused's cloud calls it."""

_STORAGES = ("auto", "mount", "local")
_SCHEME = "file://"
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMap:
    """Which paths stand for the mount directory."""

    directory: str
    paths: tuple[str, ...]

    def whole(self, text: str) -> str:
        """The real path, where the whole text is a path.

        >>> paths = PathMap(directory="/home/me/mount", paths=("/mnt/cache", "/mount"))
        >>> paths.whole("file:///mnt/cache/a.csv"), paths.whole("/mounted"), paths.whole("see /mount")
        ('file:///home/me/mount/a.csv', '/mounted', 'see /mount')
        """
        scheme = _SCHEME if text.startswith(_SCHEME) else ""
        path = text[len(scheme) :]
        for mount in self.paths:
            if path == mount or path.startswith(f"{mount}/"):
                return f"{scheme}{self.directory}{path[len(mount) :]}"
        return text

    def within(self, text: str, *, before: str = "") -> str:
        """The text with each such path in it: at its begin, and where a word begins, as in SQL and shell commands.

        Args:
            text: any.
            before: what stands before it, of which the last character matters.

        >>> paths = PathMap(directory="/home/me/mount", paths=("/mnt/cache", "/mount"))
        >>> paths.within("SELECT * FROM '/mount/a.parquet' -- not s3://bucket/mount/b")
        "SELECT * FROM '/home/me/mount/a.parquet' -- not s3://bucket/mount/b"
        """
        found = _pattern(self.paths).sub(lambda _: self.directory, before + text)
        return found[len(before) :]


class Mount:
    """A directory for files of UDFs.

    Args:
        directory: absolute.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files = directory / "tmp"
        """Where relative paths begin, as on Fused's `/mount`."""
        self.records = directory / ".fused"
        """What is known of files that were downloaded."""

    def make(self) -> Path:
        """The directory, made if need be: for its user alone, since `.env` and access keys lie there.

        Raises:
            ArgumentError: it cannot be made.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise ArgumentError(
                f"FUSED_MOUNT_DIRECTORY: {self.directory} cannot be made ({exc.strerror}); name a directory that can"
            ) from exc
        return self.directory

    def path_map(self) -> PathMap:
        """What stands for it now; a `/mount` that is really there and can be written to means itself."""
        missing = tuple(path for path in MOUNTS if not (os.path.isdir(path) and os.access(path, os.W_OK)))  # noqa: PTH112 - hot path
        return PathMap(directory=str(self.directory), paths=missing)

    def file(self, path: str | os.PathLike[str]) -> Path:
        """Where a file lies: relative paths in the directory, absolute ones as they are.

        Raises:
            ArgumentError: a relative path leaves the directory, or no file can have that name.
        """
        place = Path(self.path_map().whole(_checked(path)))
        return place if place.is_absolute() else self._inside(place, path)

    def target(self, path: str | os.PathLike[str]) -> Path:
        """Where a download goes: into the directory in any case, also with an absolute path, as with Fused.

        Raises:
            ArgumentError: it would leave the directory, or no file can have that name.
        """
        place = Path(os.path.normpath(self.path_map().whole(_checked(path))))
        if any(
            place.is_relative_to(mount) for mount in (self.directory, *MOUNTS)
        ):  # one that is still called so is real
            return place
        return self._inside(Path(str(place).strip("/")), path)

    def _inside(self, relative: Path, said: object) -> Path:
        path = Path(os.path.normpath(self.files / relative))
        if not path.is_relative_to(self.files):
            # The directory is not named: callers from outside may see this, and their owner's home is in it.
            raise ArgumentError(f"file_path: got {str(said)!r}, which leaves the mount directory; leave out the '..'")
        return path


def current_mount() -> Mount:
    """The mount directory of the settings."""
    return _mount(*map(os.environ.get, ("FUSED_MOUNT_DIRECTORY", "XDG_DATA_HOME", "HOME")))


def check_storage(storage: str) -> None:
    """See whether that is one of Fused's names for a storage; here all mean the mount directory.

    Raises:
        ArgumentError: it is none.
    """
    if storage not in _STORAGES:
        raise ArgumentError(f"storage: got {storage!r}, need one of {', '.join(_STORAGES)}; all mean the same here")


@functools.lru_cache
def _mount(*_: str | None) -> Mount:  # what the setting depends on, so that a change of it is seen
    directory = Path(os.path.expanduser(Options.from_environment().mount_directory))  # noqa: PTH111 - a Path raises where there is no home
    if not directory.is_absolute():
        raise ArgumentError(
            f"FUSED_MOUNT_DIRECTORY: got {str(directory)!r}, need an absolute path, as UDFs run in more than one place"
        )
    return Mount(Path(os.path.normpath(directory)))


def _checked(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if not isinstance(text, str) or not text.strip("/") or "\0" in text:
        raise ArgumentError(f"file_path: got {text!r}, need the path of a file, e.g. 'data/roads.zip'")
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in text.split("/")):
        raise ArgumentError(
            f"file_path: got {text[:60]!r}…, a name of more than {_LONGEST_NAME} bytes; take a shorter one"
        )
    return text


@functools.lru_cache
def _pattern(paths: tuple[str, ...]) -> re.Pattern[str]:
    if not paths:
        return re.compile(r"(?!)")
    # Before it stands the begin of a word, a scheme, or a virtual file system of GDAL; not the rest of another path.
    before = r"(?:(?<![^\s\"'`=(\[{,;:])|(?<=[a-z]://)|(?<=/vsi\w{3}/))"
    return re.compile(before + "(?:" + "|".join(map(re.escape, paths)) + r")(?![\w.-])")
