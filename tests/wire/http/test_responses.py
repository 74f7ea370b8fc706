from __future__ import annotations

import pytest

from fused_jupyter import errors
from fused_jupyter.errors import BusyError, FusedError, HostLostError, UdfRuntimeError, UdfSerializationError
from fused_jupyter.wire import Reply, Run, cut
from fused_jupyter.wire.http.ranges import NOTHING
from fused_jupyter.wire.http.responses import Answer, error_body, error_headers, redacted

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FusedError)]
SECRET = "/home/ana/secret.csv"


def answer(content: bytes = b"tile", *, is_head: bool = False, **fields: object) -> Answer:
    reply = Reply(id=1, **({"media_type": "image/png", "digest": "d1", "kernel": "k1"} | fields))
    return Answer(reply=reply, content=content, tag=reply.etag, is_head=is_head)


def headers(answer: Answer, *, version: str | None = None, is_open: bool = False) -> dict[str, str]:
    return answer.headers(version=version, is_open=is_open, file_name="udf.png")


def test_every_answer_is_harmless_to_this_origin() -> None:
    """No sniffing, no referrer, no shared cache; it says whose it is."""
    sent = headers(answer(max_age=60))

    assert sent["X-Content-Type-Options"] == "nosniff"
    assert sent["Referrer-Policy"] == "no-referrer"
    assert sent["X-Fused-Kernel"] == "k1"
    assert "private" in sent["Cache-Control"]
    assert "Origin" in sent["Vary"]


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 404, 418, 500, 599])
def test_a_udf_may_choose_its_status(status: int) -> None:
    """Web responses of UDFs keep theirs."""
    assert answer(status=status).status == status


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 301, 302, 307, 399, 600, 1000, -1])
def test_no_udf_steers_the_connection(status: int) -> None:
    """An upgrade or a redirect is not for a UDF to send."""
    with pytest.raises(UdfSerializationError, match=str(status)):
        _ = answer(status=status).status


@pytest.mark.parametrize("status", [204, 205, 304])
def test_some_answers_have_no_body_and_no_type(status: int) -> None:
    """The protocol allows none, whatever came."""
    sent = answer(b"something", status=status)

    assert sent.body is None
    assert not {"Content-Type", "Content-Disposition", "Accept-Ranges"} & set(headers(sent))


@pytest.mark.parametrize(
    ("max_age", "version", "expected"),
    [
        (0, None, "no-store"),
        (0, "d1", "no-store"),
        (60, None, "private, no-cache"),
        (60, "older", "private, no-cache"),
        (60, "d1", "private, max-age=60, immutable"),
    ],
)
def test_only_a_url_with_the_version_is_kept_unasked(max_age: int, version: str | None, expected: str) -> None:
    """The cell may be run again any moment; a URL that names the digest cannot change its meaning."""
    assert headers(answer(max_age=max_age), version=version)["Cache-Control"] == expected


def test_answer_that_may_change_under_its_version_is_asked_for_each_time() -> None:
    """It used a module of the user's own, which is no part of the version."""
    sent = headers(answer(max_age=60, recheck=True), version="d1")

    assert sent["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("media_type", "is_open", "expected"),
    [
        ("image/png", False, {"Origin"}),
        ("image/png", True, {"Origin", "Accept"}),
        ("application/geo+json", False, {"Origin", "Accept-Encoding"}),
        ("text/csv; charset=utf-8", True, {"Origin", "Accept", "Accept-Encoding"}),
    ],
)
@pytest.mark.parametrize("status", [200, 304])
def test_vary_names_what_the_answer_depends_on(media_type: str, is_open: bool, expected: set[str], status: int) -> None:
    """No more, or caches keep too many copies, and no less, or they give the wrong one; a 304 says the same."""
    sent = answer(media_type=media_type, status=status)

    assert set(headers(sent, is_open=is_open)["Vary"].split(", ")) == expected


