from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.errors import ArgumentError
from fused_jupyter.storage import mount as mount_module
from fused_jupyter.storage.mount import Mount, PathMap, check_storage, current_mount

PATHS = PathMap(directory="/home/me/mount", paths=("/mnt/cache", "/mount"))


@pytest.mark.parametrize(
    ("text", "real"),
    [
        ("/mnt/cache", "/home/me/mount"),
        ("/mnt/cache/", "/home/me/mount/"),
        ("/mnt/cache/.env", "/home/me/mount/.env"),
        ("/mount", "/home/me/mount"),
        ("/mount/a b/c.parquet", "/home/me/mount/a b/c.parquet"),
        ("file:///mnt/cache/x", "file:///home/me/mount/x"),
        ("file:///mount", "file:///home/me/mount"),
    ],
)
def test_path_of_the_mount_is_the_real_one(text: str, real: str) -> None:
    """As an argument, and as a string in code."""
    assert PATHS.whole(text) == real
    assert PATHS.within(text) == real


@pytest.mark.parametrize(
    "text",
    ["", "/mnt", "/mnt/", "/mnt/cached", "/mnt/cache2/x", "/mounts", "/mount.csv", "/mount-1/x", "mount/x", "./mount",
     "/data/mount/x", "/data/mnt/cache", "s3://bucket/mount/x", "s3://mount/x", "https://example.com/mnt/cache/x",
     "https://example.com/mount", "gs://mnt/cache", "//mount/x", "<code>/mount/</code>"],
)  # fmt: skip
def test_other_paths_stay(text: str) -> None:
    """Whatever they have in common with it."""
    assert PATHS.whole(text) == text
    assert PATHS.within(text) == text


@pytest.mark.parametrize(
    ("text", "real"),
    [
        ("npm install -g --prefix /mount/tmp mapshaper", "npm install -g --prefix /home/me/mount/tmp mapshaper"),
        ("SELECT * FROM '/mnt/cache/a.parquet'", "SELECT * FROM '/home/me/mount/a.parquet'"),
        ("read_csv(['/mount/a','/mount/b'])", "read_csv(['/home/me/mount/a','/home/me/mount/b'])"),
        ("PATH=/mount/bin:/mnt/cache/bin", "PATH=/home/me/mount/bin:/home/me/mount/bin"),
        ("/vsizip//mount/a.zip", "/vsizip//home/me/mount/a.zip"),
        ("/vsizip/{/mount/a.zip}/b", "/vsizip/{/home/me/mount/a.zip}/b"),
        ("zip:///mount/a.zip!b.shp", "zip:///home/me/mount/a.zip!b.shp"),
    ],
)
def test_path_in_a_text_of_code_is_found(text: str, real: str) -> None:
    """SQL, commands, GDAL; an argument of a call is data, and stays unless it is a path."""
    assert PATHS.within(text) == real
    assert PATHS.whole(text) == text


def test_what_stands_before_decides() -> None:
    """A part of an f-string begins in the middle."""
    assert PATHS.within("/mount/a", before="x") == "/mount/a"
    assert PATHS.within(" '/mount/a", before="x") == " '/home/me/mount/a"


@given(st.text())
def test_text_without_such_a_path_stays(text: str) -> None:
    """Byte by byte."""
    text = text.replace("mount", "").replace("mnt", "")

    assert PATHS.within(text) == PATHS.whole(text) == text


def test_nothing_is_mapped_where_all_is_real() -> None:
    """Then a path means what it says."""
    paths = PathMap(directory="/home/me/mount", paths=())

    assert paths.whole("/mount/a") == paths.within("/mount/a") == "/mount/a"


