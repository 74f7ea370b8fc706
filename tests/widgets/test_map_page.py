"""The map in a real browser: what it draws, asks for and says."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from map_page import BLUE, CENTRE, CORNER, GREEN, RED, MapPage, layer_of

from fused_jupyter.widgets._assets import bundle_hash

pytestmark = pytest.mark.browser


def test_raster_tiles_are_drawn_in_their_colour(map_page: MapPage) -> None:
    """A red PNG from the server is a red map."""
    map_page.show(layer_of("plain", kind="raster"))

    assert map_page.color() == RED
    assert "idle · HTTP via /x/" in map_page.status
    assert map_page.saved("transport") == "HTTP via /x/"
    assert map_page.saved("idle") is True


def test_vector_tiles_are_drawn_in_the_layers_colour(map_page: MapPage) -> None:
    """Polygons of an MVT take the colour of the style."""
    style = {"color": "#0000ff", "fill_opacity": 1}

    map_page.show(layer_of("blocks", kind="vector", style=style))

    assert map_page.color() == BLUE


def test_auto_reads_the_kind_from_the_first_tile(map_page: MapPage) -> None:
    """One tile without extension tells images from vector tiles."""
    style = {"color": "#0000ff", "fill_opacity": 1}

    map_page.show(layer_of("plain"), layer_of("blocks", style=style))

    map_page.wait_color(BLUE)
    assert map_page.site.paths("/plain/")[0].partition("?")[0] == "/x/fused/run/tiles/plain/2/2/2"
    assert any(".png?" in path for path in map_page.site.paths("/plain/"))
    assert any(".mvt?" in path for path in map_page.site.paths("/blocks/"))


def test_new_params_are_drawn_where_the_camera_is(map_page: MapPage) -> None:
    """A change of `params` in Python changes the colour; the view stays."""
    map_page.show(layer_of("plain", kind="raster"), params={"color": [*RED], "other": 1})
    map_page.page.mouse.move(*CENTRE)
    map_page.page.mouse.wheel(0, -200)
    map_page.page.wait_for_function("views[0].model.saved.view_state?.zoom > 2")
    before = map_page.saved("view_state")

    map_page.set("params", {"color": [*GREEN], "other": 1})

    map_page.wait_color(GREEN)
    map_page.wait_idle()
    assert map_page.saved("view_state") == before
    assert not map_page.site.paths("other=1"), "the UDF has no parameter of that name"


def test_a_new_version_asks_for_all_tiles_again(map_page: MapPage) -> None:
    """A cell that ran again means new URLs, hence new tiles."""
    map_page.show(layer_of("plain", kind="raster"))
    old = Counter(path.partition("?")[0] for path in map_page.site.paths("/plain/") if "v=1" in path)

    map_page.set("layers", [layer_of("plain", kind="raster", version="2").to_json()])
    map_page.wait_idle()

    assert Counter(path.partition("?")[0] for path in map_page.site.paths("/plain/") if "v=2" in path) == old


def test_a_late_answer_does_not_overwrite_a_newer_one(map_page: MapPage) -> None:
    """Tiles under way when the params change are asked for again, and the slow old ones are not drawn."""
    map_page.show(layer_of("slow_then_quick", kind="raster"), params={"color": [*RED]}, wait=False)
    map_page.page.wait_for_selector(".fused-status:has-text('tiles')")

    map_page.set("params", {"color": [*GREEN]})

    map_page.wait_color(GREEN)
    map_page.page.wait_for_timeout(1200)
    assert map_page.color() == GREEN


@pytest.mark.parametrize(
    ("udf", "kind", "message"),
    [
        ("broken", "raster", "tiles failed: KeyError: 'mag' (line 5)"),
        ("broken_blocks", "vector", "tiles failed: no UDF is called 'broken_blocks'"),
    ],
)
def test_failed_tiles_say_why_and_recover(map_page: MapPage, udf: str, kind: str, message: str) -> None:
    """The status line shows the UDF's error; a repaired UDF draws again, and the error is gone."""
    layer = layer_of(udf, kind=kind, style={"color": "#00a000", "fill_opacity": 1})
    map_page.show(layer)

    assert message in map_page.status
    assert int(map_page.page.get_attribute(".fused-map", "data-failed") or 0) >= 4
    map_page.page.wait_for_function("views[0].model.saved.tile_errors?.length >= 4")
    assert map_page.page.locator(".fused-tile-error").first.inner_text() == message.partition(": ")[2]
    first = map_page.saved("tile_errors")[0]
    assert first["layer"] == udf
    assert first["status"] == (422 if udf == "broken" else 404)
    assert first["line"] == (5 if udf == "broken" else None)

    map_page.site.fixed = True
    map_page.set("layers", [{**layer.to_json(), "version": "2"}])

    map_page.wait_color(GREEN)
    map_page.wait_idle()
    assert "failed" not in map_page.status
    map_page.page.wait_for_function("views[0].model.saved.tile_errors.length === 0")
    assert map_page.page.locator(".fused-tile-error").count() == 0