@pytest.mark.parametrize(
    ("part", "status", "content", "place"),
    [
        ((0, 4), 206, b"0123", "bytes 0-3/10"),
        ((8, 99), 206, b"89", "bytes 8-9/10"),
        ((-3, None), 206, b"789", "bytes 7-9/10"),
        ((-99, None), 206, b"0123456789", "bytes 0-9/10"),
        ((10, None), 416, b"", "bytes */10"),
        (NOTHING, 416, b"", "bytes */10"),
    ],
)
def test_a_part_says_where_it_lies(part: tuple[int, int | None], status: int, content: bytes, place: str) -> None:
    """With the ETag of the whole, so that a reader notices when its parts are of two files."""
    whole = Reply(id=1, media_type="image/png", etag='"e"', max_age=60)

    reply, body = cut(Run(id=1, part=part), whole, b"0123456789")
    sent = Answer(reply=reply, content=body, tag=reply.etag)

    assert (sent.status, sent.body) == (status, content)
    assert headers(sent)["Content-Range"] == place
    assert headers(sent)["ETag"] == '"e"'


def test_head_says_the_length_and_no_range() -> None:
    """The host sent none of the bytes, and yet the header is that of a GET."""
    reply, body = cut(Run(id=1, part=NOTHING), Reply(id=1, media_type="image/png", etag='"e"'), b"0123456789")

    sent = Answer(reply=reply, content=body, tag=reply.etag, is_head=True)

    assert (sent.status, sent.body) == (200, b"")
    assert headers(sent)["Content-Length"] == "10"
    assert "Content-Range" not in headers(sent)


@pytest.mark.parametrize(("etag", "status", "units"), [('"e"', 200, "bytes"), ("", 200, "none"), ('"e"', 404, "none")])
def test_there_are_parts_only_of_what_is_kept(etag: str, status: int, units: str) -> None:
    """What has no ETag is made anew each time, and may then be something else."""
    assert headers(answer(etag=etag, status=status))["Accept-Ranges"] == units


def test_headers_of_the_udf_never_replace_ours() -> None:
    """Whatever a web response of a UDF says of caching, origins or types."""
    ours = headers(answer())
    nasty = dict.fromkeys([*ours, *(name.lower() for name in ours), "Set-Cookie", "Location"], "evil")

    assert headers(answer(headers=nasty)) == ours


def test_encoders_may_say_more() -> None:
    """Warnings and numbers that belong to the picture travel beside it."""
    own = {"X-Fused-Warning": "cut to 3 bands", "x-fused-rescale": "0,100", "X-Fused-Colors": "000"}
    sent = headers(answer(headers=own))

    assert sent["X-Fused-Warning"] == "cut to 3 bands"
    assert sent["X-Fused-Rescale"] == "0,100"
    assert sent["X-Fused-Colors"] == "000"


@pytest.mark.parametrize("kind", KINDS)
def test_the_owner_is_told_all_with_the_status_of_the_class(kind: type[FusedError]) -> None:
    """Each error says type, text, traceback and status."""
    body = error_body(kind("went wrong", traceback="line 3", parameter="n"))

    assert body["type"] == kind.__name__
    assert body["error"] == "went wrong"
    assert body["traceback"] == "line 3"
    assert body["status"] == kind.status


@pytest.mark.parametrize("kind", KINDS)
def test_the_holder_of_a_token_sees_no_traceback(kind: type[FusedError]) -> None:
    """Neither traceback nor line leave for somebody who is not the owner."""
    body = redacted(kind("went wrong", traceback=SECRET, source_line=SECRET, line=3))

    assert set(body) == {"type", "error", "status"}
    assert SECRET not in str(body)


@pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if kind.status >= 500 and kind is not BusyError] + [UdfRuntimeError, UdfSerializationError],
)
def test_the_holder_of_a_token_sees_no_text_of_the_udf(kind: type[FusedError]) -> None:
    """What the UDF raised may hold paths and values."""
    assert SECRET not in redacted(kind(f"FileNotFoundError: {SECRET}"))["error"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_ours_that_the_udf_raised_is_its_inside(kind: type[FusedError]) -> None:
    """A UDF may call this package itself; what goes wrong there is no fault of whoever has the token."""
    assert SECRET not in redacted(kind(f"path: got {SECRET!r}", child_exception_class=kind.__name__))["error"]


def test_a_503_says_when_to_try_again() -> None:
    """Map libraries wait as long as they are told; one second if nobody knows better."""
    assert error_headers(error_body(HostLostError("gone")), None)["Retry-After"] == "1"
    assert error_headers(error_body(BusyError("full", retry_after=5)), 5)["Retry-After"] == "5"
    assert "Retry-After" not in error_headers(error_body(FusedError("x")), None)
    assert error_headers({}, None)["Cache-Control"] == "no-store"
