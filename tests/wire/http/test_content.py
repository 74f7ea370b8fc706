from __future__ import annotations

import re
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from fused_jupyter.wire.http.content import SANDBOX, content_headers, file_name, own_file_name, passed_on

ATTACHMENT = {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}


def parsed(disposition: str) -> tuple[str | None, str | None]:
    """(disposition, file name) as another parser reads the header; of two names, the one that RFC 6266 prefers."""
    if "filename*=" in disposition:
        disposition = re.sub(r' filename="[^"]*";', "", disposition)
    message = Message()
    message["Content-Disposition"] = disposition
    name = message.get_param("filename", header="Content-Disposition", unquote=False)
    if isinstance(name, str):  # not by `get_filename`, which takes <angle brackets> for quotation marks, as in e-mail
        return message.get_content_disposition(), re.sub(r"\\(.)", r"\1", name.removeprefix('"').removesuffix('"'))
    return message.get_content_disposition(), message.get_filename()


# -- media types


@pytest.mark.parametrize(
    "media_type", ["text/html", "text/html; charset=utf-8", "TEXT/HTML", "image/svg+xml", "text/xml", "application/xml"]
)
def test_what_a_browser_runs_is_sandboxed(media_type: str) -> None:
    """A page of a UDF has an origin of its own; so has an XML document, which may hold elements of XHTML."""
    headers = content_headers(media_type)

    assert headers["Content-Security-Policy"].startswith("sandbox")
    assert "allow-same-origin" not in headers["Content-Security-Policy"]
    assert "allow-same-origin" not in SANDBOX


@pytest.mark.parametrize(
    "media_type",
    [
        *("text/javascript", "application/xhtml+xml", "application/pdf", "", "nonsense", "image/png/x"),
        *("application/geopackage+sqlite3", "application/wasm", "multipart/x-mixed-replace", "message/rfc822"),
        *(
            "text/vtt",
            "text/css",
            "text/xsl",
            "application/rss+xml",
            "application/mathml+xml",
            "application/signed-exchange",
        ),
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
    assert content_headers(media_type) == ATTACHMENT


@pytest.mark.parametrize(
    ("media_type", "disposition"),
    [
        ("image/png", "inline"),
        ("image/avif", "inline"),
        ("application/json", "inline"),
        ("text/csv; charset=utf-8", "inline"),
        ("image/tiff", "attachment"),
        ("application/octet-stream", "attachment"),
        ("application/vnd.mapbox-vector-tile", "attachment"),
        ("application/zip", "attachment"),
        ("application/x-numpy-data", "attachment"),
        ("application/vnd.apache.arrow.file", "attachment"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "attachment"),
    ],
)
def test_known_types_are_sent_as_they_are(media_type: str, disposition: str) -> None:
    """Clients compare them letter by letter; what no browser shows is saved."""
    assert content_headers(media_type) == {"Content-Type": media_type, "Content-Disposition": disposition}


@given(st.text(max_size=60) | st.from_regex(r"[a-z]{1,12}/[a-z.+-]{1,20}", fullmatch=True))
def test_no_media_type_gets_active_content_past_the_table(media_type: str) -> None:
    """Whatever a UDF writes there, a browser runs it in a sandbox or not at all."""
    headers = content_headers(media_type)

    kind = headers["Content-Type"].partition(";")[0].lower()
    is_inert = kind not in {"text/html", "image/svg+xml"} and not kind.endswith("xml")
    assert is_inert or "Content-Security-Policy" in headers
    assert "\n" not in headers["Content-Type"]


# -- file names


@pytest.mark.parametrize(
    ("tile", "extension", "media_type", "expected"),
    [
        (None, "parquet", "application/octet-stream", "quakes.parquet"),
        ((12, 654, 1583), "mvt", "application/vnd.mapbox-vector-tile", "quakes-12-654-1583.mvt"),
        (None, "", "text/html; charset=utf-8", "quakes.html"),
        (None, "", "application/x-of-my-own", "quakes"),
        (None, "../../x", "", "quakes"),
        (None, 'x"\r\n', "text/csv", "quakes.csv"),
    ],
)
def test_a_result_is_named_after_its_udf(
    tile: tuple[int, int, int] | None, extension: str, media_type: str, expected: str
) -> None:
    """With its tile, and the ending of its format."""
    assert file_name("quakes", tile, extension=extension, media_type=media_type) == expected


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ('attachment; filename="report 2024.pdf"', ("attachment", "report 2024.pdf")),
        ("inline; filename=map.png", ("inline", "map.png")),
        ("attachment", ("attachment", "udf.png")),
        ("", ("inline", "udf.png")),
        ("form-data; filename=a.png", ("inline", "a.png")),
        ("attachment; filename*=UTF-8''z%C3%BCrich.png", ("attachment", "zürich.png")),
        ("attachment; filename=\"zurich.png\"; filename*=UTF-8''z%C3%BCrich.png", ("attachment", "zürich.png")),
        ('attachment; filename="../../etc/passwd"', ("attachment", "passwd")),
        (r'attachment; filename="C:\\Windows\\evil.png"', ("attachment", "evil.png")),
        ('attachment; filename=".."', ("attachment", "udf.png")),
        ('attachment; filename="a\r\nSet-Cookie: b=c"', ("attachment", "aSet-Cookie: b=c")),
        ('attachment; filename="gnp.\u202eexe.png"', ("attachment", "gnp.exe.png")),
        ('attachment; filename="100%41.png"', ("attachment", "100%41.png")),
    ],
)
def test_a_udf_may_name_its_own_file(own: str, expected: tuple[str, str]) -> None:
    """In whichever way the header allows; neither directories nor control characters are names."""
    assert (
        parsed(content_headers("image/png", file_name="udf.png", own_disposition=own)["Content-Disposition"])
        == expected
    )


