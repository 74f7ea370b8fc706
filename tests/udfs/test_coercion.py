from __future__ import annotations

import collections
import contextlib
import math
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, TypeVar, Union
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs import coerce

Id = NewType("Id", int)
T = TypeVar("T")
N = TypeVar("N", int, str)


class Color(Enum):
    RED = "red"


FITS: list[tuple[Any, Any, Any]] = [
    ("12", int, 12),
    (" 12 ", int, 12),
    ("-3", int, -3),
    ("4.0", int, 4),
    ("1e3", int, 1000),
    ("12345678901234567890.0", int, 12345678901234567890),
    (4.0, int, 4),
    (True, int, 1),
    (np.int64(7), int, 7),
    (Decimal(4), int, 4),
    ("4.5", float, 4.5),
    ("1e3", float, 1000.0),
    ("1e400", float, math.inf),
    ("inf", float, math.inf),
    (4, float, 4.0),
    ("true", bool, True),
    ("FALSE", bool, False),
    ("0", bool, False),
    ("no", bool, False),
    ("n", bool, False),
    ("f", bool, False),
    ("off", bool, False),
    (" yes ", bool, True),
    (1, bool, True),
    (np.bool_(False), bool, False),
    ("a", str, "a"),
    (5, str, "5"),
    ("", str, ""),
    (True, str, "true"),
    ([1, "a"], str, '[1, "a"]'),
    (b"hi", str, "hi"),
    ("aGk=", bytes, b"hi"),
    ("aGk", bytes, b"hi"),
    ("_-8", bytes, b"\xff\xef"),
    ("a a+", bytes, b"k\xe6\xbe"),
    ("data:text/plain;base64,aGk=", bytes, b"hi"),
    (b"hi", bytes, b"hi"),
    ("aGk=", bytearray, bytearray(b"hi")),
    ("1+2j", complex, 1 + 2j),
    ("0.1", Decimal, Decimal("0.1")),
    (0.1, Decimal, Decimal("0.1")),
    ("123e4567e89b12d3a456426614174000", UUID, UUID("123e4567-e89b-12d3-a456-426614174000")),
    ("a/b", Path, Path("a/b")),
    ("[1, 2]", list, [1, 2]),
    ((1, 2), list, [1, 2]),
    (np.array([1, 2]), list, [1, 2]),
    ('["1", 2]', list[int], [1, 2]),
    ("[1, 2]", typing.List[float], [1.0, 2.0]),  # noqa: UP006 - users write it
    ('[[1], ["2"]]', list[list[int]], [[1], [2]]),
    (["1", "2"], list[int], [1, 2]),
    ("1,2", list[int], [1, 2]),
    ("1, 2", list[str], ["1", "2"]),
    ("1", list[int], [1]),
    ("", list[int], []),
    ("1,2.5,true", list, [1, 2.5, True]),
    ("a,2", list, ["a", "2"]),
    ("2024", list[str], ["2024"]),
    ("red,red", list[Color], [Color.RED, Color.RED]),
    ("[1, 2]", tuple, (1, 2)),
    ("[1, 2]", typing.Tuple, (1, 2)),  # noqa: UP006
    ('[1, "2"]', tuple[int, int], (1, 2)),
    ('[1, "a"]', tuple[int, str], (1, "a")),
    ("1,a", tuple[int, str], (1, "a")),
    ('["1", "2", "3"]', tuple[int, ...], (1, 2, 3)),
    ("[]", tuple[()], ()),
    ("1,2,2", set[int], {1, 2}),
    ("[1, 2]", frozenset, frozenset({1, 2})),
    ("1,2", Sequence[int], [1, 2]),
    ("[1, 2]", typing.Sequence[str], ["1", "2"]),
    ((1, 2), Iterable, [1, 2]),
    ("1,2", collections.deque[int], collections.deque([1, 2])),
    ('{"a": 1}', dict, {"a": 1}),
    ('{"1": "2"}', dict[int, float], {1: 2.0}),
    ('{"a": "2"}', Mapping[str, int], {"a": 2}),
    ('{"a": [1, "2"]}', dict[str, list[int]], {"a": [1, 2]}),
    ("4", int | None, 4),
    ("4", Optional[int], 4),
    ("null", int | None, None),
    ("4", Union[int, str], 4),
    ("four", Union[int, str], "four"),
    ("four", int | str, "four"),
    ("4", str | int, "4"),
    ("4", int | float, 4),
    ("4.5", int | float, 4.5),
    ("4", float | int, 4.0),
    (4, float | int, 4),
    (True, int | bool, True),
    ('{"a": 1}', dict | str, {"a": 1}),
    ("abc", dict | str, "abc"),
    ("abc", Union[dict, str, None], "abc"),
    (["a"], str | list[str], ["a"]),
    ("a,b", str | list[str], "a,b"),
    ("a,b", list[str] | str, "a,b"),
    ('["a"]', list[str] | str, ["a"]),
    ("5", list[int] | int, 5),
    ("[1, null]", list[int | None], [1, None]),
    ('["1", "x"]', list[int | str], [1, "x"]),
    ("anything", Any, "anything"),
    ("anything", object, "anything"),
    ("anything", Callable[[int], str], "anything"),
    ("a", Literal["a", "b"], "a"),
    ("1", Literal[1, 2], 1),
    ("1", Literal["1", 1], "1"),
    (1, Literal["1", 1], 1),
    ("true", Literal[False, True], True),
    ("null", Literal["a", None], None),  # noqa: PYI061 - as users write it
    ("5", Literal["auto"] | int, 5),
    ("auto", Literal["auto"] | int, "auto"),
    ("7", Id, 7),
    ("7", Annotated[int, "metres"], 7),
    ("7", Annotated[int | None, "metres"], 7),
    ("7", list[Id], [7]),
    ("x", T, "x"),
    ("7", N, 7),
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
    ("0x10", int, "a whole number"),
    ("nan", int, "a whole number"),
    ("inf", int, "a whole number"),
    ("1e999999999", int, "a whole number"),
    ("9" * 10_000, int, "a whole number"),
    ([1], int, "a whole number"),
    ("x", float, r"need a number, e\.g\. 4\.5"),
    ("maybe", bool, "need true or false"),
    ("", bool, "need true or false"),
    (2, bool, "need true or false"),
    (b"\xff", str, "need text"),
    ("?", bytes, "need base64"),
    ("[1", list, r"need a JSON array, e\.g\. \[1, 2\]"),
    ('{"a": 1}', list, "need a JSON array"),
    ("[" * 100_000, list, "nested too deeply"),
    (7, list, "got 7, need a JSON array"),
    ({"a": 1}, list, "need a JSON array"),
    (b"ab", list, "need a JSON array"),
    ("[1, 2, 3]", tuple[int, int], r"e\.g\. \[12, 12\] \(it has 3 items, not 2\)"),
    ("1,2", list[list[int]], r"need a JSON array, e\.g\. \[\[12\]\]"),
    ("[1]", dict, r'need a JSON object, e\.g\. \{"a": 1\}'),
    ("x", int | float, "need a whole number, e.g. 12 or a number"),
    ("x", Optional[int], "need a whole number"),
    ("x", Literal["auto", 1, None], "need one of auto, 1, None"),  # noqa: PYI061 - as users write it
    ("x", Literal["auto"] | int, "need auto or a whole number"),
    ("x", Color, "need red"),
    ("x" * 200, int, "…, need"),
]


