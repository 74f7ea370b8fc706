from __future__ import annotations

import io
import os
import time
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.errors import ArgumentError, DownloadError, MissingFileError
from fused_jupyter.settings import Options
from fused_jupyter.storage.fd import Files, current_files
from fused_jupyter.storage.mount import MOUNTS, Mount


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def files(root: Path, tmp_path: Path) -> Files:
    return Files(root, mount=tmp_path / "mount")


@pytest.mark.parametrize(
    "url",
    [
        "fd://../secret",
        "fd://a/../../secret",
        "fd://a/..",
        "fd://a/./b",
        "fd://a//b",
        "fd:///etc/passwd",
        "fd://a\\..\\b",
        "fd://a\0b",
        "fd://a\nb",
        "fd://\udc80",
        "fd://.fused-drafts/x",
        "fd://" + "n" * 256,
        "/etc/passwd",
        "file:///etc/passwd",
        "/mount/../../etc/passwd",
        "file:///mount/%2e%2e/secret",
        "/mounted",
        "a/b.csv",
        "",
        "s3://bucket/key",
        "gs://bucket/key",
        "sftp://host/key",
    ],
)
def test_address_of_nothing_here_is_refused(url: str, files: Files, tmp_path: Path) -> None:
    """Whatever is done with an address that leaves the roots, or has no root, does nothing."""
    (tmp_path / "secret").write_text("s")

    for attempt in (files.list, files.get, files.delete, files.resolve, files.begin, lambda it: files.put(it, b"x")):
        with pytest.raises(ArgumentError, match="path: got "):
            attempt(url)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret"]


@given(st.lists(st.sampled_from(["..", ".", "", "a", "link", "/", "\\", "%2e%2e", "~", "\0", "..."]), max_size=6))
def test_no_address_leaves_its_root(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    """Whatever an address is made of, its place is below the root, or it is refused."""
    directory = tmp_path_factory.mktemp("walk")
    root = directory / "files"
    root.mkdir()
    (root / "link").symlink_to(directory)
    files = Files(root, mount=directory / "mount")

    try:
        path = files.place("fd://" + "/".join(parts)).path
    except ArgumentError:
        return

    assert path.is_relative_to(root)


def test_links_that_lead_out_are_not_followed(files: Files, root: Path, tmp_path: Path) -> None:
    """They are neither listed nor read, written or deleted through; links within are files as others."""
    (tmp_path / "secret").write_text("s")
    (root / "data").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / "secret").symlink_to(tmp_path / "secret")
    (root / "broken").symlink_to(tmp_path / "nothing")
    files.put("fd://data/a.csv", b"1")
    (root / "in.csv").symlink_to(root / "data" / "a.csv")

    assert [entry.url for entry in files.list("fd://")] == ["fd://data/", "fd://in.csv"]
    assert files.get("fd://in.csv") == b"1"
    for attempt in (files.get, files.list, files.delete, lambda it: files.put(it, b"x")):
        for url in ("fd://out/secret", "fd://secret", "fd://broken"):
            with pytest.raises(ArgumentError, match="leads out of fd://"):
                attempt(url)
    assert (tmp_path / "secret").read_text() == "s"
    assert not (tmp_path / "nothing").exists()


def test_link_itself_is_deleted(files: Files, root: Path) -> None:
    """A link to a directory goes, what it leads to stays."""
    files.put("fd://data/a.csv", b"1")
    (root / "again").symlink_to(root / "data")

    assert files.delete("fd://again/")

    assert files.get("fd://data/a.csv") == b"1"


@pytest.mark.parametrize("name", ["a b.txt", "ü%20.csv", "日本.parquet", "x~y[1]*?:.tif", ".hidden", "..x"])
def test_file_has_the_name_that_it_was_given(name: str, files: Files, root: Path) -> None:
    """What is put is listed, read and found on the disk under the same name."""
    files.put(f"fd://data/{name}", b"1")

    assert (root / "data" / name).read_bytes() == b"1"
    assert [entry.file_name for entry in files.list("fd://data/")] == [name]
    assert files.get(files.list("fd://data/")[0].url) == b"1"


