from __future__ import annotations

import datetime as dt
import json
from collections import namedtuple
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from io import BytesIO
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.plain import encode_json


def read(value: Any) -> Any:
    return json.loads(encode_json(value))


class Colour(Enum):
    RED = "red"


@dataclass
class Place:
    name: str
    table: pd.DataFrame


Corner = namedtuple("Corner", "x y")  # noqa: PYI024  as mercantile's tiles are


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (pd.Timestamp("2020-01-01"), "2020-01-01T00:00:00"),
        ([pd.NaT, pd.NA, np.nan], [None, None, None]),
        ({"a": np.array([1, 2]), 3: Decimal("1.5")}, {"a": [1, 2], "3": 1.5}),
        ([dt.date(2020, 1, 1), dt.timedelta(minutes=1), Colour.RED], ["2020-01-01", 60.0, "red"]),
        ({"t": pd.DataFrame({"a": [1]}), "s": pd.Series([1])}, {"t": [{"a": 1}], "s": [1]}),
        ([shapely.Point(1, 2)], [{"type": "Point", "coordinates": [1.0, 2.0]}]),
        ((1, "a"), [1, "a"]),
        (np.arange(10)[::3], [0, 3, 6, 9]),
        (Place("Oslo", pd.DataFrame({"a": [1]})), {"name": "Oslo", "table": [{"a": 1}]}),
        (Corner(1, 2), [1, 2]),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({np.int64(1): {np.datetime64("2020-01-02"): 2}}, {"1": {"2020-01-02T00:00:00": 2}}),
        ([{pd.Timestamp("2020-01-01"): (np.str_("a"),)}], [{"2020-01-01T00:00:00": ["a"]}]),
        (Decimal(12345678901234567890123), 12345678901234567890123),
        ([b"ab", bytearray(b"ab"), memoryview(b"ab"), BytesIO(b"ab")], ["YWI="] * 4),
        (np.timedelta64(90, "s"), "P0DT0H1M30S"),
        (np.array(["2020-01-01", "NaT"], "datetime64[s]"), ["2020-01-01T00:00:00", None]),
        ([np.array([1.5, np.nan, np.inf], ">f4")], [[1.5, None, None]]),
        (np.ma.masked_array([[1, 2]], [[True, False]]), [[None, 2]]),
        (np.ma.masked_array([0.5, 2], [True, False]), [None, 2.0]),
        (np.longdouble(0.5), 0.5),
        (np.array([(1, "a")], dtype=[("n", int), ("t", "U1")]), [{"n": 1, "t": "a"}]),
        ({"polars": pl.DataFrame({"a": [1]}), "data": pl.Series([1])}, {"polars": [{"a": 1}], "data": [{"value": 1}]}),
        (Image.new("L", (2, 1), 7), [[7, 7]]),
        (xr.DataArray([1.0, np.nan]), [1.0, None]),
    ],
)
def test_plain_data_is_json(value: Any, expected: Any) -> None:
    """What has a meaning in JSON gets it; what is missing is null."""
    assert read(value) == expected


@pytest.mark.parametrize("value", [[{1, 2}], {"a": 1j}, [object()], 1 << 70, [np.array([1j])]])
def test_what_json_cannot_carry_is_an_error(value: Any) -> None:
    """Sets, complex numbers and numbers beyond 64 bits would come out as something else."""
    with pytest.raises(UdfSerializationError):
        encode_json(value)


@pytest.mark.parametrize("make", [lambda array: array, lambda array: array.to_dataset(name="height")])
def test_xarray_comes_back_with_its_coordinates(make: Any) -> None:
    """What xarray's own ``from_dict`` builds from the JSON is what the UDF returned."""
    coords = {"y": [2.5, 1.5], "x": [0.5, 1.5], "time": np.datetime64("2020-01-01", "ns")}
    array = xr.DataArray(
        [[1.0, 2.0], [3.0, 4.0]], coords=coords, dims=("y", "x"), name="height", attrs={"unit": np.int8(1)}
    )
    value = make(array)

    back = type(value).from_dict(read(value))

    back["time"] = back["time"].astype("datetime64[ns]")
    assert back.identical(value)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        hnp.boolean_dtypes() | hnp.integer_dtypes() | hnp.floating_dtypes(), hnp.array_shapes(max_dims=4, max_side=3)
    )
)
def test_any_array_survives_as_lists(array: Any) -> None:
    """In any byte order and width; what is no number is null."""
    back = np.array(read(array), dtype=object)

    is_number = np.isfinite(array)
    assert np.array_equal(back[is_number].astype(array.dtype), array[is_number])
    assert not back[~is_number].any()


CELLS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 53), 1 << 53)
    | st.floats(allow_nan=False, width=64)
    | st.text(st.characters(codec="utf-8"), max_size=8)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CELLS, min_size=1, max_size=6))
def test_any_cells_survive_json(cells: list[Any]) -> None:
    """Whatever types a column mixes, its records hold the values."""
    table = pd.DataFrame({"a": pd.Series(cells, dtype=object)})

    values = [record["a"] for record in read(table)]

    assert values == [None if isinstance(cell, float) and not np.isfinite(cell) else cell for cell in cells]
