"""From path and query to a `wire.Run`: strings only, nothing is typed here."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

import orjson

from fused_jupyter.errors import ArgumentError, TileError
from fused_jupyter.wire import Run
from fused_jupyter.wire.http.codings import without_codings
from fused_jupyter.wire.http.ranges import NOTHING, Part, parse_range

RESERVED = frozenset(
    {"", "format", "dtype_out_raster", "dtype_out_vector", "cache_max_age", "kernel", "v", "token", "_xsrf"}
)
"""Query parameters that are ours or Jupyter's; all others are the UDF's arguments. The empty name is `format`."""

CLIENT_HEADER = "X-Fused-Client"
"""Which map asks; js/src/link/server.ts sends it."""

MAX_BODY = 1_000_000
"""Bytes of arguments in a POST. They travel in a frame's header; larger things are files."""

Query = Mapping[str, Sequence[bytes]]
"""As tornado parses it: names decoded as Latin-1, values not at all."""


def parse_tile(z: str, x: str, y: str) -> tuple[int, int, int]:
    """(z, x, y).

    Raises:
        TileError: not three whole numbers.

    >>> parse_tile("12", "654", "1583")
    (12, 654, 1583)
    """
    if all(part.isascii() and part.isdigit() and len(part) < 12 for part in (z, x, y)):
        return int(z), int(x), int(y)
    raise TileError(f"tile {z}/{x}/{y}: need three whole numbers z/x/y, e.g. 12/654/1583")


def client_of(headers: Mapping[str, str], address: str, *, share: str | None = None) -> str:
    """Who sends requests, as a short name by which nobody is known: of each client some calls wait, not all.

    Of the owner's maps each says which it is. Otherwise pages and programs are told apart, and with a token addresses
    only: whoever has one could make up anything else.

    >>> client_of({"X-Fused-Client": "map"}, "10.0.0.1") == client_of({"X-Fused-Client": "map"}, "10.0.0.2")
    True
    >>> client_of({"X-Fused-Client": "a"}, "::1", share="s") == client_of({"X-Fused-Client": "b"}, "::1", share="s")
    True
    """
    parts: tuple[str, ...]
    if share is not None:
        parts = ("token", share, address)
    elif name := headers.get(CLIENT_HEADER):
        parts = ("named", name)
    else:
        parts = ("other", address, headers.get("User-Agent", ""), headers.get("Referer", ""))
    return hashlib.blake2b(orjson.dumps(parts), digest_size=8, key=_KEY).hexdigest()


_KEY = secrets.token_bytes(16)
"""Without it, nobody finds out by trying which address a client has."""


def make_run(
    number: int,
    *,
    udf: str,
    share: str | None = None,
    client: str = "",
    method: str,
    query: Query,
    headers: Mapping[str, str],
    extension: str | None,
    tile: tuple[int, int, int] | None,
    body: Mapping[str, Any],
) -> Run:
    """The request for the host."""
    format_ = first(query, "format") or first(query, "")
    for_rasters, for_tables = first(query, "dtype_out_raster"), first(query, "dtype_out_vector")
    is_open = not (extension or format_ or for_rasters or for_tables)
    is_read = method != "POST"
    return Run(
        id=number,
        udf=udf,
        share=share,
        client=client,
        digest=first(query, "v"),
        tile=tile,
        parameters=arguments(query) | dict(body),
        extension=extension or None,
        format=format_,
        dtype_out_raster=for_rasters,
        dtype_out_vector=for_tables,
        accept=_accepted(headers) if is_open else None,
        headers=passed_on(headers),
        cache_max_age=first(query, "cache_max_age"),
        if_none_match=without_codings(headers.get("If-None-Match", "")) or None if is_read else None,
        part=_part(method, headers),
        if_range=headers.get("If-Range") if is_read else None,
    )


def passed_on(headers: Mapping[str, str]) -> dict[str, str] | None:
    """Headers that a UDF may see: what the client says of itself, and what somebody means for the UDF; never a secret.

    >>> passed_on({"Accept-Language": "de", "Cookie": "a=b", "X-Fused-Theme": "dark", "X-Fused-Client": "7f"})
    {'accept-language': 'de', 'x-fused-theme': 'dark'}
    """
    names = [name for name in headers if _may_be_seen(name.lower())][:_MOST_HEADERS]
    return {name.lower(): headers[name][:_LONGEST_HEADER] for name in names} or None


