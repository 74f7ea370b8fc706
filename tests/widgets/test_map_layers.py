"""Each kind of layer in a real browser, judged by its pixels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import h3
import numpy as np
import pandas as pd
import pytest
import shapely
import tornado.web
from map_page import BLUE, CENTRE, GREEN, RED, MapPage, Site, layer_of, lng_lat, send_png, serving

from fused_jupyter.widgets import FeatureLayer, FileLayer, ImageLayer

LEFT, RIGHT = (150, 200), (450, 200)


def box(west: float, south: float, east: float, north: float, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": shapely.box(west, south, east, north).__geo_interface__,
        "properties": properties,
    }


def collection(*features: dict[str, Any]) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features})


class LayerSite(Site):
    """UDFs that give files, and one that gives pictures only."""

    def square_file(self, handler: tornado.web.RequestHandler) -> None:
        """A square in the west, or in the east if it is told so."""
        is_east = handler.get_query_argument("side", "west") == "east"
        handler.write(collection(box(20, -20, 60, 20) if is_east else box(-60, -20, -20, 20)))

    def view_file(self, handler: tornado.web.RequestHandler) -> None:
        """The western half of the view that is asked for."""
        west, south, east, north = map(float, handler.get_query_argument("bounds").split(","))
        handler.write(collection(box(west, south, (west + east) / 2, north)))

    def plain_file(self, handler: tornado.web.RequestHandler) -> None:
        """A picture is no file of features."""
        handler.set_status(406)
        handler.write({"error": "The UDF returned an array, which geojson cannot hold", "type": "NotAcceptableError"})

    def failing_file(self, handler: tornado.web.RequestHandler) -> None:
        """An error of a UDF, until it is fixed."""
        if self.fixed:
            handler.write(collection(box(-60, -20, 60, 20)))
            return
        handler.set_status(422)
        handler.write({"error": "KeyError: 'mag'", "type": "UdfRuntimeError", "line": 5, "udf": "failing"})

    async def gated(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        """A picture in the colour of its parameter; all but red ones wait until the gate opens."""
        color = json.loads(handler.get_query_argument("color", json.dumps(RED)))
        while tuple(color) != RED and not self.fixed:
            await asyncio.sleep(0.02)
        send_png(handler, color)


@pytest.fixture
def site() -> Iterator[LayerSite]:
    """What stands in for the Jupyter server."""
    site = LayerSite()
    with serving(site):
        yield site


def filled(color: str) -> dict[str, Any]:
    """A style without outlines or transparency, so that pixels have the very colour."""
    return {"color": color, "opacity": 1, "fill_opacity": 1, "line_width": 0}


def rgb(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def test_a_geodataframe_in_any_crs_is_drawn_where_it_lies(map_page: MapPage) -> None:
    """Its data come by the kernel's message."""
    frame = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.box(*lng_lat(100, 300), *lng_lat(200, 100))], crs=4326)

    map_page.show(FeatureLayer(frame.to_crs(3857), name="boxes", style=filled(rgb(BLUE))))

    map_page.wait_color(BLUE, LEFT)
    assert map_page.color(RIGHT) not in {BLUE, RED}


def test_hexagons_are_drawn_from_a_column_of_cells(map_page: MapPage) -> None:
    """A large cell holds the middle of the map, and its neighbours are not drawn."""
    cells = pd.DataFrame({"hex": [h3.str_to_int(h3.latlng_to_cell(0, 0, 1))]})

    map_page.show(FeatureLayer(cells, name="cells", style=filled(rgb(GREEN))))

    map_page.wait_color(GREEN, CENTRE)
    assert map_page.color(LEFT) != GREEN
    assert map_page.color(RIGHT) != GREEN


