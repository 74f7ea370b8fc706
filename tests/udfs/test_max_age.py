from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs import parse_max_age


@given(st.integers(0, 10**9), st.sampled_from([("", 1), ("s", 1), ("m", 60), ("H", 3600), (" d ", 86400)]))
def test_text_gives_seconds(number: int, unit: tuple[str, int]) -> None:
    """In any case, with spaces around."""
    letter, seconds = unit

    assert parse_max_age(f" {number}{letter}") == number * seconds


@given(st.integers(0, 10**9))
def test_seconds_are_seconds(number: int) -> None:
    """As a number."""
    assert parse_max_age(number) == number


@pytest.mark.parametrize("value", ["", "h", "1.5h", "-1", "2w", "1h30m", "1e3", -1, 1.5, True, None, [], "9" * 11])
def test_anything_else_is_refused_with_examples(value: Any) -> None:
    """The message shows how to write it."""
    with pytest.raises(ArgumentError, match="10s, 5m, 48h, 7d"):
        parse_max_age(value)
