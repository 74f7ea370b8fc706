from __future__ import annotations

import io
import json
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fused_jupyter.errors import ArgumentError, FusedError, UdfDefinitionError, UdfExistsError
from fused_jupyter.storage import (
    MAX_BYTES,
    MAX_MEMBERS,
    Folder,
    definition_of,
    read_archive,
    write_archive,
    write_folder,
)
from fused_jupyter.udfs import HeaderModule, UdfDefinition

Define = Callable[..., UdfDefinition]
Member = str | zipfile.ZipInfo


@pytest.fixture
def udf(definition: Define) -> UdfDefinition:
    """It has a header module."""
    return definition("def f(): return 1", headers=(HeaderModule(module_name="utils", source="X = 1"),))


@pytest.fixture
def packed(udf: UdfDefinition, tmp_path: Path) -> Callable[..., Path]:
    """An archive of the UDF with further members."""

    def pack(*members: tuple[Member, bytes], below: str = "", method: int = zipfile.ZIP_DEFLATED) -> Path:
        path = tmp_path / "udf.zip"
        folder = write_folder(udf, tmp_path / "folder")
        with zipfile.ZipFile(path, "w", method) as archive:
            for file in folder.iterdir():
                archive.write(file, below + file.name)
            for member, content in members:
                archive.writestr(member, content)
        return path

    return pack


def test_archive_holds_the_files_of_the_folder(udf: UdfDefinition, tmp_path: Path) -> None:
    """Python's own zipfile reads them, and finds no mistake."""
    folder = write_folder(udf, tmp_path / "folder")

    write_archive(udf, tmp_path / "udf.zip")

    with zipfile.ZipFile(tmp_path / "udf.zip") as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == {file.name: file.read_bytes() for file in folder.iterdir()}


def test_same_udf_is_the_same_bytes(udf: UdfDefinition, tmp_path: Path) -> None:
    """Version control and caches see no change where there is none."""
    stream = io.BytesIO()

    write_archive(udf, stream)
    write_archive(udf, tmp_path / "udf.zip")

    assert (tmp_path / "udf.zip").read_bytes() == stream.getvalue()


def test_nothing_is_overwritten_unasked(udf: UdfDefinition, definition: Define, tmp_path: Path) -> None:
    """The message says how to ask."""
    path = tmp_path / "udf.zip"
    write_archive(definition("def old(): pass"), path)

    with pytest.raises(FileExistsError, match="there already; overwrite=True replaces it"):
        write_archive(udf, path)
    assert definition_of(read_archive(path)).name == "old"

    write_archive(udf, path, overwrite=True)
    assert definition_of(read_archive(path)) == udf
    assert list(tmp_path.iterdir()) == [path]


def test_target_must_be_able_to_be_an_archive(udf: UdfDefinition, tmp_path: Path) -> None:
    """`fused.load` knows it by its name."""
    (tmp_path / "folder.zip").mkdir()

    with pytest.raises(UdfExistsError, match="is a folder"):
        write_archive(udf, tmp_path / "folder.zip", overwrite=True)
    for name in ("udf", "udf.py"):
        with pytest.raises(ArgumentError, match=r"let the name end in \.zip"):
            write_archive(udf, tmp_path / name)