def test_an_image_lies_at_its_bounds_in_web_mercator(map_page: MapPage) -> None:
    """Rows that are even in degrees are not even on the map: each pixel lies where its latitude is."""
    pixels = np.zeros((3, 80, 10), np.uint8)
    pixels[0, :20] = 255  # red from 80 to 40 degrees north
    pixels[2, 20:] = 255  # blue from there to 80 degrees south
    image = ImageLayer(pixels, name="image", bounds=[-20, -80, 20, 80])

    map_page.show(image, zoom=0)

    def row_of(latitude: float) -> int:
        return next(y for y in range(400) if lng_lat(300, y, zoom=0)[1] < latitude)

    border = row_of(40)
    map_page.wait_color(RED, (300, border - 4))
    assert map_page.color((300, border + 4)) == BLUE
    assert map_page.color((300, row_of(79))) == RED
    assert map_page.color((300 + 40, border)) not in {RED, BLUE}


def test_a_file_layer_draws_what_the_udf_gives(map_page: MapPage) -> None:
    """With the map's values; the old features stay until the new ones are there."""
    map_page.show(FileLayer("square", parameters=("side",), version="1", style=filled(rgb(RED))))
    map_page.wait_color(RED, LEFT)

    map_page.set("params", {"side": "east"})

    map_page.wait_color(RED, RIGHT)
    assert map_page.color(LEFT) != RED


def test_a_file_layer_follows_the_view(map_page: MapPage) -> None:
    """When the map rests elsewhere, its UDF has run for what is seen there; the last view wins."""
    map_page.show(FileLayer("view", follow=True, viewport="bounds", version="1", style=filled(rgb(RED))))
    map_page.wait_color(RED, LEFT)
    assert map_page.color(RIGHT) != RED

    map_page.page.evaluate("views[0].model.set('bounds', [100, -10, 140, 10])")

    map_page.wait_color(RED, (30, 200))
    map_page.wait_idle()
    assert map_page.color((570, 200)) != RED


def test_a_file_that_fails_says_why(map_page: MapPage, site: LayerSite) -> None:
    """As tiles do; trying again draws it."""
    map_page.show(FileLayer("failing", version="1", style=filled(rgb(RED))), wait=False)
    map_page.page.wait_for_selector(".fused-map[data-failed='1']")
    assert map_page.status.startswith("1 file failed: KeyError: 'mag' (line 5)")

    site.fixed = True
    map_page.page.get_by_role("button", name="retry").click()

    map_page.wait_color(RED, CENTRE)


def test_a_udf_whose_file_is_no_features_is_drawn_as_tiles(map_page: MapPage) -> None:
    """Nobody has to say which kind it is."""
    map_page.show(FileLayer("plain", version="1"))

    map_page.wait_color(RED, CENTRE)
    assert map_page.page.locator(".fused-map").get_attribute("data-failed") == "0"


def test_old_tiles_stay_until_the_new_ones_are_there(map_page: MapPage, site: LayerSite) -> None:
    """While new values are computed, no frame is blank."""
    map_page.show(layer_of("gated", kind="raster"))
    map_page.wait_color(RED)

    map_page.set("params", {"color": list(GREEN)})
    seen = {map_page.color() for _ in range(8)}
    site.fixed = True
    while GREEN not in seen:
        seen.add(map_page.color())

    assert seen == {RED, GREEN}


def test_the_world_lies_below_without_the_internet(map_page: MapPage) -> None:
    """Land and sea differ, in the light and in the dark, and the layers stay on top."""
    frame = gpd.GeoDataFrame(geometry=[shapely.box(-100, -60, -90, -50)], crs=4326)
    map_page.show(FeatureLayer(frame, style=filled(rgb(RED)), name="ours"), basemap="world", zoom=0)
    land, sea, ours = (300 + 35, 200), (300 - 35, 200), (300 - 135, 295)  # Congo, Atlantic, a box in the Pacific
    map_page.wait_color((251, 251, 249), land)
    assert map_page.color(sea) == (230, 235, 239)
    assert map_page.color(ours) == RED

    map_page.page.evaluate("document.body.dataset.jpThemeLight = 'false'")

    map_page.wait_color((43, 50, 58), land)
    assert map_page.color(sea) == (23, 27, 32)
    assert map_page.color(ours) == RED


