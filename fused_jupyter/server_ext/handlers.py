"""The routes. Each method says who may call it; none of them knows how a UDF runs."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from jupyter_server.base.handlers import JupyterHandler
from tornado import web
from tornado.httputil import responses as REASONS  # noqa: N812 - a table of constants

from fused_jupyter._version import __version__
from fused_jupyter.errors import FusedError, ShareError, UnknownUdfError
from fused_jupyter.server_ext.hosts import Host, Hosts
from fused_jupyter.server_ext.policy import check_site, recognise_token
from fused_jupyter.server_ext.requests import first, make_run, parse_body, parse_tile
from fused_jupyter.server_ext.responses import error_body, error_headers, redacted, reply_headers
from fused_jupyter.wire import PROTOCOL, Reply

_STATIC = Path(__file__).parent.parent / "widgets" / "static"
_SHARE_IN_PATH = re.compile(r"fsh_[A-Za-z0-9_-]+")


class FusedHandler(JupyterHandler):
    """What all routes share: JSON errors, no login page, no cookie, no ETag of tornado's, cancel on a closed connection."""

    _call: asyncio.Task[tuple[Reply, bytes]] | None = None

    @property
    def hosts(self) -> Hosts:
        """The broker."""
        hosts: Hosts = self.settings["fused_hosts"]
        return hosts

    async def prepare(self) -> None:  # type: ignore[override]  # Jupyter's own is async against tornado's annotation
        """Recognise the token the short way, then let Jupyter do all of its checks."""
        user = recognise_token(self)
        if user is not None:
            self._jupyter_current_user = user
            self._token_authenticated = True
        await super().prepare()
        if self.current_user is not None:
            check_site(self)

    def get_login_url(self) -> str:
        """No redirect: a tile client has no use for a login page."""
        raise web.HTTPError(403, "not logged in; send the header Authorization: token <token of the Jupyter server>")

    def compute_etag(self) -> None:
        """Results bring their own ETag, made before they ran."""

    def on_connection_close(self) -> None:
        """Nobody waits for the answer any more: the run stops."""
        if self._call is not None:
            self._call.cancel()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Errors are JSON; those of the UDF carry its line and traceback."""
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        if isinstance(error, FusedError):
            self._finish_error(error_body(error), error.retry_after)
            return
        message = error.log_message if isinstance(error, web.HTTPError) and error.log_message else REASONS.get(status_code)
        self._finish_error({"type": "HTTPError", "error": message, "status": status_code}, None)

    def log_exception(self, *args: Any) -> None:
        """What a UDF raised is its owner's business, and told to them; the log keeps what is ours."""
        if not isinstance(args[1], FusedError):
            super().log_exception(*args)

    def _handle_request_exception(self, error: BaseException) -> None:
        """Give our errors the status that their class has."""
        if isinstance(error, FusedError) and not self._finished:
            self.send_error(error.status, exc_info=(type(error), error, error.__traceback__))
            return
        if isinstance(error, asyncio.CancelledError):
            return  # the connection is closed
        super()._handle_request_exception(error)

    async def answer(
        self, host: Host, udf: str, *, extension: str | None, tile: tuple[int, int, int] | None, body: Mapping[str, Any], **more: Any
    ) -> None:
        """Run and respond."""
        query = self.request.query_arguments
        run = make_run(host.client.next_number(), udf=udf, query=query, extension=extension, tile=tile, body=body)
        run = replace(run, if_none_match=self.request.headers.get("If-None-Match"), **more)
        self._call = asyncio.ensure_future(self.hosts.run(host, run))
        reply, content = await self._call
        self.set_status(reply.status)
        for name, value in reply_headers(reply, version=first(query, "v")).items():
            self.set_header(name, value)
        if reply.status != 200:
            self.clear_header("Content-Type")
        await self.finish(content or None)

    def write_json(self, value: Any) -> None:
        """Respond with JSON."""
        self.set_header("Content-Type", "application/json")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        self.finish(orjson.dumps(value))

    def _finish_error(self, fields: dict[str, Any], retry_after: int | None) -> None:
        self.set_header("Content-Type", "application/json")
        for name, value in error_headers(fields, retry_after).items():
            self.set_header(name, value)
        self.finish(orjson.dumps(fields))


