"""What the map in a real browser tells of what lies under the pointer, judged by texts and by what Python hears."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import mapbox_vector_tile
import mercantile
import numpy as np
import pytest
import tornado.web
import xarray as xr
from map_page import CENTRE, HEIGHT, WIDTH, MapPage, Site, layer_of, lng_lat, serving

from fused_jupyter.formats import Target, TileFrame, Wanted, encode
from fused_jupyter.tiles import Tile
from fused_jupyter.widgets import ImageLayer

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="window.pwned = true"><b>bold</b>'
RING = "POLYGON ((0 0, 4096 0, 4096 4096, 0 4096, 0 0))"
GRID = xr.DataArray(
    (np.arange(40)[:, None] * 100 + np.arange(80)).astype(np.int16),
    dims=("y", "x"),
    coords={"y": 19.5 - np.arange(40), "x": -39.5 + np.arange(80)},
)
"""Values that tell their row and column; a degree each, from 40 west to 40 east and 20 south to 20 north."""


class PointedSite(Site):
    """UDFs with something to point at; their values go through the encoders of the product."""

    def areas(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        """A polygon that fills each tile, with properties of all types."""
        properties = {"name": HOSTILE, "mag": 4.123456789, "year": 2024, "is_deep": True, "long": "x" * 500, "f": 6}
        feature = {"geometry": RING, "properties": properties | {"g": 7, "h": 8}, "id": 17}
        handler.set_header("Content-Type", "application/vnd.mapbox-vector-tile")
        handler.write(mapbox_vector_tile.encode([{"name": "udf", "features": [feature]}]))

    def gradient(self, handler: tornado.web.RequestHandler, extension: str) -> None:
        """An array without a place: floats that tell the tile's column, the pixel's column and its row."""
        tile = tile_of(handler)
        rows, columns = np.mgrid[0:256, 0:256]
        self.send(handler, extension, (tile.x + columns / 256 + rows / 65536).astype(np.float32))

    def placed(self, handler: tornado.web.RequestHandler, extension: str) -> None:
        """A georeferenced array of integers."""
        self.send(handler, extension, GRID)

    def pictures(self, handler: tornado.web.RequestHandler, extension: str) -> None:
        """Three bands of bytes."""
        self.send(handler, extension, np.broadcast_to(np.array([200, 0, 7], np.uint8)[:, None, None], (3, 64, 64)))

    def unsteady(self, handler: tornado.web.RequestHandler, extension: str) -> None:
        """A picture whose array fails."""
        if extension != ".npy":
            return self.gradient(handler, extension)
        handler.set_status(422)
        return handler.write({"error": "KeyError: 'b04'", "line": 3})

    def send(self, handler: tornado.web.RequestHandler, extension: str, value: Any) -> None:
        """The value as the server gives it."""
        tile = tile_of(handler)
        place = Tile(tile.z, tile.x, tile.y)
        frame = TileFrame(z=tile.z, x=tile.x, y=tile.y, bounds=place.bounds, mercator_bounds=place.mercator_bounds)
        wanted = Wanted(formats=(extension[1:] or "png",))
        encoded = encode(value, wanted=wanted, target=Target(tile=frame))
        handler.set_header("Content-Type", encoded.media_type)
        handler.write(encoded.body)


def tile_of(handler: tornado.web.RequestHandler) -> mercantile.Tile:
    """The tile in the address."""
    z, x, y = handler.request.path.partition(".")[0].split("/")[-3:]
    return mercantile.Tile(int(x), int(y), int(z))


@pytest.fixture
def site() -> Iterator[Site]:
    """The server with things to point at."""
    with serving(PointedSite()) as running:
        yield running


def tooltip(map_page: MapPage) -> str:
    """What the tooltip says once it is there."""
    element = map_page.page.locator(".fused-tooltip")
    element.wait_for(state="visible")
    return element.inner_text()


def clicked(map_page: MapPage) -> Any:
    """What Python hears of the last click."""
    map_page.page.wait_for_function("views[0].model.saved.clicked?.time")
    event = map_page.saved("clicked")
    map_page.page.evaluate("views[0].model.saved.clicked = null")
    return event


def test_tooltip_shows_the_first_properties_as_text(map_page: MapPage) -> None:
    """Numbers are short, long texts are cut, and what looks like HTML is shown, not run."""
    map_page.show(layer_of("areas", kind="vector"))

    map_page.page.mouse.move(200, 150)

    shown = tooltip(map_page).split("\n")
    assert shown[0] == "areas"
    assert [*zip(shown[1::2], shown[2::2], strict=False)][:4] == [
        ("name", HOSTILE),
        ("mag", "4.12346"),
        ("year", "2024"),
        ("is_deep", "true"),
    ]
    assert shown[shown.index("long") + 1] == "x" * 159 + "…"
    assert shown[-1] == "2 more"
    assert map_page.page.locator(".fused-tooltip img, .fused-tooltip b").count() == 0
    map_page.page.wait_for_function("views[0].model.saved.hovered?.layer")
    heard = map_page.saved("hovered")
    assert (heard["layer"], heard["id"], heard["properties"]["name"]) == ("areas", 17, HOSTILE)
    assert map_page.page.evaluate("window.pwned") is None

    map_page.page.mouse.move(WIDTH + 20, 20)
    map_page.page.mouse.move(200, HEIGHT + 100)
    map_page.page.locator(".fused-tooltip").wait_for(state="hidden")
    map_page.page.wait_for_function("Object.keys(views[0].model.saved.hovered).length === 0")


def test_click_lists_all_layers_and_tells_python(map_page: MapPage) -> None:
    """The topmost first; a layer whose tooltip is off is not in the popup, but Python hears of it."""
    low = layer_of("areas", kind="vector", name="low", tooltip={"mag": "Magnitude"})
    silent = layer_of("areas", kind="vector", name="silent", tooltip=False)
    pixels = layer_of("pictures", kind="raster", tooltip=["red", "green", "blue"])
    map_page.show(pixels, low, silent, layer_of("areas", kind="vector", name="high", tooltip=["year", "gone"]))

    map_page.page.mouse.click(200, 150)

    event = clicked(map_page)
    assert event["lngLat"] == pytest.approx(lng_lat(200, 150), abs=1e-5)
    assert (event["layer"], event["id"], event["values"]) == ("high", 17, None)
    assert event["properties"]["mag"] == pytest.approx(4.123456789)
    assert [finding["layer"] for finding in event["features"]] == ["high", "silent", "low", "pictures"]
    assert event["features"][-1]["values"] == [200, 0, 7]
    popup = map_page.page.locator(".fused-findings").inner_text().split("\n")
    assert [line for line in popup if line] == [
        *("high", "year", "2024", "gone", "\N{EN DASH}"),
        *("low", "Magnitude", "4.12346"),
        *("pictures", "red", "200", "green", "0", "blue", "7"),
    ]

    map_page.page.keyboard.press("Escape")
    assert map_page.page.locator(".fused-popup").count() == 0


def test_pixel_value_is_the_number_of_the_array(map_page: MapPage) -> None:
    """Each place has the value of the pixel there, whatever colour that got; each tile is asked for once."""
    map_page.show(layer_of("gradient", kind="raster"), zoom=2.2)

    for x, y in ((200, 150), (210, 160), (431, 257), (299, 199), (301, 201)):
        map_page.page.mouse.click(x, y)
        (value,) = clicked(map_page)["values"]
        position = lng_lat(x, y, 2.2)
        place = mercantile.tile(*position, 3)
        bounds = mercantile.xy_bounds(place)
        east, north = mercantile.xy(*position)
        column = math.floor((east - bounds.left) / (bounds.right - bounds.left) * 256)
        row = math.floor((bounds.top - north) / (bounds.top - bounds.bottom) * 256)
        assert value == np.float32(place.x + column / 256 + row / 65536)

    assert len(map_page.site.paths(".npy")) == len({*map_page.site.paths(".npy")}) <= 4
    map_page.page.mouse.move(211, 161)
    assert tooltip(map_page).startswith("gradient\nvalue\n3.6")


def test_values_of_a_placed_raster_are_those_of_its_pixels(map_page: MapPage) -> None:
    """As xarray selects them; beside the raster there is no data, and a 0 in it is a 0."""
    map_page.show(layer_of("placed", kind="raster"))

    for x, y in ((200, 150), (333, 222), (301, 130), (400, 230)):
        map_page.page.mouse.click(x, y)
        event = clicked(map_page)
        longitude, latitude = lng_lat(x, y)
        nearest = GRID.sel(x=longitude, y=latitude, method="nearest")
        assert event["values"] == [int(nearest)]

    map_page.page.mouse.click(300, 20)
    assert clicked(map_page)["values"] == [None]
    assert map_page.page.locator(".fused-findings").inner_text().split("\n") == ["placed", "no data"]


def test_values_of_a_picture_of_pythons_are_those_of_its_array(map_page: MapPage) -> None:
    """Not those of its colours, nor of what was drawn between two pixels."""
    values = (np.arange(6).reshape(2, 3) * 1.25).astype(np.float32)
    image = ImageLayer(values, name="image", bounds=(-60, -40, 60, 40), nodata=0, colormap="viridis")
    map_page.show(layer_of("pictures", kind="raster"), image)

    for x, y in ((200, 150), (300, 150), (400, 150), (200, 250), (301, 250), (400, 250)):
        map_page.page.mouse.click(x, y)
        event = clicked(map_page)
        longitude, latitude = lng_lat(x, y)
        value = float(values[int((40 - latitude) // 40), int((longitude + 60) // 40)])
        assert event["layer"] == "image"
        assert event["values"] == [value or None]
        assert [found["values"] for found in event["features"]] == [[value or None], [200, 0, 7]]

    map_page.page.mouse.move(*pixel_of(50, 30))
    assert tooltip(map_page).startswith("image\nvalue\n2.5\n")


def pixel_of(longitude: float, latitude: float) -> tuple[float, float]:
    """Where a place is on the page."""
    pixels = ((x, y) for x in range(0, WIDTH, 2) for y in range(0, HEIGHT, 2))
    return min(pixels, key=lambda at: math.dist(lng_lat(*at), (longitude, latitude)))


def test_a_tile_without_numbers_says_why(map_page: MapPage) -> None:
    """The UDF's error is in the tooltip, Python gets no value, and the next click asks again."""
    map_page.show(layer_of("unsteady", kind="raster"))

    map_page.page.mouse.click(200, 150)

    assert clicked(map_page)["values"] is None
    assert "KeyError: 'b04'" in map_page.page.locator(".fused-findings").inner_text()
    asked = len(map_page.site.paths(".npy"))
    map_page.page.mouse.click(201, 151)
    clicked(map_page)
    assert len(map_page.site.paths(".npy")) == asked + 1


