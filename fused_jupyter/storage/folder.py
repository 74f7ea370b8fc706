"""A UDF as a folder."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from fused_jupyter.errors import ArgumentError, UdfDefinitionError, UdfExistsError
from fused_jupyter.storage.layout import MAX_BYTES, README, definition_of, files_of, readme_of
from fused_jupyter.storage.meta import META, Meta, read_meta
from fused_jupyter.udfs import UdfDefinition


class Folder:
    """The files of a UDF in a folder of the disk. Nothing outside of it is read, not through links either."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def where(self) -> str:
        """The path of the folder."""
        return str(self._path)

    def names(self) -> Sequence[str]:
        """The files at the top."""
        return sorted(path.name for path in self._path.iterdir() if path.is_file())

    def folders(self) -> Sequence[str]:
        """The folders at the top that hold a UDF."""
        return sorted(path.name for path in self._path.iterdir() if (path / META).is_file())

    def read(self, name: str) -> bytes:
        """One of them, or one in a folder below.

        Raises:
            UdfDefinitionError: it is not there, outside, or too long.
        """
        path = (self._path / inner_name(name, self.where)).resolve()
        if not path.is_relative_to(self._path.resolve()):
            raise UdfDefinitionError(f"{self.where}/{name} is a link to {path}; a UDF's files lie in its folder")
        if not path.is_file():
            raise UdfDefinitionError(f"{self.where} has no file {name!r}, which belongs to the UDF")
        if path.stat().st_size > MAX_BYTES:
            raise UdfDefinitionError(f"{path} is {path.stat().st_size} bytes long; {MAX_BYTES} are allowed")
        return path.read_bytes()


def inner_name(name: str, where: str) -> str:
    r"""The name of a file as it can stand inside a folder or archive, with ``/`` between its parts.

    Raises:
        UdfDefinitionError: it leads out.

    >>> inner_name("lib\\utils.py", "")
    'lib/utils.py'
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts or not path.parts or "\0" in name:
        raise UdfDefinitionError(f"{where}: {name!r} lies outside; the files of a UDF lie in its own folder")
    return str(path)


def write_folder(definition: UdfDefinition, path: Path, *, overwrite: bool = False) -> Path:
    """Save a UDF as a folder: whole, or not at all.

    Args:
        definition: the UDF.
        path: a folder that is not there yet, or is empty.
        overwrite: replace the UDF in it. Its other files stay, and so does a README that somebody wrote.

    Returns:
        The path of the folder.

    Raises:
        UdfExistsError: it is there; or what is there is no UDF.
        ArgumentError: the path is that of an archive or a Python file; or the metadata cannot be saved.
    """
    if path.suffix in {".zip", ".py"}:
        raise ArgumentError(f"{path}: a UDF is saved as a folder here; give the name of one, or use to_file for a zip")
    files = files_of(definition)
    target = path.resolve()
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with _staged(files, target.parent) as stage:
            stage.rename(target)
        return path
    old = _replaceable(target, path, overwrite=overwrite)
    if _has_own_readme(target):
        files.pop(README)
    with _staged(files, target) as stage:
        _swap(stage, target, names=list(files), stale=_stale(old, set(files)))
    return path


def _replaceable(target: Path, path: Path, *, overwrite: bool) -> Meta | None:
    """What `meta.json` of the folder says; None where it is empty."""
    if not target.is_dir():
        raise UdfExistsError(f"{path} is a file; give the name of a folder")
    if not any(target.iterdir()):
        return None
    try:
        old = read_meta(Folder(target).read(META), f"{path}/{META}")
    except UdfDefinitionError as exc:
        raise UdfExistsError(
            f"{path} is there, and it is no folder of a UDF ({exc.message}); give the name of a new one"
        ) from exc
    if not overwrite:
        raise UdfExistsError(f"{path} is there already; overwrite=True replaces the UDF in it and keeps other files")
    return old


def _has_own_readme(target: Path) -> bool:
    """Whether there is a README that says something else than what was written for the UDF that is there now."""
    names = [path.name for path in target.iterdir() if path.name.casefold() == README.casefold()]
    with contextlib.suppress(UdfDefinitionError, OSError):
        if names == [README] and (target / README).read_bytes() == readme_of(definition_of(Folder(target))):
            return False
    return bool(names)


def _stale(old: Meta | None, new: set[str]) -> list[str]:
    """Python files of the UDF that was there, where the new one has none of that name."""
    kept = {name.casefold() for name in new}
    names = [] if old is None else old.files
    return [
        name
        for name in names
        if name == PurePosixPath(name).name and name.endswith(".py") and name.casefold() not in kept
    ]


@contextlib.contextmanager
def _staged(files: Mapping[str, bytes], beside: Path) -> Iterator[Path]:
    """The files in a folder of their own, which is gone afterwards if nobody has moved it."""
    stage = beside / f".fused-{secrets.token_hex(8)}"
    stage.mkdir()
    try:
        for name, content in files.items():
            (stage / name).write_bytes(content)
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _swap(stage: Path, target: Path, *, names: Sequence[str], stale: Sequence[str]) -> None:
    """Replace file by file, so that the folder itself stays what it is; if one fails, all are put back."""
    saved = stage / "before"
    saved.mkdir()
    for name in (*names, *stale):
        if os.path.lexists(target / name):
            shutil.copy2(target / name, saved / name, follow_symlinks=False)
    try:
        for name in names:
            (stage / name).replace(target / name)
        for name in stale:
            (target / name).unlink(missing_ok=True)
    except BaseException:  # also Ctrl-C: the folder is as it was, or as it should be
        for name in names:
            (target / name).unlink(missing_ok=True)
        for path in saved.iterdir():
            path.replace(target / path.name)
        raise
