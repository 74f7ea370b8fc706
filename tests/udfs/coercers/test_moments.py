from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs import coerce

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
PARIS = timezone(timedelta(hours=2))

FITS: list[tuple[Any, Any, Any]] = [
    ("2024-05-01T12:00:00Z", datetime, NOON),
    ("2024-05-01T14:00:00+02:00", datetime, NOON.astimezone(PARIS)),
    ("2024-05-01T14:00:00 02:00", datetime, NOON.astimezone(PARIS)),  # a + that nobody escaped
    ("2024-05-01 12:00", datetime, datetime(2024, 5, 1, 12)),  # noqa: DTZ001 - no zone came, so there is none
    ("2024-05-01", datetime, datetime(2024, 5, 1)),  # noqa: DTZ001 - no zone came, so there is none
    ("86400", datetime, datetime(1970, 1, 2, tzinfo=UTC)),
    ("-0.5", datetime, datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)),
    (86400, datetime, datetime(1970, 1, 2, tzinfo=UTC)),
    (np.int64(86400), datetime, datetime(1970, 1, 2, tzinfo=UTC)),
    (NOON, datetime, NOON),
    (date(2024, 5, 1), datetime, datetime(2024, 5, 1)),  # noqa: DTZ001 - no zone came, so there is none
    (np.datetime64("2024-05-01T12"), datetime, datetime(2024, 5, 1, 12)),  # noqa: DTZ001 - no zone came, so there is none
    ("2024-05-01", date, date(2024, 5, 1)),
    ("2024-05-01T00:00", date, date(2024, 5, 1)),
    ("86400", date, date(1970, 1, 2)),
    (pd.Timestamp("2024-05-01"), date, date(2024, 5, 1)),
    ("12:30", time, time(12, 30)),
    ("12:30:15.5Z", time, time(12, 30, 15, 500_000, tzinfo=UTC)),
    ("3600", time, time(1, tzinfo=UTC)),
    (time(1), time, time(1)),
    ("90", timedelta, timedelta(seconds=90)),
    ("1.5", timedelta, timedelta(seconds=1.5)),
    (90, timedelta, timedelta(seconds=90)),
    ("PT1H30M", timedelta, timedelta(hours=1.5)),
    ("-P1DT2H", timedelta, -timedelta(days=1, hours=2)),
    ("P2W", timedelta, timedelta(weeks=2)),
    ("1:30:00", timedelta, timedelta(hours=1.5)),
    ("-1 day, 23:59:00", timedelta, timedelta(minutes=-1)),
    ("48h", timedelta, timedelta(hours=48)),
    (np.timedelta64(90, "s"), timedelta, timedelta(seconds=90)),
    ("2024-05-01T12:00:00.123456789Z", pd.Timestamp, pd.Timestamp("2024-05-01T12:00:00.123456789Z")),
    ("86400", pd.Timestamp, pd.Timestamp("1970-01-02", tz="UTC")),
    (NOON, pd.Timestamp, pd.Timestamp(NOON)),
    ("90", pd.Timedelta, pd.Timedelta(seconds=90)),
    ("2024-05-01T14:00:00+02:00", np.datetime64, np.datetime64("2024-05-01T12:00:00", "us")),
    ("PT1M", np.timedelta64, np.timedelta64(60_000_000, "us")),
]


@pytest.mark.parametrize(("value", "annotation", "wanted"), FITS)
def test_moment_is_read(value: Any, annotation: Any, wanted: Any) -> None:
    """ISO 8601 with its zone, or seconds since 1970 in UTC; objects pass."""
    result = coerce(value, annotation, parameter="day")

    assert result == wanted
    assert type(result) is type(wanted)
    assert getattr(result, "tzinfo", None) == getattr(wanted, "tzinfo", None)


@pytest.mark.parametrize(
    ("value", "annotation", "says"),
    [
        ("tomorrow", datetime, r"a date and time \(ISO 8601, or seconds since 1970\), e\.g\. 2024-05-01T12:00:00Z"),
        ("", datetime, "a date and time"),
        ("9" * 17, datetime, "a date and time"),
        (True, datetime, "a date and time"),
        ("2024-13-01", date, r"a date \(ISO 8601\), e\.g\. 2024-05-01"),
        ("2024-05-01T12:00", date, r"\(it is a time of the day, no day\)"),
        (NOON, date, "no day"),
        ("25:00", time, r"a time of the day \(ISO 8601\), e\.g\. 12:30"),
        ("P", timedelta, r"a duration \(seconds, or ISO 8601\), e\.g\. PT1H30M"),
        ("PT", timedelta, "a duration"),
        ("99999999999999999", timedelta, "a duration"),
        ("now", pd.Timestamp, "a date and time"),
        ("NaT", pd.Timestamp, "a date and time"),
    ],
)
def test_what_is_no_moment_is_refused(value: Any, annotation: Any, says: str) -> None:
    """With the form that it needs."""
    with pytest.raises(ArgumentError, match=says):
        coerce(value, annotation, parameter="day")


@given(st.datetimes(timezones=st.none() | st.timezones()))
def test_datetimes_survive_a_url(moment: datetime) -> None:
    """The same point in time, to the microsecond."""
    result = coerce(moment.isoformat(), datetime, parameter="day")

    assert result.isoformat() == moment.isoformat()


@given(st.timedeltas(max_value=timedelta(days=9999), min_value=-timedelta(days=9999)))
def test_durations_survive_python_s_own_text(duration: timedelta) -> None:
    """As `str` writes them."""
    assert abs(coerce(str(duration), timedelta, parameter="t") - duration) < timedelta(microseconds=2)