def test_list_tells_what_is_there(files: Files, root: Path) -> None:
    """Files with size and time, directories with a slash, empty ones too; names that no address has are left out."""
    files.put("fd://data/a.csv", b"123")
    (root / "data" / "empty").mkdir()
    (root / "data" / "with\nline").touch()
    (root / "data" / "back\\slash").touch()
    os.utime(root / "data" / "a.csv", (1_700_000_000, 1_700_000_000))

    a, empty = files.list("fd://data")

    assert (a.url, a.file_name, a.is_directory, a.size) == ("fd://data/a.csv", "a.csv", False, 3)
    assert a.last_modified is not None
    assert a.last_modified.isoformat() == "2023-11-14T22:13:20+00:00"
    assert (empty.url, empty.is_directory, empty.size) == ("fd://data/empty/", True, None)
    assert [entry.url for entry in files.list("fd://data/a.csv")] == ["fd://data/a.csv"]
    assert files.list("fd://nowhere/") == []
    assert files.list("fd://")[0].url == "fd://data/"


def test_walk_gives_files_of_all_depths(files: Files) -> None:
    """Directories are looked into."""
    for key in ("a", "b/c", "b/d/e"):
        files.put(f"fd://{key}", b"")

    assert [entry.url for entry in files.walk("fd://")] == ["fd://a", "fd://b/c", "fd://b/d/e"]


def test_file_is_replaced_whole(files: Files, root: Path, tmp_path: Path) -> None:
    """A content may be bytes, a path or an open file; who has the old one open keeps it."""
    (tmp_path / "source").write_bytes(b"three")
    files.put("fd://a", b"one")
    with (root / "a").open("rb") as before:
        files.put("fd://a", io.BytesIO(b"two"))
        assert before.read() == b"one"
    assert files.get("fd://a") == b"two"
    files.put("fd://a", tmp_path / "source")
    assert files.get("fd://a") == b"three"
    assert [path.name for path in root.iterdir()] == ["a"]


@pytest.mark.parametrize("url", ["fd://", "fd://data/", "fd://data"])
def test_directory_is_no_target(url: str, files: Files) -> None:
    """A file does not take the place of a directory."""
    files.put("fd://data/a", b"1")

    with pytest.raises(ArgumentError, match="directory|address of a file"):
        files.put(url, b"x")

    assert files.get("fd://data/a") == b"1"


def test_file_in_the_way_of_a_directory_is_told(files: Files) -> None:
    """Below a file there is no place."""
    files.put("fd://data", b"1")

    with pytest.raises(ArgumentError, match="cannot be made"):
        files.put("fd://data/a", b"x")


def test_missing_file_is_a_file_not_found(files: Files) -> None:
    """Python's own class catches it; a directory is no file either."""
    files.put("fd://data/a", b"1")

    with pytest.raises(FileNotFoundError, match="fd://b is not there"):
        files.get("fd://b")
    with pytest.raises(MissingFileError, match="fd://data/ is a directory"):
        files.get("fd://data/")


def test_what_lies_too_deep_keeps_all(files: Files) -> None:
    """Files deeper than allowed stop the deletion before it begins."""
    files.put("fd://t/a", b"1")
    files.put("fd://t/1/2/b", b"1")
    files.put("fd://t/1/2/3/c", b"1")

    with pytest.raises(ArgumentError, match="4 levels deep, such as 'c', and max_deletion_depth is 3; nothing"):
        files.delete("fd://t/")
    assert len(list(files.walk("fd://t"))) == 3

    assert files.delete("fd://t/1/2/3")
    assert files.delete("fd://t")
    assert files.list("fd://") == []


def test_deletion_of_any_depth_must_be_said(files: Files) -> None:
    """`unlimited` takes all; a file needs no depth; what is not there is no error."""
    files.put("fd://t/1/2/3/4/5/f", b"1")
    files.put("fd://a", b"1")

    assert files.delete("fd://t", max_depth="unlimited")
    assert files.delete("fd://a", max_depth=0)
    assert not files.delete("fd://a")


@pytest.mark.parametrize("depth", [-1, "2", 1.5, True, None])
def test_depth_is_a_whole_number(depth: object, files: Files) -> None:
    """Anything else deletes nothing."""
    files.put("fd://t/a", b"1")

    with pytest.raises(ArgumentError, match="max_deletion_depth: got"):
        files.delete("fd://t", max_depth=depth)  # type: ignore[arg-type]

    assert files.get("fd://t/a") == b"1"


