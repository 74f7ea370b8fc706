from __future__ import annotations

import errno
import itertools
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fused_jupyter.errors import DownloadError
from fused_jupyter.storage import downloads
from fused_jupyter.storage.downloads import TRIES, download

if TYPE_CHECKING:
    from conftest import Site

CONTENT = random.Random(1).randbytes(3_000_000)

Get = Callable[..., Path]

PROCESS = """
import sys
from pathlib import Path
from fused_jupyter.storage.downloads import download
url, target, records = sys.argv[1:]
def tell(done, size):
    print(done, flush=True)
print("ready", flush=True)
sys.stdin.readline()
download(url, Path(target), records=Path(records), tell=tell)
"""


@pytest.fixture
def get(tmp_path: Path) -> Get:
    """Downloads into a directory."""

    def download_it(url: str, name: str = "data/a.bin", tell: Callable[..., None] = lambda *_: None) -> Path:
        target = tmp_path / "files" / name
        download(url, target, records=tmp_path / "records", tell=tell)
        return target

    return download_it


def left_behind(tmp_path: Path) -> list[str]:
    """What stands beside the files."""
    return sorted(path.name for path in (tmp_path / "files").rglob("*") if path.name.startswith("."))


def process(url: str, tmp_path: Path) -> subprocess.Popen[str]:
    """A process that will download when it is told to."""
    command = [
        sys.executable,
        "-c",
        PROCESS,
        url,
        str(tmp_path / "files" / "data" / "a.bin"),
        str(tmp_path / "records"),
    ]
    started = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def begin(started: subprocess.Popen[str]) -> None:
    assert started.stdin is not None
    started.stdin.write("\n")
    started.stdin.flush()


def test_file_is_there_as_it_was_sent(site: Site, get: Get, tmp_path: Path) -> None:
    """Every byte, and nothing beside it."""
    path = get(site.url(content=CONTENT))

    assert path.read_bytes() == CONTENT
    assert left_behind(tmp_path) == []


def test_empty_file_is_a_file(site: Site, get: Get) -> None:
    """Of no bytes."""
    assert get(site.url(content=b"")).read_bytes() == b""


def test_second_call_asks_nobody(site: Site, get: Get) -> None:
    """Also when the server has a newer file: once is once."""
    url = site.url(content=b"old")
    get(url)
    site.files.clear()

    assert get(url).read_bytes() == b"old"
    assert len(site.requests) == 1


def test_eight_processes_fetch_once(site: Site, tmp_path: Path) -> None:
    """Those who wait find the file."""
    site.pause = 0.3
    started = [process(site.url(content=CONTENT), tmp_path) for _ in range(8)]

    for each in started:
        begin(each)
    ends = [(each.communicate(timeout=60)[1], each.returncode) for each in started]

    assert ends == [("", 0)] * 8
    assert len(site.requests) == 1
    assert (tmp_path / "files" / "data" / "a.bin").read_bytes() == CONTENT


