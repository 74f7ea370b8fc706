"""Styles: whichever way they are written, the page gets one kind of value; mistakes are told with what would fit."""

from __future__ import annotations

import json
from typing import Any

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets._style import PALETTE, Style, free_color, legend_to_json, recolored
from fused_jupyter.widgets._style.colors import read_color, read_palette, sample
from fused_jupyter.widgets._style.formulas import read_formula

BYTE = st.integers(0, 255)
NUMBERS = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=2, max_size=8, unique=True).map(sorted)


def sent(style: Any) -> dict[str, Any]:
    """What the page gets, after a journey as JSON."""
    result: dict[str, Any] = json.loads(json.dumps(Style.of(style).to_json(base="#1c9fb0")))
    return result


# -- colours


@given(channels=st.tuples(BYTE, BYTE, BYTE, BYTE))
def test_a_colour_is_the_same_in_all_spellings(channels: tuple[int, int, int, int]) -> None:
    """As a list, as hexadecimal digits, as CSS; opaque colours need no alpha."""
    red, green, blue, alpha = channels
    expected = mpl.colors.to_hex((red / 255, green / 255, blue / 255, alpha / 255), keep_alpha=alpha < 255)

    assert read_color([*channels], name="") == expected
    assert read_color(expected.upper(), name="") == expected
    opaque = mpl.colors.to_hex((red / 255, green / 255, blue / 255))
    assert read_color(f"rgb({red}, {green}, {blue})", name="") == opaque
    assert read_color(f"rgba({red} {green} {blue} / 50%)", name="") == opaque + "80"


@pytest.mark.parametrize("name", ["tomato", "REBECCAPURPLE", "white", "navy"])
def test_names_are_those_of_css(name: str) -> None:
    """In any case."""
    assert read_color(name, name="") == mpl.colors.to_hex(name.lower())


def test_floats_up_to_one_are_shares() -> None:
    """As matplotlib has them; whole numbers never are."""
    assert read_color((0.2, 0.4, 1.0), name="") == mpl.colors.to_hex((0.2, 0.4, 1.0))
    assert read_color([1, 0, 1], name="") == "#010001"


@pytest.mark.parametrize("wrong", ["viridis", "#12", [1, 2], [300, 0, 0], [True, 0, 0], "rgba(0,0,0,7)", None, 5])
def test_what_is_no_colour_is_refused(wrong: Any) -> None:
    """With ways to write one."""
    with pytest.raises(ArgumentError, match="need a colour: a name of CSS"):
        read_color(wrong, name="color")


@given(colors=st.lists(st.tuples(BYTE, BYTE, BYTE), min_size=2, max_size=6), count=st.integers(2, 20))
def test_a_sample_of_a_palette_keeps_its_ends(colors: list[tuple[int, int, int]], count: int) -> None:
    """And as many as there were are the same ones."""
    palette = read_palette([[*color] for color in colors])

    sampled = sample(palette, count)

    assert (len(sampled), sampled[0], sampled[-1]) == (count, palette[0], palette[-1])
    assert sample(palette, len(palette)) == palette


# -- styles


@pytest.mark.parametrize("style", [None, "auto", {}])
def test_without_a_style_the_data_decide(style: Any) -> None:
    """The page gets nothing but the layer's own colour."""
    assert sent(style) == sent(None)
    assert sent(style)["color"] is None
    assert sent(style)["base"] == "#1c9fb0"


def test_a_word_is_a_colour_or_a_palette() -> None:
    """A palette is for the column that the page finds."""
    assert sent("red")["color"] == {"kind": "constant", "color": "#ff0000"}
    assert sent([0, 0, 255, 128])["color"]["color"] == "#0000ff80"
    assert sent("plasma")["color"]["kind"] == "auto"
    assert sent("plasma")["color"]["colors"][0] == "#0d0887"
    assert sent("Bold")["color"]["classes"][:2] == ["#7f3c8d", "#11a579"]


