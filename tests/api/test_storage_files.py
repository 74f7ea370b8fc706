from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal

import fused_jupyter as fused
from fused_jupyter.errors import ArgumentError, DownloadError, MissingFileError, NoServerError
from fused_jupyter.settings import Options


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FUSED_FILES_DIRECTORY", str(tmp_path / "files"))
    monkeypatch.setenv("FUSED_MOUNT_DIRECTORY", str(tmp_path / "mount"))
    return tmp_path / "files"


def test_bytes_files_and_paths_are_uploaded(root: Path, tmp_path: Path) -> None:
    """A text is a path, as with the official client."""
    (tmp_path / "own.txt").write_bytes(b"1")
    for content in (b"1", bytearray(b"1"), io.BytesIO(b"1"), str(tmp_path / "own.txt"), tmp_path / "own.txt"):
        fused.api.upload(content, "fd://data/a.txt")  # type: ignore[arg-type]  # bytearray, too
        assert (root / "data" / "a.txt").read_bytes() == b"1"
        assert fused.api.delete("fd://data/a.txt")

    with (tmp_path / "own.txt").open("rb") as file:
        fused.api.upload(file, "fd://data/b.txt", timeout=3)
    assert fused.api.get("fd://data/b.txt") == b"1"


@pytest.mark.parametrize("content", ["no such file", Path("nowhere"), 5, None, ["a"]])
def test_what_is_no_content_is_told(content: Any, root: Path) -> None:
    """Nothing is written."""
    with pytest.raises(ArgumentError, match="local_path: "):
        fused.api.upload(content, "fd://a.txt")

    assert fused.api.list("fd://") == []


def test_table_is_uploaded_as_parquet() -> None:
    """Whatever the file is called; its geometries and CRS come back."""
    table = gpd.GeoDataFrame({"n": [1, 2]}, geometry=[shapely.Point(0, 1), shapely.Point(2, 3)], crs=32633)

    fused.api.upload(table, "fd://data/points.csv")

    assert_geodataframe_equal(gpd.read_parquet(io.BytesIO(fused.api.get("fd://data/points.csv"))), table)


def test_table_that_cannot_be_written_leaves_nothing(root: Path) -> None:
    """Neither the file nor a draft of it."""
    with pytest.raises(Exception, match=".*"):
        fused.api.upload(pd.DataFrame({"n": [1, "a", object()]}), "fd://a.parquet")

    assert [path.name for path in root.rglob("*") if path.is_file()] == []


def test_details_are_those_of_the_files() -> None:
    """Without them, addresses only; a directory's ends with a slash."""
    fused.api.upload(b"123", "fd://data/sub/a.csv")
    fused.api.upload(b"", "fd://data/b.csv")

    assert fused.api.list("fd://data") == ["fd://data/b.csv", "fd://data/sub/"]
    b, sub = fused.api.list("fd://data", details=True)
    assert (b.file_name, b.size, b.is_directory, sub.is_directory) == ("b.csv", 0, False, True)


def test_file_is_downloaded_whole(tmp_path: Path) -> None:
    """What was there is replaced; what fails leaves it."""
    fused.api.upload(b"new", "fd://a")
    (tmp_path / "own").write_bytes(b"old")

    with pytest.raises(MissingFileError):
        fused.api.download("fd://b", tmp_path / "own")
    assert (tmp_path / "own").read_bytes() == b"old"
    fused.api.download("fd://a", tmp_path / "own")

    assert (tmp_path / "own").read_bytes() == b"new"
    with pytest.raises(ArgumentError, match="is a directory"):
        fused.api.download("fd://a", tmp_path)
    with pytest.raises(ArgumentError, match="cannot be written"):
        fused.api.download("fd://a", tmp_path / "nowhere" / "a")


def test_deletion_heeds_its_depth() -> None:
    """Three by default."""
    fused.api.upload(b"", "fd://t/1/2/3/a")

    with pytest.raises(ArgumentError, match="max_deletion_depth is 3"):
        fused.api.delete("fd://t")
    assert fused.api.delete("fd://t", max_deletion_depth="unlimited") is True
    assert fused.api.delete("fd://t") is False


def test_cloud_addresses_are_for_downloads() -> None:
    """The error says so."""
    with pytest.raises(ArgumentError, match=r"s3:// is not served yet. fused.download fetches"):
        fused.api.get("s3://bucket/a")


def test_download_takes_files_of_fd() -> None:
    """Once, as all others; two addresses that differ in case are two files."""
    fused.api.upload(b"1", "fd://Data/a")
    fused.api.upload(b"2", "fd://data/a")

    assert Path(fused.download("fd://Data/a", "copies/a")).read_bytes() == b"1"
    assert Path(fused.download("fd://data/a", "copies/a")).read_bytes() == b"2"
    with pytest.raises(DownloadError, match="cannot be read"):
        fused.download("fd://data/b", "copies/b")


