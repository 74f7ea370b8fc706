"""UDFs from elsewhere: repositories of GitHub, the folder of the UDF that asks, catalogues, others' tokens."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from fused_jupyter.engines.nesting import depend_on, running
from fused_jupyter.errors import DownloadError, FusedError, UdfDefinitionError, UdfNotFoundError, UnknownUdfError
from fused_jupyter.settings import setting
from fused_jupyter.storage import (
    Folder,
    Found,
    Repositories,
    RepositoryFolder,
    Shelf,
    Snapshot,
    definition_of,
    definition_of_file,
    has_siblings,
    shelf,
)
from fused_jupyter.storage.layout import Files
from fused_jupyter.storage.meta import META, read_meta
from fused_jupyter.udfs import SIBLINGS, UdfDefinition

PREFIX = "UDF_"
"""Before a name: that of a catalogue."""

_HANDLE = re.compile(r"[\w.+-]+")


def is_address(text: str) -> bool:
    """Whether a text is an address of GitHub, or of the server that the settings name."""
    return text.startswith("http") and Repositories.current().has(text)


def at_address(url: str, directory: str) -> UdfDefinition:
    """The UDF at an address of GitHub: a folder, or a Python file.

    Args:
        url: the address.
        directory: where its relative paths start.

    Raises:
        UdfNotFoundError: there is no such repository, ref or folder.
        DownloadError: it cannot be reached.
        UdfDefinitionError: what is there is no UDF.
    """
    snapshot, path = Repositories.current().open(url)
    _depend_on(snapshot.told_by)
    return _in_repository(snapshot, path, directory)


def in_folder(path: Path, directory: str) -> UdfDefinition:
    """The UDF in a folder of this machine; it finds those beside it by their names."""
    definition = definition_of(_Noted(Folder(path)), directory=directory)
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - links stay as they are
    return _among(definition, str(whole.parent) if has_siblings(whole) else "")


def in_file(path: Path, directory: str) -> UdfDefinition:
    """The UDF in a Python file of this machine."""
    return definition_of_file(_Noted(Folder(path.parent)), path.name, directory=directory)


def sibling(name: str) -> UdfDefinition | None:
    """The UDF of that name beside the one that runs; None where it stands alone, or there is none."""
    caller = running()
    place = None if caller is None else caller.metadata.get(SIBLINGS)
    if caller is None or not isinstance(place, str):
        return None
    return _taken(shelf(place).find(name), caller.directory)


def in_catalogues(name: str, *, owner: str = "") -> UdfDefinition:
    """The UDF of that name in a catalogue of the settings.

    Args:
        name: without `UDF_`.
        owner: whose it is: a folder of that name above it.

    Raises:
        UnknownUdfError: none has it; says which were asked, and which could not be.
    """
    handle = owner.partition("@")[0]
    wanted = f"{handle}/{name}" if owner and _HANDLE.fullmatch(handle) else name
    look: Callable[[Shelf], Found | None] = lambda place: (  # noqa: E731 - one of two ways to look
        place.search(wanted) if owner else place.find(name) or place.search(name)
    )
    found, troubles = _first_found(look)
    if found is not None:
        return found
    asked = ", ".join(setting("catalogues")) or "none are set"
    trouble = "".join(f"; {text}" for text in troubles)
    raise UnknownUdfError(f"no catalogue has a UDF {wanted!r} (fused.options.catalogues: {asked}){trouble}", udf=name)


def behind_shared_token(token: str, resolve: Callable[[str], UdfDefinition]) -> UdfDefinition | None:
    """What a token of somebody else means here: by the file that says so, or by what UDFs say of themselves.

    Args:
        token: `fsh_…`, or `fc_…` with `/name`.
        resolve: what a name in the file means.
    """
    head, _, name = token.partition("/")
    if (said := _said_of(head)) is not None:
        place = Path(os.path.expanduser(said))  # noqa: PTH111 - a Path raises where there is no such user
        place = place if place.is_absolute() else _shared_udfs().parent / place
        if name:
            return _taken(shelf(said if is_address(said) else str(place)).find(name), _directory())
        if is_address(said):
            return at_address(said, _directory())
        if place.exists():
            return in_folder(place, _directory()) if place.is_dir() else in_file(place, _directory())
        return resolve(said)
    caller = running()
    beside = caller.metadata.get(SIBLINGS) if caller is not None else None
    if isinstance(beside, str) and (found := _taken(shelf(beside).of_token(head), _directory())) is not None:
        return found
    return _first_found(lambda place: place.of_token(head))[0]


def _first_found(look: Callable[[Shelf], Found | None]) -> tuple[UdfDefinition | None, Sequence[str]]:
    """What the first catalogue has, and why others could not be asked."""
    troubles: list[str] = []
    for place in setting("catalogues"):
        try:
            if (definition := _taken(look(shelf(place)), _directory())) is not None:
                return definition, troubles
        except (DownloadError, UdfNotFoundError) as exc:
            troubles.append(exc.message)
    return None, troubles


def _taken(found: Found | None, directory: str) -> UdfDefinition | None:
    if found is None:
        return None
    _depend_on(found.told_by)
    files = _Noted(found.files) if isinstance(found.files, Folder) else found.files
    definition = (
        definition_of(files, directory=directory)
        if found.file is None
        else definition_of_file(files, found.file, directory=directory)
    )
    return _among(definition, found.shelf)


@functools.lru_cache(maxsize=64)
def _in_repository(snapshot: Snapshot, path: str, directory: str) -> UdfDefinition:
    """Once in a process, as a commit never changes: a UDF loads its library with each call."""
    parent, _, name = path.rpartition("/")
    if name.endswith((".py", META)):
        files = RepositoryFolder(snapshot, parent)
        if name != META and not _is_source(snapshot.content(f"{parent}/{META}" if parent else META), name):
            return _among(definition_of_file(files, name, directory=directory), files.where)
        path, (parent, _, _) = parent, parent.rpartition("/")
    definition = definition_of(RepositoryFolder(snapshot, path), directory=directory)
    return _among(definition, RepositoryFolder(snapshot, parent).where if path else "")


def _is_source(meta: bytes | None, name: str) -> bool:
    """Whether `meta.json` beside a Python file is of the UDF in it, and so knows its header modules."""
    try:
        return meta is not None and read_meta(meta, META).source.file == name
    except UdfDefinitionError:
        return False


def _among(definition: UdfDefinition, place: str) -> UdfDefinition:
    """As it stands on a shelf, if on any; where it came from, it may have been saved, and is not here."""
    from fused_jupyter.api.saved import bare

    own = bare(definition)
    return replace(own, metadata={**own.metadata, SIBLINGS: place}) if place else own


def _said_of(token: str) -> str | None:
    """What the file of shared tokens says."""
    path = _shared_udfs()
    depend_on(path)
    try:
        known: Any = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise FusedError(f"{path} cannot be read: {exc}; it is a JSON object of tokens and folders") from exc
    said = known.get(token) if isinstance(known, dict) else None
    return said if isinstance(said, str) else None


def _shared_udfs() -> Path:
    said = setting("shared_udfs") or os.path.join(setting("data_directory"), "shared_udfs.json")  # noqa: PTH118 - see below
    return Path(os.path.expanduser(said))  # noqa: PTH111 - a Path raises where there is no home


def _depend_on(paths: Iterable[str]) -> None:
    for path in paths:
        depend_on(path)


def _directory() -> str:
    return os.getcwd()  # noqa: PTH109 - a string is what travels


class _Noted:
    """Files of a folder, each of which the result of a running UDF depends on once it is read."""

    def __init__(self, files: Files) -> None:
        self._files = files

    @property
    def where(self) -> str:
        return self._files.where

    def names(self) -> Sequence[str]:
        depend_on(os.path.join(self.where, META))  # noqa: PTH118 - a string is what is noted
        return self._files.names()

    def folders(self) -> Sequence[str]:
        return self._files.folders()

    def read(self, name: str) -> bytes:
        depend_on(os.path.join(self.where, name))  # noqa: PTH118 - see above
        return self._files.read(name)
