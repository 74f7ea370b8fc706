from __future__ import annotations

import math
from typing import Any

import pytest

from fused_jupyter.errors import ArgumentError
from fused_jupyter.formats import STYLE_NAMES, Style


@pytest.mark.parametrize(
    ("said", "pairs"),
    [
        ("0,1000", ((0, 1000),)),
        ("-1.5,1e3", ((-1.5, 1000),)),
        ("0,1,0,2,0,3", ((0, 1), (0, 2), (0, 3))),
        (["0,1", "0,2"], ((0, 1), (0, 2))),
        ("[[0,1],[0,2]]", ((0, 1), (0, 2))),
        ([[0, 1], [0, 2]], ((0, 1), (0, 2))),
        ((0, 1), ((0, 1),)),
        ("", ()),
        (None, ()),
    ],
)
def test_rescale_is_one_pair_or_one_for_each_band(said: Any, pairs: Any) -> None:
    """From a query, repeated or not, as JSON, and from Python."""
    assert Style.of({"rescale": said}).rescale == pairs


@pytest.mark.parametrize("said", ["1", "1,2,3", "a,b", "5,1", "1,1", "0,inf", "nan,1", "[]"])
def test_a_range_that_is_none_names_its_parameter(said: str) -> None:
    """With an example of what it should be."""
    with pytest.raises(ArgumentError, match=r"rescale: got .* e\.g\. 0,1000") as caught:
        Style.of({"rescale": said})

    assert caught.value.parameter == "rescale"


def test_nodata_is_a_number_or_nan() -> None:
    """Whatever its sign."""
    assert Style.of({"nodata": "-9999"}).nodata == -9999
    assert math.isnan(Style.of({"nodata": "NaN"}).nodata or 0)
    assert Style.of({"nodata": 0}).nodata == 0
    with pytest.raises(ArgumentError, match="nodata: got 'none'"):
        Style.of({"nodata": "none"})


def test_a_colour_map_may_come_as_python_or_as_text() -> None:
    """What it means is seen when it is drawn."""
    assert Style.of({"colormap": ["red", "blue"]}).colormap == '["red", "blue"]'
    assert Style.of({"colormap": {1: "red"}}).colormap == '{"1": "red"}'
    assert Style.of({"colormap": "Viridis"}).colormap == "Viridis"


@pytest.mark.parametrize("said", ["0", "-1", "1.5", "many", "nan", "inf"])
def test_a_limit_of_features_is_a_whole_number(said: str) -> None:
    """Above 0."""
    assert Style.of({"max_features": "2e4"}).max_features == 20_000
    with pytest.raises(ArgumentError, match="max_features: got"):
        Style.of({"max_features": said})


def test_nothing_said_is_nothing_meant() -> None:
    """All names are optional."""
    assert Style.of({}) == Style.of(dict.fromkeys(STYLE_NAMES)) == Style()
