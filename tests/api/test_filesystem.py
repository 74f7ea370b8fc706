from __future__ import annotations

from pathlib import Path

import fsspec
import pandas as pd
import pytest
import xarray as xr

import fused_jupyter as fused
from fused_jupyter.api.filesystem import FdFileSystem


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FUSED_FILES_DIRECTORY", str(tmp_path / "files"))
    return tmp_path / "files"


def test_fsspec_finds_it_by_itself() -> None:
    """By the entry point of this package; `fused.api` has it, too."""
    assert isinstance(fsspec.filesystem("fd"), FdFileSystem)
    assert fused.api.FdFileSystem is FdFileSystem


def test_libraries_read_what_they_wrote() -> None:
    """pandas and xarray, with nothing said but the address."""
    table = pd.DataFrame({"n": [1, 2]})
    table.to_parquet("fd://d/a.parquet")
    table.to_csv("fd://d/a.csv", index=False)
    grid = xr.Dataset({"v": ("x", [1.0, 2.0])})
    fused.api.upload(grid.to_netcdf(engine="h5netcdf"), "fd://d/a.nc")

    assert pd.read_parquet("fd://d/a.parquet").equals(table)
    assert pd.read_csv("fd://d/a.csv").equals(table)
    with fsspec.open("fd://d/a.nc") as file, xr.open_dataset(file, engine="h5netcdf") as read:
        assert read.equals(grid)


def test_file_that_was_not_finished_is_not_there(root: Path) -> None:
    """An error while writing leaves what was before."""
    fused.api.upload(b"old", "fd://a")

    def write() -> None:
        with fsspec.filesystem("fd").open("a", "wb") as file:
            file.write(b"new")
            raise KeyError

    with pytest.raises(KeyError):
        write()

    assert fused.api.get("fd://a") == b"old"
    assert not any((root / ".fused-drafts").iterdir())


def test_directories_are_walked_and_removed() -> None:
    """What fsspec does with every file system."""
    fs = fsspec.filesystem("fd")
    fs.pipe({"d/a": b"1", "d/e/b": b"22"})

    assert fs.find("") == ["d/a", "d/e/b"]
    assert fs.ls("fd://d", detail=False) == ["d/a", "d/e"]
    assert {info["name"]: info["type"] for info in fs.ls("d")} == {"d/a": "file", "d/e": "directory"}
    assert (fs.info("d/e/b")["size"], fs.isdir("d/e"), fs.exists("d/x")) == (2, True, False)
    assert fs.modified("d/a").year > 2000
    fs.copy("d/a", "d/c")
    assert fs.cat("fd://d/c") == b"1"
    fs.makedirs("f/g")
    fs.mkdir("f/h")
    fs.rmdir("f/h")
    fs.rm("d", recursive=True)
    assert fs.ls("", detail=False) == ["f"]


def test_what_is_not_there_is_a_file_not_found() -> None:
    """As on a disk."""
    fs = fsspec.filesystem("fd")
    for look in (fs.info, fs.ls, fs.open, fs.rm_file):
        with pytest.raises(FileNotFoundError):
            look("nowhere")


def test_file_is_replaced_as_a_whole_only() -> None:
    """`ab` would need what a draft has not; `xb` makes new ones."""
    fs = fsspec.filesystem("fd")
    fs.pipe("a", b"1")

    with pytest.raises(ValueError, match="need 'rb' or 'wb'"):
        fs.open("a", "ab")
    with pytest.raises(FileExistsError):
        fs.open("a", "xb")
