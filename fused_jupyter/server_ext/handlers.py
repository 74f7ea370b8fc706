"""The routes. Each method says who may call it; none of them knows how a UDF runs."""

from __future__ import annotations

import asyncio
from typing import Any

from fused_jupyter._version import __version__
from fused_jupyter.errors import UnknownUdfError
from fused_jupyter.server_ext import hosted, pages, shared
from fused_jupyter.server_ext.base import FusedHandler
from fused_jupyter.server_ext.monitoring import HealthHandler, MetricsHandler, RunHandler, RunsHandler
from fused_jupyter.server_ext.policy import may_execute
from fused_jupyter.wire import PROTOCOL
from fused_jupyter.wire.http import routes
from fused_jupyter.wire.http.requests import first, parse_body, parse_tile


class PingHandler(FusedHandler):
    """`GET|HEAD fused/ping[?kernel=]`: that the extension is there, and whether a kernel's host can be asked."""

    route = "ping"

    @may_execute
    async def get(self) -> None:
        """Version, and the kernel asked about."""
        kernel = first(self.request.query_arguments, "kernel")
        alive = await self.hosts.has(kernel) if kernel else True
        self.send_json({"version": __version__, "protocol": PROTOCOL, "kernel": kernel, "alive": alive})

    head = get


class UdfsHandler(FusedHandler):
    """`GET|HEAD fused/udfs`: all UDFs of this server's kernels; of one name the one that answers."""

    route = "udfs"

    @may_execute
    async def get(self) -> None:
        """Name, digest, kernel and parameters (JSON Schema) of each."""
        found: dict[str, dict[str, Any]] = {}
        for host in await self.hosts.all():
            for name, udf in host.udfs.items():
                if name not in found or udf["registered_at"] > found[name]["registered_at"]:
                    found[name] = {**udf, "kernel": host.kernel_id}
        self.send_json({"udfs": [found[name] for name in sorted(found)]})

    head = get


class UdfHandler(FusedHandler):
    """`GET|HEAD fused/udfs/<udf>`: one UDF."""

    route = "udfs"

    @may_execute
    async def get(self, udf: str) -> None:
        """Digest, kernel and parameters (JSON Schema)."""
        host = await self.hosts.find(udf, first(self.request.query_arguments, "kernel"))
        self.send_json({**host.udfs[udf], "kernel": host.kernel_id})

    head = get


class FileHandler(FusedHandler):
    """`GET|HEAD|POST fused/run/file/<udf>[.<ext>]`: run as a file."""

    route = "file"

    @may_execute
    async def get(self, udf: str, extension: str | None) -> None:
        """Arguments in the query."""
        host = await self.hosts.find(udf, first(self.request.query_arguments, "kernel"))
        await self.answer(host, udf, extension=extension)

    head = get

    @may_execute
    async def post(self, udf: str, extension: str | None) -> None:
        """Arguments in the query and, over them, in the body: a JSON object or a form."""
        request = self.request
        body = parse_body(request.body, request.headers.get("Content-Type", ""), request.body_arguments)
        host = await self.hosts.find(udf, first(request.query_arguments, "kernel"))
        await self.answer(host, udf, extension=extension, body=body)


class TileHandler(FusedHandler):
    """`GET|HEAD fused/run/tiles/<udf>/<z>/<x>/<y>[.<ext>]`: run for a tile."""

    route = "tiles"

    @may_execute
    async def get(self, udf: str, z: str, x: str, y: str, extension: str | None) -> None:
        """Arguments in the query."""
        tile = parse_tile(z, x, y)
        host = await self.hosts.find(udf, first(self.request.query_arguments, "kernel"))
        await self.answer(host, udf, extension=extension, tile=tile)

    head = get


class StaticHandler(FusedHandler):
    """`GET|HEAD fused/static/map.js?v=<hash>`: the map's code, of exactly the version that the widget wants."""

    route = "static"

    @may_execute
    async def get(self, name: str) -> None:
        """The file; 404 where this server's package is another version than the kernel's."""
        headers, content = await asyncio.to_thread(routes.static_file, name, self.request.query_arguments)
        for header, text in headers.items():
            self.set_header(header, text)
        self.finish(content)

    head = get


class MissingHandler(FusedHandler):
    """Everything else below `fused/`: a JSON 404, for those who are logged in."""

    route = "missing"

    @may_execute
    async def get(self) -> None:
        """Say what is here."""
        raise UnknownUdfError(
            "no such route; there are fused/udfs, fused/run/file/<udf>, fused/run/tiles/<udf>/<z>/<x>/<y> and more, "
            "which fused/openapi.json lists"
        )

    head = get


ROUTES = [
    (rf"/{routes.PING}", PingHandler),
    (r"/fused/health", HealthHandler),
    (r"/fused/metrics", MetricsHandler),
    (r"/fused/runs", RunsHandler),
    (r"/fused/runs/([0-9a-f]{12})", RunHandler),
    (r"/fused/udfs", UdfsHandler),
    (r"/fused/udfs/([^/.]+)", UdfHandler),
    (rf"/{routes.FILE}", FileHandler),
    (rf"/{routes.TILE}", TileHandler),
    (rf"/{routes.STATIC}", StaticHandler),
    *hosted.ROUTES,
    *pages.ROUTES,
    *shared.ROUTES,
    *hosted.ABSENT_ROUTES,
    (r"/fused(?:/.*)?", MissingHandler),
]
