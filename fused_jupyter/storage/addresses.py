"""Addresses of files: which file they mean, and what of them may be shown."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

# Who asks and until when: S3 and Google Cloud Storage (version 4, then 2), CloudFront, Azure.
_SIGNATURES = (
    (re.compile(r"x-amz-signature"), re.compile(r"x-amz-.*")),
    (re.compile(r"x-goog-signature"), re.compile(r"x-goog-.*")),
    (
        re.compile(r"signature"),
        re.compile(r"signature|expires|awsaccesskeyid|googleaccessid|policy|key-pair-id|x-amz-security-token"),
    ),
    (re.compile(r"sig"), re.compile(r"sig|s[verptrs]|spr|sip|ses|srt|sk.+")),
)
_SECRET = re.compile(r"sig|.*(signature|token|secret|passw|credential|api_?key|access_?key).*|key|auth|pwd", re.ASCII)


def shown(url: str) -> str:
    """The address for messages: without password, and without a query that opens something.

    >>> shown("https://me:secret@example.com/a.tif?X-Amz-Signature=77")
    'https://example.com/a.tif?…'
    """
    parts = _split(url)
    is_secret = any(_SECRET.fullmatch(_name(field)) for field in parts.query.split("&"))
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="…" if is_secret else parts.query, fragment="")
    return urlunsplit(bare)


def identity(url: str) -> str:
    """What all addresses of one file have in common; two of it that were signed differ only in who asks, and when.

    >>> identity("https://example.com/a.tif?v=1&X-Amz-Signature=77&X-Amz-Date=20260101T000000Z#top")
    'https://example.com/a.tif?v=1'
    """
    parts = _split(url)
    fields = parts.query.split("&") if parts.query else []
    for sign, passing in _SIGNATURES:
        if any(sign.fullmatch(_name(field)) for field in fields):
            fields = [field for field in fields if not passing.fullmatch(_name(field))]
    host = parts.netloc.rpartition("@")[2].lower()
    return urlunsplit(parts._replace(scheme=parts.scheme.lower(), netloc=host, query="&".join(fields), fragment=""))


def encoded(url: str) -> SplitResult:
    """The parts of a web address with all escaped that no address may have, such as spaces; escapes stay.

    >>> encoded("https://example.com/a b/ü.tif").path
    '/a%20b/%C3%BC.tif'
    """
    parts = _split(url)
    kept = "/%:=&?~+!$,;'@()*[]"
    return parts._replace(path=quote(parts.path, safe=kept) or "/", query=quote(parts.query, safe=kept), fragment="")


def scheme(url: str) -> str:
    """Its scheme in small letters; none for a path.

    >>> scheme("HTTPS://example.com"), scheme("/data/a.tif"), scheme("a:b")
    ('https', '', '')
    """
    found = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*)://", url)
    return found[1].lower() if found else ""


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # brackets that hold no IPv6 address
        return SplitResult(scheme="", netloc="", path=url.partition("?")[0], query="", fragment="")


def _name(field: str) -> str:
    return field.partition("=")[0].lower()