@pytest.mark.parametrize("url", ["fd://", "/mount/", "/mnt/cache"])
def test_root_is_not_deleted(url: str, files: Files) -> None:
    """All at once is never meant."""
    with pytest.raises(ArgumentError, match="all of it"):
        files.delete(url, max_depth="unlimited")


def test_resolved_address_is_one_that_fsspec_reads(files: Files) -> None:
    """`file://`, with escapes where the name needs them, and a slash where there was one."""
    files.put("fd://data/a b.csv", b"1,2")

    with fsspec.open(files.resolve("fd://data/a b.csv").replace("%20", " ")) as file:
        assert file.read() == b"1,2"
    assert files.resolve("fd://").endswith("/files/")
    assert files.resolve("fd://data/").endswith("/files/data/")
    assert files.get(files.resolve("fd://data/a b.csv")) == b"1,2"


@pytest.mark.parametrize("url", ["/mount/d/a", "/mnt/cache/d/a", "file:///mount/d/a"])
def test_mount_is_the_mount_directory(url: str, files: Files, tmp_path: Path) -> None:
    """All of its names mean one directory."""
    if Mount(tmp_path / "mount").path_map().paths != MOUNTS:
        pytest.skip("this machine really has such a directory")
    files.put(url, b"1")

    assert (tmp_path / "mount" / "d" / "a").read_bytes() == b"1"
    assert files.list("/mount/d")[0].url == "/mount/d/a"


def test_draft_appears_when_it_is_committed(files: Files, root: Path) -> None:
    """Before, there is nothing; afterwards, nothing else; its name opens it once."""
    name = files.begin("fd://data/a")
    files.draft("fd://data/a", name).write_bytes(b"12")

    assert list(files.walk("fd://")) == []
    files.commit("fd://data/a", name)

    assert files.get("fd://data/a") == b"12"
    assert not any((root / ".fused-drafts").iterdir())
    with pytest.raises(MissingFileError, match="begin it again"):
        files.commit("fd://data/a", name)


def test_draft_can_be_given_up(files: Files) -> None:
    """Then it is as if it had never been."""
    name = files.begin("fd://a")

    files.drop("fd://a", name)

    with pytest.raises(MissingFileError):
        files.draft("fd://a", name)


@pytest.mark.parametrize("name", ["../a", "a", "", "0" * 31 + "/", "G" * 32])
def test_draft_has_a_name_of_ours(name: str, files: Files) -> None:
    """No other file can be moved by it."""
    files.put("fd://a", b"1")

    with pytest.raises(MissingFileError):
        files.commit("fd://b", name)

    assert files.get("fd://a") == b"1"


def test_old_drafts_go_with_the_next(files: Files) -> None:
    """What an upload of yesterday left does not stay for ever."""
    old = files.draft("fd://a", files.begin("fd://a"))
    os.utime(old, (time.time() - 90_000, time.time() - 90_000))
    young = files.begin("fd://a")

    assert not old.exists()
    assert files.draft("fd://a", young).exists()


def test_forked_process_is_told_instead_of_waiting(files: Files) -> None:
    """obstore has threads that a child has not: reading there would never end."""
    files.put("fd://a", b"1")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            files.get("fd://a")
        except DownloadError:
            os.write(writer, b"told")
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)

    assert os.read(reader, 9) == b"told"


def test_directories_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`FUSED_FILES_DIRECTORY`, or `files` in `FUSED_DATA_DIRECTORY`; a change is seen at once."""
    monkeypatch.setenv("FUSED_DATA_DIRECTORY", str(tmp_path / "data"))
    monkeypatch.delenv("FUSED_FILES_DIRECTORY", raising=False)
    assert current_files().place("fd://").path == tmp_path / "data" / "files"
    monkeypatch.setenv("FUSED_FILES_DIRECTORY", str(tmp_path / "own"))
    assert current_files().place("fd://").path == tmp_path / "own"


def test_relative_directory_is_refused() -> None:
    """Kernel, server and workers have different working directories."""
    with pytest.raises(ArgumentError, match="FUSED_FILES_DIRECTORY: got 'here', need an absolute path"):
        Files.of(Options(files_directory="here"))