class PingHandler(FusedHandler):
    """`GET fused/ping[?kernel=]`: that the extension is there, and whether a kernel's host can be asked."""

    @web.authenticated
    @authorized("execute", resource="fused")
    async def get(self) -> None:
        """Version, and the kernel asked about."""
        kernel = first(self.request.query_arguments, "kernel")
        alive = await self.hosts.has(kernel) if kernel else True
        self.write_json({"version": __version__, "protocol": PROTOCOL, "kernel": kernel, "alive": alive})


class UdfsHandler(FusedHandler):
    """`GET fused/udfs`: all UDFs of this server's kernels; of one name the one that answers."""

    @web.authenticated
    @authorized("execute", resource="fused")
    async def get(self) -> None:
        """Name, digest, kernel and parameters (JSON Schema) of each."""
        found: dict[str, dict[str, Any]] = {}
        for host in await self.hosts.all():
            for name, udf in host.udfs.items():
                if name not in found or udf["registered_at"] > found[name]["registered_at"]:
                    found[name] = {**udf, "kernel": host.kernel_id}
        self.write_json({"udfs": sorted(found.values(), key=lambda udf: str(udf["name"]))})


class UdfHandler(FusedHandler):
    """`GET fused/udfs/<udf>`: one UDF."""

    @web.authenticated
    @authorized("execute", resource="fused")
    async def get(self, udf: str) -> None:
        """Digest, kernel and parameters (JSON Schema)."""
        host = await self.hosts.find(udf, first(self.request.query_arguments, "kernel"))
        self.write_json({**host.udfs[udf], "kernel": host.kernel_id})


class FileHandler(FusedHandler):
    """`GET|HEAD|POST fused/run/file/<udf>[.<ext>]`: run as a file."""

    @web.authenticated
    @authorized("execute", resource="fused")
    async def get(self, udf: str, extension: str | None) -> None:
        """Arguments in the query."""
        await self._run(udf, extension, {})

    @web.authenticated
    @authorized("execute", resource="fused")
    async def head(self, udf: str, extension: str | None) -> None:
        """The same, headers only."""
        await self._run(udf, extension, {})

    @web.authenticated
    @authorized("execute", resource="fused")
    async def post(self, udf: str, extension: str | None) -> None:
        """Arguments in the query and, over them, in the body: a JSON object or a form."""
        request = self.request
        body = parse_body(request.body, request.headers.get("Content-Type", ""), request.body_arguments)
        await self._run(udf, extension, body)

    async def _run(self, udf: str, extension: str | None, body: Mapping[str, Any]) -> None:
        host = await self.hosts.find(udf, first(self.request.query_arguments, "kernel"))
        await self.answer(host, udf, extension=extension, tile=None, body=body)


class TileHandler(FusedHandler):
    """`GET|HEAD fused/run/tiles/<udf>/<z>/<x>/<y>[.<ext>]`: run for a tile."""

    @web.authenticated
    @authorized("execute", resource="fused")
    async def get(self, udf: str, z: str, x: str, y: str, extension: str | None) -> None:
        """Arguments in the query."""
        await self._run(udf, parse_tile(z, x, y), extension)

    @web.authenticated
    @authorized("execute", resource="fused")
    async def head(self, udf: str, z: str, x: str, y: str, extension: str | None) -> None:
        """The same, headers only."""
        await self._run(udf, parse_tile(z, x, y), extension)

    async def _run(self, udf: str, tile: tuple[int, int, int], extension: str | None) -> None:
        host = await self.hosts.find(udf, first(self.request.query_arguments, "kernel"))
        await self.answer(host, udf, extension=extension, tile=tile, body={})


class TileJsonHandler(FusedHandler):
    """`GET fused/run/tiles/<udf>/tilejson.json`: TileJSON 3.0 for map libraries."""

    @web.authenticated
    @authorized("execute", resource="fused")
    async def get(self, udf: str) -> None:
        """The tile address, pinned to the kernel that answers now; other arguments are passed on."""
        query = self.request.query_arguments
        host = await self.hosts.find(udf, first(query, "kernel"))
        extension = first(query, "format") or "mvt"
        passed_on = {name: values for name, values in query.items() if name not in {"format", "kernel", "token"}}
        search = urlencode({"kernel": host.kernel_id, **passed_on}, doseq=True)
        root = f"{self.request.protocol}://{self.request.host}{self.base_url}fused/run/tiles/{udf}"
        self.write_json(
            {
                "tilejson": "3.0.0",
                "name": udf,
                "description": host.udfs[udf]["description"],
                "tiles": [f"{root}/{{z}}/{{x}}/{{y}}.{extension}?{search}"],
                "minzoom": 0,
                "maxzoom": 22,
                "bounds": [-180.0, -85.0511287798066, 180.0, 85.0511287798066],
                # The fields are known only once a tile has run; an empty object says so (TileJSON 3.0, 3.3.2).
                "vector_layers": [{"id": "udf", "fields": {}}],
            }
        )


