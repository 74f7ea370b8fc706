"""Dates, times and durations: ISO 8601, or seconds since 1970 in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from numbers import Real
from typing import Any

from fused_jupyter.udfs.coercers.entry import Coercers, Coercion, UnfitError

_SECONDS = re.compile(r"[+-]?\d{1,17}(\.\d{1,12})?", re.ASCII)
_UNESCAPED_ZONE = re.compile(r"(.*\d:\d\d(?:\.\d+)?) (\d\d:?\d\d)", re.ASCII)
_CLOCK = re.compile(
    r"(?:(?P<days>-?\d{1,9}) days?,? *|(?P<sign>[+-]))?"
    r"(?P<hours>\d{1,9}):(?P<minutes>\d\d):(?P<seconds>\d\d(?:\.\d{1,9})?)",
    re.ASCII,
)
_ISO = re.compile(
    r"(?P<sign>[+-]?)P(?!$)(?:(?P<weeks>\d{1,9}(?:\.\d{1,9})?)W)?(?:(?P<days>\d{1,9}(?:\.\d{1,9})?)D)?"
    r"(?:T(?!$)(?:(?P<hours>\d{1,9}(?:\.\d{1,9})?)H)?(?:(?P<minutes>\d{1,9}(?:\.\d{1,9})?)M)?"
    r"(?:(?P<seconds>\d{1,9}(?:\.\d{1,9})?)S)?)?",
    re.ASCII,
)
_SHORT = re.compile(r"(?P<count>\d{1,9})(?P<unit>[smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_datetime(value: Any) -> datetime:
    """A point in time. The zone is kept; seconds since 1970 are in UTC.

    >>> parse_datetime("2024-05-01T12:00:00Z").isoformat(), parse_datetime("86400").isoformat()
    ('2024-05-01T12:00:00+00:00', '1970-01-02T00:00:00+00:00')
    """
    value = _of_numpy(value)
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    if (seconds := _seconds(value)) is not None:
        return datetime.fromtimestamp(seconds, tz=UTC)
    return datetime.fromisoformat(_iso(value))


def parse_date(value: Any) -> date:
    """A day; a point in time that is no midnight is none.

    >>> parse_date("2024-05-01")
    datetime.date(2024, 5, 1)
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if (seconds := _seconds(value)) is not None:
        return datetime.fromtimestamp(seconds, tz=UTC).date()
    moment = parse_datetime(value)
    if moment.time() != time():
        raise UnfitError("it is a time of the day, no day")
    return moment.date()


def parse_time(value: Any) -> time:
    """A time of the day; of a point in time, that of its day."""
    if isinstance(value, time):
        return value
    if isinstance(value, datetime) or _seconds(value) is not None:
        return parse_datetime(value).timetz()
    return time.fromisoformat(_iso(value))


def parse_timedelta(value: Any) -> timedelta:
    """A duration: seconds, ISO 8601, a clock, or a count with s, m, h or d.

    >>> {parse_timedelta(text).total_seconds() for text in ("90", "PT1M30S", "0:01:30", "90s")}
    {90.0}
    """
    value = _of_numpy(value)
    if isinstance(value, timedelta):
        return value
    if (seconds := _seconds(value)) is not None:
        return timedelta(seconds=seconds)
    text = _text(value).strip()
    if match := _SHORT.fullmatch(text):
        return timedelta(**{_UNITS[match["unit"]]: int(match["count"])})
    match = _ISO.fullmatch(text) or _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError(text)
    parts = {name: float(part) for name, part in match.groupdict().items() if name != "sign" and part}
    return timedelta(**parts) * (-1 if match["sign"] == "-" else 1)


def timestamp_coercion(kind: Any) -> Coercion:
    """pandas.Timestamp, which keeps nanoseconds."""

    def convert(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        moment = parse_datetime(value)
        return kind(_iso(value)) if isinstance(value, str) and _seconds(value) is None else kind(moment)

    return Coercion(convert=convert, expected=_MOMENT.expected, example=_MOMENT.example)


def pandas_timedelta_coercion(kind: Any) -> Coercion:
    """pandas.Timedelta."""

    def convert(value: Any) -> Any:
        return value if isinstance(value, kind) else kind(parse_timedelta(value))

    return Coercion(convert=convert, expected=_DURATION.expected, example=_DURATION.example)


def datetime64_coercion(kind: Any) -> Coercion:
    """numpy.datetime64, which has no zone: UTC."""

    def convert(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        moment = parse_datetime(value)
        return kind(moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment, "us")

    return Coercion(convert=convert, expected=_MOMENT.expected, example=_MOMENT.example)


def timedelta64_coercion(kind: Any) -> Coercion:
    """numpy.timedelta64."""

    def convert(value: Any) -> Any:
        return value if isinstance(value, kind) else kind(parse_timedelta(value), "us")

    return Coercion(convert=convert, expected=_DURATION.expected, example=_DURATION.example)


def _seconds(value: Any) -> float | None:
    """The number that a value is, None where it is something else."""
    if isinstance(value, str):
        return float(value) if _SECONDS.fullmatch(value.strip()) else None
    if isinstance(value, bool):
        raise TypeError(value)
    return float(value) if isinstance(value, (Real, Decimal)) else None


def _iso(value: Any) -> str:
    text = _text(value).strip()
    # The + of a zone that was not escaped in a URL comes as a blank.
    return f"{match[1]}+{match[2]}" if (match := _UNESCAPED_ZONE.fullmatch(text)) else text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _of_numpy(value: Any) -> Any:
    """The value of a numpy.datetime64 or timedelta64, to the microsecond; others as they are."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return value.astype(f"{kind}8[us]").item() if kind in {"m", "M"} and not value.ndim else value


_MOMENT = Coercion(
    convert=parse_datetime, expected="a date and time (ISO 8601, or seconds since 1970)", example="2024-05-01T12:00:00Z"
)
_DURATION = Coercion(convert=parse_timedelta, expected="a duration (seconds, or ISO 8601)", example="PT1H30M")

MOMENTS: Coercers = {
    datetime: _MOMENT,
    date: Coercion(convert=parse_date, expected="a date (ISO 8601)", example="2024-05-01"),
    time: Coercion(convert=parse_time, expected="a time of the day (ISO 8601)", example="12:30"),
    timedelta: _DURATION,
    "pandas.Timestamp": timestamp_coercion,
    "pandas.Timedelta": pandas_timedelta_coercion,
    "numpy.datetime64": datetime64_coercion,
    "numpy.timedelta64": timedelta64_coercion,
}
