from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import fused_jupyter as fused
from fused_jupyter.api import files
from fused_jupyter.errors import ArgumentError, DownloadError
from fused_jupyter.runtime import shut_down

CONTENT = b"a,b\n1,2\n" * 1000


@pytest.fixture(scope="module", autouse=True)
def mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of the notebook and of its workers."""
    directory = tmp_path_factory.mktemp("files") / "mount"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUSED_MOUNT_DIRECTORY", str(directory))
        shut_down()
        yield directory


class _Site(ThreadingHTTPServer):
    asked = 0


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(200 if self.path.startswith("/data") else 404)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[_Site]:
    server = _Site(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def address(site: _Site, path: str) -> str:
    return f"http://127.0.0.1:{site.server_port}/{path}"


def test_notebook_and_udfs_share_a_download(site: _Site, mount: Path) -> None:
    """One asks the server, in whichever process it runs; the path is a text."""

    @fused.udf
    def rows(url: str, file_path: str):  # noqa: ANN202 - as users write
        import pandas as pd

        return len(pd.read_csv(fused.download(url, file_path)))

    url = address(site, "data.csv")

    counts = [rows(url=url, file_path=f"shared/{n % 2}.csv", cache_max_age=0) for n in range(4)]
    path = fused.download(url, "shared/0.csv")

    assert counts == [1999] * 4
    assert path == str(mount / "tmp" / "shared" / "0.csv")
    assert Path(path).read_bytes() == CONTENT
    assert site.asked == 2


def test_error_in_a_udf_says_what_the_server_said(site: _Site) -> None:
    """As any error of ours that a UDF does not catch."""

    @fused.udf
    def rows(url: str):  # noqa: ANN202 - as users write
        return fused.download(url, "none.csv")

    with pytest.raises(DownloadError, match=r"/none\.csv: the server answered 404") as caught:
        rows(url=address(site, "none.csv"))

    assert caught.value.udf == "rows"


def test_error_in_the_notebook_is_an_os_error(site: _Site) -> None:
    """As code that was written for other ways to download expects."""
    with pytest.raises(OSError, match="the server answered 404") as caught:
        fused.download(address(site, "none.csv"), "none.csv")

    assert isinstance(caught.value, DownloadError)


def test_address_may_be_the_path(site: _Site, mount: Path) -> None:
    """Many public UDFs say `fused.download(url, url)`."""
    url = address(site, "data/a b.csv?year=2024")

    path = Path(fused.download(url, url))

    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(mount / "tmp" / "http:")


def test_path_of_the_mount_is_an_address_and_a_place(mount: Path) -> None:
    """In the notebook, where code is as Python compiles it, the functions know it."""
    mount.mkdir(exist_ok=True)
    (mount / "a.txt").write_text("a")

    assert fused.download("/mnt/cache/a.txt", "/mount/b.txt") == str(mount / "b.txt")
    assert fused.download("file:///mount/a.txt", "c.txt") == str(mount / "tmp" / "c.txt")
    assert fused.download("/mount/a.txt", "/mnt/cache/a.txt") == str(mount / "a.txt")
    assert [path.read_text() for path in (mount / "b.txt", mount / "tmp" / "c.txt", mount / "a.txt")] == ["a"] * 3


def test_path_of_a_file_has_its_directory(mount: Path) -> None:
    """Those above it, too; the file itself is the caller's business."""
    path = Path(fused.file_path("deep/er/a.parquet"))

    assert path == mount / "tmp" / "deep" / "er" / "a.parquet"
    assert path.parent.is_dir()
    assert not path.exists()


@pytest.mark.parametrize("name", ["tiles", "tiles.v2/", "more/tiles"])
def test_path_without_suffix_is_a_directory(mount: Path, name: str) -> None:
    """As with Fused; a slash at the end says so, too."""
    assert Path(fused.file_path(name)).is_dir()
    assert Path(fused.file_path(name)).is_dir()


def test_file_without_suffix_stays_a_file(mount: Path) -> None:
    """When it is there already."""
    Path(fused.file_path("x/"), "LICENSE").write_text("free")

    assert Path(fused.file_path("x/LICENSE")).read_text() == "free"


def test_nothing_is_made_if_not_wanted(mount: Path) -> None:
    """`mkdir` may come by position."""
    assert not Path(fused.file_path("unmade/a.csv", mkdir=False)).parent.exists()
    assert not Path(fused.file_path("unmade", False)).exists()


def test_absolute_path_comes_back(tmp_path: Path) -> None:
    """So `file_path` may be called on what it gave."""
    once = fused.file_path("a/b.csv")

    assert fused.file_path(once) == once
    assert fused.file_path(tmp_path / "x" / "y.csv") == str(tmp_path / "x" / "y.csv")
    assert (tmp_path / "x").is_dir()


def test_directory_that_cannot_be_made_is_an_error(mount: Path) -> None:
    """A file is in its way."""
    Path(fused.file_path("way.txt")).touch()

    with pytest.raises(ArgumentError, match="cannot be made"):
        fused.file_path("way.txt/a.csv")


@pytest.mark.parametrize("storage", ["auto", "mount", "local"])
def test_each_storage_is_the_mount(mount: Path, storage: str) -> None:
    """On one machine they are one."""
    assert fused.file_path("s.csv", storage=storage) == str(mount / "tmp" / "s.csv")


def test_wrong_arguments_are_errors() -> None:
    """Before anything is asked or made."""
    with pytest.raises(ArgumentError, match="storage: got 'object'"):
        fused.file_path("a", storage="object")
    with pytest.raises(ArgumentError, match="storage: got 'cloud'"):
        fused.download("https://example.com/a", "a", storage="cloud")
    with pytest.raises(ArgumentError, match="leaves the mount directory; leave out"):
        fused.download("https://example.com/a", "../a")
    with pytest.raises(ArgumentError, match="url: got ''"):
        fused.download("", "a")


def test_line_that_changes_needs_a_screen_that_can() -> None:
    """A terminal or a cell's output; a log file and a worker's stderr are none."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    class Cell(io.StringIO):
        __module__ = "ipykernel.iostream"

    assert files._is_live(Terminal())
    assert files._is_live(Cell())
    assert not files._is_live(io.StringIO())
    assert not files._is_live(None)


def test_mount_directory_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and `.env` lie there; each of the two functions makes it so."""
    (tmp_path / "a.txt").write_text("a")
    for number, make in enumerate((lambda: fused.file_path("a/b"), lambda: fused.download(tmp_path / "a.txt", "a/b"))):
        monkeypatch.setenv("FUSED_MOUNT_DIRECTORY", str(tmp_path / str(number)))
        make()

        assert (tmp_path / str(number)).stat().st_mode & 0o777 == 0o700