def test_real_mount_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it can be written to; each of the two for itself."""
    real = tmp_path / "real"
    monkeypatch.setattr(mount_module, "MOUNTS", (str(real), "/no/such"))
    mount = Mount(tmp_path / "mount")
    assert mount.path_map().paths == (str(real), "/no/such")

    real.mkdir()

    assert mount.path_map().paths == ("/no/such",)
    assert mount.target(real / "a.bin") == real / "a.bin"


def test_mount_is_private(tmp_path: Path) -> None:
    """Keys lie there. One that is there is left as it is."""
    mount = Mount(tmp_path / "a" / "mount")

    assert mount.make().stat().st_mode & 0o777 == 0o700
    mount.directory.chmod(0o750)
    assert mount.make().stat().st_mode & 0o777 == 0o750


def test_mount_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """It names the setting."""
    (tmp_path / "file").touch()

    with pytest.raises(ArgumentError, match="FUSED_MOUNT_DIRECTORY: .*cannot be made"):
        Mount(tmp_path / "file" / "mount").make()


FILES = {
    "a.csv": "tmp/a.csv",
    "deep/er/a.csv": "tmp/deep/er/a.csv",
    "deep/../a.csv": "tmp/a.csv",
    "./a": "tmp/a",
    "logs///default.log": "tmp/logs/default.log",
    "https://example.com/a.tif?x=1": "tmp/https:/example.com/a.tif?x=1",
    "/mnt/cache/.env": ".env",
    "/mount/tmp/a": "tmp/a",
}


@pytest.mark.parametrize(("path", "place"), FILES.items(), ids=FILES)
def test_file_has_its_place(tmp_path: Path, path: str, place: str) -> None:
    """The same for `file_path` and `download`; `tmp` is where Fused has them, too."""
    mount = Mount(tmp_path)

    assert mount.file(path) == mount.target(path) == tmp_path / place


def test_absolute_path_is_a_place_of_its_own(tmp_path: Path) -> None:
    """For `file_path`; a download goes into the mount directory, as with Fused."""
    mount = Mount(tmp_path / "mount")

    assert mount.file("/data/a") == Path("/data/a")
    assert mount.target("/data/a") == tmp_path / "mount" / "tmp" / "data" / "a"
    assert mount.target(mount.file("a")) == mount.file("a")


@pytest.mark.parametrize("path", ["..", "../a", "a/../../a", "../tmp2/a", "../../etc/passwd"])
def test_relative_path_stays_inside(tmp_path: Path, path: str) -> None:
    """It may come from the address of a request."""
    mount = Mount(tmp_path)

    with pytest.raises(ArgumentError, match="leaves .*leave out the"):
        mount.file(path)
    with pytest.raises(ArgumentError, match="leaves .*leave out the"):
        mount.target(path)


@pytest.mark.parametrize("path", ["/mount/../../etc/passwd", "/../etc/passwd"])
def test_download_stays_inside(tmp_path: Path, path: str) -> None:
    """Also by an absolute path."""
    assert Mount(tmp_path / "mount").target(path).is_relative_to(tmp_path / "mount")


@pytest.mark.parametrize("path", ["", "/", "a\0b", "x" * 256, "a/" + "ü" * 128])
def test_impossible_name_is_an_error(tmp_path: Path, path: str) -> None:
    """Before anything is made."""
    with pytest.raises(ArgumentError, match="file_path: got"):
        Mount(tmp_path).file(path)


def test_setting_names_the_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment, and a change of it is seen."""
    monkeypatch.setenv("FUSED_MOUNT_DIRECTORY", str(tmp_path / "a" / ".." / "b"))
    assert current_mount().directory == tmp_path / "b"

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FUSED_MOUNT_DIRECTORY", "~/mine")
    assert current_mount().directory == tmp_path / "mine"


def test_mount_is_among_the_data_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If nothing is said."""
    monkeypatch.delenv("FUSED_MOUNT_DIRECTORY")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert current_mount().directory == tmp_path / ".local" / "share" / "fused_jupyter" / "mount"

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert current_mount().directory == tmp_path / "data" / "fused_jupyter" / "mount"


def test_mount_must_be_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers change their directory."""
    monkeypatch.setenv("FUSED_MOUNT_DIRECTORY", "mount")

    with pytest.raises(ArgumentError, match="need an absolute path"):
        current_mount()


def test_storages_of_fused_are_known() -> None:
    """They mean one place here."""
    for storage in ("auto", "mount", "local"):
        check_storage(storage)
    with pytest.raises(ArgumentError, match="storage: got 'object', need one of auto, mount, local"):
        check_storage("object")


def test_mount_is_looked_up_once() -> None:
    """Each call of a UDF that names it asks."""
    assert current_mount() is current_mount()