@pytest.mark.parametrize(("value", "annotation", "says"), MISFITS)
def test_value_that_does_not_fit_is_named(value: Any, annotation: Any, says: str) -> None:
    """Parameter, what came, what was expected; never a bare ValueError."""
    with pytest.raises(ArgumentError, match=says) as caught:
        coerce(value, annotation, parameter="n")

    assert caught.value.parameter == "n"
    assert caught.value.message.startswith("n: got ")
    assert len(caught.value.message) < 250


@pytest.mark.parametrize(
    ("text", "annotation", "says"),
    [
        ('["1", 2, "x"]', list[int], "n[2]: got 'x', need a whole number, e.g. 12"),
        ("1,2,x", list[int], "n[2]: got 'x', need a whole number, e.g. 12"),
        ("[1, null]", list[int], "n[1]: got None, need a whole number, e.g. 12"),
        ('[["a"]]', list[list[bool]], "n[0][0]: got 'a', need true or false"),
        ('[1, "b"]', tuple[int, int], "n[1]: got 'b', need a whole number, e.g. 12"),
        ('{"a": "b"}', dict[str, int], "n['a']: got 'b', need a whole number, e.g. 12"),
        ('{"a": 1}', dict[int, int], "n, key 'a': got 'a', need a whole number, e.g. 12"),
        ('{"a": [1, "b"]}', dict[str, list[float]], "n['a'][1]: got 'b', need a number, e.g. 4.5"),
        ('["x"]', list[int] | bool, "n[0]: got 'x', need a whole number, e.g. 12"),
    ],
)
def test_error_inside_names_the_place(text: str, annotation: Any, says: str) -> None:
    """So that one finds the item in a long list."""
    with pytest.raises(ArgumentError) as caught:
        coerce(text, annotation, parameter="n")

    assert caught.value.message == says
    assert caught.value.parameter == "n"


@pytest.mark.parametrize("annotation", [int, float, bool, str, list, dict, tuple, list[int], Optional[int], Any, Color])
def test_none_always_passes(annotation: Any) -> None:
    """As in the reference: None means "not given"."""
    assert coerce(None, annotation, parameter="n") is None


def test_object_that_another_choice_of_the_union_takes_passes() -> None:
    """`int | Engine` says nothing to us about engines, so one passes as it is."""

    class Engine:
        pass

    engine = Engine()

    assert coerce(engine, int | Engine, parameter="n") is engine
    assert coerce("x", int | Engine, parameter="n") == "x"


def test_object_of_a_type_that_nobody_can_print_is_named() -> None:
    """Its own __repr__ may be broken, and Python refuses to print long numbers."""

    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(ArgumentError, match="n: got <Odd instance at"):
        coerce(Odd(), int, parameter="n")
    with pytest.raises(ArgumentError, match="n: got a int, need"):
        coerce(10**5000, bool, parameter="n")


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
    """Whatever is thrown in; `tests/engines/test_arguments.py` does it with all annotations."""
    with contextlib.suppress(ArgumentError):
        coerce(value, annotation, parameter="n")