def test_a_page_without_a_server_gets_the_world_from_the_kernel(map_page: MapPage) -> None:
    """By the comm, as everything."""
    map_page.page.evaluate("document.getElementById('jupyter-config-data').textContent = '{}'")

    map_page.show(basemap="world", zoom=0)

    map_page.wait_color((251, 251, 249), (335, 200))


def test_the_panel_hides_orders_and_fades_layers(map_page: MapPage) -> None:
    """At once on the map, and in the trait that Python reads."""
    red = FeatureLayer(gpd.GeoSeries([shapely.box(-60, -20, 60, 20)], crs=4326), name="red", style=filled(rgb(RED)))
    blue = FeatureLayer(gpd.GeoSeries([shapely.box(-60, -20, 60, 20)], crs=4326), name="blue", style=filled(rgb(BLUE)))
    map_page.show(red, blue, layer_panel="auto", height="400px")
    page = map_page.page
    map_page.wait_color(BLUE, LEFT)

    page.get_by_role("checkbox", name="blue").uncheck()
    map_page.wait_color(RED, LEFT)
    page.get_by_role("checkbox", name="blue").check()
    page.get_by_role("button", name="Move red").press("ArrowUp")
    map_page.wait_color(RED, LEFT)
    page.get_by_label("Opacity of red").fill("0")
    map_page.wait_color(BLUE, LEFT)

    page.wait_for_function("views[0].model.saved.layer_states?.[1].opacity === 0")
    assert map_page.saved("layer_states") == [
        {"name": "blue", "visible": True, "opacity": 1, "color": None},
        {"name": "red", "visible": True, "opacity": 0, "color": None},
    ]


def test_a_layer_is_dragged_below_another(map_page: MapPage) -> None:
    """By the mouse on its grip."""
    red = FeatureLayer(gpd.GeoSeries([shapely.box(-60, -20, 60, 20)], crs=4326), name="red", style=filled(rgb(RED)))
    blue = FeatureLayer(gpd.GeoSeries([shapely.box(-60, -20, 60, 20)], crs=4326), name="blue", style=filled(rgb(BLUE)))
    map_page.show(red, blue, layer_panel=True)
    map_page.wait_color(BLUE, LEFT)

    grip = map_page.page.get_by_role("button", name="Move blue")
    last = map_page.page.locator(".fused-layers li").last.bounding_box()
    assert last
    grip.hover()
    map_page.page.mouse.down()
    map_page.page.mouse.move(last["x"] + 8, last["y"] + last["height"] - 2, steps=4)
    map_page.page.mouse.up()

    map_page.wait_color(RED, LEFT)
    assert [state["name"] for state in map_page.saved("layer_states")] == ["blue", "red"]


def test_a_layer_of_one_colour_gets_another(map_page: MapPage) -> None:
    """Only where the style is of one colour is there one to choose."""
    frame = gpd.GeoDataFrame({"kind": ["a"]}, geometry=[shapely.box(-60, -20, 60, 20)], crs=4326)
    map_page.show(FeatureLayer(frame, name="one", style=filled(rgb(RED))), layer_panel=True)
    map_page.wait_color(RED, LEFT)

    map_page.page.get_by_label("Colour of one").fill(rgb(BLUE))

    map_page.wait_color(BLUE, LEFT)


def test_the_panel_shows_from_two_layers_on(map_page: MapPage) -> None:
    """One layer needs no list, unless it is asked for."""
    shape = gpd.GeoSeries([shapely.box(-60, -20, 60, 20)], crs=4326)
    panel = map_page.page.locator("details", has=map_page.page.locator(".fused-layers"))

    map_page.show(FeatureLayer(shape, name="one"), layer_panel="auto")
    assert panel.is_hidden()
    map_page.set("layer_panel", True)
    assert panel.is_visible()
