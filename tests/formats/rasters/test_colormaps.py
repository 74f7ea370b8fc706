from __future__ import annotations

import json

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageColor
from rio_tiler.colormap import cmap

from fused_jupyter.errors import ArgumentError
from fused_jupyter.formats.rasters._carto import CLASSES, RAMPS
from fused_jupyter.formats.rasters.colormaps import (
    Classes,
    Ramp,
    carto_names,
    class_colours,
    colormap_names,
    ramp_colours,
    read_colormap,
)

BYTE = st.integers(0, 255)


@pytest.mark.parametrize("name", colormap_names())
def test_named_maps_are_those_of_matplotlib(name: str) -> None:
    """Colour by colour, and reversed by its ending."""
    theirs = {theirs.lower(): theirs for theirs in mpl.colormaps}[name]
    expected = mpl.colormaps[theirs](np.linspace(0, 1, 256)) * 255

    ramp = read_colormap(name)

    assert np.abs(ramp.colours - expected).max() < 0.5 + 1e-9
    assert np.array_equal(read_colormap(f"{name}_r").colours, ramp.colours[::-1])


def test_whoever_comes_from_titiler_finds_the_maps_of_matplotlib() -> None:
    """All names that its users know and matplotlib has, in any case."""
    known = {name.lower() for name in mpl.colormaps} & set(cmap.list())

    assert len(known) > 140
    for name in known:
        assert isinstance(read_colormap(name.upper()), Ramp)


@pytest.mark.parametrize(
    ("wrong", "hint"), [("virdis", "did you mean viridis"), ("RdYGn_r", "rdylgn"), ("zzz", "no map")]
)
def test_an_unknown_name_is_told_its_neighbours(wrong: str, hint: str) -> None:
    """With examples of all that is possible."""
    with pytest.raises(ArgumentError, match=f"colormap: got {wrong}.*{hint}.*examples"):
        read_colormap(wrong)


@given(colours=st.lists(st.tuples(BYTE, BYTE, BYTE, BYTE), min_size=2, max_size=20))
def test_a_list_of_colours_is_an_even_ramp(colours: list[tuple[int, ...]]) -> None:
    """Each is met at its place, and nothing between two is outside them."""
    ramp = read_colormap(json.dumps(colours))

    table = np.array(colours)
    expected = [np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(colours)), channel) for channel in table.T]
    assert isinstance(ramp, Ramp)
    assert ramp.domain is None
    assert np.abs(ramp.colours - np.array(expected).T).max() <= 0.5


def test_stops_have_their_own_range() -> None:
    """A step is two stops at one value."""
    ramp = read_colormap('[[0,"#000"],[50,"#000"],[50,"#fff"],[100,"#fff"]]')

    assert isinstance(ramp, Ramp)
    assert ramp.domain == (0, 100)
    assert ramp.colours[[0, 120, 135, 255], 0].tolist() == [0, 0, 255, 255]


@given(said=st.dictionaries(st.integers(-1000, 1000), st.tuples(BYTE, BYTE, BYTE), min_size=1, max_size=30))
def test_an_object_gives_classes_their_colours(said: dict[int, tuple[int, ...]]) -> None:
    """In the order of the values; JSON has texts for keys."""
    classes = read_colormap(json.dumps(said))

    assert isinstance(classes, Classes)
    assert classes.values.tolist() == sorted(said)
    assert classes.colours[:, :3].tolist() == [list(said[value]) for value in sorted(said)]


@pytest.mark.parametrize(
    "colour", ["#f00", "#f008", "#ff0000", "#ff000080", "red", "RebeccaPurple", "rgb(1,2,3)", "hsl(120,50%,50%)"]
)
def test_colours_are_written_as_in_css(colour: str) -> None:
    """Pillow reads the same."""
    assert tuple(read_colormap(json.dumps({"1": colour})).colours[0]) == ImageColor.getcolor(colour, "RGBA")


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("[", "JSON is broken"),
        ("[]", "two colours"),
        ('["red"]', "two colours"),
        ('["red","rouge"]', "a colour is a name"),
        ("[[1,2,300],[0,0,0]]", "a colour is a name"),
        ('[[5,"red"],[1,"blue"]]', "must ascend"),
        ('[[1,"red"],[1,"blue"]]', "must ascend"),
        ('{"a":"red"}', "'a', a colour's value must be a number"),
        ('{"NaN":"red"}', "must be a number"),
        ("{}", "one value or more"),
        ('{"1":null}', "a colour is a name"),
    ],
)
def test_what_is_no_colour_map_says_why(said: str, hint: str) -> None:
    """The parameter is named, for the server's answer."""
    with pytest.raises(ArgumentError, match=hint) as caught:
        read_colormap(said)

    assert caught.value.parameter == "colormap"


@pytest.mark.parametrize("name", carto_names())
def test_palettes_of_carto_begin_and_end_as_carto_says(name: str) -> None:
    """In any case, reversed by their ending; but for prism, which matplotlib has as well."""
    if name == "prism":
        return
    colours = (RAMPS | CLASSES)[name].split()

    assert ramp_colours(name.title(), len(colours)) == tuple(f"#{colour}" for colour in colours)
    assert ramp_colours(f"{name}_r", 2) == (f"#{colours[-1]}", f"#{colours[0]}")
    assert class_colours(name) == (tuple(f"#{colour}" for colour in colours) if name in CLASSES else ())


def test_a_palette_for_classes_has_the_colours_of_its_author() -> None:
    """Each once, in their order, as matplotlib lists them."""
    for name in ("tab10", "Set1", "Pastel2", "tab20c"):
        theirs = [mpl.colors.to_hex(colour) for colour in mpl.colormaps[name].colors]  # type: ignore[attr-defined]
        assert [*class_colours(name)] == theirs
    assert class_colours("cb_Set1") == class_colours("set1")
