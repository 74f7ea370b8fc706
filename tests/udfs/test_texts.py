from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePath
from typing import Any
from uuid import UUID

import geopandas
import mercantile
import numpy as np
import orjson
import pandas as pd
import pydantic
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.tiles import Tile
from fused_jupyter.types import Bounds
from fused_jupyter.udfs import as_text, coerce, plain, text_of


class Color(Enum):
    RED = "red"
    TWO = 2


class Level(IntEnum):
    LOW = 1


@dataclass
class Point:
    x: int
    days: list[date]


class Model(pydantic.BaseModel):
    n: int


VALUES: list[tuple[Any, str]] = [
    ("text", "text"),
    (True, "true"),
    (4, "4"),
    (10**30, "1" + "0" * 30),
    (0.1, "0.1"),
    ([1, "a", None], '[1, "a", null]'),
    ({"k": (1, 2)}, '{"k": [1, 2]}'),
    ({1: date(2024, 5, 1)}, '{"1": "2024-05-01"}'),
    ({date(2024, 5, 1): {2: 3}}, '{"2024-05-01": {"2": 3}}'),
    (range(3), "[0, 1, 2]"),
    (b"hi", "aGk="),
    (datetime(2024, 5, 1, tzinfo=UTC), "2024-05-01T00:00:00+00:00"),
    (pd.Timestamp("2024-05-01T00:00:00.123456789"), "2024-05-01T00:00:00.123456789"),
    (timedelta(hours=1), "3600"),
    (pd.Timedelta("1.5s"), "1.5"),
    (np.datetime64("2024-05-01"), "2024-05-01"),
    (np.float32(0.5), "0.5"),
    (np.arange(3), "[0, 1, 2]"),
    (Color.RED, "red"),
    (Level.LOW, "1"),
    (Bounds([1, 2, 3, 4]), "[1.0, 2.0, 3.0, 4.0]"),
    (mercantile.Tile(1, 2, 3), "3/1/2"),
    (Tile(3, 1, 2), "3/1/2"),
    (shapely.Point(1, 2), "POINT (1 2)"),
    ([shapely.Point(1, 2)], '["POINT (1 2)"]'),
    (pd.DataFrame({"a": [1], "b": ["x"]}), '[{"a":1,"b":"x"}]'),
    (pd.Series([1, 2]), "[1,2]"),
    (Point(1, [date(2024, 5, 1)]), '{"x": 1, "days": ["2024-05-01"]}'),
    ([Point(1, [])], '[{"x": 1, "days": []}]'),
    (Model(n=1), '{"n":1}'),
]


@pytest.mark.parametrize(("value", "text"), VALUES, ids=[type(value).__name__ for value, _ in VALUES])
def test_value_has_the_text_that_a_url_carries(value: Any, text: str) -> None:
    """As Fused's own client writes them."""
    assert text_of(value) == text


@pytest.mark.parametrize("value", [object(), lambda: 1, open, [object()], {"a": object()}])
def test_value_without_a_text_is_refused(value: Any) -> None:
    """Not shown as `<object at 0x7f…>`, except to who asks for any text."""
    with pytest.raises(TypeError, match="has no text"):
        text_of(value)
    with pytest.raises(TypeError, match="has no text"):
        plain(value)
    assert as_text(value) == str(value)


round_trips = st.one_of(
    st.text(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.binary(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.dates(),
    st.datetimes(timezones=st.just(UTC) | st.none()),
    st.times(),
    st.timedeltas(min_value=timedelta(days=-9999), max_value=timedelta(days=9999)),
    st.sampled_from([Color.RED, Color.TWO, Level.LOW, PurePath("a/b")]),
    st.builds(Point, x=st.integers(), days=st.lists(st.dates())),
    st.lists(st.integers() | st.text() | st.floats(allow_nan=False)),
    st.dictionaries(st.text(), st.none() | st.booleans() | st.text()),
    st.sets(st.integers()),
)


@given(round_trips)
def test_text_gives_the_value_back(value: Any) -> None:
    """Whatever it is: a call by URL and a call from Python give the same."""
    result = coerce(text_of(value), type(value), parameter="n")

    assert result == value
    assert type(result) is type(value)


@given(st.lists(st.dates()), st.dictionaries(st.uuids(), st.decimals(allow_nan=False)), st.lists(st.binary()))
def test_text_gives_back_what_is_inside(days: list[date], prices: dict[UUID, Decimal], blobs: list[bytes]) -> None:
    """Where the annotation says what it is."""
    assert coerce(text_of(days), list[date], parameter="n") == days
    assert coerce(text_of(prices), dict[UUID, Decimal], parameter="n") == prices
    assert coerce(text_of(blobs), tuple[bytes, ...], parameter="n") == tuple(blobs)


def test_number_that_is_none_survives() -> None:
    """In a list too, as Python's own JSON writes it."""
    assert np.isnan(coerce(text_of([1.0, float("nan")]), list[float], parameter="n")[1])


def test_table_survives() -> None:
    """Its times and numbers to the last digit."""
    frame = pd.DataFrame({"a": [1, 2], "b": [0.1, 1 / 3], "c": ["x", None]})

    result = coerce(text_of(frame), pd.DataFrame, parameter="df")

    pd.testing.assert_frame_equal(result, frame, check_exact=False, rtol=1e-14)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.times() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    )
)
def test_plain_values_are_what_json_has(value: Any) -> None:
    """And what two readers of JSON agree on."""
    made = plain(value)
    text = json.dumps(made)

    assert json.loads(text) == made
    if "\\ud" not in text:  # half a character, which orjson refuses
        assert orjson.loads(orjson.dumps(made)) == made


def test_plain_value_of_a_large_object_is_its_text() -> None:
    """A table, a geometry: what an annotation reads again."""
    frame = geopandas.GeoDataFrame(geometry=[shapely.Point(1, 2)], crs=4326)

    assert plain([frame])[0].startswith('{"type": "FeatureCollection"')
    assert plain({"at": shapely.Point(1, 2), "n": np.int8(4), "t": time(1)}) == {
        "at": "POINT (1 2)",
        "n": 4,
        "t": "01:00:00",
    }
