"""The `Range` of a request: one part of a file, for readers of Parquet and GeoTIFF that need a few kilobytes of it."""

from __future__ import annotations

import re

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII | re.IGNORECASE)

WHOLE = None
NOTHING = (0, 0)
"""The part that a `HEAD` needs: how long the body is, and not a byte of it."""

Part = tuple[int, int | None]
"""First byte and the one after the last, as in a slice."""


def parse_range(header: str | None) -> Part | None:
    """The part that a header asks for; None, the whole, for several parts and for what is no range (RFC 9110, 14.2).

    >>> parse_range("bytes=0-99"), parse_range("bytes=100-"), parse_range("bytes=-8")
    ((0, 100), (100, None), (-8, None))
    """
    match = _RANGE.fullmatch(header or "")
    if match is None:
        return WHOLE
    first, last, count = match.groups()
    if count is not None:
        return (-int(count), None) if int(count) else NOTHING
    if not last:
        return int(first), None
    return (int(first), int(last) + 1) if int(first) <= int(last) else WHOLE
