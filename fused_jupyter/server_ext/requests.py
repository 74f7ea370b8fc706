"""From path and query to a `wire.Run`: strings only, nothing is typed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from fused_jupyter.errors import ArgumentError, TileError
from fused_jupyter.wire import Run

RESERVED = frozenset(
    {"format", "dtype_out_raster", "dtype_out_vector", "cache_max_age", "kernel", "v", "token", "_xsrf"}
)
"""Query parameters that are ours or Jupyter's; all others are the UDF's arguments."""

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


def make_run(
    number: int,
    *,
    udf: str,
    query: Query,
    extension: str | None,
    tile: tuple[int, int, int] | None,
    body: Mapping[str, Any],
) -> Run:
    """The request for the host."""
    return Run(
        id=number,
        udf=udf,
        digest=first(query, "v"),
        tile=tile,
        parameters=arguments(query) | dict(body),
        extension=extension or None,
        format=first(query, "format"),
        dtype_out_raster=first(query, "dtype_out_raster"),
        dtype_out_vector=first(query, "dtype_out_vector"),
        cache_max_age=first(query, "cache_max_age"),
    )


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


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise ArgumentError(f"{name}: the text is no UTF-8", parameter=name) from exc
