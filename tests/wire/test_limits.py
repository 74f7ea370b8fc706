"""What a token may allow."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.errors import ArgumentError
from fused_jupyter.wire import Limits

_NAMES = st.none() | st.lists(st.text(min_size=1, max_size=8), max_size=4).map(tuple)
_ZOOMS = st.none() | st.tuples(st.integers(0, 15), st.integers(15, 30))
LIMITS = st.builds(
    Limits,
    parameters=_NAMES,
    formats=_NAMES,
    zooms=_ZOOMS,
    rate=st.none() | st.floats(0.01, 1000),
    concurrency=st.none() | st.integers(1, 64),
    cache=st.booleans(),
    show_errors=st.booleans(),
    expires=st.none() | st.floats(0, 4e9),
)


@given(LIMITS)
def test_limits_survive_json(limits: Limits) -> None:
    """As they travel to a host, and into a file."""
    import orjson

    assert Limits.from_json(orjson.loads(orjson.dumps(limits.to_json()))) == limits


def test_only_what_is_limited_is_written() -> None:
    """The others are defaults, of whichever version reads it."""
    assert Limits().to_json() == {}
    assert Limits(rate=2.0).to_json() == {"rate": 2.0}


def test_limits_of_a_newer_version_are_passed_over() -> None:
    """The rest holds."""
    assert Limits.from_json({"rate": 1.0, "colour": "red"}) == Limits(rate=1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"parameters": "min_mag"},
        {"parameters": (1,)},
        {"formats": "png"},
        {"zooms": (3,)},
        {"zooms": (9, 3)},
        {"zooms": (0, 31)},
        {"zooms": (0.0, 3.0)},
        {"rate": 0},
        {"rate": "20/s"},
        {"rate": True},
        {"concurrency": -1},
        {"concurrency": 0.5},
        {"cache": 0},
        {"show_errors": "false"},
        {"expires": "2030-01-01"},
        {"expires": True},
        {"expires": float("nan")},
    ],
    ids=str,
)
def test_what_no_limit_can_be_is_refused(wrong: dict[str, Any]) -> None:
    """And the message says what came and what was wanted."""
    name, value = next(iter(wrong.items()))
    with pytest.raises(ArgumentError, match=name) as caught:
        Limits(**wrong)
    assert repr(value) in caught.value.message


def test_a_token_expires_at_its_time() -> None:
    """Not a moment later."""
    assert Limits(expires=time.time() - 0.001).is_expired
    assert not Limits(expires=time.time() + 60).is_expired
    assert not Limits().is_expired