def test_a_udf_cannot_have_its_unknown_type_shown() -> None:
    """`inline` is a wish."""
    headers = content_headers("text/javascript", own_disposition='inline; filename="x.js"')

    assert headers["Content-Disposition"] == 'attachment; filename="x.js"'


@given(st.text(max_size=80))
def test_any_file_name_survives_the_header(name: str) -> None:
    """What is left of it when all that is no name has gone is read back, and the header is one line of ASCII."""
    header = content_headers("image/png", file_name="udf.png", own_disposition=f'inline; filename="{name}"')

    disposition = header["Content-Disposition"]
    assert disposition.isascii()
    assert disposition.isprintable()
    assert len(disposition) < 2000
    assert parsed(disposition) == ("inline", own_file_name(f'inline; filename="{name}"') or "udf.png")


# -- headers of a UDF's own response

HARMLESS = {
    "content-encoding": "gzip",
    "content-language": "de, en-GB",
    "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT",
    "retry-after": "120",
    "x-fused-warning": "5 dimensions, the first of each is shown",
    "x-fused-features": "120000",
    "x-fused-rescale": "0,255",
}
NASTY = {
    "set-cookie": "username-localhost-8888=evil; Path=/",
    "location": "https://evil.example",
    "refresh": "0; url=https://evil.example",
    "content-location": "/api/kernels",
    "link": "</x.js>; rel=preload",
    "access-control-allow-origin": "*",
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "*",
    "cross-origin-resource-policy": "cross-origin",
    "cross-origin-opener-policy": "unsafe-none",
    "cross-origin-embedder-policy": "unsafe-none",
    "content-security-policy": "default-src *",
    "content-security-policy-report-only": "default-src *; report-uri https://evil.example",
    "x-content-type-options": "off",
    "x-frame-options": "ALLOWALL",
    "x-xss-protection": "0",
    "referrer-policy": "unsafe-url",
    "permissions-policy": "camera=*",
    "feature-policy": "camera *",
    "strict-transport-security": "max-age=0",
    "service-worker-allowed": "/",
    "clear-site-data": '"*"',
    "sourcemap": "/evil.map",
    "x-accel-redirect": "/etc/passwd",
    "x-sendfile": "/etc/passwd",
    "x-jupyterhub-version": "1",
    "cache-control": "public, max-age=31536000",
    "expires": "Thu, 01 Jan 2099 00:00:00 GMT",
    "age": "0",
    "pragma": "x",
    "vary": "*",
    "etag": '"mine"',
    "accept-ranges": "bytes",
    "content-range": "bytes 0-1/2",
    "content-length": "7",
    "content-type": "text/html",
    "transfer-encoding": "chunked",
    "trailer": "x",
    "connection": "upgrade",
    "keep-alive": "timeout=9999",
    "upgrade": "websocket",
    "sec-websocket-accept": "x",
    "www-authenticate": 'Basic realm="Jupyter"',
    "proxy-authenticate": "Basic",
    "authorization": "token x",
    "alt-svc": 'h3="evil.example:443"',
    "nel": "{}",
    "report-to": "{}",
    "reporting-endpoints": "x",
    "origin-agent-cluster": "?0",
    "x-fused-kernel": "another",
    "x-fused-cached": "1",
    "server-timing": "x",
    "x-anything": "else",
    "": "",
}


def test_harmless_headers_are_passed_on() -> None:
    """As they are, in their usual spelling."""
    passed = passed_on(HARMLESS)

    assert {name.lower(): text for name, text in passed.items()} == HARMLESS
    assert all(name == name.title() for name in passed)


@pytest.mark.parametrize("name", NASTY)
def test_all_other_headers_are_dropped(name: str) -> None:
    """Cookies, redirects, policies, proxies' orders, and whatever nobody has thought of."""
    for spelled in (name, name.upper(), name.title()):
        assert passed_on(HARMLESS | {spelled: NASTY[name]}) == passed_on(HARMLESS)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-encoding": "identity"},
        {"content-encoding": "gzip, br"},
        {"content-encoding": "aws-chunked"},
        {"content-language": "de\r\nSet-Cookie: a=b"},
        {"last-modified": "yesterday"},
        {"retry-after": "soon"},
        {"retry-after": "1\n2"},
        {"x-fused-warning": "\x1b[31m"},
        {"x-fused-warning": "\x00"},
    ],
    ids=str,
)
def test_values_that_do_not_fit_are_dropped(headers: dict[str, str]) -> None:
    """A name that is allowed allows no other meaning."""
    assert passed_on(headers) == {}


def test_a_warning_is_one_line_of_ascii() -> None:
    """Encoders write whole sentences of the user's data into it."""
    warning = passed_on({"X-Fused-Warning": "Straße\r\nSet-Cookie: a=b " + "x" * 5000})["X-Fused-Warning"]

    assert warning.startswith(r"Stra\xdfe Set-Cookie: a=b xxx")
    assert len(warning) == 1000


@given(st.dictionaries(st.sampled_from(sorted(HARMLESS)), st.text(max_size=60)))
def test_no_value_ends_its_line(headers: dict[str, str]) -> None:
    """Whatever a UDF writes there can be sent, and stays the value of its header."""
    sent = HTTPHeaders()

    for name, text in passed_on(headers).items():
        sent[name] = text
        text.encode("latin-1")
        assert text.isprintable()
