from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs import coerce

FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "2024-05-01"]})

FORMS: dict[str, Any] = {
    "records": FRAME.to_json(orient="records"),
    "columns": FRAME.to_json(orient="columns"),
    "lists": '{"a": [1, 2], "b": ["x", "2024-05-01"]}',
    "split": FRAME.to_json(orient="split"),
    "table": FRAME.to_json(orient="table", index=False),
    "frame": FRAME,
    "list of dicts": FRAME.to_dict(orient="records"),
    "dict of lists": FRAME.to_dict(orient="list"),
    "arrow": pa.table({"a": [1, 2], "b": ["x", "2024-05-01"]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_table_is_read_in_every_form(form: str) -> None:
    """They all mean the same one, and text in it stays text."""
    result = coerce(FORMS[form], pd.DataFrame, parameter="df")

    assert_frame_equal(result, FRAME, check_dtype=False)


def test_one_record_is_a_row() -> None:
    """An object whose values are no columns."""
    assert_frame_equal(coerce('{"a": 1}', pd.DataFrame, parameter="df"), pd.DataFrame({"a": [1]}))
    assert coerce("[]", pd.DataFrame, parameter="df").empty


@pytest.mark.parametrize("value", ["", "x", "5", "[1, 2]", '{"a": [1], "b": [1, 2]}', b"x", 7, "a,b"])
def test_what_is_no_table_is_refused(value: Any) -> None:
    """With an example of one."""
    with pytest.raises(ArgumentError, match=r'need a table as JSON records or columns, e\.g\. \[\{"a": 1\}\]'):
        coerce(value, pd.DataFrame, parameter="df")


def test_series_is_read() -> None:
    """A JSON array, numbers between commas, or an object whose keys become its index."""
    wanted = pd.Series([1, 2])

    for value in ("[1, 2]", "1,2", wanted, [1, 2], np.array([1, 2]), wanted.to_json()):
        assert_series_equal(coerce(value, pd.Series, parameter="s"), wanted)


ARRAYS: list[tuple[Any, Any, Any]] = [
    ("[[1, 2], [3, 4]]", np.ndarray, np.array([[1, 2], [3, 4]])),
    ("1,2.5", np.ndarray, np.array([1, 2.5])),
    ("[1, null]", np.ndarray, np.array([1, np.nan])),
    ('["a", "b"]', np.ndarray, np.array(["a", "b"])),
    ("[1, 2]", npt.NDArray[np.float32], np.array([1, 2], dtype=np.float32)),
    ("[1, 2]", npt.NDArray[Any], np.array([1, 2])),
    ([1, 2], np.ndarray, np.array([1, 2])),
    (pd.Series([1, 2]), np.ndarray, np.array([1, 2])),
]


@pytest.mark.parametrize(("value", "annotation", "wanted"), ARRAYS)
def test_array_is_read(value: Any, annotation: Any, wanted: Any) -> None:
    """From JSON, of the numbers that the annotation names."""
    result = coerce(value, annotation, parameter="a")

    np.testing.assert_array_equal(result, wanted)
    assert result.dtype == wanted.dtype


@pytest.mark.parametrize(
    ("value", "annotation", "says"),
    [
        ("[[1], [2, 3]]", np.ndarray, "need a JSON array"),
        ('[{"a": 1}]', np.ndarray, "need a JSON array"),
        ("[1, 300]", npt.NDArray[np.int8], "not all of it fits into int8"),
        ("[1.5]", npt.NDArray[np.int64], "not all of it fits into int64"),
        ("7", np.int64 | None, None),
        ("300", np.uint8, "need a whole number"),
        ("-1", np.uint8, "need a whole number"),
        ("1.5", np.int32, "need a whole number"),
        ("1e300", np.float32, "need a number"),
        ("maybe", np.bool_, "need true or false"),
    ],
)
def test_array_or_number_that_has_no_room_is_refused(value: Any, annotation: Any, says: str | None) -> None:
    """Nothing is wrapped or cut without a word."""
    if says is None:
        assert type(coerce(value, annotation, parameter="a")) is np.int64
        return
    with pytest.raises(ArgumentError, match=says):
        coerce(value, annotation, parameter="a")


@given(
    st.sampled_from([np.int8, np.uint16, np.int64, np.float32, np.float64, np.complex128, np.bool_, np.str_]), st.data()
)
def test_numbers_of_numpy_survive_a_url(kind: Any, data: st.DataObject) -> None:
    """Each of its class."""
    info = np.iinfo(kind) if issubclass(kind, np.integer) else None
    values: dict[Any, st.SearchStrategy[Any]] = {
        np.float32: st.floats(width=32, allow_nan=False),
        np.float64: st.floats(allow_nan=False),
        np.complex128: st.complex_numbers(allow_nan=False),
        np.bool_: st.booleans(),
        np.str_: st.text(st.characters(exclude_characters="\0")),
    }
    plain = data.draw(st.integers(int(info.min), int(info.max)) if info else values[kind])

    result = coerce(str(plain), kind, parameter="n")

    assert type(result) is kind
    assert result == kind(plain)