def test_a_broken_tile_does_not_hide_the_kind_for_ever(map_page: MapPage) -> None:
    """An "auto" layer whose first tile failed is drawn after the repair."""
    layer = layer_of("broken")
    map_page.show(layer)
    assert "1 tile failed: KeyError: 'mag' (line 5)" in map_page.status

    map_page.site.fixed = True
    map_page.page.click("text=retry")

    map_page.wait_color(GREEN)


def test_busy_tiles_are_asked_for_again_after_retry_after(map_page: MapPage) -> None:
    """503 with Retry-After is a matter of waiting, and the map waits."""
    map_page.site.busy_answers = 4

    map_page.show(layer_of("busy", kind="raster"), wait=False)

    map_page.page.wait_for_selector(".fused-status:has-text('the kernel is restarting')")
    map_page.page.wait_for_selector(".fused-map[data-failed='0']")
    map_page.wait_color(GREEN)


def test_requests_carry_the_xsrf_header_and_no_token(map_page: MapPage) -> None:
    """JupyterHub wants the header for every request; the token stays out while the cookie is enough."""
    map_page.show(layer_of("plain", kind="raster"), layer_of("blocks", kind="vector"))

    asked = [request for request in map_page.site.requests if "/fused/" in request.path]
    assert {request.headers.get("X-XSRFToken") for request in asked} == {"xsrf-1"}
    assert len({request.headers["X-Fused-Client"] for request in asked}) == 1
    assert not any("Authorization" in request.headers or "secret" in (request.uri or "") for request in asked)


def test_a_refused_cookie_is_followed_by_the_token_in_a_header(map_page: MapPage) -> None:
    """After a 403 the page's own token opens the server, never in a URL."""
    map_page.site.needs_token = True

    map_page.show(layer_of("plain", kind="raster"))

    assert map_page.color() == RED
    assert not any("secret" in (request.uri or "") for request in map_page.site.requests)


def test_the_bundle_comes_from_the_kernel_when_the_server_has_another_version(map_page: MapPage) -> None:
    """A server with another version of the package answers 404; the kernel has the right one."""
    map_page.site.bundle_hash = "another"

    map_page.show(layer_of("plain", kind="raster"))

    assert map_page.color() == RED
    asked = map_page.page.evaluate(
        "views[0].model.sent.filter(({ kind }) => kind === 'request').map(({ path }) => path)"
    )
    assert asked == [f"fused/static/map.js?v={bundle_hash()}"]


def test_two_maps_share_one_bundle(map_page: MapPage) -> None:
    """The big file is loaded once for a page; each map has its own layers, and may go."""
    map_page.show(layer_of("plain", kind="raster"), height="200px")
    map_page.show(layer_of("plain", kind="raster", params={"color": [*GREEN]}), height="200px")
    map_page.wait_color(GREEN, (300, 300))

    assert map_page.color((300, 100)) == RED
    assert len(map_page.site.paths("static/map.js")) == 1

    map_page.page.evaluate("views[0].dispose()")

    map_page.wait_color(GREEN, (300, 60))
    assert map_page.page.locator(".fused-map").count() == 1


