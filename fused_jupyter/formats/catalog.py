"""The formats of a response: their names, media types, what they can hold, and who writes them.

A new format is one entry of `FORMATS` and one `Encoder`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Final, cast

from fused_jupyter.formats.kinds import Kind
from fused_jupyter.formats.target import Encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format that a response can have."""

    extensions: tuple[str, ...]
    """Names that ask for it, in paths and in ``format=``; the first one ends the names of files."""
    media_type: str
    holds: frozenset[Kind]
    """What it carries whole."""
    shows: frozenset[Kind] = frozenset()
    """What it carries in part, e.g. values without their place: only if no other format of a list holds the value."""
    writer: str
    """The `Encoder`, as ``module:function``; a name, because its module may import numpy and more."""
    also_known_as: tuple[str, ...] = ()
    """Further media types that ask for it in ``Accept``."""

    def encoder(self) -> Encoder:
        """The function that writes this format; its module is imported at the first call."""
        return _load(self.writer)


@cache
def _load(writer: str) -> Encoder:
    module, _, function = writer.partition(":")
    return cast("Encoder", getattr(import_module(f"fused_jupyter.formats.{module}"), function))


_NOTHING: Final = frozenset({Kind.NOTHING})
_TABLES: Final = frozenset({Kind.GEOMETRIES, Kind.TABLE})
_RASTERS: Final = frozenset({Kind.ARRAY, Kind.RASTER, Kind.PICTURE})
_DRAWN: Final = _RASTERS | {Kind.CHART, Kind.NOTHING}
_DATA: Final = frozenset({Kind.PLAIN, Kind.PAGE, Kind.NUMBERS, Kind.NOTHING})
_ANY: Final = frozenset(Kind) - {Kind.RESPONSE}

FORMATS: Final[dict[str, Format]] = {
    "png": Format(
        extensions=("png",),
        media_type="image/png",
        holds=_DRAWN,
        writer="rasters.pictures:encode_png",
    ),
    "jpg": Format(
        extensions=("jpg", "jpeg"),
        media_type="image/jpeg",
        holds=_DRAWN,
        writer="rasters.pictures:encode_jpg",
        also_known_as=("image/jpg",),
    ),
    "webp": Format(
        extensions=("webp",),
        media_type="image/webp",
        holds=_DRAWN,
        writer="rasters.pictures:encode_webp",
    ),
    "avif": Format(
        extensions=("avif",),
        media_type="image/avif",
        holds=_DRAWN,
        writer="rasters.pictures:encode_avif",
    ),
    "gif": Format(
        extensions=("gif",),
        media_type="image/gif",
        holds=_DRAWN,
        writer="rasters.pictures:encode_gif",
    ),
    "tiff": Format(
        extensions=("tiff", "tif"),
        media_type="image/tiff",
        holds=_RASTERS,
        shows=_NOTHING,
        writer="rasters.tiff:encode_tiff",
        also_known_as=("image/tiff; application=geotiff", "image/geotiff"),
    ),
    "npy": Format(
        extensions=("npy",),
        # The official client recognises arrays by this type.
        media_type="application/x-numpy-data",
        holds=frozenset({Kind.ARRAY, Kind.NUMBERS}),
        shows=frozenset({Kind.RASTER, Kind.PICTURE, Kind.NOTHING}),
        writer="rasters.npy:encode_npy",
    ),
    "mvt": Format(
        extensions=("mvt", "pbf"),
        media_type="application/vnd.mapbox-vector-tile",
        holds=frozenset({Kind.GEOMETRIES, Kind.NOTHING}),
        writer="mvt.encoder:encode_mvt",
        also_known_as=("application/x-protobuf",),
    ),
    "geojson": Format(
        extensions=("geojson",),
        media_type="application/geo+json",
        holds=frozenset({Kind.GEOMETRIES, Kind.NOTHING}),
        writer="tabular.tables:encode_geojson",
    ),
    "parquet": Format(
        extensions=("parquet",),
        # The official client recognises Parquet by this type, and by none of the more telling ones.
        media_type="application/octet-stream",
        holds=_TABLES,
        shows=_NOTHING,
        writer="tabular.tables:encode_parquet",
        also_known_as=("application/vnd.apache.parquet", "application/x-parquet"),
    ),
    "feather": Format(
        extensions=("feather", "arrow"),
        media_type="application/vnd.apache.arrow.file",
        holds=_TABLES,
        shows=_NOTHING,
        writer="tabular.tables:encode_feather",
    ),
    "csv": Format(
        extensions=("csv",),
        media_type="text/csv; charset=utf-8",
        holds=_TABLES,
        shows=frozenset({Kind.NUMBERS, Kind.NOTHING}),
        writer="tabular.tables:encode_csv",
    ),
    "xlsx": Format(
        extensions=("xlsx", "excel"),
        media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        holds=_TABLES,
        shows=_NOTHING,
        writer="tabular.sheets:encode_xlsx",
    ),
    "xml": Format(
        extensions=("xml",),
        media_type="application/xml",
        holds=_TABLES,
        shows=_NOTHING,
        writer="tabular.sheets:encode_xml",
        also_known_as=("text/xml",),
    ),
    "json": Format(
        extensions=("json",),
        # Without a charset: the official client compares the whole header.
        media_type="application/json",
        holds=_TABLES | _DATA,
        shows=frozenset({Kind.ARRAY, Kind.RASTER, Kind.BUNDLE, Kind.CHART}),
        writer="plain:encode_json",
    ),
    "html": Format(
        extensions=("html", "htm"),
        media_type="text/html; charset=utf-8",
        holds=_TABLES | _DATA | {Kind.CHART},
        shows=_ANY - _TABLES - _DATA - {Kind.CHART},
        writer="page:encode_html",
    ),
    "zip": Format(
        extensions=("zip",),
        media_type="application/zip",
        holds=_ANY,
        writer="bundle:encode_zip",
    ),
    "bin": Format(
        extensions=("bin",),
        media_type="application/octet-stream",
        holds=frozenset({Kind.BYTES, Kind.PICTURE}),
        shows=_NOTHING,
        writer="bundle:encode_bytes",
    ),
}

BY_EXTENSION: Final = {extension: name for name, entry in FORMATS.items() for extension in entry.extensions}
"""Every name that asks for a format → the format's own name."""

BY_MEDIA_TYPE: Final = {
    kind: name
    for name, entry in reversed(FORMATS.items())
    for kind in (entry.media_type.partition(";")[0], *entry.also_known_as)
}
"""Every media type that asks for a format → the format's name; of two with one type, the first in `FORMATS`."""
