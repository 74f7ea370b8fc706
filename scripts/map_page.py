"""A page with maps on it and the server behind it, without Jupyter: the kernel is a stub, the browser is real."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import mapbox_vector_tile
import pytest
import tornado.httpserver
import tornado.netutil
import tornado.web
from PIL import Image
from playwright.sync_api import Browser, Page

from fused_jupyter.widgets import TileLayer
from fused_jupyter.widgets._assets import asset, bundle_hash
from fused_jupyter.widgets._layers import Layer
from fused_jupyter.widgets._layers.content import Content, answer

WIDTH, HEIGHT = 600, 400
CENTRE = (WIDTH // 2, HEIGHT // 2)
CORNER = (40, 200)
RED, GREEN, BLUE = (255, 0, 0), (0, 160, 0), (0, 0, 255)

PAGE = """<!doctype html><meta charset="utf-8"><title>map</title><style>body { margin: 0 }</style>
<body>
<script id="jupyter-config-data" type="application/json">{"baseUrl": "/x/", "token": "secret"}</script>
<script type="module">
class StubModel {
  constructor(state) { this.state = state; this.saved = {}; this.callbacks = {}; this.sent = []; this.asking = {}; }
  get(name) { return this.state[name]; }
  set(name, value) { this.state[name] = value; this.saved[name] = value; this.emit(`change:${name}`); }
  save_changes() {}
  on(event, callback) { (this.callbacks[event] ??= []).push(callback); }
  off(event, callback) { this.callbacks[event] = (this.callbacks[event] ?? []).filter((other) => other !== callback); }
  emit(event, ...values) { for (const callback of this.callbacks[event] ?? []) callback(...values); }
  async send(content) {
    this.sent.push(content);
    if (content.kind === "cancel") this.asking[content.request]?.abort();
    if (content.kind === "data") {
      const response = await fetch(`/x/contents/${content.data}`);
      this.emit("msg:custom", content, response.ok ? [new DataView(await response.arrayBuffer())] : []);
    }
    if (content.kind !== "request" || this.isDeaf) return;
    const { request, path, headers } = content;
    const asking = (this.asking[request] = new AbortController());
    try {
      const address = path.startsWith("fused/static/map.js") ? "/x/kernel/map.js" : `/x/${path}`;
      const response = await fetch(address, { headers, signal: asking.signal });
      const bytes = await response.arrayBuffer();
      const names = ["content-type", "etag", "retry-after", "cache-control"];
      const told = names.filter((name) => response.headers.has(name)).map((name) => [name, response.headers.get(name)]);
      const answer = { kind: "answer", request, status: response.status, headers: Object.fromEntries(told) };
      this.emit("msg:custom", answer, [new DataView(bytes)]);
    } catch {
      // cancelled
    }
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
        self.contents: list[Content] = []

    def paths(self, part: str) -> list[str]:
        """What was asked for so far, where it holds this part."""
        return [request.uri for request in self.requests if request.uri and part in request.uri]

    async def file(self, handler: tornado.web.RequestHandler, udf: str) -> None:
        """Answer with the method of the UDF's name and `_file`; a subclass may add some."""
        answer = getattr(self, f"{udf}_file")(handler)
        if asyncio.iscoroutine(answer):
            await answer

    async def tile(self, handler: tornado.web.RequestHandler, udf: str, extension: str) -> None:
        """Answer with the method of the UDF's name; a subclass may add some."""
        answer = getattr(self, udf)(handler, extension)
        if asyncio.iscoroutine(answer):
            await answer

    def plain(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        """A picture in the colour of its parameter, red by default."""
        color = json.loads(handler.get_query_argument("color", json.dumps(RED)))
        send_png(handler, color)

    def blocks(self, handler: tornado.web.RequestHandler, extension: str) -> None:
        """A polygon that fills the vector tile."""
        assert extension in {"", ".mvt"}
        ring = "POLYGON ((0 0, 4096 0, 4096 4096, 0 4096, 0 0))"
        body = mapbox_vector_tile.encode([{"name": "udf", "features": [{"geometry": ring, "properties": {"a": 1}}]}])
        handler.set_header("Content-Type", "application/vnd.mapbox-vector-tile")
        handler.write(body)

    def broken(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        """An error of a UDF, until it is fixed."""
        if self.fixed:
            return send_png(handler, GREEN)
        handler.set_status(422)
        return handler.write({"error": "KeyError: 'mag'", "type": "UdfRuntimeError", "line": 5, "udf": "broken"})

    def broken_blocks(self, handler: tornado.web.RequestHandler, extension: str) -> None:
        """A UDF that nobody knows, until it is fixed."""
        if self.fixed:
            return self.blocks(handler, extension)
        handler.set_status(404)
        return handler.write({"error": "no UDF is called 'broken_blocks'", "type": "UnknownUdfError"})

    def busy(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        """503 as often as the site says, then a picture."""
        if self.busy_answers > 0:
            self.busy_answers -= 1
            handler.set_status(503)
            handler.set_header("Retry-After", "1")
            return handler.write({"error": "the kernel is restarting", "type": "HostLostError"})
        return send_png(handler, GREEN)

    async def slow_then_quick(self, handler: tornado.web.RequestHandler, _extension: str) -> None:
        """Old values take long, so that their answers come after those of the new ones."""
        color = json.loads(handler.get_query_argument("color", json.dumps(RED)))
        if tuple(color) == RED:
            await asyncio.sleep(1.0)
        send_png(handler, color)


def send_png(handler: tornado.web.RequestHandler, color: Any) -> None:
    """A tile of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (256, 256), tuple(color)).save(buffer, "PNG")
    handler.set_header("Content-Type", "image/png")
    handler.write(buffer.getvalue())


class FileHandler(tornado.web.RequestHandler):
    """What a UDF gives as one file."""

    def initialize(self, site: Site) -> None:
        """Called by tornado."""
        self.site = site
        site.requests.append(self.request)

    async def get(self, udf: str) -> None:
        """The UDF's features."""
        await self.site.file(self, udf)


class ContentHandler(tornado.web.RequestHandler):
    """Stands in for the comm: what Python holds of layers."""

    def initialize(self, site: Site) -> None:
        """Called by tornado."""
        self.site = site

    def get(self, name: str) -> None:
        """What has that name."""
        body = answer(name, self.site.contents)
        self.set_status(404 if body is None else 200)
        self.write(body or b"")


def application(site: Site) -> tornado.web.Application:
    """The page, the widget's code, and the routes that a map asks for."""

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
            (r"/x/contents/([\w.@,-]+)", ContentHandler, {"site": site}),
            (r"/x/fused/static/(world\.json)", KernelHandler),
            (r"/x/fused/run/file/(\w+)\.geojson", FileHandler, {"site": site}),
            (r"/x/page.html", PageHandler),
            (r"/x/kernel/(\w+\.js)", KernelHandler),
            (r"/x/fused/ping", PingHandler),
            (r"/x/fused/static/map\.js", BundleHandler),
            (r"/x/fused/run/tiles/(\w+)/\d+/\d+/\d+(|\.png|\.mvt|\.npy)", TileHandler),
        ],
        log_function=lambda _handler: None,
    )


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

    def show(self, *layers: Layer, wait: bool = True, **state: Any) -> None:
        """One more map with these layers and traits."""
        self.hold(*layers)
        self.page.evaluate("state => window.show(state)", state_of(*layers, **state))
        if wait:
            self.wait_idle()

    def hold(self, *layers: Layer) -> None:
        """Have the stub kernel answer for the data of these layers."""
        contents = (getattr(layer, "content", None) for layer in layers)
        self.site.contents += [content for content in contents if content is not None]

    def wait_idle(self) -> None:
        """Wait until all tiles in view are there."""
        self.page.wait_for_selector(".fused-map[data-idle=true]")

    def set(self, name: str, value: Any) -> None:
        """Python changes a trait."""
        self.page.evaluate("([name, value]) => views[0].model.set(name, value)", [name, value])

    def saved(self, name: str) -> Any:
        """What the page wrote into a trait."""
        return self.page.evaluate("name => views[0].model.saved[name]", name)

    def color(self, place: tuple[int, int] = CENTRE) -> tuple[int, int, int]:
        """What the page shows at a pixel."""
        image = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        return image.getpixel(place)  # type: ignore[return-value]

    def wait_color(self, color: tuple[int, int, int], place: tuple[int, int] = CENTRE) -> None:
        """Wait until it is this colour there."""
        for _ in range(60):
            if self.color(place) == color:
                return
            self.page.wait_for_timeout(100)
        pytest.fail(f"{self.color(place)} at {place}, not {color}: {self.status}")

    @property
    def status(self) -> str:
        """The line under the first map."""
        return self.page.locator(".fused-status span").first.inner_text()


@contextlib.contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Answers for a site in a thread, on a port of its own."""
    started = threading.Event()
    stop: list[Callable[[], None]] = []

    async def serve() -> None:
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ending.set))
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        site.port = sockets[0].getsockname()[1]
        server = tornado.httpserver.HTTPServer(application(site))
        server.add_sockets(sockets)
        started.set()
        await ending.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    if not started.wait(10):
        raise TimeoutError("the server of the page did not start within 10 seconds")
    try:
        yield site
    finally:
        stop[0]()
        thread.join(10)


@contextlib.contextmanager
def map_pages(browser: Browser, site: Site) -> Iterator[MapPage]:
    """A page in a context of its own; an error on it, or a request to another host, fails."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    context.set_default_timeout(15_000)
    map_page = MapPage(context.new_page(), site)
    yield map_page
    context.close()
    assert map_page.errors == []
    assert map_page.hosts <= {f"127.0.0.1:{site.port}", ""}, "a map needs no other host"


def layer_of(udf: str, **kw: Any) -> TileLayer:
    """A layer of one of the site's UDFs, which take a color."""
    return TileLayer(udf, **{"version": "1", "parameters": ("color",), **kw})


def state_of(*layers: Layer, **state: Any) -> dict[str, Any]:
    """The traits of a map as Python would send them."""
    return {
        "layers": [layer.to_json() for layer in layers],
        "params": {},
        "controls": [],
        "layer_states": [],
        "layer_panel": False,
        "basemap": None,
        "height": f"{HEIGHT}px",
        "center": [0, 0],
        "zoom": 2,
        "bounds": None,
        "kernel_id": "kernel-1",
        "bundle_hash": bundle_hash(),
        "server_url": "",
        "wanted_transport": "auto",
        "transport": "",
        "tile_errors": [],
        "view_state": {},
        "view_bounds": None,
        "clicked": {},
        "hovered": {},
        "callback_error": "",
        "shapes": [],
        "draw_tools": True,
        "sync_group": "",
        "idle": False,
        **state,
    }


def lng_lat(x: float, y: float, zoom: float = 2.0) -> tuple[float, float]:
    """Where a pixel of the page lies, by the formulas of web mercator; the map's centre is at 0, 0."""
    world = 512 * 2**zoom
    longitude = (x - WIDTH / 2) / world * 360
    latitude = math.degrees(math.atan(math.sinh(-(y - HEIGHT / 2) / world * 2 * math.pi)))
    return longitude, latitude
