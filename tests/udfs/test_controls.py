"""Controls from signatures."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from math import isfinite
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs import Parameter
from fused_jupyter.udfs.controls import Control, as_control, controls_of, starts_of


def parameter(
    *, name: str = "x", has_default: bool = True, default: Any = None, default_text: str = "", **rest: Any
) -> Parameter:
    """One with a default, unless it is to have none."""
    text = default_text or (repr(default) if has_default else "")
    return Parameter(name=name, default=default, default_text=text, **rest)


DATE = ("date", "date", "2024-05-01", False)


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        ("float", 4.0, ("slider", "float", 0, 8.0, 0.05)),
        ("float", 4, ("slider", "float", 0, 8, 0.05)),
        ("float | None", 4, ("slider", "float", 0, 8, 0.05)),
        ("", 0.3, ("slider", "float", 0, 0.6, 0.005)),
        ("float", -2.5, ("slider", "float", -5.0, 0, 0.05)),
        ("float", 0.0, ("slider", "float", 0, 1.0, 0.01)),
        ("int", 50, ("slider", "int", 0, 100, 1)),
        ("int", -3, ("slider", "int", -6, 0, 1)),
        ("int", 0, ("slider", "int", 0, 10, 1)),
        ("bool", True, ("checkbox", "bool", None, None, None)),
        ("str", "mag", ("text", "str", None, None, None)),
    ],
)
def test_a_default_decides_the_control(annotation: str, default: Any, expected: tuple[Any, ...]) -> None:
    """Its type gives the kind, its size the range."""
    (control,) = controls_of([parameter(name="x", annotation=annotation, default=default)])

    assert (control.kind, control.type, control.min, control.max, control.step) == expected
    assert control.value == default


@pytest.mark.parametrize(
    "values",
    [
        {"is_spatial": True, "default": "0,0,1,1"},
        {"name": "_debug", "default": True},
        {"has_default": False},
        {"kind": "variadic"},
        {"default": {"a": 1}},
        {"default": [[1, 2]]},
        {"annotation": "dict[str, int]", "has_default": False},
        {"default": None},
        {"default": float("nan")},
        {"annotation": "not python(", "default": None},
    ],
)
def test_what_no_control_can_set_is_left_out(values: dict[str, Any]) -> None:
    """Spatial, private and nested parameters, and those of which nothing is known."""
    assert controls_of([parameter(**{"name": "x", **values})]) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"annotation": "Literal['red', 'nir']", "default": "nir"}, ("dropdown", "str", "nir", False)),
        ({"annotation": "typing.Literal[1, 2] | None"}, ("dropdown", "str", None, True)),
        ({"annotation": "Band", "default": "red", "classes": {"Band": ["red"]}}, ("dropdown", "str", "red", False)),
        ({"annotation": "list[Literal['a', 'b']]", "default": ["a"]}, ("choices", "list", ["a"], False)),
        ({"annotation": "tuple[float, float]", "default": (4, 6)}, ("range", "float", [4.0, 6.0], False)),
        ({"default": [10, 20]}, ("range", "int", [10, 20], False)),
        ({"annotation": "list[str]", "default": ["a", "b", "c"]}, ("text", "list", ["a", "b", "c"], False)),
        ({"annotation": "int", "default": 2020}, ("number", "int", 2020, False)),
        ({"annotation": "float | None"}, ("number", "float", None, True)),
        ({"annotation": "int", "has_default": False}, ("number", "int", None, False)),
        ({"annotation": "Literal['a', 'b']", "has_default": False}, ("dropdown", "str", "a", False)),
        ({"annotation": "bool", "has_default": False}, ("checkbox", "bool", False, False)),
        ({"annotation": "datetime.date", "default_text": "datetime.date(2024, 5, 1)"}, DATE),
        ({"annotation": "str", "default": "2024-05-01"}, DATE),
        ({"default": "2024-05-01T12:30"}, ("date", "datetime", "2024-05-01T12:30", False)),
        ({"annotation": "datetime | None"}, ("date", "datetime", None, True)),
        ({"default": "2024-05-01 or later"}, ("text", "str", "2024-05-01 or later", False)),
    ],
)
def test_types_and_defaults_of_all_kinds_have_controls(values: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """Kind, type, value and whether it may be empty."""
    (control,) = controls_of([parameter(name="x", **values)])

    assert (control.kind, control.type, control.value, control.optional) == expected


@pytest.mark.parametrize(
    "annotation",
    [
        "Annotated[float, (0, 10, 0.5)]",
        "typing.Annotated[float, fused.Control(0, 10, 0.5)] | None",
        "Annotated[float, Control(min=0, max=10, step=0.5)]",
        "Annotated[float, 'a text for somebody else', Field(ge=0, le=10, multiple_of=0.5)]",
        "Annotated[float, Ge(0), Le(10), MultipleOf(0.5)]",
        "Annotated[float, Interval(ge=0, le=10), MultipleOf(0.5)]",
    ],
)
def test_a_signature_says_the_range(annotation: str) -> None:
    """As an abbreviation, as ours, or as pydantic and annotated-types have it."""
    (control,) = controls_of([parameter(name="x", annotation=annotation, default=4.0)])

    assert (control.kind, control.min, control.max, control.step, control.value) == ("slider", 0, 10, 0.5, 4.0)


def test_what_the_map_is_told_wins_over_the_signature() -> None:
    """And None hides."""
    annotated = parameter(name="x", annotation="Annotated[float, (0, 10)]", default=4.0)

    (control,) = controls_of([annotated], {"x": Control(2, 5, label="Depth")})

    assert (control.min, control.max, control.label) == (2, 5, "Depth")
    assert controls_of([annotated], {"x": None}) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((0, 10), Control(0, 10)),
        ((0.5, 2, 0.5), Control(0.5, 2, 0.5)),
        (range(2000, 2020, 5), Control(2000, 2015, 5)),
        (["red", "nir"], Control(options=["red", "nir"])),
        (("red", "nir"), Control(options=["red", "nir"])),
        ([("Red", 1), ("Near infrared", 2)], Control(options={"Red": 1, "Near infrared": 2})),
        (True, Control(kind="checkbox", value=True)),
        (7, Control(value=7)),
        ("mag", Control(value="mag")),
        (None, None),
    ],
)
def test_abbreviations_are_those_of_interact(given: Any, expected: Control | None) -> None:
    """Tuples of numbers are ranges, lists are choices, single values are starts."""
    assert as_control(given, name="x") == expected


def test_a_range_of_dates_is_a_line_of_days_with_a_player() -> None:
    """Labels are ISO dates, and so are the values that the page sends."""
    given = as_control((date(2024, 2, 28), date(2024, 3, 1)), name="day")

    (control,) = controls_of([parameter(name="day", annotation="date", has_default=False)], {"day": given})

    assert control.kind == "steps"
    assert control.options == [[day, day] for day in ("2024-02-28", "2024-02-29", "2024-03-01")]
    assert control.value == "2024-02-28"
    assert control.play == {"seconds": 1.0, "loop": True}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Control(10, 0),
        lambda: Control(0, 10, -1),
        lambda: Control("a", "b"),
        lambda: Control(options=[]),
        lambda: Control(kind="knob"),  # type: ignore[arg-type]
        lambda: Control(play=True, seconds=0),
        lambda: Control(date(2024, 1, 1), datetime(2024, 2, 1, tzinfo=UTC)),
        lambda: Control(date(2024, 1, 1), date(2024, 2, 1), timedelta(0)),
        lambda: Control(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC), timedelta(seconds=1)),
        lambda: as_control(object(), name="x"),
    ],
)
def test_a_control_that_cannot_be_is_refused(make: Any) -> None:
    """At once, in words."""
    with pytest.raises(ArgumentError, match="need|more than"):
        make()


def test_the_map_starts_with_what_the_controls_show() -> None:
    """A default outside the range, a start of its own, and a choice where the UDF has no default are set."""
    parameters = [
        parameter(name="outside", default=4.0),
        parameter(name="inside", default=6.0),
        parameter(name="own", default=1),
        parameter(name="needed", annotation="Literal['a', 'b']", has_default=False),
        parameter(name="open", annotation="float | None"),
    ]
    specs = controls_of(parameters, {"outside": Control(5, 9), "inside": Control(5, 9), "own": Control(value=3)})

    assert starts_of(parameters, specs) == {"outside": 5.0, "own": 3, "needed": "a"}


def test_the_first_of_a_name_counts() -> None:
    """Two layers may share a parameter; one slider moves both."""
    controls = controls_of([parameter(name="x", default=1), parameter(name="x", default=2)])

    assert [control.value for control in controls] == [1]


@given(default=st.floats(allow_nan=True, allow_infinity=True) | st.integers())
def test_every_slider_can_be_drawn(default: float) -> None:
    """Whatever the number, min < max, a step above zero, and the value between them; or it is typed in."""

    class Parameter:
        name, annotation, kind, has_default, is_spatial = "x", "", "positional", True, False

    Parameter.default = default  # type: ignore[attr-defined]
    controls = [asdict(control) for control in controls_of([Parameter()])]

    is_drawable = default == 0 or 1e-9 <= abs(default) < 2**52
    is_counted = isinstance(default, int) and abs(default) > 1000
    assert bool(controls) == isfinite(default)
    for control in controls:
        assert (control["kind"] == "slider") == (is_drawable and not is_counted)
        if control["kind"] != "slider":
            assert control["value"] == default
            continue
        assert control["min"] <= control["value"] <= control["max"]
        assert control["min"] < control["max"]
        assert control["step"] > 0
