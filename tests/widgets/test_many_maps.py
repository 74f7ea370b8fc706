"""Many maps on one page, one after the other and all at once: nothing is left behind, and none stays blank."""

from __future__ import annotations

import pytest
from map_page import BLUE, CENTRE, GREEN, RED, MapPage, layer_of

pytestmark = pytest.mark.browser

COUNT_CONTEXTS = """
const getContext = HTMLCanvasElement.prototype.getContext;
const contexts = [];
HTMLCanvasElement.prototype.getContext = function (kind, ...options) {
  const context = getContext.call(this, kind, ...options);
  if (kind.startsWith("webgl") && context && !contexts.some((one) => one.deref() === context))
    contexts.push(new WeakRef(context));
  return context;
};
window.liveContexts = () => contexts.filter((one) => one.deref() && !one.deref().isContextLost()).length;
"""
"""Run in the page before the map's code."""

MAPS = 20
LIMIT = 8
"""Of contexts for our maps; browsers have about 16 for all of a page. Twin: js/src/view/stage.ts."""


@pytest.fixture
def counted(map_page: MapPage) -> MapPage:
    """A page that counts its WebGL contexts."""
    map_page.page.evaluate(COUNT_CONTEXTS)
    return map_page


def test_fifty_reruns_leave_nothing_behind(counted: MapPage) -> None:
    """Heap, nodes, listeners, WebGL contexts, workers and object URLs are after 50 more maps what they were before."""
    counted.show(layer_of("plain", kind="raster"), height="200px")
    assert counted.page.workers, "MapLibre's workers are not seen: nothing would be proven"
    assert counted.page.evaluate("liveContexts()") == 1
    counted.page.evaluate("views.splice(0).forEach((view) => { view.dispose(); view.el.remove(); })")
    before = used_after(counted, 8)

    after = used_after(counted, 50)

    assert after["contexts"] == before["contexts"] == 0
    assert after["workers"] == before["workers"]
    assert after["JSEventListeners"] <= before["JSEventListeners"] + 5
    assert after["Nodes"] <= before["Nodes"] + 5
    assert after["heap"] - before["heap"] < 50 * 20_000, "less than 20 kB for each map, which holds tiles of 256 kB"


