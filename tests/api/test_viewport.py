"""Running a UDF for what a map shows."""

from __future__ import annotations

from typing import Any

import geopandas
import pytest
import shapely

import fused_jupyter as fused
from fused_jupyter.errors import ArgumentError


@fused.udf
def seen(bounds: fused.types.Bounds = None, level: int = 1, other: str = "") -> Any:
    """What it was given."""
    return {"bounds": None if bounds is None else [*bounds], "level": level, "other": other}


@fused.udf
def tiled(x: int, y: int, z: int) -> Any:
    """The tile that it was given."""
    return [x, y, z]


@fused.udf
def shaped(area: "geopandas.GeoDataFrame") -> Any:  # noqa: UP037  as users write it who import inside
    """The columns and the area that it was given."""
    return [sorted(area.columns), float(area.geometry.area.sum())]


@fused.udf
def placeless(n: int = 1) -> Any:
    """Takes no area."""
    return n


@pytest.fixture
def shown() -> Any:
    """A map of the UDF, whose page shows a part of the world."""
    for one in (seen, tiled, shaped, placeless):
        one.register()
    shown = fused.FusedMap(
        fused.TileLayer(seen, params={"other": "of the layer"}), params={"level": 5, "unknown": 3}, draw_tools=False
    )
    shown.set_trait("view_bounds", [4, 50, 6, 52])
    yield shown
    shown.close()


def test_the_viewport_and_the_sliders_are_the_arguments(shown: Any) -> None:
    """What is given wins over what the map has."""
    assert seen.run_on(shown) == {"bounds": [4, 50, 6, 52], "level": 5, "other": "of the layer"}
    assert seen.run_on(shown, level=9, other="x") == {"bounds": [4, 50, 6, 52], "level": 9, "other": "x"}


def test_the_area_comes_in_the_form_that_the_udf_wants(shown: Any) -> None:
    """A tile for x, y, z; a frame for a frame; bounds of what was drawn."""
    assert tiled.run_on(shown) == [16, 10, 5]

    shown.draw(shapely.box(1, 2, 3, 5))
    assert shaped.run_on(shown.drawn)[1] == pytest.approx(6)
    assert seen.run_on(shown.drawn)["bounds"] == [1, 2, 3, 5]
    assert seen.run_on(shapely.box(1, 2, 3, 5))["bounds"] == [1, 2, 3, 5]


def test_without_an_area_it_says_what_to_do(shown: Any) -> None:
    """Nothing drawn, nothing shown yet, or a UDF that takes none."""
    with pytest.raises(ArgumentError, match=r"seen.run_on: nothing is drawn; draw a shape first"):
        seen.run_on(shown.drawn)
    with pytest.raises(ArgumentError, match="no page shows this map yet"):
        seen.run_on(fused.FusedMap(seen))
    with pytest.raises(ArgumentError, match="placeless takes no area; give it a parameter"):
        placeless.run_on(shown)
