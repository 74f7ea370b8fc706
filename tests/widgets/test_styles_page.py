"""What styles draw and what the legend says of it, in a real browser with tiles of the real encoders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import tornado.web
from map_page import CENTRE, MapPage, Site, layer_of, serving
from shapely import box

from fused_jupyter.formats import Target, Wanted, encode
from fused_jupyter.formats.frame import TileFrame
from fused_jupyter.formats.style import Style
from fused_jupyter.tiles import Tile

STRIPS = 12
"""Of 15 degrees each, from 90 degrees west to 90 degrees east; at zoom 1 a degree has 1024 / 360 pixels."""


class StyledSite(Site):
    """UDFs whose tiles have values."""

    def strips(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        """Strips from south to north with numbers, texts and a row number."""
        edges = [-90 + 15 * number for number in range(STRIPS)]
        strips = gpd.GeoDataFrame(
            {
                "row_id": range(1000, 1000 + STRIPS),
                "depth": [100.0 + 10 * number for number in range(STRIPS)],
                "soil": ["clay", "sand", "peat"] * (STRIPS // 3),
            },
            geometry=[box(west, -60, west + 15, 60) for west in edges],
            crs=4326,
        )
        send(handler, strips, "mvt")

    def heights(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        """One band, drawn in a colour map."""
        drawing = {name: handler.get_query_argument(name, "") for name in ("colormap", "rescale")}
        send(handler, np.full((256, 256), 250.0), "png", drawing)


def send(handler: tornado.web.RequestHandler, value: Any, name: str, drawing: dict[str, str] | None = None) -> None:
    """What the encoders make of it for the tile that was asked for."""
    z, x, y = (int(number) for number in re.findall(r"/(\d+)/(\d+)/(\d+)", handler.request.path)[0])
    tile = Tile(z=z, x=x, y=y)
    frame = TileFrame(z=z, x=x, y=y, bounds=tile.bounds, mercator_bounds=tile.mercator_bounds)
    target = Target(tile=frame, style=Style.of(drawing or {}))
    encoded = encode(value, wanted=Wanted(formats=(name,)), target=target)
    handler.set_header("Content-Type", encoded.media_type)
    for header, text in encoded.headers.items():
        handler.set_header(header, text)
    handler.write(encoded.body)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One server for the module."""
    with serving(StyledSite()) as site:
        yield site


def strip(number: int) -> tuple[int, int]:
    """A pixel in the middle of a strip, beside all panels."""
    return round(300 + (-90 + 15 * (number + 0.5)) * 1024 / 360), 150


def show(map_page: MapPage, style: Any, **options: Any) -> None:
    """A map of the strips."""
    map_page.show(layer_of("strips", kind="vector", style=style, parameters=(), **options), zoom=1)


def legend(map_page: MapPage) -> str:
    """Its words."""
    return map_page.page.locator(".fused-legend").inner_text()


def swatches(map_page: MapPage) -> list[tuple[int, ...]]:
    """The colours that the legend shows."""
    style = "node => getComputedStyle(node).backgroundColor"
    texts = map_page.page.locator(".fused-swatch").evaluate_all(f"nodes => nodes.map({style})")
    return [tuple(int(number) for number in re.findall(r"\d+", text)[:3]) for text in texts]


def test_a_ramp_reaches_from_its_first_to_its_last_colour(map_page: MapPage) -> None:
    """The ends of the domain have the ends of the palette, and the middle lies between."""
    show(map_page, {"column": "depth", "palette": ["red", "blue"], "domain": [100, 210], "fill_opacity": 1})

    assert map_page.color(strip(0)) == (255, 0, 0)
    assert map_page.color(strip(11)) == (0, 0, 255)
    red, _, blue = map_page.color(strip(5))
    assert (red, blue) == (pytest.approx(139, abs=2), pytest.approx(116, abs=2))
    assert legend(map_page).split() == ["strips", "depth", "100", "150", "210"]


def test_categories_have_the_colours_that_the_legend_shows(map_page: MapPage) -> None:
    """Drawn pixel and swatch are the same colour, for each value."""
    show(map_page, {"column": "soil", "palette": {"sand": "#ffd000", "clay": "#8b4513"}, "fill_opacity": 1})

    assert [map_page.color(strip(number)) for number in (0, 1)] == [(139, 69, 19), (255, 208, 0)]
    assert legend(map_page).split() == ["strips", "soil", "sand", "clay"]
    assert swatches(map_page) == [(255, 208, 0), (139, 69, 19)]


