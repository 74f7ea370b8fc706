"""Files from the web.

`urllib` of the standard library does what is needed: proxies of the environment, redirects, time limits; a library
more would not spare the care below.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import functools
import http.client
import netrc
import os
import re
import ssl
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from email.message import Message
from http.cookiejar import CookieJar
from pathlib import PurePosixPath
from typing import IO, Any
from urllib.parse import SplitResult, unquote, urlunsplit

from fused_jupyter._version import __version__
from fused_jupyter.errors import DownloadError
from fused_jupyter.storage.addresses import encoded, shown
from fused_jupyter.storage.sources import PIECE, Answer, SourceError, Version

_SECONDS = 30.0
"""How long a server may be silent."""
_LONGEST_WAIT = 60.0
"""Seconds of a Retry-After that are waited for."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be another one soon."""
_HINTS = {
    401: "it wants a password: https://user:password@host/…, or a line in ~/.netrc",
    403: "the server refuses it; a signed address may have expired",
    404: "look whether the address is right",
    410: "it is gone for good",
}
_CODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 47}
"""What zlib calls them; 47 finds out which of two meanings a server gives to deflate."""
_PACKED = frozenset({".gz", ".tgz", ".svgz", ".gzip"})
"""Files that are meant to be packed; some servers say so of the way, and unpacked they would not fit their name."""


class WebFile:
    """A file behind an http address.

    Args:
        url: with user and password where it needs them.
        bearer: a token for that server, which goes nowhere else.

    Raises:
        DownloadError: it is no address.
    """

    def __init__(self, url: str, *, bearer: str = "") -> None:
        self._url = url
        self._bearer = bearer
        self._parts = _parts(url)

    @contextlib.contextmanager
    def open(self, offset: int, version: Version) -> Iterator[Answer]:
        """As of every source."""
        with self._response(offset, version) as response:
            yield self._answer(response, offset=offset)

    def _response(self, offset: int, version: Version) -> Any:  # what a handler of urllib returns has no type
        request = urllib.request.Request(_address(self._parts), headers=_headers(offset, version))  # noqa: S310 - the scheme is http(s)
        if authorization := f"Bearer {self._bearer}" if self._bearer else _authorization(self._parts):
            request.add_unredirected_header("Authorization", authorization)
        opener = urllib.request.build_opener(
            _Redirects(self._parts), urllib.request.HTTPCookieProcessor(CookieJar()), *_https()
        )
        try:
            return opener.open(request, timeout=_SECONDS)
        except DownloadError:  # by a redirect; it is an OSError, too
            raise
        except urllib.error.HTTPError as exc:
            with exc:
                raise self._refusal(exc) from exc
        except ssl.SSLCertVerificationError as exc:
            raise self._distrusted(exc) from exc
        except urllib.error.URLError as exc:
            if isinstance(exc.reason, ssl.SSLCertVerificationError):
                raise self._distrusted(exc.reason) from exc
            raise SourceError(f"the server cannot be reached: {exc.reason}") from exc
        except (http.client.HTTPException, OSError) as exc:
            raise SourceError(f"the server broke off: {_said(exc)}") from exc

    def _answer(self, response: Any, *, offset: int) -> Answer:
        headers: Message = response.headers
        coding = (headers.get("Content-Encoding") or "identity").strip().lower()
        length = _number(headers.get("Content-Length"))
        pieces: Iterator[bytes] = _pieces(response, length)
        etag, modified = _strong(headers.get("ETag")), headers.get("Last-Modified") or ""
        if response.status == 206:
            size = _size_of_whole(headers, offset=offset)
            if coding != "identity":
                raise SourceError("the server packs the rest, and did not pack the begin", is_changed=True)
            return Answer(version=Version(size=size, etag=etag, modified=modified), offset=offset, pieces=pieces)
        if response.status != 200:
            raise DownloadError(f"{shown(self._url)}: the server answered {response.status} {response.reason}, no file")
        if coding != "identity" and PurePosixPath(unquote(self._parts.path)).suffix.lower() not in _PACKED:
            # The way was packed although we did not want it: neither length nor ETag is that of the file.
            return Answer(version=Version(), offset=0, pieces=_unpacked(pieces, coding, self._url))
        return Answer(version=Version(size=length, etag=etag, modified=modified), offset=0, pieces=pieces)

    def _refusal(self, exc: urllib.error.HTTPError) -> Exception:
        said = f"the server answered {exc.code} {exc.reason}"
        if exc.code in {412, 416}:
            return SourceError(said, is_changed=True)
        if exc.code in _PASSING:
            return SourceError(said, retry_after=_seconds(exc.headers.get("Retry-After")))
        hint = _HINTS.get(exc.code, "")
        error = DownloadError(f"{shown(self._url)}: {said}{'; ' if hint else ''}{hint}")
        error.answered = exc.code
        return error

    def _distrusted(self, exc: ssl.SSLCertVerificationError) -> DownloadError:
        return DownloadError(
            f"{shown(self._url)}: the certificate of the server is not trusted ({exc.verify_message}); SSL_CERT_FILE "
            "names a file with the authorities to trust"
        )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to the web only; a password goes where it was meant for, not along."""

    def __init__(self, origin: SplitResult) -> None:
        self._origin = origin

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        target = encoded(newurl)
        if target.scheme not in {"http", "https"}:
            raise DownloadError(
                f"{shown(req.full_url)}: the server sends us on to {shown(newurl)}; only http and https are followed"
            )
        request = super().redirect_request(req, fp, code, msg, headers, _address(_parts(newurl)))
        is_home = not target.username and _is_home(target, self._origin)
        authorization = _authorization(self._origin if is_home else target)
        if request is not None and authorization:
            request.add_unredirected_header("Authorization", authorization)
        return request


def _parts(url: str) -> SplitResult:
    try:
        parts = encoded(url)
        _ = parts.port, _address(parts)
    except ValueError as exc:
        raise DownloadError(f"{shown(url)} is no address: {exc}") from exc
    if not parts.hostname:
        raise DownloadError(f"{shown(url)} is no address: it names no host, as in https://example.com/a.zip")
    return parts


def _headers(offset: int, version: Version) -> dict[str, str]:
    headers = {
        "User-Agent": f"fused-jupyter/{__version__}",  # some servers refuse that of urllib
        "Accept": "*/*",
        "Accept-Encoding": "identity",  # the bytes of the file, which can be counted and gone on with
    }
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": version.etag or version.modified}
    return headers


def _address(parts: SplitResult) -> str:
    """The address as it is sent: without user and password."""
    host = parts.netloc.rpartition("@")[2]
    if not host.isascii():
        name, colon, port = host.partition(":")
        host = name.encode("idna").decode() + colon + port
    return urlunsplit(parts._replace(netloc=host))


def _authorization(parts: SplitResult) -> str:
    user, password = parts.username, parts.password
    if user is None and parts.hostname:
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            found = _netrc().authenticators(parts.hostname)
            user, password = (found[0], found[2]) if found else (None, None)
    if user is None:
        return ""
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _is_home(target: SplitResult, origin: SplitResult) -> bool:
    """Whether both are one server, as far as a password may know; http that becomes https is."""
    ports = {"http": 80, "https": 443}
    places = [(parts.scheme, parts.port or ports.get(parts.scheme)) for parts in (target, origin)]
    is_same = places[0] == places[1] or places == [("https", 443), ("http", 80)]
    return is_same and target.hostname == origin.hostname


def _netrc() -> netrc.netrc:
    return netrc.netrc(os.environ.get("NETRC"))


@functools.cache
def _https() -> tuple[urllib.request.BaseHandler, ...]:
    """How certificates are tested: as the system says, or as certifi does where Python found no authorities."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:
        return ()
    try:
        import certifi
    except ImportError:
        return ()
    return (urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=certifi.where())),)


