"""One door from values to bytes: decide the format, write the body, treat emptiness as each request expects it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fused_jupyter.errors import FusedError, UdfSerializationError
from fused_jupyter.formats.catalog import FORMATS
from fused_jupyter.formats.kinds import Kind, content, kind_of, picture_format, type_name
from fused_jupyter.formats.negotiation import Wanted, choose, needs_geometry
from fused_jupyter.formats.target import Target, Written

_OK: Final = 200
_NO_CONTENT: Final = 204


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The body of a response and what to say about it."""

    body: bytes
    media_type: str
    """The ``Content-Type``; empty where there is no body and no format."""
    format: str
    """Name in `FORMATS`; empty for an empty tile without one, and for a web response that the UDF made itself."""
    status: int = _OK
    """HTTP status: 204 for an empty vector tile; whatever the UDF set on a web response of its own."""
    extension: str = ""
    """How the name of a file with this body ends, without the dot."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers; those of a web response that the UDF made itself have not been looked at."""
    domain: tuple[float, float] | None = None
    """The range of values that was chosen for this tile, and that its neighbours should have too."""


def encode(value: Any, *, wanted: Wanted, target: Target | None = None) -> Encoded:  # Any: whatever a UDF returns
    """The response body for what a UDF returned.

    Args:
        value: what the UDF returned.
        wanted: the formats that the request names.
        target: the tile that was asked for, which decides the default format and cuts rasters that know their place;
            and how to draw it. None is a file, drawn as the value says.

    Raises:
        NotAcceptableError: the wanted format cannot hold the value.
        UdfSerializationError: no format can, or the value has parts that this format cannot carry.

    >>> encode({"answer": 42}, wanted=Wanted()).body
    b'{"answer":42}'
    """
    target = target or Target()
    kind, given = kind_of(value), type_name(value)
    if kind is Kind.RESPONSE:
        from fused_jupyter.formats.responses import pass_response

        return pass_response(value)
    if kind is Kind.TABLE:
        from fused_jupyter.formats.tabular.capsules import settle

        # A stream can be read once, but here it is asked for its rows as well, and whether there are geometries in it.
        value = settle(value)
        kind = kind_of(value)
    if kind is Kind.TABLE and needs_geometry(wanted, for_tile=target.tile is not None):
        from fused_jupyter.formats.tabular.places import with_geometry

        # H3 cells, or latitude and longitude; without either, it stays a table that such a format cannot hold.
        value = value if (placed := with_geometry(value)) is None else placed
        kind = kind_of(value)
    is_empty = _EMPTINESS.get(kind, _never)(value)
    described = kind.value if kind is Kind.NOTHING else f"{kind.value} ({given})"
    native = picture_format(content(value)) if kind is Kind.PICTURE else ""
    for_tile = target.tile is not None
    name = choose(wanted, kind, described=described, is_empty=is_empty, for_tile=for_tile, native=native)
    if not name:
        return Encoded(body=b"", media_type="", format="", status=_NO_CONTENT)
    # An empty table keeps its columns where the format has columns; an array of no pixels is no picture.
    is_nothing = kind not in FORMATS[name].holds | FORMATS[name].shows or (is_empty and kind in _PIXELS)
    written = write(None if is_nothing else value, name, target)
    return Encoded(
        body=written.body,
        media_type=written.media_type or FORMATS[name].media_type,
        format=name,
        status=_NO_CONTENT if name == "mvt" and not written.body else _OK,
        extension=written.extension or FORMATS[name].extensions[0],
        headers=written.headers,
        domain=written.domain,
    )


def write(value: Any, name: str, target: Target) -> Written:
    """The value in a format that can hold it.

    Raises:
        UdfSerializationError: it has parts that the format cannot carry.
    """
    try:
        written = FORMATS[name].encoder()(value, target)
    except FusedError:
        raise
    except (ValueError, TypeError, NotImplementedError, OverflowError) as exc:
        raise UdfSerializationError(f"The UDF returned {type_name(value)}; writing it as {name} failed: {exc}") from exc
    return written if isinstance(written, Written) else Written(body=written)


def _has_no_rows(value: Any) -> bool:
    if hasattr(value, "__len__"):
        return len(value) == 0
    return bool(getattr(value, "is_empty", False))  # a geometry; of a stream nobody knows before it is read


def _has_no_pixels(value: Any) -> bool:
    array = value[0] if isinstance(value, tuple) else value
    size = getattr(array, "size", None)
    if isinstance(size, dict) or hasattr(array, "data_vars"):
        return 0 in array.sizes.values()
    return size is not None and 0 in (size if isinstance(size, tuple) else (size,))


def _never(value: Any) -> bool:
    del value
    return False


_PIXELS: Final = frozenset({Kind.ARRAY, Kind.RASTER})
_EMPTINESS: Final = {
    Kind.GEOMETRIES: _has_no_rows,
    Kind.TABLE: _has_no_rows,
    Kind.ARRAY: _has_no_pixels,
    Kind.RASTER: _has_no_pixels,
}
