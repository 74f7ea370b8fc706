"""How long a result may answer for itself: ``10s``, ``5m``, ``48h``, ``7d``, a number of seconds, or 0 for never."""

from __future__ import annotations

import re

from fused_jupyter.errors import ArgumentError

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PATTERN = re.compile(r"\s*(\d{1,10})\s*([smhd]?)\s*", re.IGNORECASE)


def parse_max_age(value: str | int) -> int:
    """Seconds.

    Raises:
        ArgumentError: not a number of seconds, minutes, hours or days.

    >>> parse_max_age("48h"), parse_max_age(30), parse_max_age("0")
    (172800, 30, 0)
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _PATTERN.fullmatch(value)):
        return int(match[1]) * _SECONDS[match[2].lower()]
    raise ArgumentError(
        f"cache_max_age: got {value!r}, need seconds or a text such as 10s, 5m, 48h, 7d; 0 keeps nothing"
    )