def _pieces(response: Any, length: int | None) -> Iterator[bytes]:
    got = 0
    try:
        while piece := response.read1(PIECE):
            got += len(piece)
            yield piece
    except (http.client.HTTPException, OSError) as exc:
        raise SourceError(f"the connection broke: {_said(exc)}") from exc
    if length is not None and got < length:  # http.client passes over it
        raise SourceError(f"the connection broke after {got} of {length} bytes")


def _unpacked(pieces: Iterator[bytes], coding: str, url: str) -> Iterator[bytes]:
    if coding not in _CODINGS:
        raise DownloadError(f"{shown(url)}: the server packs it as {coding!r}, though it was asked not to")
    unpack = zlib.decompressobj(_CODINGS[coding])
    try:
        for piece in pieces:
            yield unpack.decompress(piece)
        yield unpack.flush()
    except zlib.error as exc:
        raise SourceError(f"what came does not unpack: {exc}") from exc
    if not unpack.eof:
        raise SourceError("the connection broke before the end of what was packed")


def _size_of_whole(headers: Message, *, offset: int) -> int | None:
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", (headers.get("Content-Range") or "").strip())
    if found is None or int(found[1]) != offset:
        raise SourceError(f"the server sent {headers.get('Content-Range')!r}, not what was asked for", is_changed=True)
    return _number(found[2])


def _strong(etag: str | None) -> str:
    return etag if etag and not etag.startswith("W/") else ""


def _number(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdecimal() else None


def _seconds(text: str | None) -> float | None:
    """What Retry-After says: seconds, or a date."""
    if text is None:
        return None
    seconds = _number(text)
    if seconds is None:
        try:
            seconds = int(email.utils.parsedate_to_datetime(text).timestamp() - time.time())
        except (TypeError, ValueError):
            return None
    return float(min(max(seconds, 0), _LONGEST_WAIT))


def _said(exc: BaseException) -> str:
    return str(exc) or type(exc).__name__
