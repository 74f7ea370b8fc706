from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fused_jupyter.errors import DownloadError
from fused_jupyter.storage import buckets, downloads
from fused_jupyter.storage.downloads import download

if TYPE_CHECKING:
    from conftest import Site

CONTENT = random.Random(2).randbytes(6_000_000)
BUCKET = "quakes-data"

Get = Callable[..., bytes]


@pytest.fixture
def get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Get:
    """Downloads and reads, with nothing of the machine's own credentials."""
    monkeypatch.setattr(downloads, "FIRST_WAIT", 0.001)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (*buckets._S3_CREDENTIALS, *buckets._GS_CREDENTIALS, "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    def download_it(url: str, tell: Callable[..., None] = lambda *_: None) -> bytes:
        download(url, tmp_path / "files" / "a", records=tmp_path / "records", tell=tell)
        return (tmp_path / "files" / "a").read_bytes()

    return download_it


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A client of a server that speaks S3, with a bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()
    server.stop()


@pytest.fixture
def bucket(s3: Any, monkeypatch: pytest.MonkeyPatch, get: Get) -> Any:
    """The same, which the environment points to."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.meta.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return s3


@pytest.mark.parametrize("key", ["a.bin", "deep/er/a b+ü%20.bin"])
def test_object_is_there_as_it_was_put(bucket: Any, get: Get, key: str) -> None:
    """Under any key."""
    bucket.put_object(Bucket=BUCKET, Key=key, Body=CONTENT)

    assert get(f"s3://{BUCKET}/{key}") == CONTENT


def test_object_is_fetched_once(bucket: Any, get: Get) -> None:
    """As any file."""
    bucket.put_object(Bucket=BUCKET, Key="once", Body=b"old")
    get(f"s3://{BUCKET}/once")
    bucket.delete_object(Bucket=BUCKET, Key="once")

    assert get(f"s3://{BUCKET}/once") == b"old"


def interrupted(get: Get, url: str) -> int:
    """Begin to download, and say how much came."""
    came = 0

    def interrupt(done: int, _: int | None) -> None:
        nonlocal came
        came = done
        if done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(url, tell=interrupt)
    return came


def test_broken_download_goes_on(bucket: Any, get: Get) -> None:
    """With the rest only."""
    bucket.put_object(Bucket=BUCKET, Key="long", Body=CONTENT)
    came = interrupted(get, f"s3://{BUCKET}/long")
    told: list[int] = []

    assert get(f"s3://{BUCKET}/long", tell=lambda done, _: told.append(done)) == CONTENT
    assert told[0] > came


def test_object_that_changed_is_begun_anew(bucket: Any, get: Get) -> None:
    """No file of two objects."""
    bucket.put_object(Bucket=BUCKET, Key="changed", Body=CONTENT)
    interrupted(get, f"s3://{BUCKET}/changed")
    bucket.put_object(Bucket=BUCKET, Key="changed", Body=CONTENT[::-1])

    assert get(f"s3://{BUCKET}/changed") == CONTENT[::-1]


@pytest.mark.parametrize("url", [f"s3://{BUCKET}/nothing", "s3://no-such-bucket/a"])
def test_missing_object_is_an_error(bucket: Any, get: Get, url: str) -> None:
    """That names it, in one line."""
    with pytest.raises(DownloadError, match=f"{url}: there is no such object") as caught:
        get(url)

    assert "\n" not in caught.value.message


@pytest.mark.parametrize("url", ["s3://", "s3://bucket", "s3://bucket/", "s3://bucket/folder/", "gs:///a"])
def test_folder_is_no_object(get: Get, url: str) -> None:
    """One file is downloaded at a time."""
    with pytest.raises(DownloadError, match="names no object"):
        get(url)


def test_public_object_needs_no_credentials(site: Site, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is asked for any."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.address)
    site.modified = "Mon, 01 Jan 2024 00:00:00 GMT"
    site.url(f"{BUCKET}/a", CONTENT)

    assert get(f"s3://{BUCKET}/a") == CONTENT
    assert "authorization" not in site.requests[0][1]


def test_public_object_is_read_with_useless_credentials(site: Site, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the environment are for other buckets."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    site.modified = "Mon, 01 Jan 2024 00:00:00 GMT"
    site.answers = [(403, {})]
    site.url(f"{BUCKET}/a", CONTENT)

    assert get(f"s3://{BUCKET}/a") == CONTENT
    assert ["authorization" in headers for _, headers in site.requests] == [True, False]


def test_refusal_says_where_credentials_are_looked_for(site: Site, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is mostly they that are missing."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.address)
    site.answers = [(403, {})] * 3

    with pytest.raises(DownloadError, match=r"refuses it \(403\).*AWS_ACCESS_KEY_ID.*boto3"):
        get(f"s3://{BUCKET}/a")


def test_credentials_of_a_profile_are_found(
    site: Site, get: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By boto3, after the store refused to give it to everybody."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.address)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = mine\naws_secret_access_key = s3cret\n")
    site.modified = "Mon, 01 Jan 2024 00:00:00 GMT"
    site.answers = [(403, {})]
    site.url(f"{BUCKET}/a", CONTENT)

    assert get(f"s3://{BUCKET}/a") == CONTENT
    assert "Credential=mine/" in site.requests[1][1]["authorization"]


def test_broken_connection_goes_on(site: Site, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is missing, if it is still the same object."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.address)
    site.modified = "Mon, 01 Jan 2024 00:00:00 GMT"
    site.cuts = [2_000_000]
    site.url(f"{BUCKET}/a", CONTENT)

    assert get(f"s3://{BUCKET}/a") == CONTENT
    assert int(site.requests[-1][1]["range"].removeprefix("bytes=").partition("-")[0]) > 0


def test_passing_fault_is_passed_over(site: Site, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """`SlowDown` is S3's word for it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.address)
    site.modified = "Mon, 01 Jan 2024 00:00:00 GMT"
    site.answers = [(503, {})] * 2
    site.url(f"{BUCKET}/a", CONTENT)

    assert get(f"s3://{BUCKET}/a") == CONTENT


def test_nobody_there_is_an_error(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some tries."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(DownloadError, match="4 tries"):
        get(f"s3://{BUCKET}/a")


def test_region_of_the_bucket_is_asked_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 says it with every answer, also with a refusal."""
    monkeypatch.setattr(buckets, "_AWS", site.address)
    site.answers = [(403, {"x-amz-bucket-region": "eu-central-1"})]

    assert buckets._region("region-of-this") == "eu-central-1"
    assert site.requests[0][0] == "/region-of-this"


def test_region_of_the_environment_is_taken_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a network of its own."""
    monkeypatch.setattr(buckets, "_AWS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")

    assert buckets._region("region-of-that") == "eu-west-3"


def test_object_of_google_is_there(site: Site, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web server stands for the store: reading from it is plain HTTP."""
    monkeypatch.setenv("GOOGLE_BASE_URL", site.address)
    site.modified = "Mon, 01 Jan 2024 00:00:00 GMT"
    site.cuts = [2_000_000]
    site.url(f"{BUCKET}/deep/a b.bin", CONTENT)

    assert get(f"gs://{BUCKET}/deep/a b.bin") == CONTENT
    assert "authorization" not in site.requests[0][1]
    with pytest.raises(DownloadError, match="there is no such object"):
        get(f"gs://{BUCKET}/nothing")


def test_account_of_google_is_used(site: Site, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment names one; here one that needs no token."""
    account = {"gcs_base_url": site.address, "disable_oauth": True, "client_email": "", "private_key": "",
               "private_key_id": ""}  # fmt: skip
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(account))
    monkeypatch.setenv("GOOGLE_ALLOW_HTTP", "true")
    site.modified = "Mon, 01 Jan 2024 00:00:00 GMT"
    site.url(f"{BUCKET}/a", CONTENT)

    assert get(f"gs://{BUCKET}/a") == CONTENT


def test_forked_process_says_why_it_cannot(bucket: Any, get: Get, tmp_path: Path) -> None:
    """It would wait for threads that its parent has, for ever."""
    bucket.put_object(Bucket=BUCKET, Key="fork", Body=b"a")
    code = """
import os, sys
from pathlib import Path
from fused_jupyter.errors import DownloadError
from fused_jupyter.storage.downloads import download
def get(name):
    download(sys.argv[1], Path(sys.argv[2], name), records=Path(sys.argv[2], "records"), tell=lambda *_: None)
get("1")
if os.fork() == 0:
    try:
        get("2")
    except DownloadError as exc:
        print(exc, flush=True)
    os._exit(0)
os.wait()
"""
    command = [sys.executable, "-c", code, f"s3://{BUCKET}/fork", str(tmp_path)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)

    assert "get_context('spawn')" in done.stdout
