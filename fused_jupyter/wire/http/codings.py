"""Which answers may be sent compressed, and what the ETag of one in a coding is: other bytes, another tag."""

from __future__ import annotations

from fused_jupyter.wire.messages import Reply

_DENSE_TEXT = frozenset(
    {
        "application/json",
        "application/geo+json",
        "application/xml",
        "application/vnd.mapbox-vector-tile",
        "image/svg+xml",
    }
)

_EVER = ("gzip", "br")
"""Codings that a client may have got from here, also before this server was started."""


def is_compressible(reply: Reply) -> bool:
    """Whether the answer depends on `Accept-Encoding`."""
    if any(name.lower() == "content-encoding" for name in reply.headers):
        return False  # the UDF has compressed it
    kind = reply.media_type.partition(";")[0].strip().lower()
    return kind in _DENSE_TEXT or kind.startswith("text/")


def tag_in(coding: str, etag: str) -> str:
    """The ETag of an answer in a coding: other bytes, another tag.

    >>> tag_in("br", '"abc"')
    '"abc-br"'
    """
    return f'{etag[:-1]}-{coding}"' if etag else ""


def tag_in_hand(etag: str, if_none_match: str) -> str:
    """The ETag that the client has of an answer: it may have it in any coding.

    >>> tag_in_hand('"abc"', '"abc-gzip"')
    '"abc-gzip"'
    """
    return next((tag for coding in _EVER if (tag := tag_in(coding, etag)) in if_none_match), etag)


def without_codings(header: str) -> str:
    """The tags of an `If-None-Match` as the host knows them.

    >>> without_codings('"abc-br", W/"def-gzip", "ghi"')
    '"abc", W/"def", "ghi"'
    """
    for coding in _EVER:
        header = header.replace(f'-{coding}"', '"')
    return header