def test_threads_fetch_once(site: Site, get: Get) -> None:
    """A lock of the process would be enough for them; they get the same."""
    site.pause = 0.1
    url = site.url(content=CONTENT)
    threads = [threading.Thread(target=get, args=(url,)) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(site.requests) == 1


def test_file_appears_when_it_is_whole(site: Site, tmp_path: Path, get: Get) -> None:
    """Whoever looks sees nothing or all."""
    target = tmp_path / "files" / "data" / "a.bin"
    seen: list[bool] = []

    get(site.url(content=CONTENT), tell=lambda *_: seen.append(target.exists()))

    assert seen
    assert not any(seen)


def test_broken_connection_goes_on_where_it_was(site: Site, get: Get, tmp_path: Path) -> None:
    """As long as something comes, however often it breaks."""
    site.cuts = [400_000] * 6

    path = get(site.url(content=CONTENT))

    assert path.read_bytes() == CONTENT
    assert site.sent == len(CONTENT)
    assert [headers.get("range") for _, headers in site.requests] == [
        None, *(f"bytes={400_000 * n}-" for n in range(1, 7))
    ]  # fmt: skip
    assert {headers.get("if-range") for _, headers in site.requests[1:]} == {'"v1"'}
    assert left_behind(tmp_path) == []


def test_server_without_ranges_is_asked_for_the_whole(site: Site, get: Get) -> None:
    """Its answer says so."""
    site.has_ranges = False
    site.cuts = [2_000_000, 2_500_000]

    assert get(site.url(content=CONTENT)).read_bytes() == CONTENT
    assert len(site.requests) == 3


@pytest.mark.parametrize("heeds", [True, False], ids=["by the server", "by us"])
def test_change_of_the_file_is_seen(site: Site, get: Get, heeds: bool) -> None:
    """No file begins with the old content and ends with the new one."""
    site.cuts = [1_000_000]
    site.heeds_if_range = heeds
    newer = CONTENT[::-1]

    def change(done: int, _: int | None) -> None:
        if done >= 1_000_000 and site.etag == '"v1"':
            site.etag = '"v2"'
            site.url(content=newer)

    assert get(site.url(content=CONTENT), tell=change).read_bytes() == newer


def test_date_stands_for_an_etag(site: Site, get: Get) -> None:
    """Where the server gives none."""
    site.etag, site.modified = "", "Mon, 01 Jan 2024 00:00:00 GMT"
    site.cuts = [1_000_000]

    assert get(site.url(content=CONTENT)).read_bytes() == CONTENT
    assert site.requests[1][1]["if-range"] == site.modified


@pytest.mark.parametrize("etag", ["", 'W/"v1"'])
def test_content_of_no_known_version_is_begun_anew(site: Site, get: Get, etag: str) -> None:
    """A weak ETag may stand for two contents."""
    site.etag = etag
    site.cuts = [1_000_000]

    assert get(site.url(content=CONTENT)).read_bytes() == CONTENT
    assert "range" not in site.requests[1][1]


def test_next_call_goes_on(site: Site, get: Get, tmp_path: Path) -> None:
    """The network was away for long; what had come is not lost."""
    site.cuts = [1_000_000] + [0] * TRIES
    url = site.url(content=CONTENT)
    with pytest.raises(DownloadError, match=f"{TRIES} tries.*1,000,000 bytes are kept"):
        get(url)
    assert not (tmp_path / "files" / "data" / "a.bin").exists()

    assert get(url).read_bytes() == CONTENT
    assert site.sent == len(CONTENT)


def test_part_of_unknown_total_is_counted(site: Site, get: Get) -> None:
    """Nothing but the length of the part tells that it was cut off."""
    site.has_length, site.names_total = False, False
    site.cuts = [1_000_000, 500_000]

    def counted(done: int, _: int | None) -> None:
        site.has_length = site.has_length or done >= 1_000_000

    assert get(site.url(content=CONTENT), tell=counted).read_bytes() == CONTENT
    assert len(site.requests) == 3


def test_what_nobody_can_go_on_with_is_thrown_away(site: Site, get: Get, tmp_path: Path) -> None:
    """A draft of no known version."""
    site.etag = ""
    site.cuts = [1_000_000] * TRIES

    with pytest.raises(DownloadError, match=r"4 tries\); try again later"):
        get(site.url(content=CONTENT))

    assert left_behind(tmp_path) == []


def test_draft_of_another_address_is_not_gone_on_with(site: Site, get: Get) -> None:
    """Though both have the same ETag."""
    site.cuts = [1_000_000] + [0] * TRIES
    with pytest.raises(DownloadError):
        get(site.url(content=CONTENT))

    path = get(site.url("b.bin", CONTENT[::-1]))

    assert path.read_bytes() == CONTENT[::-1]


def test_killed_process_leaves_no_half_file(site: Site, get: Get, tmp_path: Path) -> None:
    """And what it fetched is of use to the next."""
    site.pause = 0.5
    url = site.url(content=CONTENT)
    started = process(url, tmp_path)
    begin(started)
    assert started.stdout is not None
    started.stdout.readline()  # something has come
    started.send_signal(signal.SIGKILL)
    started.communicate()
    assert not (tmp_path / "files" / "data" / "a.bin").exists()
    site.pause = 0

    assert get(url).read_bytes() == CONTENT
    assert site.requests[1][1]["range"].startswith("bytes=")


def test_killed_waiter_holds_nobody_up(site: Site, tmp_path: Path) -> None:
    """The lock dies with its process."""
    site.pause = 0.5
    url = site.url(content=CONTENT)
    first, second = process(url, tmp_path), process(url, tmp_path)
    begin(first)
    assert first.stdout is not None
    first.stdout.readline()
    begin(second)
    first.kill()
    first.communicate()

    assert second.communicate(timeout=30)[1] == ""
    assert (tmp_path / "files" / "data" / "a.bin").read_bytes() == CONTENT


def test_ctrl_c_keeps_what_came(site: Site, get: Get) -> None:
    """The next cell goes on."""
    site.pause = 0.2
    url = site.url(content=CONTENT)

    def interrupt(done: int, _: int | None) -> None:
        if done >= 1_500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(url, tell=interrupt)

    assert get(url).read_bytes() == CONTENT
    assert site.requests[1][1]["range"] == "bytes=1500000-"


def test_file_of_another_length_is_fetched_again(site: Site, get: Get) -> None:
    """Somebody cut it off, or the disk was full."""
    url = site.url(content=CONTENT)
    with get(url).open("r+b") as file:
        file.truncate(10)

    assert get(url).read_bytes() == CONTENT


def test_deleted_file_is_fetched_again(site: Site, get: Get) -> None:
    """This is how one asks for a newer one."""
    get(site.url(content=b"old")).unlink()

    assert get(site.url(content=b"new")).read_bytes() == b"new"


def test_another_address_takes_the_place(site: Site, get: Get) -> None:
    """And the first takes it back."""
    one, other = site.url("1", b"one"), site.url("2", b"two")

    assert [get(url).read_bytes() for url in (one, other, one)] == [b"one", b"two", b"one"]


def test_fresh_signature_is_the_same_file(site: Site, get: Get) -> None:
    """It is there already."""
    url = site.url(content=CONTENT)

    get(f"{url}?X-Amz-Date=1&X-Amz-Signature=a")
    get(f"{url}?X-Amz-Date=2&X-Amz-Signature=b")

    assert len(site.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 501])
