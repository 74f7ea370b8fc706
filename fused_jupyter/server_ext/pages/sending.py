"""What the owner's pages and those of tokens have in common: how they are sent, and what a layer is asked first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from fused_jupyter.errors import ArgumentError, FusedError
from fused_jupyter.server_ext.base import FusedHandler
from fused_jupyter.server_ext.hosts import Host
from fused_jupyter.server_ext.pages.entry import Entry
from fused_jupyter.server_ext.pages.fields import fields_of
from fused_jupyter.server_ext.pages.tilejson import VECTOR_FORMATS, sample_tile, tilejson
from fused_jupyter.server_ext.pages.wmts import NEEDED, capabilities, exception_report, standard_parameters
from fused_jupyter.wire.http.requests import client_of, first, make_run, tile_extension

_NOT_PASSED_ON = frozenset({"", "format", "kernel", "token", "_xsrf"})
_NAMES_OF_FORMATS = ("", "format", "dtype_out_raster", "dtype_out_vector")
_PATIENCE_SECONDS = 2.0

Query = Mapping[str, Sequence[bytes]]


def send_page(handler: FusedHandler, page: bytes, *, policy: str, referrer: str) -> None:
    """Respond with a page of ours.

    Args:
        handler: of the request.
        page: the HTML.
        policy: what its browser is to let it do.
        referrer: whom it is to tell its address.
    """
    handler.set_header("Content-Type", "text/html; charset=utf-8")
    handler.set_header("Content-Security-Policy", policy)
    handler.set_header("X-Content-Type-Options", "nosniff")
    handler.set_header("Referrer-Policy", referrer)
    handler.set_header("Cache-Control", "no-store")
    handler.finish(page)


def send_xml(handler: FusedHandler, document: bytes) -> None:
    """Respond with XML that no browser runs scripts of."""
    handler.set_header("Content-Type", "text/xml; charset=utf-8")
    handler.set_header("Content-Security-Policy", "sandbox; frame-ancestors 'self'")
    handler.set_header("X-Content-Type-Options", "nosniff")
    handler.set_header("Referrer-Policy", "no-referrer")
    handler.set_header("Cache-Control", "no-store")
    handler.finish(document)


def root_of(handler: FusedHandler) -> str:
    """The whole address of `fused/`, as the client knows this server."""
    return f"{handler.request.protocol}://{handler.request.host}{handler.base_url}fused/"


def passed_on(query: Query) -> list[tuple[str, str]]:
    """The arguments of a layer's description, which become part of the addresses of its tiles.

    Raises:
        ArgumentError: a name or value is no UTF-8.

    >>> passed_on({"n": [b"1"], "token": [b"secret"]})
    [('n', '1')]
    """
    kept = {name: values for name, values in query.items() if name not in _NOT_PASSED_ON}
    try:
        # Tornado decodes names as Latin-1.
        return [(name.encode("latin-1").decode(), value.decode()) for name, values in kept.items() for value in values]
    except UnicodeDecodeError as exc:
        raise ArgumentError("the query is no UTF-8; write other letters as %C3%BC and the like") from exc


def as_query(arguments: Sequence[tuple[str, str]]) -> dict[str, list[bytes]]:
    """The way back, to what tornado has.

    >>> as_query([("n", "1"), ("n", "2")])
    {'n': [b'1', b'2']}
    """
    query: dict[str, list[bytes]] = {}
    for name, value in arguments:
        query.setdefault(name.encode().decode("latin-1"), []).append(value.encode())
    return query


def send_capabilities(handler: FusedHandler, entries: Sequence[Entry], *, title: str, below: str = "") -> None:
    """Respond with the capabilities document of a WMTS.

    Args:
        handler: of the request; its arguments are passed on to the tiles.
        entries: all UDFs there are.
        title: of the service.
        below: what is between `fused/` and `wmts`, a slash at its end.
    """
    root = root_of(handler)
    service = f"{root}{quote(below)}wmts"
    arguments = passed_on(handler.request.query_arguments)
    send_xml(handler, capabilities(entries, root=root, service=service, title=title, passed_on=arguments))


def send_exception(handler: FusedHandler, fields: Mapping[str, Any]) -> None:
    """Respond with an error as WMTS clients read it, and with the status that the standard has for it."""
    query, parameter = standard_parameters(handler.request.query_arguments), fields.get("parameter")
    if parameter in query or parameter in NEEDED:
        handler.set_status(400)
    send_xml(handler, exception_report(str(fields.get("error", "")), parameter=parameter, query=query))


async def send_tilejson(
    handler: FusedHandler, host: Host, entry: Entry, *, udf: str, share: str | None = None, kernel: str | None = None
) -> None:
    """Respond with the description of a layer, for map libraries.

    Args:
        handler: of the request; its arguments are passed on to the tiles.
        host: where tiles of it are made.
        entry: of the UDF.
        udf: its name, empty where the token says it.
        share: of the token, if there is one.
        kernel: the one that the tiles are pinned to.
    """
    query = handler.request.query_arguments
    extension = _extension(entry, query)
    arguments = passed_on(query)
    search = urlencode([*([("kernel", kernel)] if kernel else []), *arguments])
    template = f"{root_of(handler)}{entry.tiles}/{{z}}/{{x}}/{{y}}{extension and '.'}{quote(extension, safe='')}"
    fields = {}
    if extension in VECTOR_FORMATS and "vector_layers" not in entry.metadata:
        fields = await _fields(handler, host, entry, udf=udf, share=share)
    described = tilejson(entry, template=template + (search and f"?{search}"), extension=extension, fields=fields)
    handler.send_json(described)


def _extension(entry: Entry, query: Query) -> str:
    """How the addresses of tiles end: as the query says, else vector tiles, where a token does not rule these out."""
    extension, is_named = tile_extension(query), any(first(query, name) for name in _NAMES_OF_FORMATS)
    if is_named or extension in entry.formats:
        return extension
    return next(iter((*entry.drawn, *entry.formats)), extension)


async def _fields(handler: FusedHandler, host: Host, entry: Entry, *, udf: str, share: str | None) -> dict[str, str]:
    """The fields of a layer, from one of its tiles; nobody knows them before. None where that tile fails or is slow."""
    request = handler.request
    run = make_run(
        host.client.next_number(),
        udf=udf,
        share=share,
        client=client_of(request.headers, request.remote_ip or "", share=share),
        method="GET",
        query=as_query(passed_on(request.query_arguments)),
        headers={},
        extension="mvt",
        tile=sample_tile(entry),
        body={},
    )
    with contextlib.suppress(FusedError, TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            _, tile = await handler.hosts.run(host, run)
        return fields_of(tile)
    return {}