def test_without_a_server_the_map_takes_the_comm_and_says_so(map_page: MapPage) -> None:
    """Tiles come by the kernel's own connection, and the status line and the trait tell why."""
    map_page.show(layer_of("plain", kind="raster"), server_url="http://127.0.0.1:9/")

    map_page.wait_color(RED)
    assert "idle · comm, because / failed: TypeError" in map_page.status
    assert map_page.saved("transport").startswith("comm, because / failed")
    map_page.hosts.discard("127.0.0.1:9")


def test_who_wants_http_only_hears_that_there_is_none(map_page: MapPage) -> None:
    """No tile comes then, and the status line tells why."""
    map_page.show(layer_of("plain", kind="raster"), server_url="http://127.0.0.1:9/", wanted_transport="http")

    assert "no Jupyter server found: " in map_page.status
    assert map_page.saved("transport").startswith("no Jupyter server found")
    assert not map_page.site.paths("/plain/")
    map_page.hosts.discard("127.0.0.1:9")


def test_a_moved_control_changes_the_map_and_the_trait(map_page: MapPage) -> None:
    """The panel works without the kernel, and by keyboard."""
    control = {"name": "color", "kind": "text", "type": "str", "value": "", "min": None, "max": None, "step": None}
    slider = {"name": "day", "kind": "slider", "type": "int", "value": 5, "min": 0, "max": 10, "step": 1}
    layer = layer_of("plain", kind="raster", parameters=("color", "day"))
    map_page.show(layer, controls=[control, slider])

    map_page.page.get_by_label("color").fill(json.dumps(GREEN))
    map_page.page.get_by_label("day").focus()
    map_page.page.keyboard.press("ArrowRight")
    assert map_page.page.locator("[data-lm-suppress-shortcuts]:focus").count() == 1, "JupyterLab would take the key"

    map_page.wait_color(GREEN, CORNER)
    map_page.page.wait_for_function("views[0].model.saved.params?.day === 6")
    assert map_page.saved("params") == {"color": json.dumps(GREEN), "day": 6}
    map_page.wait_idle()
    assert any("day=6" in path for path in map_page.site.paths("/plain/"))

    map_page.set("params", {"color": json.dumps(RED), "day": 2})

    map_page.wait_color(RED, CORNER)
    assert map_page.page.get_by_label("day").input_value() == "2"


def test_bounds_are_fitted_and_the_view_is_told(map_page: MapPage) -> None:
    """The trait `bounds` moves the camera, and the camera's place comes back."""
    map_page.show(layer_of("plain", kind="raster"), bounds=[4.7, 52.2, 5.1, 52.6])
    map_page.page.wait_for_function("views[0].model.saved.view_state")
    assert map_page.saved("view_state")["longitude"] == pytest.approx(4.9, abs=0.01)

    map_page.set("bounds", [170, -20, -170, -10])

    map_page.page.wait_for_function("Math.abs(views[0].model.saved.view_state.longitude) > 179")


def test_a_basemap_lies_below_and_changes_alone(map_page: MapPage) -> None:
    """Layers stay, with their tiles, when the basemap comes and goes."""
    map_page.show(layer_of("plain", kind="raster", visible=False))
    asked = len(map_page.site.paths("/plain/"))

    map_page.set("basemap", "/x/fused/run/tiles/plain/{z}/{x}/{y}.png?base=1&color=[0,0,255]")
    map_page.wait_color(BLUE)
    map_page.set("layers", [layer_of("plain", kind="raster", opacity=1).to_json()])
    map_page.wait_color(RED)
    map_page.set("basemap", None)
    map_page.wait_idle()

    assert map_page.color() == RED
    assert asked == 0