def test_twenty_maps_on_a_page_are_all_drawn(counted: MapPage) -> None:
    """Each shows its own colour when it is scrolled to, with no more contexts than a browser has."""
    warnings: list[str] = []
    counted.page.on("console", lambda message: warnings.append(message.text))
    for number in range(MAPS):
        counted.show(layer_of("plain", kind="raster", params={"color": color_of(number)}), wait=False)
    counted.page.wait_for_function(f"document.querySelectorAll('.fused-map[data-idle=true]').length === {MAPS}")

    for number in [*range(MAPS), 0, MAPS // 2]:
        counted.page.evaluate("n => views[n].el.scrollIntoView()", number)
        counted.wait_color(color_of(number))
        assert counted.page.evaluate("liveContexts()") <= LIMIT
    assert not [text for text in warnings if "WebGL" in text]


def test_a_map_that_rested_is_where_it_was(counted: MapPage) -> None:
    """Its camera and its values are what they were, and what has changed meanwhile is drawn."""
    counted.show(layer_of("plain", kind="raster"))
    counted.page.mouse.move(*CENTRE)
    counted.page.mouse.wheel(0, -400)
    counted.page.wait_for_function("views[0].model.saved.view_state?.zoom > 2")
    counted.wait_idle()
    place = counted.saved("view_state")
    for number in range(LIMIT):
        counted.show(layer_of("plain", kind="raster", params={"color": color_of(number)}), wait=False)
    counted.page.evaluate("views.at(-1).el.scrollIntoView()")
    counted.page.wait_for_selector(".fused-map[data-resting=true]")
    counted.page.evaluate("views[0].model.state.layers[0].params = {color: [0, 0, 255]}")

    counted.page.evaluate("views[0].el.scrollIntoView()")

    counted.wait_color(BLUE)
    counted.wait_idle()
    assert counted.saved("view_state") == place
    assert counted.page.locator(".fused-map").first.locator(".fused-frozen").count() == 0


def test_more_maps_than_contexts_in_view_say_that_they_are_paused(counted: MapPage) -> None:
    """A small picture of each is there, and a click draws it anew."""
    counted.page.add_style_tag(content="body { display: grid; grid-template-columns: repeat(4, 150px) }")
    for number in range(LIMIT + 1):
        counted.show(layer_of("plain", kind="raster"), params={"color": color_of(number)}, height="120px", wait=False)
    resting = counted.page.locator(".fused-map[data-resting=true]")
    resting.wait_for()
    counted.wait_color(color_of(0), (75, 70))
    assert "paused, click to go on: this page has more maps than a browser draws at once" in counted.status

    counted.page.mouse.click(75, 70)

    counted.page.wait_for_selector(".fused-map >> nth=0 >> css=:scope[data-resting=false]")
    counted.wait_color(color_of(0), (75, 70))
    assert "paused" not in counted.status
    assert counted.page.evaluate("liveContexts()") <= LIMIT


def test_a_change_wakes_a_map_that_rests(counted: MapPage) -> None:
    """What Python changes on a map that rests is seen at once where it is in view."""
    counted.page.add_style_tag(content="body { display: grid; grid-template-columns: repeat(4, 150px) }")
    for _ in range(LIMIT + 1):
        counted.show(layer_of("plain", kind="raster"), height="120px", wait=False)
    counted.page.locator(".fused-map[data-resting=true]").wait_for()

    counted.set("params", {"color": [*GREEN]})

    counted.wait_color(GREEN, (75, 70))


def test_a_map_that_rests_answers_python(counted: MapPage) -> None:
    """A message wakes it, and is heard by the part that it was for: here, a snapshot is taken."""
    for _ in range(LIMIT + 1):
        counted.show(layer_of("plain", kind="raster"), wait=False)
    counted.page.wait_for_selector(".fused-map[data-resting=true]")

    counted.page.evaluate("views[0].model.emit('msg:custom', {kind: 'picture', request: 'one'}, [])")

    counted.page.wait_for_function(
        "views[0].model.sent.some(({ kind, request }) => kind === 'picture' && request === 'one')"
    )


def test_a_lost_context_is_asked_for_again(counted: MapPage) -> None:
    """A map that the browser stopped comes back by itself; one that it stops again and again says so."""
    counted.show(layer_of("plain", kind="raster"))
    lose = """() => {
        const canvas = document.querySelector('.maplibregl-canvas');
        canvas.getContext('webgl2').getExtension('WEBGL_lose_context').loseContext();
    }"""
    for _ in range(2):
        counted.page.evaluate(lose)
        counted.page.wait_for_selector(".fused-map[data-resting=true]")
        counted.page.wait_for_selector(".fused-map[data-resting=false][data-idle=true]")
        counted.wait_color(RED)

    counted.page.evaluate(lose)

    counted.page.wait_for_selector(".fused-status:has-text('the browser stopped drawing this map; click to try again')")
    counted.page.mouse.click(*CENTRE)
    counted.wait_color(RED)


def color_of(number: int) -> tuple[int, int, int]:
    return 12 * number, 255 - 12 * number, 99


def used_after(page: MapPage, runs: int) -> dict[str, float]:
    """What the page uses when this many maps have come and gone."""
    for _ in range(runs):
        page.show(layer_of("plain", kind="raster"), height="200px", wait=False)
        # By a function: Playwright keeps the element that it gives for a selector.
        page.page.wait_for_function("document.querySelector('.fused-map').dataset.idle === 'true'")
        page.page.evaluate("views.splice(0).forEach((view) => { view.dispose(); view.el.remove(); })")
    page.page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
    session = page.page.context.new_cdp_session(page.page)
    session.send("Performance.enable")
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    contexts = page.page.evaluate("liveContexts()")
    return {**metrics, "heap": heap, "contexts": contexts, "workers": len(page.page.workers)}