def test_constants_and_paint_properties_may_stand_together() -> None:
    """With `-` or `_`; what is MapLibre's own goes there as it is."""
    style = sent({"color": "red", "line-width": 3, "fill_opacity": 0.1, "radius": 4, "opacity": 0.5, "stroked": False})

    assert style["color"]["color"] == "#ff0000"
    assert (style["line_width"], style["radius"], style["opacity"], style["stroked"]) == (3, 4, 0.5, False)
    assert style["paint"] == {"fill": {"fill-opacity": 0.1}}


def test_a_column_may_stand_beside_constants() -> None:
    """The column is for the colour of everything."""
    style = sent({"column": "mag", "palette": "Teal", "domain": [0, 8], "line_width": 2})

    assert style["color"]["column"] == "mag"
    assert style["line_width"] == 2


@given(domain=NUMBERS)
def test_a_falling_domain_is_a_rising_one_with_the_colours_turned(domain: list[float]) -> None:
    """deck.gl's configurations have many of them."""
    colors = ["red", "green", "blue"]
    falling = sent({"column": "v", "palette": colors, "domain": domain[::-1]})["color"]
    rising = sent({"column": "v", "palette": colors, "domain": domain, "reverse": True})["color"]

    assert falling == rising
    assert falling["domain"] == domain
    assert len(falling["colors"]) == (3 if len(domain) == 2 else len(domain))


def test_what_is_said_decides_what_it_is() -> None:
    """Numbers make a ramp, texts categories; where nothing tells, the page looks at the data."""
    kinds = {
        "auto": {"column": "v", "palette": "viridis"},
        "ramp": {"column": "v", "domain": [0, 1]},
        "categories": {"column": "v", "domain": ["a", "b"]},
    }
    assert {name: sent(style)["color"]["kind"] for name, style in kinds.items()} == {name: name for name in kinds}
    assert sent({"column": "v", "palette": "Prism"})["color"]["colors"][0] == "#5f4690"
    assert sent({"column": "v", "scale": "log"})["color"]["kind"] == "ramp"
    assert sent({"column": "v", "palette": {"a": "red"}})["color"]["kind"] == "categories"


def test_steps_and_breaks_have_a_colour_for_each_class() -> None:
    """One more than there are breaks."""
    assert len(sent({"column": "v", "steps": 5})["color"]["colors"]) == 5
    color = sent({"column": "v", "palette": "Sunset", "breaks": [10, 100]})["color"]
    assert (color["breaks"], len(color["colors"])) == ([10, 100], 3)


def test_categories_have_colours_and_labels() -> None:
    """By mapping, by list, by palette; a value that is whole is one without a point."""
    style = {"column": "k", "palette": {1.0: "red", "b": [0, 0, 255]}, "labels": {1: "one"}, "others": "gray"}
    color = sent(style)["color"]
    assert color["values"] == [
        {"value": 1.0, "color": "#ff0000", "label": "one"},
        {"value": "b", "color": "#0000ff", "label": "b"},
    ]
    assert color["other"] == "#808080"

    many = sent({"column": "k", "categories": [str(n) for n in range(20)], "palette": "Safe"})["color"]["values"]
    assert len({value["color"] for value in many[:11]}) == 11
    assert len(many) == 20


def test_sizes_may_follow_a_column() -> None:
    """From one width in pixels to another."""
    size = sent({"radius": {"column": "mag", "range": [2, 20], "domain": [8, 0], "scale": "linear"}})["radius"]

    assert size == {"kind": "scaled", "column": "mag", "range": [20, 2], "domain": [0, 8], "scale": "linear"}


