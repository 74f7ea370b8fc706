"""Controls from signatures."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.widgets._controls import controls_of


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
def test_a_default_decides_the_control(
    parameter: Any, annotation: str, default: Any, expected: tuple[Any, ...]
) -> None:
    """Its type gives the kind, its size the range."""
    (control,) = controls_of([parameter(name="x", annotation=annotation, default=default)])

    assert (control.kind, control.type, control.min, control.max, control.step) == expected
    assert control.value == default


@pytest.mark.parametrize(
    "values",
    [
        {"is_spatial": True, "default": "0,0,1,1"},
        {"name": "_debug", "default": True},
        {"has_default": False, "annotation": "int"},
        {"kind": "variadic"},
        {"default": [1, 2]},
        {"default": None},
    ],
)
def test_what_no_control_can_set_is_left_out(parameter: Any, values: dict[str, Any]) -> None:
    """Spatial, private, required and composite parameters."""
    assert controls_of([parameter(**{"name": "x", **values})]) == []


def test_the_first_of_a_name_counts(parameter: Any) -> None:
    """Two layers may share a parameter; one slider moves both."""
    controls = controls_of([parameter(name="x", default=1), parameter(name="x", default=2)])

    assert [control.value for control in controls] == [1]


@given(default=st.floats(allow_nan=True, allow_infinity=True) | st.integers())
def test_every_slider_can_be_drawn(default: float) -> None:
    """Whatever the number, min < max, a step above zero, and the value between them; or there is none."""

    class Parameter:
        name, annotation, kind, has_default, is_spatial = "x", "", "positional", True, False

    Parameter.default = default  # type: ignore[attr-defined]
    controls = [asdict(control) for control in controls_of([Parameter()])]

    assert bool(controls) == (default == 0 or 1e-9 <= abs(default) < 2**52)
    for control in controls:
        assert control["min"] <= control["value"] <= control["max"]
        assert control["min"] < control["max"]
        assert control["step"] > 0
