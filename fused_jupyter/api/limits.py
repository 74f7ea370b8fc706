"""What a token may do, as users write it: `expires="7d"`, `rate="20/s"`."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

from fused_jupyter.errors import ArgumentError, FormatError
from fused_jupyter.formats.catalog import BY_EXTENSION
from fused_jupyter.udfs import UdfDefinition, parse_max_age
from fused_jupyter.wire import Limits

_PER = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86400}
_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*([a-z]+)\s*", re.IGNORECASE)

Expiry = str | float | timedelta | datetime
"""`7d`, seconds from now, or a time."""


class NarrowWishes(TypedDict, total=False):
    """What may be said of a token's limits, but for the cache."""

    expires: Expiry | None
    rate: str | float | None
    concurrency: int | None
    parameters: Sequence[str] | None
    formats: Sequence[str] | None
    zooms: tuple[int, int] | None
    show_errors: bool


class Wishes(NarrowWishes, total=False):
    """What may be said of a token's limits."""

    cache: bool


def limits_of(wishes: Wishes, *, known: Limits | None = None, udf: UdfDefinition | None = None) -> Limits:
    """The limits that somebody wishes.

    Args:
        wishes: those that change.
        known: the ones of before, for all that no wish names.
        udf: whose parameters they name.

    Raises:
        ArgumentError: one cannot be, or names no parameter.
        FormatError: one names no format.

    >>> limits_of({"rate": "90/min", "formats": ["CSV"]})
    Limits(parameters=None, formats=('csv',), zooms=None, rate=1.5, concurrency=None, cache=True, show_errors=False,\
 expires=None)
    """
    values: dict[str, Any] = dict(wishes)
    for name, convert in (("expires", _expiry), ("rate", _rate), ("parameters", _names), ("formats", _formats)):
        if values.get(name) is not None:
            values[name] = convert(values[name])
    if udf is not None and values.get("parameters") is not None:
        _check_parameters(values["parameters"], udf)
    if isinstance(values.get("zooms"), list):
        values["zooms"] = tuple(values["zooms"])
    before = {} if known is None else {name: getattr(known, name) for name in Limits.__dataclass_fields__}
    return Limits(**{**before, **values})


def told(limits: Limits) -> list[str]:
    """What is allowed, in a few words each.

    >>> told(Limits(rate=1.5, zooms=(0, 14), parameters=("min_mag",)))
    ['only min_mag', 'zooms 0 to 14', '1.5 requests/s']
    """
    facts = []
    if limits.expires is not None:
        when = datetime.fromtimestamp(limits.expires, tz=UTC).astimezone()
        facts.append(f"{'expired' if limits.is_expired else 'expires'} {when:%Y-%m-%d %H:%M}")
    if limits.parameters is not None:
        facts.append(f"only {', '.join(limits.parameters)}" if limits.parameters else "no arguments")
    if limits.formats is not None:
        facts.append(f"as {', '.join(limits.formats)}")
    if limits.zooms is not None:
        facts.append("zooms {} to {}".format(*limits.zooms))
    if limits.rate is not None:
        facts.append(f"{limits.rate:g} requests/s")
    if limits.concurrency is not None:
        facts.append(f"{limits.concurrency} at a time")
    if not limits.cache:
        facts.append("nothing from the cache")
    if limits.show_errors:
        facts.append("shows errors and prints")
    return facts


def _expiry(value: Expiry) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, timedelta):
        return time.time() + value.total_seconds()
    try:
        seconds = float(value) if isinstance(value, float) else parse_max_age(value)
    except ArgumentError as exc:
        raise ArgumentError(
            f"expires: got {value!r}, need seconds from now, a text such as 90m, 12h, 7d, or a datetime"
        ) from exc
    return time.time() + seconds


def _rate(value: str | float) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2].lower() not in _PER:
        raise ArgumentError(
            f"rate: got {value!r}, need requests per second as a number, or a text such as 20/s, 100/min"
        )
    return float(match[1]) / _PER[match[2].lower()]


def _names(values: Iterable[str]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else tuple(values)


def _formats(values: Iterable[str]) -> tuple[str, ...]:
    names = tuple(str(value).lower().removeprefix(".") for value in _names(values))
    for name in names:
        if name not in BY_EXTENSION:
            near = difflib.get_close_matches(name, BY_EXTENSION, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(BY_EXTENSION)}"
            raise FormatError(f"formats: {name!r} is none; {hint}")
    return names


def _check_parameters(names: tuple[str, ...], udf: UdfDefinition) -> None:
    own = [parameter.name for parameter in udf.parameters if parameter.kind != "variadic"]
    if len(own) < len(udf.parameters):
        return
    for name in names:
        if name not in own:
            near = difflib.get_close_matches(name, own, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it takes {', '.join(own) or 'no arguments'}"
            raise ArgumentError(f"parameters: {udf.name} has no {name!r}; {hint}", parameter=name)


def split_wishes(changes: Mapping[str, Any]) -> tuple[Wishes, dict[str, Any]]:
    """Those of limits, and the rest."""
    names = Wishes.__optional_keys__
    wishes: Any = {name: value for name, value in changes.items() if name in names}  # a TypedDict, key by key
    return wishes, {name: value for name, value in changes.items() if name not in names}
