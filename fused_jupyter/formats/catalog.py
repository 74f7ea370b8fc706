"""The formats of a response: their names, media types, what they can hold, and who writes them.

A new format is one entry of `FORMATS` and one function ``(value, tile) -> bytes``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, cast

from fused_jupyter.formats.frame import TileFrame
from fused_jupyter.formats.kinds import Kind

Encoder = Callable[[Any, TileFrame | None], bytes]  # Any: a value of one of the format's kinds
"""Takes a value, None where there is nothing to show, and the tile it is for; gives the body."""

_TABLES: Final = frozenset({Kind.GEOMETRIES, Kind.TABLE, Kind.NOTHING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format that a response can have."""

    extensions: tuple[str, ...]
    """Names that ask for it, in paths and in ``format=``."""
    media_type: str
    holds: frozenset[Kind]
    writer: str
    """The `Encoder`, as ``module:function``; a name, because its module may import numpy and more."""

    def encoder(self) -> Encoder:
        """The function that writes this format; its module is imported at the first call."""
        module, _, function = self.writer.partition(":")
        return cast("Encoder", getattr(import_module(module), function))


FORMATS: Final[dict[str, Format]] = {
    "png": Format(
        extensions=("png",),
        media_type="image/png",
        holds=frozenset({Kind.RASTER, Kind.PICTURE, Kind.NOTHING}),
        writer="fused_jupyter.formats.pictures:encode_picture",
    ),
    "mvt": Format(
        extensions=("mvt", "pbf"),
        media_type="application/vnd.mapbox-vector-tile",
        holds=frozenset({Kind.GEOMETRIES, Kind.NOTHING}),
        writer="fused_jupyter.formats.mvt:encode_mvt",
    ),
    "geojson": Format(
        extensions=("geojson",),
        media_type="application/geo+json",
        holds=frozenset({Kind.GEOMETRIES, Kind.NOTHING}),
        writer="fused_jupyter.formats.tables:encode_geojson",
    ),
    "parquet": Format(
        extensions=("parquet",),
        # The official client recognises Parquet by this type, and by none of the more telling ones.
        media_type="application/octet-stream",
        holds=_TABLES,
        writer="fused_jupyter.formats.tables:encode_parquet",
    ),
    "json": Format(
        extensions=("json",),
        # Without a charset: the official client compares the whole header.
        media_type="application/json",
        holds=_TABLES | {Kind.PLAIN, Kind.PAGE},
        writer="fused_jupyter.formats.plain:encode_json",
    ),
    "csv": Format(
        extensions=("csv",),
        media_type="text/csv; charset=utf-8",
        holds=_TABLES,
        writer="fused_jupyter.formats.tables:encode_csv",
    ),
    "html": Format(
        extensions=("html", "htm"),
        media_type="text/html; charset=utf-8",
        holds=_TABLES | {Kind.PLAIN, Kind.PAGE},
        writer="fused_jupyter.formats.page:encode_html",
    ),
}

BY_EXTENSION: Final = {extension: name for name, entry in FORMATS.items() for extension in entry.extensions}
"""Every name that asks for a format → the format's own name."""
