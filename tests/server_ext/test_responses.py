from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter import errors
from fused_jupyter.errors import BusyError, FusedError, HostLostError, UdfRuntimeError, UdfSerializationError
from fused_jupyter.server_ext.responses import (
    SANDBOX,
    content_headers,
    error_body,
    error_headers,
    redacted,
    reply_body,
    reply_headers,
    reply_status,
)
from fused_jupyter.wire import Reply

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FusedError)]
SECRET = "/home/ana/secret.csv"


def reply(**fields: object) -> Reply:
    return Reply(id=1, **({"media_type": "image/png", "digest": "d1", "kernel": "k1"} | fields))


def test_every_answer_is_harmless_to_this_origin() -> None:
    """No sniffing, no referrer, no shared cache; it says whose it is."""
    headers = reply_headers(reply(max_age=60), version=None)

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Fused-Kernel"] == "k1"
    assert "private" in headers["Cache-Control"]
    assert "Origin" in headers["Vary"]


@pytest.mark.parametrize("media_type", ["text/html", "text/html; charset=utf-8", "TEXT/HTML", "image/svg+xml"])
def test_what_a_browser_runs_is_sandboxed(media_type: str) -> None:
    """A page of a UDF has an origin of its own."""
    headers = content_headers(media_type)

    assert headers["Content-Security-Policy"] == SANDBOX
    assert "allow-same-origin" not in SANDBOX


@pytest.mark.parametrize(
    "media_type",
    [
        *("text/javascript", "application/xhtml+xml", "text/xml", "application/pdf", "", "nonsense", "image/png/x"),
        *(
            "image/png;,text/html",
            "application/json, text/html",
            "image/png\r\nSet-Cookie: a=b",
            "text/html\0",
            "image/png;x",
        ),
    ],
)
def test_what_is_not_known_is_an_attachment(media_type: str) -> None:
    """Neither a new type nor a trick in its spelling makes a browser show it."""
    headers = content_headers(media_type)

    assert headers == {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}


@given(st.text(max_size=60))
def test_no_media_type_gets_active_content_past_the_table(media_type: str) -> None:
    """Whatever a UDF writes there, a browser runs it in a sandbox or not at all."""
    headers = content_headers(media_type)

    is_inert = headers["Content-Type"].partition(";")[0].lower() not in {"text/html", "image/svg+xml"}
    assert is_inert or "Content-Security-Policy" in headers
    assert "\n" not in headers["Content-Type"]


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 404, 418, 500, 599])
def test_a_udf_may_choose_its_status(status: int) -> None:
    """Web responses of UDFs keep theirs."""
    assert reply_status(reply(status=status)) == status


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 301, 302, 307, 399, 600, 1000, -1])
def test_no_udf_steers_the_connection(status: int) -> None:
    """An upgrade or a redirect is not for a UDF to send."""
    with pytest.raises(UdfSerializationError, match=str(status)):
        reply_status(reply(status=status))


@pytest.mark.parametrize("status", [204, 205, 304])
def test_some_answers_have_no_body_and_no_type(status: int) -> None:
    """The protocol allows none, whatever came."""
    answer = reply(status=status)

    assert reply_body(answer, b"something") is None
    assert "Content-Type" not in reply_headers(answer, version=None)


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
    assert reply_headers(reply(max_age=max_age), version=version)["Cache-Control"] == expected


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


def test_a_503_says_when_to_try_again() -> None:
    """Map libraries wait as long as they are told; one second if nobody knows better."""
    assert error_headers(error_body(HostLostError("gone")), None)["Retry-After"] == "1"
    assert error_headers(error_body(BusyError("full", retry_after=5)), 5)["Retry-After"] == "5"
    assert "Retry-After" not in error_headers(error_body(FusedError("x")), None)
    assert error_headers({}, None)["Cache-Control"] == "no-store"