def test_what_fails_leaves_the_old_one(
    udf: UdfDefinition, definition: Define, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk costs nothing that was there."""
    path = tmp_path / "udf.zip"
    write_archive(definition("def old(): pass"), path)

    def fail(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        write_archive(udf, path, overwrite=True)

    assert definition_of(read_archive(path)).name == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("below", ["", "quakes/", "quakes-main/"])
def test_udf_may_lie_in_one_folder(udf: UdfDefinition, packed: Callable[..., Path], below: str) -> None:
    """As archives of a forge or of a desktop have it; what macOS adds does not count."""
    path = packed((f"__MACOSX/{below}._meta.json", b"\0"), ("./", b""), below=below)

    assert definition_of(read_archive(path)) == udf


def test_archive_of_udfs_names_them(packed: Callable[..., Path]) -> None:
    """One is to be chosen."""
    path = packed(("b/meta.json", b"{}"), ("c.txt", b""), below="a/")

    with pytest.raises(UdfDefinitionError, match="udf.zip holds UDFs; load one of its folders: a, b"):
        definition_of(read_archive(path))


def test_archive_with_one_python_file_is_a_udf(tmp_path: Path) -> None:
    """As a folder with one is."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("f.py", "def f(): pass")

    assert definition_of(read_archive(tmp_path / "x.zip")).name == "f"


def test_archive_without_a_file_of_the_udf_says_so(tmp_path: Path) -> None:
    """With its name."""
    meta = {"job_config": {"steps": [{"type": "udf", "udf": {"source": "gone.py"}}]}}
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("meta.json", json.dumps(meta))

    with pytest.raises(UdfDefinitionError, match="x.zip has no file 'gone.py'"):
        definition_of(read_archive(tmp_path / "x.zip"))


def linked(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("member", "says"),
    [
        ("../evil.py", "lies outside"),
        ("a/../../evil.py", "lies outside"),
        ("/etc/cron.d/evil", "lies outside"),
        ("C:\\evil.py", "lies outside"),
        ("C:evil.py", "lies outside"),
        ("..\\evil.py", "lies outside"),
        ("\\\\server\\share\\evil.py", "lies outside"),
        ("../", "lies outside"),
        (linked("utils.py.link"), "is a link or a device"),
        ("UTILS/../utils.py", "lies outside"),
        ("./utils.py", "two members called 'utils.py'"),
    ],
)
def test_member_that_leads_out_is_refused(packed: Callable[..., Path], member: Member, says: str) -> None:
    """Though nothing is unpacked to the disk: such an archive is no accident."""
    path = packed((member, b"/etc/passwd"))

    with pytest.raises(UdfDefinitionError, match=says):
        read_archive(path)


def test_too_many_members_are_refused(packed: Callable[..., Path]) -> None:
    """Also so many that looking at each would take long."""
    with pytest.raises(UdfDefinitionError, match=f"members, {MAX_MEMBERS} are allowed"):
        read_archive(packed(*[(f"{n}", b"") for n in range(MAX_MEMBERS)]))


def test_very_many_members_are_refused_before_they_are_read(tmp_path: Path) -> None:
    """`zipfile` would make an object of each."""
    (tmp_path / "x.zip").write_bytes(b"PK\x01\x02" * 30_000)

    with pytest.raises(UdfDefinitionError, match=f"it has more than {MAX_MEMBERS} members"):
        read_archive(tmp_path / "x.zip")


def test_bomb_is_refused(packed: Callable[..., Path]) -> None:
    """One member or many; small packed, large unpacked."""
    half = b"\0" * (MAX_BYTES // 2 + 1)

    path = packed(("a", half), ("b", half))

    assert path.stat().st_size < MAX_BYTES // 100
    with pytest.raises(UdfDefinitionError, match=f"unpacks to more than {MAX_BYTES} bytes"):
        read_archive(path)


@pytest.mark.parametrize("claim", [0, 10, 2**32 - 2])
def test_what_the_header_claims_is_not_believed(packed: Callable[..., Path], claim: int) -> None:
    """A length that is wrong makes the archive a broken one, not a large one."""
    path = packed(("a", b"\0" * (MAX_BYTES + 1)))
    content = bytearray(path.read_bytes())
    record = content.rindex(b"PK\x01\x02")
    content[record + 24 : record + 28] = struct.pack("<L", claim)
    path.write_bytes(content)

    with pytest.raises(UdfDefinitionError, match="udf.zip is no"):
        read_archive(path)


def test_long_file_is_not_read(tmp_path: Path) -> None:
    """It cannot be one."""
    with (tmp_path / "x.zip").open("wb") as file:
        file.truncate(MAX_BYTES + 1)

    with pytest.raises(UdfDefinitionError, match="it is longer than"):
        read_archive(tmp_path / "x.zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_the_usual_packing_is_read(packed: Callable[..., Path], method: int) -> None:
    """The others give no way to stop in time."""
    with pytest.raises(UdfDefinitionError, match="use deflate"):
        read_archive(packed(method=method))


def test_stored_members_are_read(udf: UdfDefinition, packed: Callable[..., Path]) -> None:
    """As some programs do with small files."""
    assert definition_of(read_archive(packed(method=zipfile.ZIP_STORED))) == udf


def test_encrypted_member_is_named(packed: Callable[..., Path]) -> None:
    """There is nobody to ask for a password."""
    path = packed(("secret.txt", b"x"))
    content = bytearray(path.read_bytes())
    record = content.rindex(b"PK\x01\x02")
    content[record + 8] |= 1
    path.write_bytes(content)

    with pytest.raises(UdfDefinitionError, match="'secret.txt' is encrypted"):
        read_archive(path)


@pytest.mark.parametrize("cut", [0, 4, 30, 100, 300])
def test_broken_archive_is_an_error_of_ours(packed: Callable[..., Path], cut: int) -> None:
    """However it is broken: cut off, or with bytes turned over."""
    path = packed()
    whole = path.read_bytes()

    path.write_bytes(whole[:cut])
    with pytest.raises(FusedError, match="is no zip archive that can be read"):
        read_archive(path)
    for place in range(cut, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            definition_of(read_archive(path))
        except FusedError:
            continue


def test_folder_and_archive_give_the_same(packed: Callable[..., Path], tmp_path: Path) -> None:
    """An archive that was unpacked by hand is the UDF."""
    path = packed()
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")

    assert definition_of(Folder(tmp_path / "unpacked")) == definition_of(read_archive(path))
