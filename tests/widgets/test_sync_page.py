"""Maps that look at the same place, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from map_page import GREEN, RED, MapPage, layer_of, state_of

pytestmark = pytest.mark.browser

COMPARE = """async ([left, right, state]) => {
  const { default: widget } = await import("/x/kernel/compare.js");
  const maps = { left, right };
  const spare = views.pop();
  spare.dispose();
  spare.el.remove();
  const Model = spare.model.constructor;
  const manager = {
    get_model: async (id) => maps[id],
    create_view: async (state) => {
      const holder = document.createElement("div");
      window.show(state);
      const view = views.at(-1);
      holder.append(view.el);
      return { el: holder, remove: view.dispose };
    },
  };
  window.comparison = new Model({ ...state, maps: ["IPY_MODEL_left", "IPY_MODEL_right"] });
  comparison.widget_manager = manager;
  const el = document.createElement("div");
  document.body.append(el);
  window.endComparison = widget.render({ model: comparison, el });
}"""


def state_of_view(map_page: MapPage, number: int) -> Any:
    """Where a map looks, as Python knows it."""
    return map_page.page.evaluate("n => views[n].model.saved.view_state", number)


def test_maps_of_a_group_move_together(map_page: MapPage) -> None:
    """Who moves one moves the other, once, and those of no group stay; a map that joins looks where the others do."""
    for group in ("a/0", "a/1", ""):
        map_page.show(layer_of("plain", kind="raster"), wait=False, height="190px", sync_group=group)
    map_page.page.wait_for_function("document.querySelectorAll('.fused-map[data-idle=true]').length === 3")

    map_page.page.mouse.move(100, 95)
    map_page.page.mouse.wheel(0, -240)

    map_page.page.wait_for_function("views[0].model.saved.view_state?.zoom > 2.2")
    map_page.page.wait_for_function(
        "JSON.stringify(views[0].model.saved.view_state) === JSON.stringify(views[1].model.saved.view_state)"
    )
    settled = state_of_view(map_page, 0)
    map_page.page.wait_for_timeout(500)
    assert state_of_view(map_page, 0) == state_of_view(map_page, 1) == settled
    assert (state_of_view(map_page, 2) or {"zoom": 2})["zoom"] == 2

    map_page.page.evaluate("views[2].model.set('sync_group', 'a/2')")
    map_page.page.wait_for_function(
        "JSON.stringify(views[2].model.saved.view_state) === JSON.stringify(views[0].model.saved.view_state)"
    )
    map_page.page.evaluate("views[0].model.set('sync_group', '')")
    map_page.page.mouse.wheel(0, 240)
    map_page.page.wait_for_function("views[0].model.saved.view_state.zoom < 2.1")
    assert state_of_view(map_page, 1) == settled


def test_python_moves_the_map_and_hears_what_it_shows(map_page: MapPage) -> None:
    """A flight ends at its place, and the bounds in view are those of the page; across the antimeridian too."""
    map_page.show(layer_of("plain", kind="raster"))
    map_page.set("center", [178, 10])
    map_page.set("zoom", 3)

    map_page.page.evaluate("views[0].model.emit('msg:custom', { kind: 'fly' }, [])")

    map_page.page.wait_for_function("views[0].model.saved.view_state?.longitude === 178")
    half = 300 / (512 * 8) * 360
    west, south, east, north = map_page.saved("view_bounds")
    assert (west, east) == pytest.approx((178 - half, 178 + half - 360), abs=1e-4)
    assert south < 10 < north


def test_a_divider_goes_over_two_maps(map_page: MapPage) -> None:
    """Left of it is the one map, right of it the other; it follows the mouse and the keys, and can be left out."""
    left = state_of(layer_of("plain", kind="raster"), params={"color": [*RED]}, sync_group="c/0")
    right = state_of(layer_of("plain", kind="raster"), params={"color": [*GREEN]}, sync_group="c/1", height="150px")
    comparison = {"mode": "swipe", "position": 0.5, "height": "400px"}
    map_page.show()
    map_page.page.evaluate(COMPARE, [left, right, comparison])
    map_page.wait_color(RED, (250, 300))
    map_page.wait_color(GREEN, (350, 300))

    divider = map_page.page.get_by_role("slider", name="Divider between the two maps")
    map_page.page.mouse.move(300, 330)
    map_page.page.mouse.down()
    map_page.page.mouse.move(450, 330)
    map_page.page.mouse.up()
    map_page.wait_color(RED, (420, 300))
    assert map_page.color((470, 300)) == GREEN
    assert divider.get_attribute("aria-valuenow") == "75"

    divider.press("Home")
    map_page.wait_color(GREEN, (100, 300))
    for _ in range(3):
        divider.press("PageUp")
    map_page.wait_color(RED, (150, 300))
    assert map_page.page.evaluate("comparison.saved.position") == pytest.approx(0.3)

    map_page.page.evaluate("comparison.set('mode', 'side by side')")
    map_page.wait_color(RED, (280, 300))
    map_page.wait_color(GREEN, (320, 300))
    assert not divider.is_visible()
    map_page.page.evaluate("endComparison()")
    assert map_page.page.locator(".fused-map").count() == 0