def test_refusal_is_not_asked_twice(site: Site, get: Get, status: int) -> None:
    """The error says what the server said, and about which address."""
    site.answers = [(status, {})]

    with pytest.raises(DownloadError, match=rf"http://127\.0\.0\.1:\d+/a\.bin: the server answered {status} "):
        get(site.url(content=CONTENT))

    assert len(site.requests) == 1


def test_refusal_costs_no_file(site: Site, get: Get, tmp_path: Path) -> None:
    """What was in the place before stays."""
    path = get(site.url("old", b"old"))

    with pytest.raises(DownloadError, match="404"):
        get(site.url("new"))

    assert path.read_bytes() == b"old"
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_fault_is_passed_over(site: Site, get: Get, status: int) -> None:
    """The next try succeeds."""
    site.answers = [(status, {})] * (TRIES - 1)

    assert get(site.url(content=CONTENT)).read_bytes() == CONTENT


def test_fault_that_lasts_is_an_error(site: Site, get: Get, tmp_path: Path) -> None:
    """After some tries."""
    site.answers = [(503, {})] * 100

    with pytest.raises(DownloadError, match=r"503 .*4 tries\); try again later"):
        get(site.url(content=CONTENT))

    assert len(site.requests) == TRIES
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("said", "least", "most"), [("1", 1.0, 1.0), ("0", 0, 0), ("99999", 60, 60), ("soon", 0, 0.5), ("", 0, 0.5)]
)
def test_server_says_when_to_come_back(
    site: Site, get: Get, monkeypatch: pytest.MonkeyPatch, said: str, least: float, most: float
) -> None:
    """Within a minute."""
    waits: list[float] = []
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: waits.append(seconds) if seconds else None)
    site.answers = [(503, {"Retry-After": said})]

    get(site.url(content=b"a"))

    assert least <= sum(waits) <= most


def test_nobody_there_is_an_error(site: Site, get: Get) -> None:
    """A port where none listens."""
    with pytest.raises(DownloadError, match="cannot be reached.*refused"):
        get("http://127.0.0.1:9/a.bin")