def test_udf_sees_the_same_files() -> None:
    """What the notebook puts, a worker reads, and the other way round."""

    @fused.udf
    def answer(name: str) -> str:
        import fused
        import pandas as pd

        text: str = fused.api.get(f"fd://data/{name}").decode()
        pd.DataFrame({"text": [text]}).to_parquet("fd://data/back.parquet")
        return text

    fused.api.upload(b"hello", "fd://data/a")

    assert fused.run(answer, name="a") == "hello"
    assert pd.read_parquet("fd://data/back.parquet").text.tolist() == ["hello"]


def test_nothing_is_signed_without_a_server() -> None:
    """An address that nobody answers is worth nothing."""
    with pytest.raises(NoServerError):
        fused.api.sign_url("fd://a")
    assert fused.api.sign_url_prefix("fd://nowhere/") == {}


def test_default_root_lies_with_the_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`files` in the data directory."""
    monkeypatch.delenv("FUSED_FILES_DIRECTORY")
    monkeypatch.setenv("FUSED_DATA_DIRECTORY", str(tmp_path / "data"))

    fused.api.upload(b"1", "fd://a")

    assert (tmp_path / "data" / "files" / "a").read_bytes() == b"1"
    assert Options.from_environment().files_directory == ""


def test_directory_stands_for_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written, listed, signed, downloaded and deleted there; other buckets stay what they are."""
    monkeypatch.setenv("FUSED_BUCKETS", f"s3://public={tmp_path / 'bucket'}")

    fused.api.upload(b"1,2", "s3://public/tmp/a.csv")

    assert (tmp_path / "bucket" / "tmp" / "a.csv").read_bytes() == b"1,2"
    assert fused.api.list("s3://public/tmp") == ["s3://public/tmp/a.csv"]
    assert fused.api.sign_url("s3://public/tmp/a.csv") == (tmp_path / "bucket" / "tmp" / "a.csv").as_uri()
    assert Path(fused.download("s3://public/tmp/a.csv", "b.csv")).read_bytes() == b"1,2"
    assert fused.api.delete("s3://public/tmp/a.csv")
    for outside in ("s3://public/../a", "s3://public2/a", "s3://other/a"):
        with pytest.raises(ArgumentError, match="path: "):
            fused.api.get(outside)
    monkeypatch.setenv("FUSED_BUCKETS", "public=/a")
    with pytest.raises(ArgumentError, match="FUSED_BUCKETS: got 'public=/a', need an address and a directory"):
        fused.api.list("fd://")


def test_signed_address_in_a_udf_without_a_server_is_that_of_the_file(root: Path) -> None:
    """Programs on this machine read it; outside of UDFs it stays an error."""
    fused.api.upload(b"1,2", "fd://a.csv")
    fused.set_env(FUSED_FILES_DIRECTORY=str(root))
    try:
        assert fused.load("def f():\n    return fused.api.sign_url('fd://a.csv')\n")() == (root / "a.csv").as_uri()
    finally:
        fused.set_env(FUSED_FILES_DIRECTORY=None)
    with pytest.raises(NoServerError):
        fused.api.sign_url("fd://a.csv")


def test_other_paths_of_this_machine_mean_themselves(tmp_path: Path) -> None:
    """Listed, read, written as a whole, deleted; nothing else is left in their directories."""
    own = tmp_path / "own data"
    fused.api.upload(b"1,2", f"{own}/new/a.csv")
    fused.api.upload(pd.DataFrame({"n": [1]}), f"{own}/b.parquet")

    assert sorted(path.name for path in own.rglob("*")) == ["a.csv", "b.parquet", "new"]
    assert fused.api.list(str(own)) == [f"{own}/b.parquet", f"{own}/new/"]
    assert fused.api.get(f"file://{own}/new/a.csv".replace(" ", "%20")) == b"1,2"
    assert fused.api.list(f"{own}/new/../new", details=True)[0].size == 3
    assert fused.api.delete(f"{own}/new")
    assert [path.name for path in own.iterdir()] == ["b.parquet"]
    with pytest.raises(MissingFileError):
        fused.api.get(f"{own}/gone.csv")


def test_directories_deeper_than_allowed_are_not_deleted(tmp_path: Path) -> None:
    """Of other paths neither."""
    fused.api.upload(b"", f"{tmp_path}/a/b/c/d/e.txt")

    with pytest.raises(ArgumentError, match="nothing was deleted"):
        fused.api.delete(f"{tmp_path}/a")
    assert (tmp_path / "a/b/c/d/e.txt").exists()
