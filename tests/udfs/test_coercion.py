from __future__ import annotations

import contextlib
import math
import typing
from typing import Any, Literal, Optional, Union

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs import coerce

FITS: list[tuple[Any, Any, Any]] = [
    ("12", int, 12),
    (" 12 ", int, 12),
    ("-3", int, -3),
    ("4.0", int, 4),
    ("1e3", int, 1000),
    (4.0, int, 4),
    (True, int, 1),
    (np.int64(7), int, 7),
    ("4.5", float, 4.5),
    ("1e3", float, 1000.0),
    ("inf", float, math.inf),
    (4, float, 4.0),
    ("true", bool, True),
    ("FALSE", bool, False),
    ("0", bool, False),
    ("no", bool, False),
    ("off", bool, False),
    (" yes ", bool, True),
    (1, bool, True),
    (np.bool_(False), bool, False),
    ("a", str, "a"),
    (5, str, "5"),
    ("", str, ""),
    ("[1, 2]", list, [1, 2]),
    ((1, 2), list, [1, 2]),
    (np.array([1, 2]), list, [1, 2]),
    ('["1", 2]', list[int], [1, 2]),
    ("[1, 2]", typing.List[float], [1.0, 2.0]),  # noqa: UP006 - users write it
    ('[[1], ["2"]]', list[list[int]], [[1], [2]]),
    ("[1, 2]", tuple, (1, 2)),
    ('[1, "2"]', tuple[int, int], (1, 2)),
    ('[1, "a"]', tuple[int, str], (1, "a")),
    ('["1", "2", "3"]', tuple[int, ...], (1, 2, 3)),
    ('{"a": 1}', dict, {"a": 1}),
    ('{"1": "2"}', dict[int, float], {1: 2.0}),
    ("4", int | None, 4),
    ("4", Optional[int], 4),
    ("4", Union[int, str], 4),
    ("four", Union[int, str], "four"),
    ("four", int | str, "four"),
    ("[1, null]", list[int | None], [1, None]),
    ('["1", "x"]', list[int | str], [1, "x"]),
    ("anything", Any, "anything"),
    ("a", Literal["a", "b"], "a"),
    ("x", Literal["auto"] | int, "x"),
    ("5", Literal["auto"] | int, 5),
]


@pytest.mark.parametrize(("value", "annotation", "wanted"), FITS)
def test_value_becomes_what_the_annotation_asks_for(value: Any, annotation: Any, wanted: Any) -> None:
    """Text from a URL, or an object from Python."""
    result = coerce(value, annotation, parameter="n")

    assert result == wanted
    assert type(result) is type(wanted)


MISFITS: list[tuple[Any, Any, str]] = [
    ("four", int, r"n: got 'four', need a whole number, e\.g\. 12"),
    ("4.7", int, "a whole number"),
    (4.7, int, "got 4.7, need a whole number"),
    ("", int, "a whole number"),
    ("nan", int, "a whole number"),
    ("inf", int, "a whole number"),
    ([1], int, "a whole number"),
    ("x", float, r"need a number, e\.g\. 4\.5"),
    ("maybe", bool, "need true or false"),
    ("", bool, "need true or false"),
    (2, bool, "need true or false"),
    ("1,2", list, "need a JSON array"),
    ('{"a": 1}', list, "need a JSON array"),
    ('"text"', list, "need a JSON array"),
    ("5", list, "need a JSON array"),
    ('["a"]', list[int], "need a JSON array"),
    ("[null]", list[int], "need a JSON array"),
    ("[1, 2, 3]", tuple[int, int], "need a JSON array"),
    ("[1]", dict, "need a JSON object"),
    ('{"a": "b"}', dict[str, int], "need a JSON object"),
    ("x", int | float, "need a whole number, e.g. 12 or a number"),
    ("x", Optional[int], "need a whole number"),
    ("x" * 200, int, "…, need"),
]


@pytest.mark.parametrize(("value", "annotation", "says"), MISFITS)
def test_value_that_does_not_fit_is_named(value: Any, annotation: Any, says: str) -> None:
    """Parameter, what came, what was expected; never a bare ValueError."""
    with pytest.raises(ArgumentError, match=says) as caught:
        coerce(value, annotation, parameter="n")

    assert caught.value.parameter == "n"
    assert caught.value.message.startswith("n: got ")


@pytest.mark.parametrize("annotation", [int, float, bool, str, list, dict, tuple, list[int], Optional[int], Any])
def test_none_always_passes(annotation: Any) -> None:
    """As in the reference: None means "not given"."""
    assert coerce(None, annotation, parameter="n") is None


def test_object_that_another_choice_of_the_union_takes_passes() -> None:
    """`int | np.ndarray` says nothing to us about arrays, so one passes as it is."""
    array = np.zeros(3)

    assert coerce(array, int | np.ndarray, parameter="n") is array


@given(st.integers())
def test_integers_survive_a_url(number: int) -> None:
    """Whatever their size."""
    assert coerce(str(number), int, parameter="n") == number


@given(st.floats(allow_nan=False))
def test_numbers_survive_a_url(number: float) -> None:
    """To the last digit."""
    assert coerce(repr(number), float, parameter="n") == number


@given(st.text())
def test_text_is_left_alone(text: str) -> None:
    """Also where it looks like something else."""
    assert coerce(text, str, parameter="n") == text


@given(
    st.text() | st.integers() | st.floats() | st.binary() | st.lists(st.integers()),
    st.sampled_from([int, float, bool, list, dict]),
)
def test_nothing_but_an_argument_error_comes_out(value: Any, annotation: Any) -> None:
    """Whatever is thrown in."""
    with contextlib.suppress(ArgumentError):
        coerce(value, annotation, parameter="n")
