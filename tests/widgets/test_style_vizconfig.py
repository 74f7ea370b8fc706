"""Fused's vizConfig in all its generations: what can be drawn is drawn, and the rest is named in a warning."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fused_jupyter.widgets._style import Style, is_vizconfig, read_vizconfig

RAMP = {
    "@@function": "colorContinuous",
    "attr": "value",
    "domain": [0, 10],
    "steps": 20,
    "colors": "Teal",
    "nullColor": [184, 184, 184],
}
DEFAULT = {
    "tileLayer": {"@@type": "TileLayer", "minZoom": 0, "maxZoom": 19, "tileSize": 256, "pickable": True},
    "rasterLayer": {"@@type": "BitmapLayer", "pickable": True},
    "vectorLayer": {
        "@@type": "GeoJsonLayer",
        "stroked": True,
        "filled": False,
        "pickable": True,
        "lineWidthMinPixels": 1,
        "pointRadiusMinPixels": 1,
        "getLineColor": RAMP,
        "getFillColor": [208, 208, 208, 40],
    },
}


def sent(config: dict[str, Any]) -> dict[str, Any]:
    """What the page gets."""
    result: dict[str, Any] = json.loads(json.dumps(Style.of(config).to_json(base="#1c9fb0")))
    return result


def test_the_plain_default_is_understood_without_a_word() -> None:
    """Tests turn warnings into errors, so this is silent; its ramp is for data that have such a column."""
    style = sent(DEFAULT)

    assert style["line"]["column"] == "value"
    assert style["line"]["is_optional"] is True
    assert style["line"]["domain"] == [0, 10]
    assert (style["line"]["colors"][0], style["line"]["colors"][-1]) == ("#d1eeea", "#2a5674")
    assert style["line"]["missing"] == "#b8b8b8"
    assert style["fill"] == {"kind": "constant", "color": "#d0d0d028"}
    assert (style["filled"], style["line_width"], style["radius"]) == (False, 1, None)
    assert read_vizconfig(DEFAULT).layer == {"min_zoom": 0, "max_zoom": 19, "tile_size": 256}


def test_the_first_generation_is_one_layer() -> None:
    """Of tiles with what they hold, or of features."""
    tiles = {"@@type": "TileLayer", "minZoom": 7, "maxZoom": 15, "subLayerConfig": {"@@type": "BitmapLayer"}}
    features = {"@@type": "GeoJsonLayer", "filled": True, "getFillColor": [220, 255, 0, 30]}

    assert read_vizconfig(tiles).layer == {"min_zoom": 7, "max_zoom": 15}
    assert sent(features)["fill"]["color"] == "#dcff001e"


def test_hexagons_have_a_style_of_their_own_beside_features() -> None:
    """The page sees by the column which of the two the data are."""
    hexagons = {
        "@@type": "H3HexagonLayer",
        "getHexagon": "@@=properties.cell_id",
        "getFillColor": {**RAMP, "attr": "cnt", "domain": [5000, 0], "colors": "Magenta"},
        "extruded": False,
        "coverage": 0.9,
        "getElevation": "@@=properties.cnt",
        "elevationScale": 10,
    }
    style = sent(DEFAULT | {"hexLayer": hexagons})

    assert style["hexagons"]["column"] == "cell_id"
    fill = style["hexagons"]["style"]["fill"]
    assert (fill["column"], fill["domain"]) == ("cnt", [0, 5000])
    assert fill["colors"][-1] == "#f3cbd3", "a falling domain turns the palette"
    assert sent({"hexLayer": hexagons})["fill"] == fill, "alone it is the style"


@pytest.mark.parametrize(
    ("said", "color"),
    [
        ([255, 0, 0, 400], {"kind": "constant", "color": "#ff0000"}),
        ("@@=properties.fill", {"kind": "expression", "value": ["to-color", ["get", "fill"]]}),
        (
            {"@@function": "hasProp", "property": "r", "present": [255, 0, 0], "absent": [0, 0, 255]},
            {"kind": "expression", "value": ["case", ["has", "r"], "#ff0000", "#0000ff"]},
        ),
        (
            {"@@function": "hasValue", "property": "c", "fallback": "#00ff00"},
            {"kind": "expression", "value": ["to-color", ["get", "c"], "#00ff00"]},
        ),
        (
            {"@@function": "checkValue", "property": "ok", "valid": [0, 255, 0], "invalid": [255, 0, 0]},
            {"kind": "expression", "value": ["case", ["to-boolean", ["get", "ok"]], "#00ff00", "#ff0000"]},
        ),
        ({"@@function": "themeColor", "key": "backgroundAccent", "alpha": 50}, None),
    ],
)
def test_functions_become_colours(said: Any, color: Any) -> None:
    """A colour of Fused's page is the layer's own."""
    assert sent({"vectorLayer": {"@@type": "GeoJsonLayer", "getFillColor": said}})["fill"] == color


def test_channels_are_kept_within_their_limits() -> None:
    """MapLibre refuses what deck.gl cuts."""
    said = "@@=[properties.r, 300, -properties.b, 128]"
    fill = sent({"vectorLayer": {"@@type": "GeoJsonLayer", "getFillColor": said}})["fill"]

    red = ["max", 0, ["min", 255, ["to-number", ["get", "r"], 0]]]
    blue = ["max", 0, ["min", 255, ["-", ["to-number", ["get", "b"], 0]]]]
    assert fill["value"] == ["rgba", red, 255, blue, ["/", 128, 255]]


def test_categories_and_bins_have_their_colours() -> None:
    """Values of a list, by palette or one by one; bins by where they end."""
    colors = [[0, 128, 0], [255, 165, 0], [255, 0, 0]]
    said = {"@@function": "colorCategories", "attr": "k", "domain": [3, 2, 1], "colors": colors, "nullColor": [9, 9, 9]}
    bins = {"@@function": "colorBins", "attr": "v", "domain": [10, 100], "colors": "Sunset"}
    style = sent({"vectorLayer": {"@@type": "GeoJsonLayer", "getFillColor": said, "getLineColor": bins}})

    assert [(each["value"], each["color"]) for each in style["fill"]["values"]] == [
        (3, "#008000"),
        (2, "#ffa500"),
        (1, "#ff0000"),
    ]
    assert style["fill"]["missing"] == style["fill"]["other"] == "#090909"
    assert (style["line"]["breaks"], len(style["line"]["colors"])) == ([10, 100], 3)


def test_what_has_no_meaning_here_is_named() -> None:
    """Once, all together, and the rest is drawn."""
    config = {
        "vectorLayer": {
            "@@type": "GeoJsonLayer",
            "extruded": True,
            "getText": "@@=properties.name",
            "getFillColor": [1, 2, 3],
        },
        "hexLayer": {"@@type": "ArcLayer", "getFilColor": [1, 2, 3]},
        "soundLayer": {},
    }
    with pytest.warns(UserWarning, match="vizConfig: left out") as caught:
        viz = read_vizconfig(config)

    (warning,) = caught
    for place in (
        "vectorLayer.extruded",
        "vectorLayer.getText",
        "hexLayer.@@type",
        "hexLayer.getFilColor",
        "soundLayer",
    ):
        assert place in str(warning.message)
    assert viz.style["fill_color"] == "#010203"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8) | st.sampled_from(["@@=a+", "Teal"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*RAMP, "property", "present"]), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "getFillColor",
        "getLineColor",
        "lineWidthMinPixels",
        "opacity",
        "filled",
        "getRadius",
        "visible",
        "minZoom",
        "@@type",
    ]
)
LAYERS = st.sampled_from(["tileLayer", "rasterLayer", "vectorLayer", "hexLayer", "loadingLayer", "@@type"])


@given(config=st.dictionaries(LAYERS, st.dictionaries(KEYS, JSON) | JSON, min_size=1))
def test_no_vizconfig_fails(config: dict[str, Any]) -> None:
    """Whatever somebody wrote there, the map is drawn."""
    assume(is_vizconfig(config))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        json.dumps(Style.of(config).to_json(base="#1c9fb0"))
