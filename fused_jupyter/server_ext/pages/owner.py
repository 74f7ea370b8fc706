"""The pages and descriptions of all UDFs, for their owner."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from tornado import web

from fused_jupyter.errors import UnknownUdfError
from fused_jupyter.server_ext.base import FusedHandler
from fused_jupyter.server_ext.pages.assets import ASSETS, VERSION
from fused_jupyter.server_ext.pages.entry import entries_of, owned
from fused_jupyter.server_ext.pages.openapi import document_of_owner
from fused_jupyter.server_ext.pages.page import Place, list_page, udf_page
from fused_jupyter.server_ext.pages.page import policy as page_policy
from fused_jupyter.server_ext.pages.sending import (
    as_query,
    passed_on,
    send_capabilities,
    send_exception,
    send_page,
    send_tilejson,
)
from fused_jupyter.server_ext.pages.viewer import map_page
from fused_jupyter.server_ext.pages.viewer import policy as map_policy
from fused_jupyter.server_ext.pages.wmts import TileRequest, arguments_for, asks_for_tile, standard_parameters
from fused_jupyter.server_ext.policy import may_execute
from fused_jupyter.wire.http.requests import first

_TITLE = "fused-jupyter"
_DESCRIPTIONS = (("OpenAPI", "../openapi.json"), ("WMTS", "../wmts/1.0.0/WMTSCapabilities.xml"))


class PageHandler(FusedHandler):
    """A page for people: they log in where they have to, and come from anywhere."""

    route = "pages"

    async def prepare(self) -> None:  # type: ignore[override]  # as in the base class
        """Let a link elsewhere lead here: a page runs nothing by itself, and stands in no foreign frame."""
        headers = self.request.headers
        if headers.get("Sec-Fetch-Dest") == "document" and headers.get("Sec-Fetch-Mode") == "navigate":
            headers["Sec-Fetch-Site"] = "none"
        await super().prepare()

    def get_login_url(self) -> str:
        """Jupyter's login page, for browsers only."""
        if "text/html" in self.request.headers.get("Accept", ""):
            return str(JupyterHandler.get_login_url(self))
        return super().get_login_url()


class UdfPageHandler(PageHandler):
    """`GET|HEAD fused/udfs/<udf>.html`: one UDF, for people."""

    @may_execute
    async def get(self, udf: str) -> None:
        """Parameters as a form, the result, snippets, a map."""
        host = await self.hosts.find(udf, None)
        nonce = secrets.token_urlsafe(16)
        place = Place(
            assets="../pages/",
            nonce=nonce,
            links=(("all UDFs", "../udfs.html"), *_DESCRIPTIONS),
            wmts="../wmts/1.0.0/WMTSCapabilities.xml",
            map=f"{udf}/map",
            is_owner=True,
        )
        # Without its own address, plain HTTP has nothing that tells this page's requests from those of other sites.
        send_page(
            self, udf_page(owned(host.udfs[udf], root="../"), place), policy=page_policy(nonce), referrer="same-origin"
        )

    head = get


class MapPageHandler(PageHandler):
    """`GET|HEAD fused/udfs/<udf>/map`: one UDF as nothing but a map; arguments and place are in the page's address."""

    @may_execute
    async def get(self, udf: str) -> None:
        """Parameters as a panel, a legend, what lies under the pointer, an address to send on."""
        host = await self.hosts.find(udf, None)
        nonce = secrets.token_urlsafe(16)
        links = (("form", f"../{udf}.html"), ("all UDFs", "../../udfs.html"))
        place = Place(assets="../../pages/", nonce=nonce, links=links, is_owner=True)
        page = map_page(owned(host.udfs[udf], root="../../"), place, root="../../")
        send_page(self, page, policy=map_policy(nonce), referrer="same-origin")

    head = get


class ListPageHandler(PageHandler):
    """`GET|HEAD fused/udfs.html`: all UDFs, for people."""

    @may_execute
    async def get(self) -> None:
        """Names, and what each gives."""
        entries = entries_of(await self.hosts.all())
        nonce = secrets.token_urlsafe(16)
        links = tuple((text, address.removeprefix("../")) for text, address in _DESCRIPTIONS)
        place = Place(assets="pages/", nonce=nonce, links=links, is_owner=True)
        addresses = [f"udfs/{entry.name}.html" for entry in entries]
        page = list_page(entries, place, title="UDFs", addresses=addresses)
        send_page(self, page, policy=page_policy(nonce), referrer="same-origin")

    head = get


