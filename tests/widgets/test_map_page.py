"""The map in a real browser: what it draws, asks for and says."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import mapbox_vector_tile
import pytest
import tornado.httpserver
import tornado.netutil
import tornado.web
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from fused_jupyter.widgets._assets import asset, bundle_hash
from fused_jupyter.widgets._layer import TileLayer

pytestmark = pytest.mark.browser

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--disable-background-networking",
]
WIDTH, HEIGHT = 600, 400
CENTRE = (WIDTH // 2, HEIGHT // 2)
CORNER = (40, 200)
RED, GREEN, BLUE = (255, 0, 0), (0, 160, 0), (0, 0, 255)

PAGE = """<!doctype html><meta charset="utf-8"><title>map</title><style>body { margin: 0 }</style>
<body>
<script id="jupyter-config-data" type="application/json">{"baseUrl": "/x/", "token": "secret"}</script>
<script type="module">
class StubModel {
  constructor(state) { this.state = state; this.saved = {}; this.callbacks = {}; this.sent = []; }
  get(name) { return this.state[name]; }
  set(name, value) { this.state[name] = value; this.saved[name] = value; this.emit(`change:${name}`); }
  save_changes() {}
  on(event, callback) { (this.callbacks[event] ??= []).push(callback); }
  off(event, callback) { this.callbacks[event] = (this.callbacks[event] ?? []).filter((other) => other !== callback); }
  emit(event, ...values) { for (const callback of this.callbacks[event] ?? []) callback(...values); }
  async send(content) {
    this.sent.push(content);
    if (content.kind !== "bundle") return;
    const bytes = await (await fetch("/x/kernel/map.js")).arrayBuffer();
    this.emit("msg:custom", { kind: "bundle" }, [new DataView(bytes)]);
  }
}
const widget = (await import("/x/kernel/loader.js")).default;
window.show = (state) => {
  const el = document.createElement("div");
  document.body.append(el);
  const model = new StubModel(state);
  const view = { model, el, dispose: widget.render({ model, el }) };
  (window.views ??= []).push(view);
};
window.ready = true;
</script>"""


class Site:
    """What a Jupyter server with the extension answers, for a handful of UDFs; remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tornado.httputil.HTTPServerRequest] = []
        self.bundle_hash = bundle_hash()
        self.needs_token = False
        self.busy_answers = 0
        self.fixed = False
        self.port = 0

    def paths(self, part: str) -> list[str]:
        return [request.uri for request in self.requests if request.uri and part in request.uri]

    async def tile(self, handler: tornado.web.RequestHandler, udf: str, extension: str) -> None:
        answer = getattr(self, udf)(handler, extension)
        if asyncio.iscoroutine(answer):
            await answer

    def plain(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        color = json.loads(handler.get_query_argument("color", json.dumps(RED)))
        _send_png(handler, color)

    def blocks(self, handler: tornado.web.RequestHandler, extension: str) -> None:
        assert extension in {"", ".mvt"}
        ring = "POLYGON ((0 0, 4096 0, 4096 4096, 0 4096, 0 0))"
        body = mapbox_vector_tile.encode([{"name": "udf", "features": [{"geometry": ring, "properties": {"a": 1}}]}])
        handler.set_header("Content-Type", "application/vnd.mapbox-vector-tile")
        handler.write(body)

    def broken(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        if self.fixed:
            return _send_png(handler, GREEN)
        handler.set_status(422)
        return handler.write({"error": "KeyError: 'mag'", "type": "UdfRuntimeError", "line": 5, "udf": "broken"})

    def broken_blocks(self, handler: tornado.web.RequestHandler, extension: str) -> None:
        if self.fixed:
            return self.blocks(handler, extension)
        handler.set_status(404)
        return handler.write({"error": "no UDF is called 'broken_blocks'", "type": "UnknownUdfError"})

    def busy(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        if self.busy_answers > 0:
            self.busy_answers -= 1
            handler.set_status(503)
            handler.set_header("Retry-After", "1")
            return handler.write({"error": "the kernel is restarting", "type": "HostLostError"})
        return _send_png(handler, GREEN)

    async def slow_then_quick(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        """Old values take long, so that their answers come after those of the new ones."""
        color = json.loads(handler.get_query_argument("color", json.dumps(RED)))
        if tuple(color) == RED:
            await asyncio.sleep(1.0)
        _send_png(handler, color)


def _send_png(handler: tornado.web.RequestHandler, color: Any) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (256, 256), tuple(color)).save(buffer, "PNG")
    handler.set_header("Content-Type", "image/png")
    handler.write(buffer.getvalue())


def _application(site: Site) -> tornado.web.Application:
    class Handler(tornado.web.RequestHandler):
        def prepare(self) -> None:
            site.requests.append(self.request)
            is_refused = site.needs_token and self.request.headers.get("Authorization") != "token secret"
            if is_refused and "/fused/" in self.request.path:
                self.set_status(403)
                self.finish()

    class PageHandler(Handler):
        def get(self) -> None:
            self.set_cookie("_xsrf", "xsrf-1")
            self.write(PAGE)

    class PingHandler(Handler):
        def get(self) -> None:
            self.write({"kernel": self.get_query_argument("kernel"), "alive": True, "version": "0"})

    class BundleHandler(Handler):
        def get(self) -> None:
            if self.get_query_argument("v") != site.bundle_hash:
                self.send_error(404)
                return
            self.set_header("Content-Type", "text/javascript")
            self.write(asset("map.js").read_bytes())

    class KernelHandler(Handler):
        """Stands in for the comm."""

        def get(self, name: str) -> None:
            self.set_header("Content-Type", "text/javascript")
            self.write(asset(name).read_bytes())

    class TileHandler(Handler):
        async def get(self, udf: str, extension: str) -> None:
            await site.tile(self, udf, extension)

    return tornado.web.Application(
        [
            (r"/x/page.html", PageHandler),
            (r"/x/kernel/(\w+\.js)", KernelHandler),
            (r"/x/fused/ping", PingHandler),
            (r"/x/fused/static/map\.js", BundleHandler),
            (r"/x/fused/run/tiles/(\w+)/\d+/\d+/\d+(|\.png|\.mvt)", TileHandler),
        ],
        log_function=lambda _handler: None,
    )


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    started = threading.Event()
    stop: list[Callable[[], None]] = []

    async def serve() -> None:
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ending.set))
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        site.port = sockets[0].getsockname()[1]
        server = tornado.httpserver.HTTPServer(_application(site))
        server.add_sockets(sockets)
        started.set()
        await ending.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    yield site
    stop[0]()
    thread.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    assert executable, "these tests need Chromium: apt install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


class MapPage:
    """A page with maps on it."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page = page
        self.site = site
        self.hosts: set[str] = set()
        self.errors: list[str] = []
        page.on("request", lambda request: self.hosts.add(request.url.partition("://")[2].partition("/")[0]))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{site.port}/x/page.html")
        page.wait_for_function("window.ready")

    def show(self, *layers: TileLayer, wait: bool = True, **state: Any) -> None:
        self.page.evaluate("state => window.show(state)", _state(*layers, **state))
        if wait:
            self.wait_idle()

    def wait_idle(self) -> None:
        self.page.wait_for_selector(".fused-map[data-idle=true]")

    def set(self, name: str, value: Any) -> None:
        """Python changes a trait."""
        self.page.evaluate("([name, value]) => views[0].model.set(name, value)", [name, value])

    def saved(self, name: str) -> Any:
        """What the page wrote into a trait."""
        return self.page.evaluate("name => views[0].model.saved[name]", name)

    def color(self, place: tuple[int, int] = CENTRE) -> tuple[int, int, int]:
        image = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        return image.getpixel(place)  # type: ignore[return-value]

    def wait_color(self, color: tuple[int, int, int], place: tuple[int, int] = CENTRE) -> None:
        for _ in range(60):
            if self.color(place) == color:
                return
            self.page.wait_for_timeout(100)
        pytest.fail(f"{self.color(place)} at {place}, not {color}: {self.status}")

    @property
    def status(self) -> str:
        return self.page.locator(".fused-status span").first.inner_text()


@pytest.fixture
def map_page(browser: Browser, site: Site) -> Iterator[MapPage]:
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    context.set_default_timeout(15_000)
    map_page = MapPage(context.new_page(), site)
    yield map_page
    context.close()
    assert map_page.errors == []
    assert map_page.hosts <= {f"127.0.0.1:{site.port}", ""}, "a map needs no other host"


def _state(*layers: TileLayer, **state: Any) -> dict[str, Any]:
    return {
        "layers": [layer.to_json() for layer in layers],
        "params": {},
        "controls": [],
        "basemap": None,
        "height": f"{HEIGHT}px",
        "center": [0, 0],
        "zoom": 2,
        "bounds": None,
        "kernel_id": "kernel-1",
        "bundle_hash": bundle_hash(),
        "server_url": "",
        "transport": "",
        "tile_errors": [],
        "view_state": {},
        "idle": False,
        **state,
    }


def _layer(udf: str, **kw: Any) -> TileLayer:
    return TileLayer(udf, **{"version": "1", "parameters": ("color",), **kw})


def test_raster_tiles_are_drawn_in_their_colour(map_page: MapPage) -> None:
    """A red PNG from the server is a red map."""
    map_page.show(_layer("plain", kind="raster"))

    assert map_page.color() == RED
    assert "idle · HTTP via /x/" in map_page.status
    assert map_page.saved("transport") == "HTTP via /x/"
    assert map_page.saved("idle") is True


def test_vector_tiles_are_drawn_in_the_layers_colour(map_page: MapPage) -> None:
    """Polygons of an MVT take the colour of the style."""
    style = {"color": "#0000ff", "fill_opacity": 1}

    map_page.show(_layer("blocks", kind="vector", style=style))

    assert map_page.color() == BLUE


def test_auto_reads_the_kind_from_the_first_tile(map_page: MapPage) -> None:
    """One tile without extension tells images from vector tiles."""
    style = {"color": "#0000ff", "fill_opacity": 1}

    map_page.show(_layer("plain"), _layer("blocks", style=style))

    map_page.wait_color(BLUE)
    assert map_page.site.paths("/plain/")[0].partition("?")[0] == "/x/fused/run/tiles/plain/2/2/2"
    assert any(".png?" in path for path in map_page.site.paths("/plain/"))
    assert any(".mvt?" in path for path in map_page.site.paths("/blocks/"))


def test_new_params_are_drawn_where_the_camera_is(map_page: MapPage) -> None:
    """A change of `params` in Python changes the colour; the view stays."""
    map_page.show(_layer("plain", kind="raster"), params={"color": [*RED], "other": 1})
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
    map_page.show(_layer("plain", kind="raster"))
    old = Counter(path.partition("?")[0] for path in map_page.site.paths("v=1"))

    map_page.set("layers", [_layer("plain", kind="raster", version="2").to_json()])
    map_page.wait_idle()

    assert Counter(path.partition("?")[0] for path in map_page.site.paths("v=2")) == old


def test_a_late_answer_does_not_overwrite_a_newer_one(map_page: MapPage) -> None:
    """Tiles under way when the params change are asked for again, and the slow old ones are not drawn."""
    map_page.show(_layer("slow_then_quick", kind="raster"), params={"color": [*RED]}, wait=False)
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
    layer = _layer(udf, kind=kind, style={"color": "#00a000", "fill_opacity": 1})
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
    layer = _layer("broken")
    map_page.show(layer)
    assert "1 tile failed: KeyError: 'mag' (line 5)" in map_page.status

    map_page.site.fixed = True
    map_page.page.click("text=retry")

    map_page.wait_color(GREEN)


def test_busy_tiles_are_asked_for_again_after_retry_after(map_page: MapPage) -> None:
    """503 with Retry-After is a matter of waiting, and the map waits."""
    map_page.site.busy_answers = 4

    map_page.show(_layer("busy", kind="raster"), wait=False)

    map_page.page.wait_for_selector(".fused-status:has-text('the kernel is restarting')")
    map_page.page.wait_for_selector(".fused-map[data-failed='0']")
    map_page.wait_color(GREEN)


def test_requests_carry_the_xsrf_header_and_no_token(map_page: MapPage) -> None:
    """JupyterHub wants the header for every request; the token stays out while the cookie is enough."""
    map_page.show(_layer("plain", kind="raster"), _layer("blocks", kind="vector"))

    asked = [request for request in map_page.site.requests if "/fused/" in request.path]
    assert {request.headers.get("X-XSRFToken") for request in asked} == {"xsrf-1"}
    assert len({request.headers["X-Fused-Client"] for request in asked}) == 1
    assert not any("Authorization" in request.headers or "secret" in (request.uri or "") for request in asked)


def test_a_refused_cookie_is_followed_by_the_token_in_a_header(map_page: MapPage) -> None:
    """After a 403 the page's own token opens the server, never in a URL."""
    map_page.site.needs_token = True

    map_page.show(_layer("plain", kind="raster"))

    assert map_page.color() == RED
    assert not any("secret" in (request.uri or "") for request in map_page.site.requests)


def test_the_bundle_comes_from_the_kernel_when_the_server_has_another_version(map_page: MapPage) -> None:
    """A server with another version of the package answers 404; the kernel has the right one."""
    map_page.site.bundle_hash = "another"

    map_page.show(_layer("plain", kind="raster"))

    assert map_page.color() == RED
    assert map_page.page.evaluate("views[0].model.sent") == [{"kind": "bundle"}]


def test_two_maps_share_one_bundle(map_page: MapPage) -> None:
    """The big file is loaded once for a page; each map has its own layers, and may go."""
    map_page.show(_layer("plain", kind="raster"), height="200px")
    map_page.show(_layer("plain", kind="raster", params={"color": [*GREEN]}), height="200px")
    map_page.wait_color(GREEN, (300, 300))

    assert map_page.color((300, 100)) == RED
    assert len(map_page.site.paths("static/map.js")) == 1

    map_page.page.evaluate("views[0].dispose()")

    map_page.wait_color(GREEN, (300, 60))
    assert map_page.page.locator(".fused-map").count() == 1


def test_without_a_server_the_map_says_so(map_page: MapPage) -> None:
    """No tile can come, and the status line tells why."""
    map_page.show(_layer("plain", kind="raster"), server_url="http://127.0.0.1:9/")

    assert "no Jupyter server found: " in map_page.status
    assert map_page.saved("transport").startswith("no Jupyter server found")
    map_page.hosts.discard("127.0.0.1:9")


def test_a_moved_control_changes_the_map_and_the_trait(map_page: MapPage) -> None:
    """The panel works without the kernel, and by keyboard."""
    control = {"name": "color", "kind": "text", "type": "str", "value": "", "min": None, "max": None, "step": None}
    slider = {"name": "day", "kind": "slider", "type": "int", "value": 5, "min": 0, "max": 10, "step": 1}
    layer = _layer("plain", kind="raster", parameters=("color", "day"))
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
    map_page.show(_layer("plain", kind="raster"), bounds=[4.7, 52.2, 5.1, 52.6])
    map_page.page.wait_for_function("views[0].model.saved.view_state")
    assert map_page.saved("view_state")["longitude"] == pytest.approx(4.9, abs=0.01)

    map_page.set("bounds", [170, -20, -170, -10])

    map_page.page.wait_for_function("Math.abs(views[0].model.saved.view_state.longitude) > 179")


def test_a_basemap_lies_below_and_changes_alone(map_page: MapPage) -> None:
    """Layers stay, with their tiles, when the basemap comes and goes."""
    map_page.show(_layer("plain", kind="raster", visible=False))
    asked = len(map_page.site.paths("/plain/"))

    map_page.set("basemap", "/x/fused/run/tiles/plain/{z}/{x}/{y}.png?base=1&color=[0,0,255]")
    map_page.wait_color(BLUE)
    map_page.set("layers", [_layer("plain", kind="raster", opacity=1).to_json()])
    map_page.wait_color(RED)
    map_page.set("basemap", None)
    map_page.wait_idle()

    assert map_page.color() == RED
    assert asked == 0