def test_expressions_stay_as_they_are() -> None:
    """For any colour and any size."""
    style = sent({"fill_color": ["get", "color"], "line_width": ["*", 2, ["get", "lanes"]]})

    assert style["fill"] == {"kind": "expression", "value": ["get", "color"]}
    assert style["line_width"]["value"] == ["*", 2, ["get", "lanes"]]


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ("virids", "did you mean viridis"),
        ({"colour": "red"}, "check the spelling: did you mean 'color'"),
        ({"column": "v", "pallete": "Teal"}, "did you mean 'palette'"),
        ({"color": {"column": "v", "pallete": "Teal"}}, "got 'pallete'; did you mean palette"),
        ({"column": "v", "palette": "Tael"}, "palette: .*did you mean teal"),
        ({"column": "v", "palette": ["red"]}, "two colours or more"),
        ({"column": "v", "domain": [1]}, "two numbers or more"),
        ({"column": "v", "domain": [1, 5, 2]}, "ascend or descend"),
        ({"column": "v", "domain": [0, 10], "scale": "log"}, "above 0 for a log scale"),
        ({"column": "v", "scale": "cubic"}, "need one of linear, log, quantile"),
        ({"column": "v", "steps": 1}, "from 2 to 32"),
        ({"column": "", "palette": "Teal"}, "need the name of a column"),
        ({"color": {"palette": "Teal"}}, "need a column"),
        ({"opacity": 2}, "from 0 to 1"),
        ({"radius": "big"}, "a number of pixels"),
        ({"radius": {"column": "mag", "range": [1]}}, "two numbers"),
        ({"filled": "yes"}, "True or False"),
        (5, "need a colour"),
    ],
)
def test_mistakes_are_told_with_what_would_fit(style: Any, message: str) -> None:
    """What came, what was wanted, and names that are nearly so."""
    with pytest.raises(ArgumentError, match=message):
        Style.of(style)


def test_a_layer_is_known_by_its_one_colour() -> None:
    """So that the next layer takes another."""
    assert Style.of({"fill_color": "red"}).main_color == "#ff0000"
    assert Style.of("viridis").main_color == ""
    assert free_color(PALETTE[:2]) == PALETTE[2]
    assert recolored({"column": "v", "palette": "Teal"}, "red") == {"color": "red"}


def test_a_legend_is_there_or_not_or_has_a_title() -> None:
    """There unless somebody says no."""
    assert [legend_to_json(legend) for legend in (None, True, False, "Depth")] == [True, True, False, "Depth"]
    with pytest.raises(ArgumentError, match="need True, False or a title"):
        legend_to_json(5)  # type: ignore[arg-type]


# -- formulas


@pytest.mark.parametrize(
    ("formula", "expression"),
    [
        ("properties.hex", ["get", "hex"]),
        ("weight", ["get", "weight"]),
        ("d.properties['a b']", ["get", "a b"]),
        ("(1 - properties.n/500) * 255", ["*", ["-", 1, ["/", ["to-number", ["get", "n"], 0], 500]], 255]),
        ("-2", -2),
        ("Math.sqrt(properties.a)", ["sqrt", ["to-number", ["get", "a"], 0]]),
        (
            "properties.k === 'x' ? 1 : properties.n > 3 ? 2 : 3",
            [
                "case",
                ["to-boolean", ["==", ["get", "k"], "x"]],
                1,
                ["case", ["to-boolean", [">", ["to-number", ["get", "n"], 0], 3]], 2, 3],
            ],
        ),
        ("[properties.r, 0, true]", [["get", "r"], 0, True]),
    ],
)
def test_formulas_of_deck_gl_become_expressions(formula: str, expression: Any) -> None:
    """As far as expressions can say them."""
    assert read_formula(f"@@={formula}") == expression


@pytest.mark.parametrize(
    "formula", ["properties.a.b.c()", "fetch('x')", "a +", "(x) => x", "__import__('os')", "a < b < c"]
)
def test_other_formulas_are_refused(formula: str) -> None:
    """Nothing is ever evaluated here."""
    with pytest.raises(ArgumentError, match="cannot read the formula"):
        read_formula(f"@@={formula}")
