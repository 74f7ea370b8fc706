"""Drawing on the map in a real browser, by mouse, finger and keyboard, judged by pixels and by what Python gets."""

from __future__ import annotations

from typing import Any

import pytest
from map_page import GREEN, MapPage, layer_of, lng_lat
from playwright.sync_api import Browser
from shapely.geometry import shape

pytestmark = pytest.mark.browser


def shapes(map_page: MapPage, count: int) -> list[Any]:
    """The geometries that Python hears of, once there are so many."""
    map_page.page.wait_for_function("n => views[0].model.saved.shapes?.length === n", arg=count)
    return [shape(feature["geometry"]) for feature in map_page.saved("shapes")]


def tool(map_page: MapPage, label: str) -> Any:
    """The button with that label."""
    return map_page.page.get_by_role("button", name=label)


def drag(map_page: MapPage, start: tuple[int, int], end: tuple[int, int]) -> None:
    """As a hand with a mouse."""
    mouse = map_page.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move((start[0] + end[0]) // 2, (start[1] + end[1]) // 2)
    mouse.move(*end)
    mouse.up()


def is_orange(color: tuple[int, int, int]) -> bool:
    """Whether a shape's line is there."""
    red, green, blue = color
    return red > 200 and 70 < green < 160 and blue < 120


def test_a_box_is_dragged_and_cleared(map_page: MapPage) -> None:
    """It has the corners of the drag, is seen, does not move the map, and clearing takes it off."""
    map_page.show(layer_of("plain", kind="raster"), params={"color": [*GREEN]})

    tool(map_page, "Draw a box").click()
    assert "Drag a box" in map_page.page.locator(".fused-draw-hint").inner_text()
    drag(map_page, (200, 120), (400, 300))

    (box,) = shapes(map_page, 1)
    west, north = lng_lat(200, 120)
    east, south = lng_lat(400, 300)
    assert box.bounds == pytest.approx((west, south, east, north), abs=1e-5)
    assert box.exterior.is_ccw
    assert map_page.saved("shapes")[0]["properties"] == {"kind": "box"}
    map_page.wait_idle()
    assert is_orange(map_page.color((300, 120)))
    assert map_page.color((300, 200)) != GREEN != map_page.color((201, 121))
    assert map_page.color((150, 200)) == GREEN
    assert map_page.saved("clicked") is None, "drawing is no click"
    assert not map_page.page.locator(".fused-draw-hint").is_visible()

    tool(map_page, "Clear what is drawn").click()
    shapes(map_page, 0)
    map_page.wait_color(GREEN, (300, 200))
    assert not tool(map_page, "Clear what is drawn").is_visible()


def test_a_polygon_is_clicked_corner_by_corner(map_page: MapPage) -> None:
    """A double click ends it, Backspace takes a corner back, and a drag moves the map on the way."""
    map_page.show(layer_of("plain", kind="raster"), params={"color": [*GREEN]})
    corners = [(200, 120), (400, 140), (300, 320)]

    tool(map_page, "Draw a polygon").click()
    map_page.page.mouse.click(*corners[0])
    map_page.page.mouse.click(500, 40)
    map_page.page.keyboard.press("Backspace")
    map_page.page.mouse.click(*corners[1])
    map_page.page.mouse.dblclick(*corners[2])

    (polygon,) = shapes(map_page, 1)
    wanted = shape({"type": "Polygon", "coordinates": [[lng_lat(*corner) for corner in corners]]})
    assert polygon.symmetric_difference(wanted).area < 1e-3
    assert map_page.page.evaluate("views[0].model.saved.view_state?.zoom ?? 2") == 2, "the double click did not zoom"


def test_escape_ends_drawing(map_page: MapPage) -> None:
    """Nothing is drawn, and a click is a click again."""
    map_page.show(layer_of("plain", kind="raster"), params={"color": [*GREEN]})
    tool(map_page, "Draw a polygon").click()
    map_page.page.mouse.click(200, 120)
    map_page.page.mouse.move(300, 120)

    map_page.page.keyboard.press("Escape")

    assert tool(map_page, "Draw a polygon").get_attribute("aria-pressed") == "false"
    map_page.wait_color(GREEN, (250, 120))
    map_page.page.wait_for_timeout(400)  # what is left of a gesture means nothing
    map_page.page.mouse.click(300, 250)
    map_page.page.wait_for_function("views[0].model.saved.clicked?.time")
    assert map_page.saved("shapes") is None


def test_a_box_is_drawn_by_keyboard_alone(map_page: MapPage) -> None:
    """The tool by Enter, the corners by Enter at the centre, the way between them by arrow keys."""
    map_page.show(layer_of("plain", kind="raster"))
    tool(map_page, "Draw a box").focus()
    keyboard = map_page.page.keyboard
    keyboard.press("Enter")

    keyboard.press("Enter")
    keyboard.press("ArrowRight")
    map_page.page.wait_for_function("views[0].model.saved.view_state?.longitude > 17")
    keyboard.press("ArrowDown")
    map_page.page.wait_for_function("views[0].model.saved.view_state?.latitude < -16")
    keyboard.press("Enter")

    (box,) = shapes(map_page, 1)
    assert box.bounds == pytest.approx((0, lng_lat(0, 300)[1], lng_lat(400, 0)[0], 0), abs=1e-3)


def test_a_box_is_drawn_by_finger(browser: Browser, site: Any) -> None:
    """A touch that moves draws, and neither the map nor the page moves with it."""
    context = browser.new_context(viewport={"width": 600, "height": 400}, has_touch=True)
    context.set_default_timeout(15_000)
    map_page = MapPage(context.new_page(), site)
    map_page.show(layer_of("plain", kind="raster"))
    tool(map_page, "Draw a box").tap()

    devtools = context.new_cdp_session(map_page.page)
    for kind, points in (
        ("touchStart", [{"x": 200, "y": 120}]),
        ("touchMove", [{"x": 300, "y": 200}]),
        ("touchMove", [{"x": 400, "y": 300}]),
        ("touchEnd", []),
    ):
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    (box,) = shapes(map_page, 1)
    assert box.bounds[:1] + box.bounds[3:] == pytest.approx(lng_lat(200, 120), abs=1e-5)
    assert map_page.errors == []
    context.close()


def test_shapes_of_python_lie_over_all_layers_and_base_maps(map_page: MapPage) -> None:
    """Also over a layer that comes later, and after the base map changed; without tools there are no buttons."""
    square = [lng_lat(x, y) for x, y in ((200, 100), (200, 300), (400, 300), (400, 100), (200, 100))]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [square]}}
    map_page.show(shapes=[feature], draw_tools=False)
    edge = (400, 200)
    assert is_orange(map_page.color(edge))
    assert map_page.page.locator(".fused-draw").count() == 0

    map_page.set("layers", [layer_of("plain", kind="raster").to_json()])
    map_page.set("params", {"color": [*GREEN]})
    map_page.wait_color(GREEN, (100, 200))
    assert is_orange(map_page.color(edge))

    map_page.set("basemap", {"version": 8, "sources": {}, "layers": []})
    map_page.set("draw_tools", value=True)
    map_page.wait_idle()
    map_page.page.locator(".fused-draw").wait_for()
    assert is_orange(map_page.color(edge))
