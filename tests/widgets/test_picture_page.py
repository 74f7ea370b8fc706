"""Pictures of a map in a real browser, read back pixel by pixel."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from map_page import BLUE, GREEN, HEIGHT, RED, WIDTH, MapPage, Site, layer_of, map_pages, serving
from PIL import Image
from playwright.sync_api import Browser
from tornado.web import RequestHandler

pytestmark = pytest.mark.browser


class NoisySite(Site):
    """With a UDF that no picture format makes small."""

    def noise(self, handler: RequestHandler, _extension: str) -> None:
        """Every pixel a colour of its own."""
        pixels = np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        handler.set_header("Content-Type", "image/png")
        handler.write(buffer.getvalue())


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(NoisySite()) as running:
        yield running


RECORD = """() => {
const model = views[0].model;
model.pictures = [];
const send = model.send.bind(model);
model.send = (content, callbacks, buffers) => {
  if (content.kind === "picture") {
    const bytes = buffers ? Array.from(new Uint8Array(buffers[0])) : [];
    model.pictures.push({ ...content, bytes });
  } else send(content);
};
}"""


def watch(page: MapPage) -> None:
    """Remember what pictures the page sends."""
    page.page.evaluate(RECORD)


def pictures(page: MapPage, count: int = 1) -> list[dict[str, Any]]:
    """The pictures, once there are so many."""
    page.page.wait_for_function("count => views[0].model.pictures.length >= count", arg=count)
    found: list[dict[str, Any]] = page.page.evaluate("views[0].model.pictures")
    return found


HAS_COME = "views[0].model.pictures.some(({ request }) => request === 'r1')"


def take(page: MapPage) -> tuple[dict[str, Any], Image.Image]:
    """A snapshot, as Python asks for one: again and again, as a map that is being built does not hear yet."""
    page.page.evaluate(f"window.hasCome = () => {HAS_COME}")
    page.page.evaluate("""setInterval(() => hasCome() ||
        views[0].model.emit('msg:custom', {kind: 'picture', request: 'r1'}, []), 100)""")
    page.page.wait_for_function("hasCome()")
    *_, content = page.page.evaluate("views[0].model.pictures")
    return content, Image.open(io.BytesIO(bytes(content["bytes"])))


def test_a_snapshot_has_the_pixels_of_the_page(map_page: MapPage) -> None:
    """As many as the canvas, in its colours, as PNG."""
    map_page.show(layer_of("plain", kind="raster"), params={"color": [*BLUE]})
    watch(map_page)

    content, image = take(map_page)

    assert image.format == "PNG"
    assert image.size == (WIDTH, HEIGHT) == (content["width"], content["height"])
    assert image.convert("RGB").getpixel((WIDTH // 2, HEIGHT // 2)) == BLUE
    assert content["density"] == 1


def test_a_snapshot_has_device_pixels(browser: Browser, site: Site) -> None:
    """On a fine screen there are twice as many."""
    with map_pages(browser, site) as usual:
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=2)
        fine = MapPage(context.new_page(), site)
        fine.show(layer_of("plain", kind="raster"))
        watch(fine)
        content, image = take(fine)
        context.close()

    assert usual.errors == fine.errors == []
    assert (image.size, content["density"]) == ((2 * WIDTH, 2 * HEIGHT), 2)
    assert image.convert("RGB").getpixel((WIDTH, HEIGHT)) == RED


def test_a_snapshot_waits_for_the_tiles(map_page: MapPage) -> None:
    """Asked for while tiles are on their way, it shows them."""
    map_page.show(layer_of("slow_then_quick", kind="raster"), params={"color": [*RED]}, wait=False)
    map_page.page.wait_for_selector(".fused-map[data-idle=false]")
    watch(map_page)

    _, image = take(map_page)

    assert image.convert("RGB").getpixel((WIDTH // 2, HEIGHT // 2)) == RED


def test_legend_and_attribution_are_in_the_picture(map_page: MapPage) -> None:
    """The panel of the legend, with its swatch, where it stands on the page; no other panel and no button."""
    style = {"color": "#00ff00", "fill_opacity": 1}
    basemap = {"version": 8, "sources": {"a": {"type": "geojson", "attribution": "MAKER", "data": EMPTY}}, "layers": []}
    basemap["layers"] = [{"id": "a", "type": "fill", "source": "a"}]
    map_page.show(layer_of("blocks", kind="vector", style=style), basemap=basemap, show_legend=True, controls=[])
    map_page.page.wait_for_selector(".fused-legend .fused-swatch")
    box = map_page.page.locator(".fused-panel:has(.fused-legend)").bounding_box()
    credit = map_page.page.locator(".maplibregl-ctrl-attrib").bounding_box()
    buttons = map_page.page.locator(".maplibregl-ctrl-zoom-in").bounding_box()
    assert box
    assert credit
    assert buttons
    watch(map_page)

    _, image = take(map_page)
    seen = np.asarray(image.convert("RGB")).astype(int)

    page = np.asarray(Image.open(io.BytesIO(map_page.page.screenshot())).convert("RGB")).astype(int)
    for frame in (box, credit):
        part = region(frame)
        assert np.abs(seen[part] - page[part]).mean() < 12, "it looks as on the page"
    assert (seen[region(buttons)] == (0, 255, 0)).all()


def region(box: Any) -> tuple[slice, slice]:
    """The inner part of a frame, rows first."""
    x, y, width, height = (round(box[name]) for name in ("x", "y", "width", "height"))
    return slice(y + 3, y + height - 3), slice(x + 3, x + width - 3)


EMPTY = {"type": "FeatureCollection", "features": []}


@pytest.mark.parametrize("udf", ["plain", "noise"])
def test_the_picture_that_a_notebook_keeps_is_small(map_page: MapPage, udf: str) -> None:
    """Sent by itself when the map rests, in 110 kB at most, whatever is on it; and looks like the map."""
    map_page.page.evaluate("document.body.classList.add('jp-OutputArea-child')")
    map_page.show(layer_of(udf, kind="raster"), keep_picture=True)
    watch(map_page)

    content = pictures(map_page)[0]

    image = Image.open(io.BytesIO(bytes(content["bytes"]))).convert("RGB")
    assert content["request"] == ""
    assert content["type"] in {"image/png", "image/jpeg"}
    assert len(content["bytes"]) <= 110_000
    assert image.width > 200
    if udf == "plain":
        assert image.getpixel((image.width // 2, image.height // 2)) == RED
    else:
        assert np.asarray(image).std() > 15


def test_a_map_that_looks_as_before_is_not_sent_again(map_page: MapPage) -> None:
    """A notebook that did not change is not to be saved again; one that did is."""
    map_page.page.evaluate("document.body.classList.add('jp-OutputArea-child')")
    map_page.show(layer_of("plain", kind="raster"), keep_picture=True)
    watch(map_page)
    pictures(map_page)

    map_page.set("layers", [layer_of("plain", kind="raster", version="2").to_json()])
    map_page.wait_idle()
    map_page.page.wait_for_timeout(2500)
    same = len(map_page.page.evaluate("views[0].model.pictures"))
    map_page.set("params", {"color": [*GREEN]})

    other = pictures(map_page, 2)[1]
    image = Image.open(io.BytesIO(bytes(other["bytes"]))).convert("RGB")
    assert same == 1
    assert image.getpixel((image.width // 2, image.height // 2)) == GREEN


COUNT_FRAMES = """() => {
  window.frames_drawn = 0;
  const draw = WebGL2RenderingContext.prototype.drawElements;
  WebGL2RenderingContext.prototype.drawElements = function (...given) {
    window.frames_drawn += 1;
    return draw.apply(this, given);
  };
}"""


def test_a_map_at_rest_draws_nothing(map_page: MapPage) -> None:
    """Its picture is taken once; a page full of maps costs nothing while nobody touches it."""
    map_page.page.evaluate("document.body.classList.add('jp-OutputArea-child')")
    map_page.show(layer_of("plain", kind="raster"), keep_picture=True)
    watch(map_page)
    pictures(map_page)
    map_page.page.evaluate(COUNT_FRAMES)

    map_page.page.wait_for_timeout(4000)

    assert map_page.page.evaluate("window.frames_drawn") == 0
    take(map_page)
    map_page.page.wait_for_timeout(4000)
    map_page.page.evaluate("window.frames_drawn = 0")
    map_page.page.wait_for_timeout(2500)
    assert map_page.page.evaluate("window.frames_drawn") == 0


def test_front_ends_that_have_no_place_for_it_get_no_picture(map_page: MapPage) -> None:
    """In VS Code it would stand below the map for ever."""
    map_page.show(layer_of("plain", kind="raster"), keep_picture=True)
    watch(map_page)

    map_page.page.wait_for_timeout(2500)

    assert map_page.page.evaluate("views[0].model.pictures") == []
