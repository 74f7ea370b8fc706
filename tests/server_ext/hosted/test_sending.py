from __future__ import annotations

from pathlib import Path

import pytest

from fused_jupyter.server_ext.hosted.sending import Sent


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    path.write_bytes(b"0123456789")
    return path


def sent(path: Path, name: str = "a.csv", **headers: str) -> Sent:
    return Sent.of(name, path.stat(), {key.replace("_", "-"): value for key, value in headers.items()})


def test_whole_file_says_how_long_it_is(file: Path) -> None:
    """And that there are parts."""
    answer = sent(file)

    assert (answer.status, answer.start, answer.stop) == (200, 0, 10)
    assert answer.headers["Content-Length"] == "10"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Type"] == "text/csv"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "part", "told"),
    [
        ("bytes=2-4", (2, 5), "bytes 2-4/10"),
        ("bytes=7-", (7, 10), "bytes 7-9/10"),
        ("bytes=-3", (7, 10), "bytes 7-9/10"),
        ("bytes=-99", (0, 10), "bytes 0-9/10"),
        ("bytes=0-99", (0, 10), "bytes 0-9/10"),
    ],
)
def test_part_is_told_by_its_place(asked: str, part: tuple[int, int], told: str, file: Path) -> None:
    """As RFC 9110 has it."""
    answer = sent(file, Range=asked)

    assert (answer.status, answer.start, answer.stop) == (206, *part)
    assert answer.headers["Content-Range"] == told
    assert answer.headers["Content-Length"] == str(part[1] - part[0])


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=-0"])
def test_part_beyond_the_end_is_none(asked: str, file: Path) -> None:
    """The answer says how long the file is."""
    answer = sent(file, Range=asked)

    assert (answer.status, answer.headers["Content-Range"], answer.stop) == (416, "bytes */10", 0)


def test_known_file_is_not_sent_again(file: Path) -> None:
    """Until it changes."""
    tag = sent(file).headers["ETag"]

    assert sent(file, If_None_Match=f'"x", W/{tag}').status == 304
    file.write_bytes(b"012345678")
    assert sent(file, If_None_Match=tag).status == 200


def test_part_of_another_version_is_the_whole(file: Path) -> None:
    """`If-Range` names what the caller has."""
    tag = sent(file).headers["ETag"]

    assert sent(file, Range="bytes=2-4", If_Range=tag).status == 206
    assert sent(file, Range="bytes=2-4", If_Range='"other"').status == 200


@pytest.mark.parametrize(
    "name", ["a.html", "a.htm", "a.svg", "a.xml", "a.xhtml", "a.svgz", "a.pdf", "a.js", "a.csv.gz"]
)
def test_what_could_run_is_saved(name: str, file: Path) -> None:
    """Browsers show no page of a file, and what they know nothing of neither."""
    headers = sent(file, name).headers

    assert headers["Content-Disposition"].startswith("attachment")
    if headers["Content-Type"] != "application/octet-stream":
        assert headers["Content-Security-Policy"].startswith("sandbox")