class SharedTileHandler(FusedHandler):
    """`GET|HEAD fused/<token>/run/tiles/<z>/<x>/<y>[.<ext>]`: tiles for who has a token of that UDF, and nothing else."""

    async def prepare(self) -> None:
        """The token is a secret: it is out of the request before anything can log it."""
        self._share = hashlib.sha256(self.path_args[0].encode()).hexdigest()
        for attribute in ("uri", "path"):
            setattr(self.request, attribute, _SHARE_IN_PATH.sub("fsh_[secret]", getattr(self.request, attribute)))
        await super(FusedHandler, self).prepare()  # host check; a login, if there is one, gives no more rights here

    @allow_unauthenticated
    async def get(self, token: str, z: str, x: str, y: str, extension: str | None) -> None:
        """Arguments in the query."""
        await self._run(parse_tile(z, x, y), extension)

    @allow_unauthenticated
    async def head(self, token: str, z: str, x: str, y: str, extension: str | None) -> None:
        """The same, headers only."""
        await self._run(parse_tile(z, x, y), extension)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """What went wrong, without the inside of the UDF."""
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        if isinstance(error, FusedError):
            self._finish_error(redacted(error), error.retry_after)
        else:
            super().write_error(status_code, **kwargs)

    async def _run(self, tile: tuple[int, int, int], extension: str | None) -> None:
        if not self.settings["fused_allow_shares"]:
            raise ShareError("this token opens nothing here")
        host = await self.hosts.find_share(self._share)
        await self.answer(host, "", extension=extension, tile=tile, body={}, share=self._share)


class StaticHandler(FusedHandler):
    """`GET fused/static/map.js?v=<hash>`: the map's code, of exactly the version that the widget wants."""

    @web.authenticated
    @authorized("execute", resource="fused")
    async def get(self, name: str) -> None:
        """The file; 404 where this server's package is another version than the kernel's."""
        path = _STATIC / name
        if name not in {"map.js"} or not path.is_file():
            raise UnknownUdfError(f"there is no {name!r} here; build it with `make js`")
        content = await asyncio.to_thread(path.read_bytes)
        version = first(self.request.query_arguments, "v")
        if version and not hashlib.sha256(content).hexdigest().startswith(version):
            raise UnknownUdfError(f"{name} of this server is another version than the kernel's")
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "private, max-age=31536000, immutable" if version else "private, no-cache")
        self.finish(content)


class MissingHandler(FusedHandler):
    """Everything else below `fused/`: a JSON 404, for those who are logged in."""

    @web.authenticated
    @authorized("execute", resource="fused")
    async def get(self) -> None:
        """Say what is here."""
        raise UnknownUdfError("no such route; there are fused/ping, fused/udfs, fused/run/file/<udf>, fused/run/tiles/<udf>/z/x/y")


_EXTENSION = r"(?:\.([A-Za-z0-9]+))?"
_XYZ = r"([^/]+)/([^/]+)/([^/.]+)"

ROUTES = [
    (r"/fused/ping", PingHandler),
    (r"/fused/udfs", UdfsHandler),
    (r"/fused/udfs/([^/]+)", UdfHandler),
    (rf"/fused/run/file/([^/.]+){_EXTENSION}", FileHandler),
    (r"/fused/run/tiles/([^/]+)/tilejson\.json", TileJsonHandler),
    (rf"/fused/run/tiles/([^/]+)/{_XYZ}{_EXTENSION}", TileHandler),
    (rf"/fused/(fsh_[A-Za-z0-9_-]+)/run/tiles/{_XYZ}{_EXTENSION}", SharedTileHandler),
    (r"/fused/static/([^/]+)", StaticHandler),
    (r"/fused(?:/.*)?", MissingHandler),
]