def test_those_who_waited_get_the_error(site: Site, get: Get) -> None:
    """Thirty tiles that want a file that is not there ask for it once."""
    barrier = threading.Barrier(8)
    errors: list[str] = []
    site.answers = [(503, {"Retry-After": "0"})] * 100

    def fetch() -> None:
        barrier.wait()
        with pytest.raises(DownloadError) as caught:
            get(site.url(content=CONTENT))
        errors.append(caught.value.message)

    threads = [threading.Thread(target=fetch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(site.requests) == TRIES
    assert len(errors) == 8
    assert len(set(errors)) == 1


def test_later_calls_try_again(site: Site, get: Get) -> None:
    """An error is not kept."""
    with pytest.raises(DownloadError):
        get(site.url())

    assert get(site.url(content=CONTENT)).read_bytes() == CONTENT


def test_full_disk_is_seen_before(site: Site, get: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And said; the draft does not fill it further."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 0, 1000))

    with pytest.raises(DownloadError, match=r"the disk is full \(3,000,000 bytes are needed, 1,000 are free\)"):
        get(site.url(content=CONTENT))

    assert left_behind(tmp_path) == []


def test_disk_that_fills_meanwhile_is_freed(site: Site, get: Get, tmp_path: Path) -> None:
    """Others want to write, too."""

    def full(done: int, _: int | None) -> None:
        if done >= 1_500_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    site.pause = 0.1
    with pytest.raises(DownloadError, match="a.bin cannot be written: the disk is full"):
        get(site.url(content=CONTENT), tell=full)

    assert left_behind(tmp_path) == []


def test_place_must_be_one_for_a_file(site: Site, get: Get, tmp_path: Path) -> None:
    """Not a directory, nor below a file."""
    url = site.url(content=CONTENT)
    (tmp_path / "files" / "d").mkdir(parents=True)
    (tmp_path / "files" / "f").touch()

    with pytest.raises(DownloadError, match="is a directory"):
        get(url, "d")
    with pytest.raises(DownloadError, match="cannot be made"):
        get(url, "f/a.bin")


@pytest.mark.parametrize("url", ["ftp://example.com/a", "gdrive://a/b", "data://x"])
def test_unknown_address_is_an_error(get: Get, url: str) -> None:
    """That says what is known."""
    with pytest.raises(DownloadError, match="need https://, http://, s3://, gs://, fd://, file:// or a path"):
        get(url)


def test_file_of_this_machine_is_copied(tmp_path: Path, get: Get) -> None:
    """By its path or address."""
    there = tmp_path / "ä b%.bin"
    there.write_bytes(CONTENT)

    assert get(str(there), "1").read_bytes() == CONTENT
    assert get(there.as_uri(), "2").read_bytes() == CONTENT


def test_file_that_is_there_already_is_not_copied(tmp_path: Path, get: Get) -> None:
    """Many UDFs say `download(path, path)`."""
    target = tmp_path / "files" / "a"
    target.parent.mkdir()
    target.write_bytes(b"mine")
    inode = target.stat().st_ino

    assert get(str(target), "a").stat().st_ino == inode


def test_missing_file_is_an_error(tmp_path: Path, get: Get) -> None:
    """With a word for those who forgot the scheme."""
    with pytest.raises(DownloadError, match="No such file.*an address begins with https://"):
        get("example.com/a.bin")


def test_progress_is_told(site: Site, get: Get) -> None:
    """From nothing to the whole, also over a break."""
    site.cuts = [1_000_000]
    told: list[tuple[int, int | None]] = []

    get(site.url(content=CONTENT), tell=lambda *each: told.append(each))

    done = [each for each, _ in told]
    assert done == sorted(done)
    assert told[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("has_length", [True, False], ids=["length", "chunks"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(0, 400), max_size=TRIES - 1), has_ranges=st.booleans(), etag=st.sampled_from(['"v"', ""])
)
def test_however_it_breaks_the_file_is_whole(
    site: Site, get: Get, has_length: bool, cuts: list[int], has_ranges: bool, etag: str
) -> None:
    """Or there is an error and no file."""
    site.has_length, site.has_ranges, site.etag, site.cuts = has_length, has_ranges, etag, cuts
    content = CONTENT[:400]
    name = str(next(_names))

    assert get(site.url(name, content), name).read_bytes() == content


_names = itertools.count()


def test_records_do_not_open_anything(site: Site, get: Get, tmp_path: Path) -> None:
    """They lie around longer than an address is used."""
    url = site.url(content=CONTENT).replace("http://", "http://me:s3cret@")
    get(f"{url}?token=s3cret")

    records = b"".join(path.read_bytes() for path in (tmp_path / "records").iterdir())
    assert b"127.0.0.1" in records
    assert b"s3cret" not in records


def test_second_call_is_cheap(site: Site, get: Get) -> None:
    """A tile asks each time; well below a millisecond."""
    url = site.url(content=CONTENT)
    get(url)
    best = min(_timed(lambda: get(url)) for _ in range(50))

    assert best < 0.002


def _timed(what: Callable[[], Any]) -> float:
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def test_directory_of_records_is_private(site: Site, get: Get, tmp_path: Path) -> None:
    """It belongs to its user."""
    get(site.url(content=b"a"))

    assert (tmp_path / "records").stat().st_mode & 0o777 == 0o700
