"""Numbers, texts and what else is one thing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from decimal import Decimal, DecimalException
from functools import partial
from pathlib import PurePath
from typing import Any
from uuid import UUID

from fused_jupyter.udfs.coercers.entry import Coercers, Coercion, UnfitError
from fused_jupyter.udfs.texts import text_of

_MOST_DIGITS = 4300
"""As Python's own limit: longer numbers cost seconds to read."""


def parse_int(value: Any) -> int:
    """A whole number; 4.0 and 1e3 are, 4.7 is not.

    >>> parse_int("12"), parse_int("1e3"), parse_int(4.0)
    (12, 1000, 4)
    """
    if isinstance(value, str):
        return _int_of_text(value)
    if getattr(value, "ndim", 0) or isinstance(value, (bytes, bytearray)):
        raise TypeError(value)
    if value != int(value):
        raise ValueError(value)
    return int(value)


def _int_of_text(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = Decimal(text)  # a float would lose digits of 12345678901234567890.0
    except DecimalException as exc:
        raise ValueError(text) from exc
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS or len(text) > _MOST_DIGITS:
        raise ValueError(text)
    whole = int(number)
    if whole != number:
        raise ValueError(text)
    return whole


def parse_float(value: Any) -> float:
    """A number, also nan and inf."""
    if getattr(value, "ndim", 0) or isinstance(value, (bytes, bytearray)):
        raise TypeError(value)
    return float(value)


def parse_bool(value: Any) -> bool:
    """True or False, also as 1/0, yes/no, on/off, in any case.

    >>> parse_bool("off"), parse_bool("1")
    (False, True)
    """
    if isinstance(value, str):
        return _BOOLEANS[value.strip().lower()]
    if value in (0, 1):
        return bool(value)
    raise ValueError(value)


def parse_str(value: Any) -> str:
    """Text as it is, anything else as a URL would carry it: so a call and a request give the same.

    >>> parse_str("a"), parse_str(True), parse_str([1, "b"])
    ('a', 'true', '[1, "b"]')
    """
    if isinstance(value, (bytes, bytearray)):
        return value.decode()
    return as_text(value)


def as_text(value: Any) -> str:
    """The value as a URL carries it, else as `str` shows it."""
    try:
        return text_of(value)
    except TypeError:
        return str(value)


def parse_bytes(value: Any) -> bytes:
    """Bytes, from base64 in either alphabet, with or without padding, or from a ``data:`` URL.

    >>> parse_bytes("aGk="), parse_bytes("data:text/plain;base64,aGk=")
    (b'hi', b'hi')
    """
    if isinstance(value, str):
        head, comma, data = value.partition(",")
        text = data if comma and head.startswith("data:") and head.endswith(";base64") else value
        return _of_base64(text)
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(value)
    return bytes(value)


def _of_base64(text: str) -> bytes:
    # A + that was not escaped in a URL comes as a blank.
    standard = text.strip().translate(str.maketrans("-_ ", "+/+")).rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error as exc:
        raise UnfitError(f"not base64: {exc}") from exc


def parse_decimal(value: Any) -> Decimal:
    """An exact number; a float by the digits that it prints."""
    return Decimal(str(value) if isinstance(value, float) else value)


def parse_uuid(value: Any) -> UUID:
    """A UUID, with or without its dashes."""
    return value if isinstance(value, UUID) else UUID(_text(value))


def parse_complex(value: Any) -> complex:
    """A complex number, as Python writes it."""
    return complex(value.replace(" ", "") if isinstance(value, str) else value)


def path_coercion(kind: Any) -> Coercion:
    """A path of that class."""

    def convert(value: Any) -> Any:
        return value if isinstance(value, kind) else kind(value if isinstance(value, PurePath) else _text(value))

    return Coercion(convert=convert, expected="a path", example="data/roads.parquet")


def numpy_coercion(convert: Callable[[Any], Any], expected: str, example: str) -> Callable[[Any], Coercion]:
    """Numbers of NumPy: read as Python's, and refused where the class has no room for them."""

    def coercion(kind: Any) -> Coercion:
        return Coercion(convert=partial(_of_numpy, kind, convert), expected=expected, example=example)

    return coercion


def _of_numpy(kind: Any, convert: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, kind):
        return value
    plain = convert(value)
    if kind.__module__ == "numpy" and kind.__name__ in _ABSTRACT:
        return plain
    import numpy as np

    with np.errstate(over="raise"):  # else a warning, and infinity
        made = kind(plain)
    if isinstance(plain, int) and int(made) != plain:
        raise UnfitError(f"{kind.__name__} has no room for it")
    return made


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


_ABSTRACT = frozenset({"number", "integer", "signedinteger", "unsignedinteger", "inexact", "floating"})
"""Classes of NumPy that have no values of their own."""

_BOOLEANS = dict.fromkeys(("true", "1", "yes", "on", "y", "t"), True) | dict.fromkeys(
    ("false", "0", "no", "off", "n", "f"), False
)

_INT = Coercion(convert=parse_int, expected="a whole number", example="12")
_FLOAT = Coercion(convert=parse_float, expected="a number", example="4.5")
_BOOL = Coercion(convert=parse_bool, expected="true or false", example="true")
_BYTES = Coercion(convert=parse_bytes, expected="base64", example="aGVsbG8=")

SCALARS: Coercers = {
    int: _INT,
    float: _FLOAT,
    bool: _BOOL,
    str: Coercion(convert=parse_str, expected="text", example="text"),
    bytes: _BYTES,
    bytearray: Coercion(convert=lambda value: bytearray(parse_bytes(value)), expected="base64", example="aGVsbG8="),
    complex: Coercion(convert=parse_complex, expected="a complex number", example="1+2j"),
    Decimal: Coercion(convert=parse_decimal, expected="a number", example="4.5"),
    UUID: Coercion(convert=parse_uuid, expected="a UUID", example="123e4567-e89b-12d3-a456-426614174000"),
    "pathlib.PurePath": path_coercion,
    "numpy.integer": numpy_coercion(parse_int, _INT.expected, _INT.example),
    "numpy.floating": numpy_coercion(parse_float, _FLOAT.expected, _FLOAT.example),
    "numpy.complexfloating": numpy_coercion(parse_complex, "a complex number", "1+2j"),
    "numpy.bool": numpy_coercion(parse_bool, _BOOL.expected, _BOOL.example),
    "numpy.bool_": numpy_coercion(parse_bool, _BOOL.expected, _BOOL.example),  # its name before NumPy 2
    "numpy.str_": numpy_coercion(parse_str, "text", "text"),
    "numpy.number": numpy_coercion(parse_float, _FLOAT.expected, _FLOAT.example),
}
