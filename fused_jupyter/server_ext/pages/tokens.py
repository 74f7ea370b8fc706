"""The pages and descriptions of what a token opens, for whoever has it; they need no login."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fused_jupyter.errors import ShareError
from fused_jupyter.server_ext.pages.openapi import document_of_token
from fused_jupyter.server_ext.pages.opened import Opened
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
from fused_jupyter.server_ext.shared.guard import NOTHING
from fused_jupyter.server_ext.shared.handler import SharedHandler, may_open

_WMTS = "wmts/1.0.0/WMTSCapabilities.xml"


class _DescribedHandler(SharedHandler):
    """What a token opens is asked for first."""

    route = "shared-pages"

    async def opened(self) -> Opened:
        """What it opens.

        Raises:
            ShareError: nothing.
        """
        return Opened.of(await self.hosts.describe_share(self.share))


class SharedOpenApiHandler(_DescribedHandler):
    """`GET|HEAD fused/<token>/openapi.json`: what the token opens, for generators and agents."""

    @may_open
    async def get(self, token: str) -> None:
        """OpenAPI 3.1, without the token."""
        opened = await self.opened()
        told = "What one token opens. The token is part of the address of this document, so no login is needed."
        self.send_json(document_of_token(opened.entries(below=""), title=opened.title, description=told))

    head = get


class SharedPageHandler(_DescribedHandler):
    """`GET|HEAD fused/<token>/page`, `fused/<token>/<udf>/page`: one UDF, for people."""

    @may_open
    async def get(self, token: str, udf: str | None = None) -> None:
        """Parameters as a form, the result, snippets, a map."""
        opened = await self.opened()
        entry = opened.entry(udf or "", below="../" if udf else "")
        if not udf:
            entry = replace(entry, file=f"../{token}")  # shorter than the address below the token
        root, nonce = "../" if udf else "", secrets.token_urlsafe(16)
        described = (("TileJSON", "tilejson.json"), ("WMTS", root + _WMTS)) if entry.spatial is not None else ()
        links = (*([("all UDFs", root)] if udf else []), ("OpenAPI", f"{root}openapi.json"), *described)
        place = Place(assets=f"{root}../pages/", nonce=nonce, links=links, wmts=root + _WMTS, map="map")
        send_page(self, udf_page(entry, place), policy=page_policy(nonce), referrer="no-referrer")

    head = get


class SharedMapHandler(_DescribedHandler):
    """`GET|HEAD fused/<token>/map`, `fused/<token>/<udf>/map`: one UDF as nothing but a map."""

    @may_open
    async def get(self, token: str, udf: str | None = None) -> None:
        """Parameters as a panel, a legend, what lies under the pointer, an address to send on."""
        del token
        opened = await self.opened()
        root, nonce = "../" if udf else "", secrets.token_urlsafe(16)
        entry = opened.entry(udf or "", below=root)
        place = Place(assets=f"{root}../pages/", nonce=nonce, links=(("form", "page"),))
        page = map_page(entry, place, root=f"{root}../")
        send_page(self, page, policy=map_policy(nonce), referrer="no-referrer")

    head = get


class SharedListHandler(_DescribedHandler):
    """`GET|HEAD fused/<collection token>/`: its UDFs, for people and, without `text/html` in `Accept`, as JSON."""

    @may_open
    async def get(self, token: str, slash: str) -> None:
        """Names, and what each gives."""
        opened = await self.opened()
        self.set_header("Vary", "Accept, Origin")
        if "text/html" not in self.request.headers.get("Accept", ""):
            udfs = [_told(summary) for summary in opened.summaries]
            self.send_json({"udfs": udfs})
            return
        below, nonce = "" if slash else f"{token}/", secrets.token_urlsafe(16)
        links = (("OpenAPI", f"{below}openapi.json"), ("WMTS", below + _WMTS))
        place = Place(assets="../pages/" if slash else "pages/", nonce=nonce, links=links)
        entries = opened.entries(below="")
        page = list_page(entries, place, title=opened.title, addresses=[f"{below}{each.name}/page" for each in entries])
        send_page(self, page, policy=page_policy(nonce), referrer="no-referrer")

    head = get


class SharedTileJsonHandler(_DescribedHandler):
    """`GET|HEAD fused/<token>/tilejson.json`, `fused/<token>/<udf>/tilejson.json`: TileJSON 3.0."""

    @may_open
    async def get(self, token: str, udf: str | None = None) -> None:
        """The tile address, with what the owner says of the layer; arguments are passed on."""
        opened = await self.opened()
        entry = opened.entry(udf or "", below=f"{token}/")
        await send_tilejson(self, await self.hosts.find_share(self.share), entry, share=self.share, udf=udf or "")

    head = get


class SharedWmtsHandler(_DescribedHandler):
    """`GET|HEAD fused/<token>/wmts`: WMTS with its parameters in the query."""

    @may_open
    async def get(self, token: str) -> None:
        """`GetCapabilities` or `GetTile`."""
        opened = await self.opened()
        query = standard_parameters(self.request.query_arguments)
        if not asks_for_tile(query):
            send_capabilities(self, opened.entries(below=f"{token}/"), title=opened.title, below=f"{token}/")
            return
        asked = TileRequest.of(query)
        entry = next((each for each in opened.entries(below="") if each.name == asked.layer), None)
        if entry is None:
            raise ShareError(NOTHING)
        taken = arguments_for(entry, passed_on(self.request.query_arguments))
        self.request.query_arguments = as_query(taken)
        udf = "" if opened.kind == "udf" else asked.layer
        host = await self.hosts.find_share(self.share)
        await self.answer(host, udf, extension=asked.extension, tile=asked.tile, share=self.share)

    head = get

    def send_failure(self, fields: Mapping[str, Any], retry_after: int | None) -> None:
        """Respond with an error."""
        send_exception(self, fields)


class SharedCapabilitiesHandler(SharedWmtsHandler):
    """`GET|HEAD fused/<token>/wmts/1.0.0/WMTSCapabilities.xml`: the same without parameters."""

    @may_open
    async def get(self, token: str) -> None:
        """All UDFs of the token that give tiles."""
        opened = await self.opened()
        send_capabilities(self, opened.entries(below=f"{token}/"), title=opened.title, below=f"{token}/")

    head = get


def _told(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {name: summary.get(name) for name in ("name", "description", "schema", "spatial")}


_LETTERS = "[A-Za-z0-9_-]+"
_ONE, _MANY, _ANY, _UDF = f"(fsh_{_LETTERS})", f"(fc_{_LETTERS})", f"((?:fsh|fc)_{_LETTERS})", "([^/.]+)"

ROUTES = [
    (rf"/fused/{_ANY}/openapi\.json", SharedOpenApiHandler),
    (rf"/fused/{_ANY}/wmts", SharedWmtsHandler),
    (rf"/fused/{_ANY}/wmts/(?:1\.0\.0/)?WMTSCapabilities\.xml", SharedCapabilitiesHandler),
    (rf"/fused/{_ONE}/(?:page)?", SharedPageHandler),
    (rf"/fused/{_ONE}/map", SharedMapHandler),
    (rf"/fused/{_ONE}/tilejson\.json", SharedTileJsonHandler),
    (rf"/fused/{_MANY}(/?)", SharedListHandler),
    (rf"/fused/{_MANY}/{_UDF}/(?:page)?", SharedPageHandler),
    (rf"/fused/{_MANY}/{_UDF}/map", SharedMapHandler),
    (rf"/fused/{_MANY}/{_UDF}/tilejson\.json", SharedTileJsonHandler),
]
