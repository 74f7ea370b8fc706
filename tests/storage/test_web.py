from __future__ import annotations

import base64
import datetime as dt
import gzip
import ipaddress
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fused_jupyter.errors import DownloadError
from fused_jupyter.storage.downloads import download

if TYPE_CHECKING:
    from conftest import Site

CONTENT = b"col\n" + b"1\n" * 1000

Get = Callable[[str], bytes]


@pytest.fixture
def get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Get:
    """Downloads and reads."""
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    def download_it(url: str) -> bytes:
        download(url, tmp_path / "files" / "a", records=tmp_path / "records", tell=lambda *_: None)
        return (tmp_path / "files" / "a").read_bytes()

    return download_it


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


PACKED = {"gzip": gzip.compress(CONTENT), "x-gzip": gzip.compress(CONTENT), "deflate": zlib.compress(CONTENT)}


@pytest.mark.parametrize(("coding", "body"), PACKED.items(), ids=PACKED)
def test_way_is_unpacked(site: Site, get: Get, coding: str, body: bytes) -> None:
    """The file counts, not how it travelled; and we ask for it as it is."""
    site.headers = {"Content-Encoding": coding}

    assert get(site.url(content=body)) == CONTENT
    assert site.requests[0][1]["accept-encoding"] == "identity"


def test_packed_file_stays_packed(site: Site, get: Get) -> None:
    """Though some servers say that its way were."""
    site.headers = {"Content-Encoding": "gzip"}
    body = gzip.compress(CONTENT)

    assert get(site.url("b.csv.gz", body)) == body


def test_packed_way_that_breaks_is_begun_anew(site: Site, get: Get) -> None:
    """Half of what is packed is of no use."""
    site.headers = {"Content-Encoding": "gzip"}
    site.cuts = [10]

    assert get(site.url(content=PACKED["gzip"])) == CONTENT
    assert "range" not in site.requests[1][1]


@pytest.mark.parametrize("body", [PACKED["gzip"][:-20], b"no gzip"], ids=["cut off", "something else"])
def test_what_does_not_unpack_is_an_error(site: Site, get: Get, body: bytes) -> None:
    """It is no file."""
    site.headers = {"Content-Encoding": "gzip"}

    with pytest.raises(DownloadError, match="pack"):
        get(site.url(content=body))


def test_unknown_packing_is_an_error(site: Site, get: Get) -> None:
    """Better than a file of it."""
    site.headers = {"Content-Encoding": "br"}

    with pytest.raises(DownloadError, match="packs it as 'br'"):
        get(site.url(content=CONTENT))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_followed(site: Site, get: Get, status: int) -> None:
    """To the end."""
    site.answers = [(status, {"Location": "/b%20c?x=1"})]
    site.url("b c", CONTENT)

    assert get(site.url()) == CONTENT
    assert site.requests[-1][0] == "/b%20c?x=1"


def test_break_behind_a_redirect_goes_on(site: Site, get: Get) -> None:
    """The range goes along."""
    site.url("b", CONTENT)
    site.cuts = [100]
    site.redirects = {"/a.bin": "/b"}

    assert get(site.url()) == CONTENT
    assert [path for path, _ in site.requests] == ["/a.bin", "/b"] * 2
    assert site.requests[-1][1]["range"] == "bytes=100-"


def test_endless_redirect_is_an_error(site: Site, get: Get) -> None:
    """It goes in circles."""
    site.answers = [(302, {"Location": "/a.bin"})] * 100

    with pytest.raises(DownloadError, match="302"):
        get(site.url())


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/a", "data:,x"])
def test_redirect_leads_to_the_web_only(site: Site, get: Get, place: str) -> None:
    """A server must not read our disk."""
    site.answers = [(302, {"Location": place})]

    with pytest.raises(DownloadError, match="302|sends us on to"):
        get(site.url())


