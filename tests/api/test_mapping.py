"""`udf.map()`: each keyword goes where it belongs, and the UDF's metadata say what the user does not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import fused_jupyter as fused
from fused_jupyter.api.udf import Udf
from fused_jupyter.errors import ArgumentError
from fused_jupyter.runtime import current


@fused.udf
def depths(bounds: fused.types.Bounds | None = None, min_depth: float = 5.0, opacity: int = 3) -> None:
    """Nothing, wherever it is asked."""


RAMP = {"@@function": "colorContinuous", "attr": "depth", "domain": [0, 10], "colors": "Teal"}
METADATA = {
    "fused:vizConfig": {
        "tileLayer": {"@@type": "TileLayer", "minZoom": 3, "maxZoom": 12, "tileSize": 512},
        "vectorLayer": {"@@type": "GeoJsonLayer", "getFillColor": RAMP, "tooltipColumns": ["depth"]},
    },
    "fused:defaultViewState": {"enable": True, "latitude": 52.4, "longitude": 4.9, "zoom": 9, "pitch": 0},
}


def udf_with(metadata: dict[str, Any]) -> Udf:
    """The UDF with metadata as `fused.load` reads them from a meta.json."""
    definition = replace(depths.definition, metadata=metadata)
    current().register(definition)
    return Udf(definition)


def test_keywords_go_to_the_udf_its_layer_and_the_map() -> None:
    """The UDF's own parameters first, whatever else is called so."""
    fused_map = udf_with({}).map(
        min_depth=7, opacity=4, style={"color": "red"}, legend="Depth", tooltip=["depth"], colormap="magma", zoom=5
    )

    (layer,) = fused_map.layers
    assert fused_map.params == {"min_depth": 7, "opacity": 4}
    assert (layer.style, layer.legend, layer.tooltip, layer.opacity) == ({"color": "red"}, "Depth", ["depth"], 1.0)
    assert layer.params == {"colormap": "magma"}
    assert fused_map.zoom == 5


def test_metadata_say_what_the_user_does_not() -> None:
    """Style, zooms, tooltip and the first view."""
    fused_map = udf_with(METADATA).map()

    (layer,) = fused_map.layers
    assert layer.to_json()["style"]["fill"]["column"] == "depth"
    assert (layer.min_zoom, layer.max_zoom, layer.tile_size, layer.tooltip) == (3, 12, 512, ["depth"])
    assert (tuple(fused_map.center), fused_map.zoom) == ((4.9, 52.4), 9)


def test_what_the_user_says_wins() -> None:
    """Each thing by itself; any place instead of the one in the metadata."""
    fused_map = udf_with(METADATA).map(style="viridis", max_zoom=15, tooltip=False, bounds=[0, 0, 1, 1])

    (layer,) = fused_map.layers
    assert layer.style == "viridis"
    assert (layer.min_zoom, layer.max_zoom, layer.tooltip) == (3, 15, False)
    assert fused_map.center is None


@pytest.mark.parametrize(
    ("udf_type", "given", "expected"),
    [
        ("vector_single", {}, ("file", True)),
        ("vector_single_none", {}, ("file", False)),
        ("vector_tile", {}, ("tiles", None)),
        ("auto", {}, ("tiles", None)),
        ("vector_single", {"follow": False}, ("file", False)),
        ("vector_single_none", {"kind": "vector"}, ("tiles", None)),
    ],
)
def test_the_type_of_a_public_udf_says_how_it_is_run(
    udf_type: str, given: dict[str, Any], expected: tuple[str, bool | None]
) -> None:
    """Once for all, once for what the map shows, or for each tile; what the user says wins."""
    (layer,) = udf_with({"fused:udfType": udf_type}).map(**given).layers

    assert (layer.type, getattr(layer, "follow", None)) == expected


def test_default_parameters_of_a_public_udf_are_the_maps_first_values() -> None:
    """As an object, or as Fused's list of controls, where an empty value is none."""
    controls = [{"parameter": "min_depth", "value": "8"}, {"parameter": "opacity", "value": ""}]

    assert udf_with({"fused:defaultParameters": controls}).map().params == {"min_depth": 8.0}
    assert udf_with({"fused:defaultParameters": {"min_depth": 9}}).map(min_depth=1).params == {"min_depth": 1}
    assert udf_with({"fused:defaultParameters": {"gone": 9}}).map().params == {}


@pytest.mark.parametrize(
    "view",
    [
        {"enable": False, "latitude": 1, "longitude": 1, "zoom": 3},
        {"enable": True, "latitude": None, "longitude": 1, "zoom": 3},
        {"latitude": 100, "longitude": 1, "zoom": 3},
        {},
        "nowhere",
    ],
)
def test_a_view_that_is_none_is_passed_over(view: Any) -> None:
    """As if it were not there."""
    assert udf_with({"fused:defaultViewState": view}).map().center is None


def test_metadata_may_be_kept_as_text() -> None:
    """As some versions of the hosted service did."""
    texts = {name: json.dumps(value) for name, value in METADATA.items()}

    (layer,) = udf_with(texts).map().layers

    assert layer.min_zoom == 3


def test_a_wrong_keyword_is_told() -> None:
    """By the layer or the map that it went to."""
    with pytest.raises(ArgumentError, match="style"):
        udf_with({}).map(style={"colour": "red"})
    with pytest.raises(TypeError, match="did you mean"):
        udf_with({}).map(basemaps=None)
