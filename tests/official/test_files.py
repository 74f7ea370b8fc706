"""Files of `fd://`: listed, read, written, signed and deleted by the client."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from real_jupyter import JupyterServer

if TYPE_CHECKING:
    from conftest import Client


@pytest.fixture(scope="session", autouse=True)
def files(client: Client) -> None:
    """A folder with two files."""
    client("""
import pandas as pd
fused.api.upload(b"a,b\\n1,2\\n", "fd://shelf/a.csv")
fused.api.upload(pd.DataFrame({"x": [1, 2]}), "fd://shelf/deep/b.parquet")
""")


def test_files_are_listed(client: Client) -> None:
    """Also with sizes and times."""
    assert client("sorted(fused.api.list('fd://shelf/'))") == ["fd://shelf/a.csv", "fd://shelf/deep/"]
    name, size, is_directory = client("""
entry = [each for each in fused.api.list('fd://shelf/', details=True) if not each.is_directory][0]
[entry.file_name, entry.size, entry.is_directory]
""")
    assert (name, size, is_directory) == ("a.csv", 8, False)


def test_files_are_read(client: Client, tmp_path: Path) -> None:
    """As bytes, into a file, by pandas, and through the directory itself."""
    target = tmp_path / "copy.csv"

    assert client("fused.api.get('fd://shelf/a.csv').decode()") == "a,b\n1,2\n"
    client(f"fused.api.download('fd://shelf/a.csv', {str(target)!r})\nNone")
    assert target.read_text() == "a,b\n1,2\n"
    assert client("pd.read_parquet('fd://shelf/deep/b.parquet')['x'].tolist()") == [1, 2]
    assert client("fused.api.resolve('fd://').startswith('file:///')") is True


def test_signed_address_opens_one_file(client: Client, jupyter: JupyterServer) -> None:
    """For who has no login; changed by a letter it opens nothing."""
    address = client("fused.api.sign_url('fd://shelf/a.csv')")

    assert jupyter.get(address, login=False).body == b"a,b\n1,2\n"
    assert jupyter.get(address.replace("a.csv", "b.csv"), login=False).status in {403, 404}
    assert list(client("fused.api.sign_url_prefix('fd://shelf/')")) == ["fd://shelf/a.csv", "fd://shelf/deep/b.parquet"]


def test_files_are_deleted(client: Client) -> None:
    """And a folder with all in it."""
    client("fused.api.upload(b'x', 'fd://bin/one.txt')")

    assert client("fused.api.delete('fd://bin/one.txt')") is True
    assert client("fused.api.list('fd://bin/')") == []
    assert "is not there" in client.error("fused.api.get('fd://bin/one.txt')")["message"]


def test_udf_reads_what_the_client_wrote(client: Client) -> None:
    """Both mean the same place."""
    value = client("""
fused.run(make('''
@fused.udf
def udf():
    return fused.api.get("fd://shelf/a.csv").decode()
'''))
""")

    assert value == "a,b\n1,2\n"
