"""Times, amounts of memory and values as people read them."""

from __future__ import annotations

import reprlib
from typing import Any


def duration(seconds: float) -> str:
    """A time in the unit that fits.

    >>> duration(0.0123), duration(4.56), duration(0.00004), duration(754)
    ('12 ms', '4.6 s', '40 µs', '754 s')
    """
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if (value := seconds * factor) >= 0.95:
            return f"{value:.{0 if value >= 9.5 else 1}f} {unit}"
    return f"{seconds * 1e6:.0f} µs"


def amount(size: int) -> str:
    """A number of bytes in the unit that fits; growth may be negative.

    >>> amount(0), amount(34_500_000), amount(-1_200_000_000)
    ('0 B', '34 MB', '-1.2 GB')
    """
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(size) >= factor:
            value = size / factor
            return f"{value:.{0 if abs(value) >= 9.5 else 1}f} {unit}"
    return f"{size} B"


def glimpse(value: Any, length: int) -> str:
    """The beginning of a value's repr, made without writing out all of a long one.

    >>> glimpse(list(range(10**6)), 40)
    '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …'
    >>> glimpse("short", 40)
    "'short'"
    """
    shortened = _Glimpse()
    shortened.maxother = shortened.maxstring = length
    shortened.maxlist = shortened.maxtuple = shortened.maxset = shortened.maxfrozenset = shortened.maxdict = length // 2
    text = shortened.repr(value)
    return text if len(text) <= length else f"{text[: length - 1]}…"


class _Glimpse(reprlib.Repr):
    def repr_bytes(self, value: bytes, level: int) -> str:
        return repr(value) if len(value) <= self.maxother else f"{value[: self.maxother]!r}…"
