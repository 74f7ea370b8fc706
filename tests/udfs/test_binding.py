from __future__ import annotations

import pytest

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs import bind, parse


def parameters(signature: str):  # noqa: ANN201 - a tuple of parameters
    return parse(f"def f({signature}): pass").parameters


def test_arguments_go_to_their_parameters() -> None:
    """Defaults are left to the function."""
    assert bind(parameters("bounds=None, n: int = 1, m=2"), {"n": "3"}) == {"n": "3"}


def test_unknown_argument_names_the_nearest() -> None:
    """A typing mistake is seen at a glance."""
    with pytest.raises(ArgumentError, match=r"min_magg: .*did you mean min_mag or max_mag\?") as caught:
        bind(parameters("bounds=None, min_mag=4, max_mag=9"), {"min_magg": 1})

    assert caught.value.parameter == "min_magg"


def test_unknown_argument_without_a_near_one_names_all() -> None:
    """So that one need not look them up."""
    with pytest.raises(ArgumentError, match="it takes bounds, n"):
        bind(parameters("bounds=None, n=1"), {"colour": 1})
    with pytest.raises(ArgumentError, match="it takes no arguments"):
        bind(parameters(""), {"colour": 1})


def test_missing_argument_is_named() -> None:
    """With its annotation, and how to give it in a URL."""
    with pytest.raises(ArgumentError, match=r"n: missing.*n: int.*\?n=") as caught:
        bind(parameters("bounds, n: int"), {})

    assert caught.value.parameter == "n"


def test_area_is_none_as_a_file() -> None:
    """As in the reference: the spatial parameter needs no argument."""
    assert bind(parameters("bounds, n=1"), {}) == {"bounds": None}
    assert bind(parameters("bounds: fused.types.Bounds = None"), {}) == {}


def test_keywords_take_what_has_no_parameter() -> None:
    """`**rest` makes every name a known one, and is never missing."""
    assert bind(parameters("n=1, **rest"), {"colour": "red"}) == {"colour": "red"}
    assert bind(parameters("n=1, **rest"), {}) == {}
