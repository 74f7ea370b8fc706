"""The fields of a vector tile's features, read from the tile itself: names, and whether each is text or a number."""

from __future__ import annotations

from collections.abc import Iterator

_LAYERS = 3
_FEATURES, _KEYS, _VALUES = 2, 3, 4
_TAGS = 2
_KINDS = {1: "String", 2: "Number", 3: "Number", 4: "Number", 5: "Number", 6: "Number", 7: "Boolean"}
"""Number of a value's field (MVT 2.1, section 4.1) → what TileJSON calls it."""

Piece = tuple[int, int | bytes]


def fields_of(tile: bytes) -> dict[str, str]:
    """Name → ``String``, ``Number`` or ``Boolean``; what comes as several is ``String``. Of a broken tile, nothing.

    >>> fields_of(b"")
    {}
    """
    try:
        found: dict[str, set[str]] = {}
        for layer in (content for number, content in _pieces(tile) if number == _LAYERS and isinstance(content, bytes)):
            for name, kind in _fields_of_layer(layer):
                found.setdefault(name, set()).add(kind)
    except (ValueError, IndexError, KeyError):
        return {}
    return {name: kinds.pop() if len(kinds) == 1 else "String" for name, kinds in found.items()}


def _fields_of_layer(layer: bytes) -> Iterator[tuple[str, str]]:
    pieces = [(number, content) for number, content in _pieces(layer) if isinstance(content, bytes)]
    names = [content.decode() for number, content in pieces if number == _KEYS]
    kinds = [_KINDS[next(_pieces(content))[0]] for number, content in pieces if number == _VALUES]
    used: set[tuple[int, int]] = set()
    for feature in (content for number, content in pieces if number == _FEATURES):
        for number, tags in _pieces(feature):
            if number == _TAGS and isinstance(tags, bytes):
                pairs = list(_varints(tags))
                used.update(zip(pairs[::2], pairs[1::2], strict=True))
    for key, value in sorted(used):
        yield names[key], kinds[value]


def _pieces(message: bytes) -> Iterator[Piece]:
    """The fields of a protobuf message: number, and value or content."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, place = _varint(message, place)
            yield number, value
            continue
        length = {1: 8, 5: 4}.get(wire_type)
        if wire_type == 2:
            length, place = _varint(message, place)
        if length is None or place + length > len(message):
            raise ValueError(f"wire type {wire_type} with {length} bytes at {place}")
        yield number, message[place : place + length]
        place += length


def _varints(message: bytes) -> Iterator[int]:
    place = 0
    while place < len(message):
        value, place = _varint(message, place)
        yield value


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("no number is so long")
