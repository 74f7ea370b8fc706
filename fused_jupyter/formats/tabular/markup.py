"""Texts as they stand in XML and HTML: many at once."""

from __future__ import annotations

import re
from typing import Final

_SEPARATOR: Final = "\x00"
_FORBIDDEN: Final = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REPLACEMENT: Final = "\ufffd"


def escape_texts(texts: list[str]) -> list[str]:
    r"""The texts with markup as entities; characters that XML 1.0 has no place for become U+FFFD.

    >>> escape_texts(["a<b", "bell \x07"])
    ['a&lt;b', 'bell �']
    """
    if not texts:
        return []
    joined = _SEPARATOR.join(texts)
    if joined.count(_SEPARATOR) >= len(texts):
        joined = _SEPARATOR.join([text.replace(_SEPARATOR, _REPLACEMENT) for text in texts])
    for character, entity in _ENTITIES.items():
        joined = joined.replace(character, entity)
    return _FORBIDDEN.sub(_REPLACEMENT, joined).split(_SEPARATOR)


# A reader takes a lone carriage return for a line feed, unless it is written as a number.
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}
