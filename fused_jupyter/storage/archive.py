"""A UDF as a zip archive. It is read in memory; nothing is unpacked to the disk."""

from __future__ import annotations

import io
import secrets
import stat
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from fused_jupyter.errors import ArgumentError, UdfDefinitionError, UdfExistsError
from fused_jupyter.storage.folder import inner_name
from fused_jupyter.storage.layout import MAX_BYTES, files_of
from fused_jupyter.storage.meta import META
from fused_jupyter.udfs import UdfDefinition

MAX_MEMBERS = 1000

_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_CENTRAL = b"PK\x01\x02"
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that zip knows: the same UDF gives the same bytes
_MODE = (stat.S_IFREG | 0o644) << 16


class Archive:
    """The files of a UDF in an archive: at its top, or in the one folder that it holds."""

    def __init__(self, where: str, members: Mapping[str, bytes]) -> None:
        self._where = where
        tops = {name.partition("/")[0] for name in members} - {"__MACOSX"}
        root = f"{tops.pop()}/" if len(tops) == 1 and not any("/" not in name for name in members) else ""
        self._members = {name.removeprefix(root): content for name, content in members.items() if name.startswith(root)}

    @property
    def where(self) -> str:
        """The path of the archive."""
        return self._where

    def names(self) -> Sequence[str]:
        """The files at the top."""
        return sorted(name for name in self._members if "/" not in name)

    def folders(self) -> Sequence[str]:
        """The folders at the top that hold a UDF."""
        return sorted(
            name.removesuffix(f"/{META}")
            for name in self._members
            if name.count("/") == 1 and name.endswith(f"/{META}")
        )

    def read(self, name: str) -> bytes:
        """One of them, or one in a folder below.

        Raises:
            UdfDefinitionError: it is not there, or outside.
        """
        try:
            return self._members[inner_name(name, self.where)]
        except KeyError as exc:
            raise UdfDefinitionError(f"{self.where} has no file {name!r}, which belongs to the UDF") from exc


def read_archive(path: Path) -> Archive:
    """The files in an archive.

    Raises:
        UdfDefinitionError: it is broken, or holds what a UDF's archive does not: links, names that lead out, more than
            `MAX_MEMBERS` members, more than `MAX_BYTES` bytes.
    """
    if path.stat().st_size > MAX_BYTES:
        raise _refused(path, f"it is longer than {MAX_BYTES} bytes")
    content = path.read_bytes()
    if content.count(_CENTRAL) > 20 * MAX_MEMBERS:  # before zipfile makes an object of each
        raise _refused(path, f"it has more than {MAX_MEMBERS} members")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return Archive(str(path), _members(archive, path))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OverflowError) as exc:
        raise UdfDefinitionError(f"{path} is no zip archive that can be read: {exc}") from exc


def write_archive(definition: UdfDefinition, target: Path | BinaryIO, *, overwrite: bool = False) -> None:
    """Save a UDF as an archive: whole, or not at all.

    Args:
        definition: the UDF.
        target: a path that ends in `.zip`, or an open binary file.
        overwrite: replace the file that is there.

    Raises:
        UdfExistsError: it is there.
        ArgumentError: the path does not end in `.zip`; or the metadata cannot be saved.
    """
    content = _packed(files_of(definition))
    if not isinstance(target, Path):
        target.write(content)
        return
    if target.suffix.lower() != ".zip":
        raise ArgumentError(f"{target}: a UDF is saved as a zip archive here; let the name end in .zip")
    if target.is_dir() or (target.exists() and not overwrite):
        more = "a folder" if target.is_dir() else "there already; overwrite=True replaces it"
        raise UdfExistsError(f"{target} is {more}")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.parent / f".fused-{secrets.token_hex(8)}"
    try:
        beside.write_bytes(content)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _packed(files: Mapping[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, _TIME)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = _MODE
            archive.writestr(member, content)
    return whole.getvalue()


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, bytes]:
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise _refused(path, f"it has {len(members)} members, {MAX_MEMBERS} are allowed")
    found: dict[str, bytes] = {}
    left = MAX_BYTES
    for member in members:
        if member.is_dir() and not PurePosixPath(member.filename).parts:  # "./", as some programs begin
            continue
        _check(member, path)
        if member.is_dir():
            continue
        name = inner_name(member.filename, str(path))
        if name in found:
            raise _refused(path, f"it has two members called {name!r}")
        with archive.open(member) as opened:
            found[name] = opened.read(left + 1)  # what the header says of its length may be a lie
        left -= len(found[name])
        if left < 0:
            raise _refused(path, f"it unpacks to more than {MAX_BYTES} bytes")
    return found


def _check(member: zipfile.ZipInfo, path: Path) -> None:
    inner_name(member.filename, str(path))
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise _refused(path, f"{member.filename!r} is a link or a device")
    if member.flag_bits & 1:
        raise _refused(path, f"{member.filename!r} is encrypted")
    if not member.is_dir() and member.compress_type not in _METHODS:
        raise _refused(path, f"{member.filename!r} is packed in a way that other programs may not know; use deflate")


def _refused(path: Path, why: str) -> UdfDefinitionError:
    return UdfDefinitionError(f"{path} is no archive of a UDF: {why}")
