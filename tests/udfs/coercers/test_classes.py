from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

import pydantic
import pytest

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs import coerce


class Color(Enum):
    RED = "red"
    TWO = 2
    BOTH = ("red", 2)


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Word(StrEnum):
    YES = "yes"


class Mixed(str, Enum):  # noqa: UP042 - as users write it
    A = "a"


@dataclass
class Point:
    x: int
    y: float = 0.5
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    start: Point
    width: int = 1

    def __post_init__(self) -> None:
        if self.width < 0:
            raise ValueError(self.width)


class Pair(NamedTuple):
    a: int
    b: str = "x"


class Options(TypedDict):
    size: int
    unit: NotRequired[str]


class Model(pydantic.BaseModel):
    n: int
    names: list[str] = []


FITS: list[tuple[Any, Any, Any]] = [
    ("red", Color, Color.RED),
    ("2", Color, Color.TWO),
    (2, Color, Color.TWO),
    ("BOTH", Color, Color.BOTH),
    (Color.RED, Color, Color.RED),
    ("1", Level, Level.LOW),
    ("HIGH", Level, Level.HIGH),
    (2, Level, Level.HIGH),
    ("yes", Word, Word.YES),
    ("a", Mixed, Mixed.A),
    ("red", Literal[Color.RED], Color.RED),
    ('{"x": "3"}', Point, Point(3)),
    ('{"x": 3, "y": "1e3", "tags": ["a"]}', Point, Point(3, 1000.0, ["a"])),
    ({"x": 3}, Point, Point(3)),
    (Point(3), Point, Point(3)),
    ('{"start": {"x": "1"}}', Line, Line(Point(1))),
    ('[{"x": 1}, {"x": 2}]', list[Point], [Point(1), Point(2)]),
    ('{"a": "1"}', Pair, Pair(1)),
    ('["1", "y"]', Pair, Pair(1, "y")),
    ((1, "y"), Pair, Pair(1, "y")),
    ('{"size": "4"}', Options, {"size": 4}),
    ('{"n": "4", "names": ["a"]}', Model, Model(n=4, names=["a"])),
    (Model(n=4), Model, Model(n=4)),
]


@pytest.mark.parametrize(("value", "annotation", "wanted"), FITS)
def test_choice_or_record_is_read(value: Any, annotation: Any, wanted: Any) -> None:
    """Enums by value, else by name; records from a JSON object, each field as it is annotated."""
    result = coerce(value, annotation, parameter="c")

    assert result == wanted
    assert type(result) is type(wanted)


@pytest.mark.parametrize(
    ("value", "annotation", "says"),
    [
        ("blue", Color, "c: got 'blue', need one of red, 2, BOTH"),
        ("", Color, "c: got '', need one of red, 2, BOTH"),
        ([], Color, "c: got [], need one of red, 2, BOTH"),
        ("3", Level, "c: got '3', need one of 1, 2"),
        ("{}", Point, """c: got '{}', need a JSON object, e.g. {"x": 12} (x is missing)"""),
        ("5", Point, """c: got '5', need a JSON object, e.g. {"x": 12}"""),
        ('{"x": 1, "z": 2}', Point, "(Point has no z, it has x, y, tags)"),
        ('{"x": 1, "tags": [2, "b"], "y": "q"}', Point, "c.y: got 'q', need a number, e.g. 4.5"),
        ('{"start": {"x": "a"}}', Line, "c.start.x: got 'a', need a whole number, e.g. 12"),
        ('{"start": {"x": 1}, "width": -1}', Line, """need a JSON object, e.g. {"start": {"x": 12}}"""),
        ('[{"x": 1}, {"x": "b"}]', list[Point], "c[1].x: got 'b'"),
        ("x", list[Point], "c: got 'x', need a JSON array, e.g. [{\"x\": 12}]"),
        ('["a"]', Pair, "c.a: got 'a', need a whole number, e.g. 12"),
        ('["1", "2", "3"]', Pair, 'c: got \'["1", "2", "3"]\', need a JSON object, e.g. {"a": 12}'),
        ('{"unit": "m"}', Options, "(size is missing)"),
        (
            '{"n": "x"}',
            Model,
            """need a JSON object that fits Model, e.g. {"n": 12} (n: Input should be a valid integer""",
        ),
    ],
)
def test_what_is_none_is_refused(value: Any, annotation: Any, says: str) -> None:
    """With all that there is, or the field that is wrong."""
    with pytest.raises(ArgumentError) as caught:
        coerce(value, annotation, parameter="c")

    assert says in caught.value.message


def test_class_that_holds_itself_goes_as_deep_as_its_values() -> None:
    """A tree; too deep a one is refused."""
    tree = '{"children": [{"children": []}, {}]}'

    assert coerce(tree, Tree, parameter="t") == Tree([Tree([]), Tree()])
    with pytest.raises(ArgumentError, match="t: got .* nested too deeply"):
        coerce('{"children":[' * 400 + "]}" * 400, Tree, parameter="t")


@dataclass
class Tree:
    children: list[Tree] = field(default_factory=list)
