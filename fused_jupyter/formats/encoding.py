"""One door from values to bytes: decide the format, write the body, treat emptiness as each request expects it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fused_jupyter.errors import FusedError, UdfSerializationError
from fused_jupyter.formats.catalog import FORMATS
from fused_jupyter.formats.kinds import Kind, kind_of, type_name
from fused_jupyter.formats.negotiation import Wanted, choose

if TYPE_CHECKING:
    from fused_jupyter.formats.frame import TileFrame

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


def encode(value: Any, *, wanted: Wanted, tile: TileFrame | None) -> Encoded:  # Any: whatever a UDF returns
    """The response body for what a UDF returned.

    Args:
        value: what the UDF returned.
        wanted: the formats that the request names.
        tile: the tile that was asked for; None for a file. It decides the default format, and rasters that know their
            place are cut to it.

    Raises:
        FormatError: the wanted format cannot hold the value.
        UdfSerializationError: no format can, or the value has parts that this format cannot carry.

    >>> encode({"answer": 42}, wanted=Wanted(), tile=None).body
    b'{"answer":42}'
    """
    kind = kind_of(value)
    if kind is Kind.RESPONSE:
        return _pass_response(value)
    is_empty = _EMPTINESS.get(kind, _never)(value)
    name = choose(wanted, kind, described=_describe(value, kind), is_empty=is_empty, for_tile=tile is not None)
    if not name:
        return Encoded(body=b"", media_type="", format="", status=_NO_CONTENT)
    # An empty table keeps its columns where the format has columns; an array of no pixels is no picture.
    is_nothing = kind not in FORMATS[name].holds or (is_empty and kind is Kind.RASTER)
    body = _write(None if is_nothing else value, name, tile)
    status = _NO_CONTENT if name == "mvt" and not body else _OK
    return Encoded(body=body, media_type=FORMATS[name].media_type, format=name, status=status)


def _write(value: Any, name: str, tile: TileFrame | None) -> bytes:
    try:
        return FORMATS[name].encoder()(value, tile)
    except FusedError:
        raise
    except (ValueError, TypeError, NotImplementedError, OverflowError) as exc:
        raise UdfSerializationError(f"The UDF returned {type_name(value)}; writing it as {name} failed: {exc}") from exc


def _describe(value: Any, kind: Kind) -> str:
    return kind.value if kind is Kind.NOTHING else f"{kind.value} ({type_name(value)})"


def _has_no_rows(value: Any) -> bool:
    return len(value) == 0 if hasattr(value, "__len__") else bool(value.is_empty)


def _has_no_pixels(value: Any) -> bool:
    array = value[0] if isinstance(value, tuple) else value
    size = getattr(array, "size", None)
    return len(array) == 0 if size is None else 0 in (size if isinstance(size, tuple) else (size,))


def _never(value: Any) -> bool:
    del value
    return False


_EMPTINESS: Final = {Kind.GEOMETRIES: _has_no_rows, Kind.TABLE: _has_no_rows, Kind.RASTER: _has_no_pixels}


def _pass_response(value: Any) -> Encoded:
    # html_to_obj, the most used helper of public UDFs, returns a starlette Response that says its own media type.
    body = getattr(value, "body", None)
    if body is None:
        raise UdfSerializationError(
            f"The UDF returned {type_name(value)}, which has no body to send; return a plain Response or the data"
        )
    media_type = value.headers.get("content-type", "application/octet-stream")
    return Encoded(body=bytes(body), media_type=media_type, format="", status=value.status_code)
