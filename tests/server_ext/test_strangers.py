"""A UDF's page is a stranger's page: what browsers may do with it, and what a web response of a UDF may say."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from real_jupyter import Answer, Kernel

Ask = Callable[..., Answer]


@pytest.fixture(scope="module", autouse=True)
def udfs(kernel: Kernel) -> None:
    """A page, and a web response as it is asked for."""
    kernel.define("def page():\n    return '<script>alert(1)</script>'")
    kernel.define(
        """
        class Response:
            def __init__(self, body, headers, status_code):
                self.body, self.headers, self.status_code = body, headers, status_code
        Response.__module__ = "starlette.responses"
        @fused.udf
        def web(media_type: str = "text/html", status: int = 200, headers: dict = {}):
            return Response(b"<script>1</script>", {"content-type": media_type, **headers}, status)
        """
    )


@pytest.mark.parametrize(
    "address",
    [
        *("page", "page.html", "echo.html", "web", "web?status=404"),
        *("web?media_type=image/svg%2Bxml", "web?media_type=text/xml", "web?media_type=application/xml"),
    ],
)
def test_html_of_a_udf_runs_in_a_sandbox(address: str, ask: Ask) -> None:
    """It has no cookie and no way to Jupyter's API."""
    answer = ask(f"fused/run/file/{address}")

    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox")
    assert "allow-same-origin" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "kind", ["text/javascript", "text/html;,x", "image/png;,text/html", "application/x-new", "application/pdf"]
)
def test_an_unknown_type_is_an_attachment(kind: str, ask: Ask) -> None:
    """Neither shown nor run."""
    answer = ask(f"fused/run/file/web?media_type={quote(kind)}")

    assert answer.headers["Content-Disposition"].startswith('attachment; filename="web')
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_few_headers_of_a_web_response_leave_the_server(ask: Ask) -> None:
    """Those that concern the file do; none that concerns the browser, the connection or this origin."""
    plain = ask("fused/run/file/web?media_type=text/plain")
    own = {
        "content-disposition": 'attachment; filename="report.txt"',
        "content-language": "de",
        "x-fused-warning": "a\r\nSet-Cookie: b=c",
        "set-cookie": "a=b",
        "location": "/evil",
        "access-control-allow-origin": "*",
        "content-security-policy": "default-src *",
        "cross-origin-resource-policy": "cross-origin",
        "cache-control": "public",
        "service-worker-allowed": "/",
        "x-accel-redirect": "/etc/passwd",
    }

    answer = ask(f"fused/run/file/web?media_type=text/plain&headers={quote(json.dumps(own))}")

    more = set(answer.headers.items()) - set(plain.headers.items())
    assert {pair for pair in more if pair[0] not in {"Date", "ETag", "Server-Timing", "X-Fused-Run"}} == {
        ("Content-Disposition", 'attachment; filename="report.txt"'),
        ("Content-Language", "de"),
        ("X-Fused-Warning", "a Set-Cookie: b=c"),
    }


@pytest.mark.parametrize(
    ("status", "expected"), [(201, 201), (404, 404), (500, 500), (302, 422), (101, 422), (204, 204)]
)
def test_a_udf_chooses_its_status_but_redirects_nobody(status: int, expected: int, ask: Ask) -> None:
    """A web response of a UDF keeps its status where that is harmless."""
    answer = ask(f"fused/run/file/web?status={status}&media_type=text/plain")

    assert answer.status == expected
    assert "Location" not in answer.headers