def _may_be_seen(name: str) -> bool:
    return name in _HEADERS or (name.startswith("x-fused-") and name != CLIENT_HEADER.lower())


_HEADERS = frozenset({"accept-language", "content-type", "origin", "user-agent"})
_MOST_HEADERS, _LONGEST_HEADER = 20, 1000


def names_format(run: Run) -> bool:
    """Whether the address says which format is wanted, so that the header `Accept` does not count.

    >>> names_format(Run(id=1, extension="csv")), names_format(Run(id=1, udf="quakes"))
    (True, False)
    """
    return bool(run.extension or run.format or run.dtype_out_raster or run.dtype_out_vector)


def tile_extension(query: Query) -> str:
    """How the tile addresses of a layer end; empty where each tile decides by what it is.

    >>> tile_extension({"": [b"webp,png"]}), tile_extension({}), tile_extension({"dtype_out_raster": [b"png"]})
    ('webp', 'mvt', 'png')
    """
    named = first(query, "format") or first(query, "")
    by_kind = [text for name in ("dtype_out_raster", "dtype_out_vector") if (text := first(query, name))]
    if named is None and len(by_kind) == 2:
        return ""
    return (named or next(iter(by_kind), "mvt")).partition(",")[0].strip().lower().removeprefix(".")


def arguments(query: Query) -> dict[str, Any]:
    """The UDF's arguments: text, or a list of texts where a name came more than once.

    Raises:
        ArgumentError: a name or value is no UTF-8.

    >>> arguments({"n": [b"1"], "tag": [b"a", b"b"], "format": [b"png"]})
    {'n': '1', 'tag': ['a', 'b']}
    """
    found: dict[str, Any] = {}
    for latin, values in query.items():
        if latin not in RESERVED:
            name = _text(latin, latin.encode("latin-1"))
            texts = [_text(name, value) for value in values]
            found[name] = texts[0] if len(texts) == 1 else texts
    return found


def query_of(text: str) -> Query:
    r"""The query of an address, read as tornado reads it.

    >>> query_of("tag=a&tag=%C3%BC&n=")
    {'tag': [b'a', b'\xc3\xbc'], 'n': [b'']}
    """
    parsed = parse_qs(text, keep_blank_values=True, encoding="latin-1")
    return {name: [value.encode("latin-1") for value in values] for name, values in parsed.items()}


def first(query: Query, name: str) -> str | None:
    """The first value of a reserved parameter, None where it did not come or is empty."""
    values = query.get(name)
    return _text(name, values[0]) or None if values else None


def parse_body(body: bytes, content_type: str, form: Query) -> dict[str, Any]:
    """The arguments in the body of a POST: a JSON object, or a form.

    Raises:
        ArgumentError: neither, or too long.

    >>> parse_body(b'{"min_mag": 6}', "application/json", {})
    {'min_mag': 6}
    """
    if len(body) > MAX_BODY:
        raise ArgumentError(f"the body has {len(body)} bytes, {MAX_BODY} are allowed; pass a file's address instead")
    if not body:
        return {}
    if content_type.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        return arguments(form)
    try:
        parsed = orjson.loads(body)
    except ValueError as exc:
        raise ArgumentError(f'the body is no JSON ({exc}); send an object such as {{"min_mag": 6}}') from exc
    if not isinstance(parsed, dict):
        raise ArgumentError(f'the body is a JSON {type(parsed).__name__}; send an object such as {{"min_mag": 6}}')
    return parsed


def _accepted(headers: Mapping[str, str]) -> str | None:
    """`Accept`, where it says something: browsers and libraries end theirs with ``*/*``, each in its own words."""
    accept = headers.get("Accept", "")
    return accept if accept and "*/*" not in accept else None


def _part(method: str, headers: Mapping[str, str]) -> Part | None:
    if method == "HEAD":
        return NOTHING
    return parse_range(headers.get("Range")) if method == "GET" else None


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise ArgumentError(f"{name}: the text is no UTF-8", parameter=name) from exc
