"""TileLayer: checked when it is made."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets import TileLayer


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "video"}, "need one of auto, raster, vector"),
        ({"opacity": 2}, "from 0 to 1"),
        ({"min_zoom": 5, "max_zoom": 3}, "0 <= min <= max"),
        ({"tile_size": 100}, "256 or 512"),
        ({"bounds": [0, 1, 2]}, "got 3 numbers"),
        ({"style": {"colour": "red"}}, "check the spelling"),
        ({"style": {"fill": "red"}}, "check the spelling"),
        ({"params": {"a": {1: object()}}}, "a is a object"),
    ],
)
def test_values_that_do_not_fit_are_refused(values: dict[str, Any], message: str) -> None:
    """With what would fit."""
    with pytest.raises(ArgumentError, match=message):
        TileLayer("quakes", **values)


def test_a_layer_is_called_like_its_udf() -> None:
    """Unless it has a name of its own."""
    assert TileLayer("quakes").name == "quakes"
    assert TileLayer("quakes", name="big").name == "big"


def test_a_layer_does_not_change() -> None:
    """What the page shows is what the object says."""
    with pytest.raises(FrozenInstanceError):
        TileLayer("quakes").opacity = 0.5  # type: ignore[misc]


def test_the_page_gets_the_style_in_its_own_words() -> None:
    """One colour for all, whatever way it is written; MapLibre's own properties beside it."""
    style = {"color": ["get", "c"], "fill_opacity": 0.1, "circle-radius": 9}
    sent = TileLayer("q", style=style, color="#ff0000", legend="Depth").to_json()

    assert sent["style"]["color"] == {"kind": "expression", "value": ["get", "c"]}
    assert sent["style"]["radius"] == 9
    assert sent["style"]["paint"] == {"fill": {"fill-opacity": 0.1}}
    assert sent["style"]["base"] == "#ff0000"
    assert sent["legend"] == "Depth"