def test_password_of_the_address_is_sent(site: Site, get: Get) -> None:
    """And not as part of the address."""
    get(site.url(content=CONTENT).replace("//", "//me:p%40ss@"))

    path, headers = site.requests[0]
    assert (path, headers["authorization"]) == ("/a.bin", basic("me:p@ss"))
    assert "me" not in headers["host"]


def test_password_stays_with_its_server(site: Site, other_site: Site, get: Get) -> None:
    """Other hosts do not get it; the same one does."""
    site.answers = [(302, {"Location": "/b"}), (302, {"Location": other_site.url("c", CONTENT)})]

    get(site.url().replace("//", "//me:s3cret@"))

    assert ["authorization" in headers for _, headers in site.requests] == [True, True]
    assert "authorization" not in other_site.requests[0][1]
    assert "s3cret" not in str(other_site.requests)


def test_password_of_netrc_is_sent_to_its_host(site: Site, other_site: Site, get: Get, tmp_path: Path) -> None:
    """Also after a redirect, as NASA's archives want it."""
    (tmp_path / "netrc").write_text("machine 127.0.0.2 login me password s3cret\n")
    (tmp_path / "netrc").chmod(0o600)
    site.answers = [(302, {"Location": other_site.url("c", CONTENT)})]

    get(site.url())

    assert "authorization" not in site.requests[0][1]
    assert other_site.requests[0][1]["authorization"] == basic("me:s3cret")


def test_cookies_go_along_for_one_download(site: Site, get: Get) -> None:
    """Some servers log in by redirects."""
    site.answers = [(302, {"Location": "/b", "Set-Cookie": "session=1"})]
    site.url("b", CONTENT)

    get(site.url())

    assert site.requests[1][1]["cookie"] == "session=1"


def test_error_shows_no_password(site: Site, get: Get) -> None:
    """Nor a signature; it shows the rest."""
    url = site.url().replace("//", "//me:s3cret@") + "?X-Amz-Signature=s3cret"

    with pytest.raises(DownloadError) as caught:
        get(url)

    assert "s3cret" not in caught.value.message
    assert f"{site.address}/a.bin?…: the server answered 404" in caught.value.message


def test_no_content_is_no_file(site: Site, get: Get) -> None:
    """204 says so."""
    site.answers = [(204, {})]

    with pytest.raises(DownloadError, match="answered 204 No Content, no file"):
        get(site.url())


def test_proxy_of_the_environment_is_used(site: Site, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by other programs."""
    monkeypatch.setenv("http_proxy", site.address)
    monkeypatch.delenv("no_proxy", raising=False)
    site.files["http://example.invalid/a.bin"] = CONTENT

    assert get("http://example.invalid/a.bin") == CONTENT


def test_silent_server_is_left(site: Site, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """And asked for the rest."""
    monkeypatch.setattr("fused_jupyter.storage.web._SECONDS", 0.2)
    site.pause = 0.4
    content = CONTENT * 100

    def soon() -> None:
        site.pause = 0

    threading.Timer(0.1, soon).start()
    assert get(site.url(content=content)) == content
    assert len(site.requests) == 2


@pytest.mark.parametrize("url", ["http://", "http://127.0.0.1:port/a", "http://[::1/a", "http:///a", "http://h/\ud800"])
def test_impossible_address_is_an_error(site: Site, get: Get, url: str) -> None:
    """A `DownloadError`, as of any that cannot be had."""
    with pytest.raises(DownloadError):
        get(url)


@pytest.fixture
def secure_site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server that vouches for itself, and its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(host, critical=False).sign(key, hashes.SHA256())
    pem, encoding = tmp_path / "site.pem", serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(encoding))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_: object) -> None:
            pass

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hung up."""

    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/a", pem
    server.shutdown()
    thread.join()
    server.server_close()


def test_certificate_must_be_trusted(secure_site: tuple[str, Path], get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the setting."""
    url, certificate = secure_site

    with pytest.raises(DownloadError, match="certificate of the server is not trusted.*SSL_CERT_FILE"):
        get(url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    assert get(url) == CONTENT