def test_a_layer_without_a_style_is_coloured_by_its_data(map_page: MapPage) -> None:
    """By the one column of numbers that is no row number, over its own range; the legend says so."""
    show(map_page, None)

    colors = [map_page.color(strip(number)) for number in range(STRIPS)]
    assert len(set(colors)) == STRIPS
    greens = [green for _, green, _ in colors]
    assert greens == sorted(greens), "from dark to light"
    assert legend(map_page).split() == ["strips", "depth", "100", "150", "210"]
    bar = map_page.page.get_by_role("img", name="depth from 100 to 210")
    assert bar.count() == 1


def test_all_tiles_share_one_range_while_the_map_moves(map_page: MapPage) -> None:
    """A strip keeps its colour when half of the strips leave the view."""
    show(map_page, None)
    before = map_page.color(strip(8))

    mouse = map_page.page.mouse
    mouse.move(500, 300)
    mouse.down()
    mouse.move(400, 300, steps=4)
    mouse.move(240, 300, steps=4)
    map_page.page.wait_for_timeout(100)  # a mouse that rests before it lets go throws nothing
    mouse.up()
    map_page.page.wait_for_function("views[0].model.saved.view_state?.longitude > 60")
    map_page.wait_idle()

    longitude = map_page.saved("view_state")["longitude"]
    map_page.wait_color(before, (round(strip(8)[0] - longitude * 1024 / 360), 150))


def test_the_legend_of_pictures_says_what_the_server_drew(map_page: MapPage) -> None:
    """Colour map and range come from the first tile; other values of a parameter have a legend of their own."""
    layer = layer_of("heights", kind="raster", parameters=("colormap", "rescale"))
    map_page.show(layer, params={"colormap": "Burg", "rescale": "0,1000"}, zoom=1)

    assert legend(map_page).split() == ["heights", "0", "250", "500", "750", "1000"]
    gradient = map_page.page.locator(".fused-ramp").evaluate("node => getComputedStyle(node).backgroundImage")
    stops = [tuple(int(n) for n in stop.split(",")) for stop in re.findall(r"rgb\(([\d, ]+)\)", gradient)]
    assert (stops[0], stops[-1]) == ((255, 198, 196), (103, 32, 68))
    drawn = map_page.color(CENTRE)
    assert drawn == pytest.approx(stops[len(stops) // 4], abs=3), "a quarter up the range, a quarter along the ramp"

    map_page.set("params", {"colormap": "Burg", "rescale": "0,500"})
    map_page.wait_idle()

    map_page.page.wait_for_function("document.querySelector('.fused-legend')?.innerText.includes('500')")
    assert "1000" not in legend(map_page)


def test_the_legend_hides_with_its_layer_and_as_a_whole(map_page: MapPage) -> None:
    """Titles are the layers' own; a layer that is hidden, or shall have none, has no part in it; Enter folds it."""
    layers = [
        layer_of("strips", name="soils", kind="vector", style={"color": "red"}, legend="Kinds of soil", parameters=()),
        layer_of("strips", name="other", kind="vector", style={"color": "blue"}, parameters=()),
        layer_of("strips", name="silent", kind="vector", legend=False, parameters=()),
    ]
    map_page.show(*layers, zoom=1)
    assert legend(map_page).split("\n") == ["other", "Kinds of soil"]

    hidden = [{**layer.to_json(), "visible": layer.name == "soils"} for layer in layers]
    map_page.set("layers", hidden)
    assert legend(map_page) == "Kinds of soil"

    summary = map_page.page.locator("summary", has_text="Legend")
    summary.focus()
    map_page.page.keyboard.press("Enter")
    assert not map_page.page.locator(".fused-legend").is_visible()

    map_page.set("show_legend", False)
    assert not summary.is_visible()


def test_an_untouched_vizconfig_leaves_the_colours_to_the_data(map_page: MapPage) -> None:
    """Its ramp is for a column that these data have not; one that they have is drawn with it."""
    ramp = {"@@function": "colorContinuous", "attr": "value", "domain": [0, 10], "steps": 20, "colors": "Teal"}
    viz = {"vectorLayer": {"@@type": "GeoJsonLayer", "filled": False, "stroked": True, "getLineColor": ramp}}
    show(map_page, viz)
    assert legend(map_page).split()[:2] == ["strips", "depth"]
    assert len({map_page.color(strip(number)) for number in range(STRIPS)}) == STRIPS

    own = {"getFillColor": {**ramp, "attr": "depth", "domain": [210, 100]}, "opacity": 1, "filled": True}
    viz = {"vectorLayer": {"@@type": "GeoJsonLayer", **own}}
    style = {**viz, "fill-opacity": 1}
    map_page.set("layers", [layer_of("strips", kind="vector", style=style, parameters=()).to_json()])

    map_page.wait_color((209, 238, 234), strip(11))
    assert map_page.color(strip(0)) == (42, 86, 116)