class AssetHandler(FusedHandler):
    """`GET|HEAD fused/pages/<version>/<name>`: code and style of the pages, which have no secret in them."""

    route = "assets"

    async def prepare(self) -> None:  # type: ignore[override]  # as in the base class
        """Who asks does not matter, so nobody is asked, and no cookie is set."""
        self.current_user = self._jupyter_current_user = None
        if not self.check_host():
            raise web.HTTPError(403)
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")

    @allow_unauthenticated
    async def get(self, version: str, name: str) -> None:
        """The file; 404 for another version than this server's."""
        if version != VERSION or name not in ASSETS:
            raise UnknownUdfError(f"there is no {name!r} of the version {version!r} here; load the page again")
        content, media_type = ASSETS[name]
        self.set_header("Content-Type", media_type)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")
        self.finish(content)

    head = get


class OpenApiHandler(FusedHandler):
    """`GET|HEAD fused/openapi.json`: all routes and all UDFs, for generators and agents."""

    route = "openapi"

    @may_execute
    async def get(self) -> None:
        """OpenAPI 3.1."""
        self.send_json(document_of_owner(entries_of(await self.hosts.all())))

    head = get


class TileJsonHandler(FusedHandler):
    """`GET|HEAD fused/run/tiles/<udf>/tilejson.json`: TileJSON 3.0 for map libraries."""

    route = "tilejson"

    @may_execute
    async def get(self, udf: str) -> None:
        """The tile address, pinned to the kernel that answers now; other arguments are passed on."""
        host = await self.hosts.find(udf, first(self.request.query_arguments, "kernel"))
        await send_tilejson(self, host, owned(host.udfs[udf]), udf=udf, kernel=host.kernel_id)

    head = get


class WmtsHandler(FusedHandler):
    """`GET|HEAD fused/wmts`: WMTS with its parameters in the query; errors are XML, as its clients expect."""

    route = "wmts"

    @may_execute
    async def get(self) -> None:
        """`GetCapabilities` or `GetTile`."""
        query = standard_parameters(self.request.query_arguments)
        if not asks_for_tile(query):
            send_capabilities(self, entries_of(await self.hosts.all()), title=_TITLE)
            return
        asked = TileRequest.of(query)
        host = await self.hosts.find(asked.layer, None)
        taken = arguments_for(owned(host.udfs[asked.layer]), passed_on(self.request.query_arguments))
        self.request.query_arguments = as_query(taken)
        await self.answer(host, asked.layer, extension=asked.extension, tile=asked.tile)

    head = get

    def send_failure(self, fields: Mapping[str, Any], retry_after: int | None) -> None:
        """Respond with an error."""
        send_exception(self, fields)


class WmtsCapabilitiesHandler(WmtsHandler):
    """`GET|HEAD fused/wmts/1.0.0/WMTSCapabilities.xml`: the same without parameters."""

    @may_execute
    async def get(self) -> None:
        """All UDFs that give tiles."""
        send_capabilities(self, entries_of(await self.hosts.all()), title=_TITLE)

    head = get


_NAME = r"([^/.]+)"

ROUTES = [
    (rf"/fused/udfs/{_NAME}\.html", UdfPageHandler),
    (rf"/fused/udfs/{_NAME}/map", MapPageHandler),
    (r"/fused/udfs\.html", ListPageHandler),
    (r"/fused/pages/([0-9a-f]{12})/([a-z]+\.[a-z]+)", AssetHandler),
    (r"/fused/openapi\.json", OpenApiHandler),
    (r"/fused/run/tiles/([^/]+)/tilejson\.json", TileJsonHandler),
    (r"/fused/wmts", WmtsHandler),
    (r"/fused/wmts/(?:1\.0\.0/)?WMTSCapabilities\.xml", WmtsCapabilitiesHandler),
]