def test_new_values_of_parameters_are_read_anew(map_page: MapPage) -> None:
    """What was read for other parameters does not answer."""
    map_page.show(layer_of("gradient", kind="raster"))
    map_page.page.mouse.click(*CENTRE)
    clicked(map_page)

    map_page.set("params", {"color": [1]})
    map_page.page.mouse.click(*CENTRE)
    clicked(map_page)

    assert [path.partition("?")[2].startswith("color") for path in map_page.site.paths(".npy")] == [False, True]


def test_a_click_on_nothing_tells_the_place(map_page: MapPage) -> None:
    """Python hears where, and that nothing is there; no popup opens."""
    map_page.show()

    map_page.page.mouse.click(100, 250)

    event = clicked(map_page)
    assert event["lngLat"] == pytest.approx(lng_lat(100, 250), abs=1e-5)
    assert (event["layer"], event["features"]) == (None, [])
    assert map_page.page.locator(".fused-popup").count() == 0


def test_enter_asks_about_the_centre_and_is_heard(map_page: MapPage) -> None:
    """Who has no pointer focuses the map: the answer is shown, said to screen readers, and left by Escape."""
    map_page.show(layer_of("areas", kind="vector", tooltip=["year"]))
    canvas = map_page.page.locator("canvas.maplibregl-canvas")
    map_page.page.keyboard.press("Tab")
    canvas.focus()
    assert map_page.page.locator(".fused-crosshair").is_visible()

    map_page.page.keyboard.press("Enter")

    assert clicked(map_page)["lngLat"] == pytest.approx([0, 0], abs=1e-5)
    assert map_page.page.locator(".fused-said").inner_text() == "areas: year 2024"
    assert map_page.page.locator(".fused-findings").inner_text().split() == ["areas", "year", "2024"]
    map_page.page.keyboard.press("Escape")
    assert map_page.page.locator(".fused-popup").count() == 0
    assert map_page.page.evaluate("document.activeElement.className").startswith("maplibregl-canvas")


def test_an_error_of_a_callback_is_on_the_map(map_page: MapPage) -> None:
    """What Python says of it is in the status line."""
    map_page.show(layer_of("plain", kind="raster"))

    map_page.set("callback_error", "on_click: KeyError: 'mag'")

    assert "on_click: KeyError: 'mag'" in map_page.status
