"""The panel, the player and the liveliness of a map in a real browser."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
import tornado.web
from map_page import BLUE, CENTRE, GREEN, RED, MapPage, Site, layer_of, send_png, serving
from PIL import Image

from fused_jupyter.udfs.controls import controls_of
from fused_jupyter.udfs.parsing import parse

pytestmark = pytest.mark.browser

LEFT, RIGHT = (40, 300), (560, 380)
SIGNATURE = """
@fused.udf
def f(bounds: fused.types.Bounds = None, min_mag: float = 4.0, depth: tuple[int, int] = (10, 70),
      band: Literal["red", "nir"] = "nir", bands: list[Literal["a", "b"]] = ["a"], deep: bool = True,
      column: str = "mag", year: int = 2020, day: str = "2024-05-01", limit: float | None = None,
      month: Annotated[int, fused.Control(1, 12, play=True, seconds=0.05)] = 1): pass
"""
MONTH = "@fused.udf\ndef f(month: Annotated[int, fused.Control(1, 4, play=True, seconds=0.05, loop=False)] = 1): pass"


class LiveSite(Site):
    """UDFs that take time, wait for the test, or fail in one place."""

    def __init__(self) -> None:
        super().__init__()
        self.abandoned = 0
        self.under_way = 0

    def months(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        """Each month in its own shade."""
        send_png(handler, shade(int(handler.get_query_argument("month", "1"))))

    async def gated(self, handler: tornado.web.RequestHandler, extension: str) -> None:
        """The second version waits until it is fixed."""
        if handler.get_query_argument("v") == "2":
            while not self.fixed:
                await asyncio.sleep(0.02)
            send_png(handler, GREEN)
        else:
            self.plain(handler, extension)

    async def slow(self, handler: tornado.web.RequestHandler, extension: str) -> None:
        """As slow as a UDF on a busy machine, unless nobody waits for it any more."""
        task = asyncio.ensure_future(asyncio.sleep(0.4))
        handler.request.connection.set_close_callback(task.cancel)  # type: ignore[union-attr]
        self.under_way += 1
        try:
            await task
        except asyncio.CancelledError:
            self.abandoned += 1
            return
        finally:
            self.under_way -= 1
        self.plain(handler, extension)

    def patchy(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        """One tile in nine fails, the others are green."""
        z, x, y = map(int, handler.request.path.rsplit(".", 1)[0].split("/")[-3:])
        assert z > 1
        if (x % 3, y % 3) != (1, 1):
            send_png(handler, GREEN)
            return
        handler.set_status(422)
        handler.write({"error": "KeyError: 'mag'", "type": "UdfRuntimeError", "line": 5, "udf": "patchy"})

    def kept(self, handler: tornado.web.RequestHandler, extension: str) -> None:
        """Every answer is one of an earlier run."""
        handler.set_header("x-fused-cached", "1")
        self.plain(handler, extension)


@pytest.fixture
def site() -> Iterator[LiveSite]:
    """Instead of the usual one."""
    with serving(LiveSite()) as running:
        yield running


def shade(month: int) -> tuple[int, int, int]:
    return (20 * month, 100, 0)


def controls(source: str) -> list[dict[str, Any]]:
    return [asdict(control) for control in controls_of(parse(source).parameters)]


def color_control(**values: Any) -> dict[str, Any]:
    control = {"name": "color", "kind": "steps", "type": "list", "value": [0, 0, 0], "label": "", "optional": False}
    return {**control, "min": None, "max": None, "step": None, "options": None, "play": None, **values}


def boxes(map_page: MapPage, selector: str) -> dict[str, dict[str, float]]:
    """Where the visible elements of this kind lie, by their text."""
    found = {}
    for element in map_page.page.query_selector_all(selector):
        box = element.bounding_box()
        if element.is_visible() and box and box["width"] * box["height"] > 0:
            found[f"{len(found)} {element.inner_text()[:20]}"] = box
    return found


def overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    return all(
        one[start] < other[start] + other[size] - 0.5 and other[start] < one[start] + one[size] - 0.5
        for start, size in (("x", "width"), ("y", "height"))
    )


def test_a_cell_that_runs_again_reloads_its_layer_alone_and_keeps_the_old_tiles_until_then(map_page: MapPage) -> None:
    """The other layer asks for nothing, the camera stays, and red is seen until green is there."""
    site = map_page.site
    assert isinstance(site, LiveSite)
    other = layer_of("plain", kind="raster", name="other", params={"color": [*BLUE]}, opacity=0)
    layer = layer_of("gated", kind="raster")
    map_page.show(other, layer)
    map_page.page.mouse.move(*CENTRE)
    map_page.page.mouse.wheel(0, -200)
    map_page.page.wait_for_function("views[0].model.saved.view_state?.zoom > 2")
    map_page.wait_idle()
    camera = map_page.saved("view_state")
    asked = len(site.paths("/plain/"))

    map_page.set("layers", [other.to_json(), {**layer.to_json(), "version": "2"}])
    map_page.page.wait_for_selector(".fused-status:has-text('0/')")
    assert [map_page.color(place) for place in (CENTRE, LEFT, RIGHT)] == [RED] * 3
    map_page.site.fixed = True

    for place in (CENTRE, LEFT, RIGHT):
        map_page.wait_color(GREEN, place)
    map_page.wait_idle()
    assert map_page.saved("view_state") == camera
    assert len(site.paths("/plain/")) == asked


def test_one_failed_tile_in_nine_says_so_and_the_rest_goes_on(map_page: MapPage) -> None:
    """Its neighbours are drawn; the mark tells the error, the line, the tile, and all that by keyboard."""
    map_page.show(layer_of("patchy", kind="raster"), zoom=3, center=[-11.25, 0])

    mark = map_page.page.locator(".fused-tile-error").first
    mark.wait_for()
    place = mark.bounding_box()
    assert place
    middle = (int(place["x"] + place["width"] / 2), int(place["y"] + place["height"] / 2))
    assert map_page.color((middle[0], middle[1] + 40)) not in {GREEN, RED}, "the background shows through"
    reach = 256
    neighbours = [(middle[0] + dx, middle[1] + dy) for dx, dy in itertools.product((-reach, 0, reach), repeat=2)]
    seen = [map_page.color(each) for each in neighbours if 50 < each[0] < 600 and 0 < each[1] < 370 and each != middle]
    assert len(seen) >= 2
    assert set(seen) == {GREEN}
    assert "tile failed: KeyError: 'mag' (line 5)" in map_page.status.replace("tiles", "tile")

    mark.focus()
    map_page.page.keyboard.press("Enter")
    assert mark.inner_text().split("\n")[0] == "KeyError: 'mag' (line 5)"
    assert "of patchy" in mark.inner_text()
    assert mark.get_attribute("aria-expanded") == "true"


def test_the_status_line_counts_tiles_seconds_and_what_was_kept(map_page: MapPage) -> None:
    """While they load, how many of how many; at the end, all of them, and how many cost no run."""
    map_page.show(layer_of("gated", kind="raster", version="2"), wait=False)
    map_page.page.wait_for_function(
        r"/^0\/8 tiles · (0\.[3-9]|[1-9]\d*\.\d) s · /.test(document.querySelector('.fused-status span').textContent)"
    )
    map_page.site.fixed = True
    map_page.wait_idle()
    assert re.match(r"8 tiles in \d\.\d s · idle · HTTP", map_page.status)
    news = map_page.page.locator(".fused-status [aria-live=polite]")
    assert news.text_content() == "HTTP via /x/", "counts are not announced"

    map_page.set("layers", [layer_of("kept", kind="raster").to_json()])

    map_page.page.wait_for_selector(".fused-status:has-text('8 cached')")
    map_page.wait_idle()
    assert re.match(r"8 tiles in \d\.\d s · 8 cached · idle · HTTP", map_page.status)


def test_a_slider_storm_ends_with_the_last_value_and_leaves_nothing_behind(map_page: MapPage) -> None:
    """100 moves in 5 seconds: most are cancelled on the way, the last is drawn, and soon nothing is under way."""
    site = map_page.site
    assert isinstance(site, LiveSite)
    options = [[str(i), [2 * i, 40, 200]] for i in range(101)]
    map_page.show(
        layer_of("slow", kind="raster"), controls=[color_control(options=options, value=options[0][1])], zoom=3
    )

    map_page.page.evaluate("""async () => {
        const slider = document.querySelector('[type=range]');
        for (let i = 1; i <= 100; i++) {
            slider.value = i;
            slider.dispatchEvent(new Event('input', { bubbles: true }));
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        slider.dispatchEvent(new Event('change', { bubbles: true }));
    }""")

    map_page.wait_color((200, 40, 200), LEFT)
    map_page.wait_idle()
    assert site.under_way == 0
    assert site.abandoned >= 20
    generations = {path.partition("color=")[2].partition("&")[0] for path in site.paths("/slow/")}
    assert len(generations) < 75, "no more than the server can begin"
    assert map_page.saved("params") == {"color": [200, 40, 200]}


def test_the_player_shows_whole_frames_one_after_the_other(map_page: MapPage) -> None:
    """Each frame's tiles are asked for once, before it is shown; it stops at the end."""
    map_page.show(layer_of("months", kind="raster", parameters=("month",)), controls=controls(MONTH))
    first = Counter(path.partition("?")[0] for path in map_page.site.paths("/months/"))
    map_page.page.evaluate("""() => {
        window.months = [];
        views[0].model.on('change:params', () => {
            const tiles = performance.getEntriesByType('resource').filter(({ name }) => name.includes('/months/'));
            const { month } = views[0].model.get('params');
            months.push([month, tiles.filter(({ name }) => name.includes(`month=${month}&`)).length]);
        });
    }""")

    map_page.page.get_by_label("Play", exact=True).click()
    map_page.wait_color(shade(4))
    map_page.page.get_by_label("Play", exact=True).wait_for()

    count = first.total()
    assert map_page.page.evaluate("months") == [[2, count], [3, count], [4, count]], "all tiles were there before"
    for month in (2, 3, 4):
        assert Counter(path.partition("?")[0] for path in map_page.site.paths(f"month={month}&")) == first
    assert [map_page.color(place) for place in (CENTRE, LEFT, RIGHT)] == [shade(4)] * 3


def test_all_controls_work_by_keyboard(map_page: MapPage) -> None:
    """Tab reaches each, arrows and the space bar move them, Escape closes the panel; values keep their type."""
    map_page.show(layer_of("months", kind="raster", parameters=("month",)), controls=controls(SIGNATURE))
    page = map_page.page
    keys = {
        "min_mag": "ArrowRight",
        "depth from": "ArrowRight",
        "depth to": "ArrowLeft",
        "band": "ArrowUp",
        "b": "Space",
        "deep": "Space",
        "year": "ArrowUp",
    }
    visited = []
    page.locator(".fused-panel > summary", has_text="Parameters").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        name = page.evaluate("""() => {
            const { ariaLabel, labels, textContent } = document.activeElement;
            return ariaLabel ?? labels?.[0]?.querySelector('.fused-name')?.textContent ?? labels?.[0]?.textContent
                ?? textContent;
        }""")
        if page.evaluate("document.activeElement === document.body"):
            break
        if name in visited:
            continue  # the parts of a date
        visited.append(name)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", name
        assert page.locator("[data-lm-suppress-shortcuts]:focus").count() == 1, f"JupyterLab would take keys of {name}"
        if name in keys:
            page.keyboard.press(keys[name])

    wanted = [*keys, "column", "day", "limit", "month", "Previous", "Play", "Next", "Start again at the end", "Speed"]
    assert set(wanted) <= set(visited)
    page.wait_for_function("views[0].model.saved.params?.year === 2021")
    assert map_page.saved("params") == {
        "min_mag": 4.05,
        "depth": [11, 69],
        "band": "red",
        "bands": ["a", "b"],
        "deep": False,
        "year": 2021,
    }
    page.get_by_role("slider", name="min_mag").focus()
    page.keyboard.press("Escape")
    assert page.locator(".fused-panel[open]", has_text="Parameters").count() == 0
    assert page.evaluate("document.activeElement.textContent") == "Parameters"


@pytest.mark.parametrize(("width", "height"), [(400, 300), (400, 480), (600, 400)])
def test_nothing_lies_upon_another_thing(map_page: MapPage, width: int, height: int) -> None:
    """On a small map: panels, buttons and the status line, whichever panel is open; and some of the map stays free."""
    map_page.page.set_viewport_size({"width": width, "height": height})
    map_page.show(
        layer_of("blocks", kind="vector", style={"color": "#ff0000", "fill_opacity": 1}),
        layer_of("months", kind="raster", opacity=0.01, parameters=("month",)),
        controls=controls(SIGNATURE),
        height=f"{height}px",
        layer_panel=True,
    )
    panels = map_page.page.locator(".fused-panel:visible")
    assert panels.count() == 3, "parameters, layers, legend"
    for i in range(panels.count()):
        panel = panels.nth(i)
        if panel.get_attribute("open") is None:
            panel.locator("summary").click()
        panel.evaluate("panel => new Promise((resolve) => requestAnimationFrame(resolve))")
        found = boxes(map_page, ".fused-panel, .maplibregl-ctrl-group, .fused-status, .maplibregl-ctrl-attrib")
        for (name, one), (other_name, other) in itertools.combinations(found.items(), 2):
            assert not overlap(one, other), f"{name!r} and {other_name!r}"
        for name, box in found.items():
            assert box["height"] >= 19, f"{name} is squeezed"
            assert box["x"] >= 0, name
            assert box["y"] >= 0, name
            assert box["x"] + box["width"] <= width, name
            assert box["y"] + box["height"] <= height, name
        covered = sum(box["width"] * box["height"] for box in found.values())
        assert covered < 0.65 * width * height, "too little of the map is left"
        assert panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth + 1"), "it scrolls down, never sideways"


def test_the_theme_of_the_page_is_the_theme_of_the_panels(map_page: MapPage) -> None:
    """JupyterLab's theme wins over the system's; dark is dark."""
    map_page.page.emulate_media(color_scheme="dark")
    map_page.show(layer_of("plain", kind="raster"), controls=controls(MONTH))

    def back() -> tuple[int, int, int]:
        box = map_page.page.locator(".fused-panel:visible").first.bounding_box()
        assert box
        image = Image.open(io.BytesIO(map_page.page.screenshot())).convert("RGB")
        return image.getpixel((int(box["x"] + box["width"] - 6), int(box["y"] + 14)))  # type: ignore[return-value]

    assert back() == (36, 41, 47)
    map_page.page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    assert back() == (255, 255, 255)
    map_page.page.emulate_media(color_scheme="light")
    map_page.page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    assert back() == (36, 41, 47)


def test_a_param_set_in_python_moves_the_control_and_the_map(map_page: MapPage) -> None:
    """And Reset puts both back."""
    map_page.show(layer_of("months", kind="raster", parameters=("month",)), controls=controls(SIGNATURE))

    map_page.set("params", {"month": 7, "depth": [20, 30], "band": "red"})

    map_page.wait_color(shade(7))
    assert map_page.page.get_by_role("slider", name="month", exact=True).input_value() == "7"
    assert map_page.page.get_by_label("depth to").input_value() == "30"
    assert json.loads(json.dumps(map_page.saved("params")))["band"] == "red"

    map_page.page.get_by_role("button", name="Reset").click()

    map_page.wait_color(shade(1))
    assert map_page.page.get_by_label("depth to").input_value() == "70"
