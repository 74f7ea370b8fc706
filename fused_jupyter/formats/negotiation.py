"""Which format a response gets: what the request names, else what the value is."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Self

from fused_jupyter.errors import FormatError, NotAcceptableError
from fused_jupyter.formats.catalog import BY_EXTENSION, BY_MEDIA_TYPE, FORMATS
from fused_jupyter.formats.kinds import Kind

_FOR_TILES: Final = {
    Kind.NOTHING: "",
    Kind.GEOMETRIES: "mvt",
    # No geometry, no vector tile: hexagon layers read such tiles as tables.
    Kind.TABLE: "parquet",
    Kind.ARRAY: "png",
    Kind.NUMBERS: "json",
    Kind.RASTER: "png",
    Kind.PICTURE: "png",
    Kind.BYTES: "bin",
    Kind.CHART: "png",
    Kind.PAGE: "html",
    Kind.PLAIN: "json",
    Kind.BUNDLE: "zip",
}
_FOR_FILES: Final = _FOR_TILES | {Kind.NOTHING: "json", Kind.GEOMETRIES: "parquet", Kind.CHART: "html"}
_NO_TILES: Final = frozenset({"tiff"})
"""Formats of pictures that maps do not draw."""

_WITH_GEOMETRY: Final = frozenset({"mvt", "geojson"})
_ONLY_TILES: Final = frozenset({"mvt"})
_HINTS: Final = {
    Kind.TABLE: "; to draw it, give it a geometry, a column hex of H3 cells, or columns lat and lng of numbers",
}
_RASTERS: Final = frozenset({Kind.ARRAY, Kind.RASTER, Kind.PICTURE})
_TABLES: Final = frozenset({Kind.GEOMETRIES, Kind.TABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The formats that a request names, the best first; empty where it names none."""

    formats: tuple[str, ...] = ()
    """From the path's extension, else from ``format=``, else from ``Accept``: it must be one of these."""
    for_rasters: str = ""
    """``dtype_out_raster=`` as it came; read when the value turns out to be a raster."""
    for_tables: str = ""
    """``dtype_out_vector=`` as it came; read for all other values."""

    @classmethod
    def of(
        cls,
        extension: str | None,
        format: str | None,  # noqa: A002  the name of the query parameter
        dtype_out_raster: str | None,
        dtype_out_vector: str | None,
        accept: str | None = None,
    ) -> Self:
        """Read what a request says; each text may be a comma list in order of preference, of which one must be known.

        Raises:
            FormatError: no name of the extension, or of ``format=`` where there is no extension, is a format.
            NotAcceptableError: no media type of ``Accept`` is a format's.

        >>> Wanted.of(None, "png,parquet,json", None, None).formats
        ('png', 'parquet', 'json')
        >>> Wanted.of(None, None, None, None, "text/csv, application/json;q=0.5").formats
        ('csv', 'json')
        """
        named = extension or format or ""
        is_said = named or dtype_out_raster or dtype_out_vector
        return cls(
            formats=_known(named) if is_said else _accepted(accept or ""),
            for_rasters=dtype_out_raster or "",
            for_tables=dtype_out_vector or "",
        )


def choose(wanted: Wanted, kind: Kind, *, described: str, is_empty: bool, for_tile: bool, native: str = "") -> str:
    """The name of the format to write, ``""`` for an empty tile that nobody wants in a certain format.

    Args:
        wanted: what the request names.
        kind: what the value is.
        described: the value in words, for the error.
        is_empty: whether it has no rows or pixels; every format can say that.
        native: the format that the value is in already, where it is the bytes of a picture.
        for_tile: whether the request is for a tile; it changes what is best where nothing is named.

    Raises:
        NotAcceptableError: what is named cannot hold the value.
    """
    names = wanted.formats or _by_kind(wanted, kind)
    fitting = _best(names, kind, is_empty=is_empty)
    if fitting is not None:
        return fitting
    # dtype_out_vector in a link to a UDF that returns text is a left-over, not an order.
    if names and (wanted.formats or kind in _RASTERS | _TABLES):
        able = ", ".join(formats_for(kind))
        asked = " or ".join(names)
        hint = _HINTS.get(kind, "") if _WITH_GEOMETRY & {*names} else ""
        raise NotAcceptableError(
            f"The UDF returned {described}, which {asked} cannot hold; formats that can: {able}{hint}"
        )
    if native and not (for_tile and native in _NO_TILES):
        return native
    if for_tile:
        return _FOR_TILES[Kind.NOTHING if is_empty and kind is Kind.TABLE else kind]
    return _FOR_FILES[kind]


def needs_geometry(wanted: Wanted, *, for_tile: bool) -> bool:
    """Whether of the formats that are named, none holds a table, and one would hold it if it had a geometry.

    >>> needs_geometry(Wanted(formats=("mvt",)), for_tile=True), needs_geometry(Wanted(formats=("csv",)), for_tile=True)
    (True, False)
    """
    names = wanted.formats or _known(wanted.for_tables)
    able = _WITH_GEOMETRY if for_tile else _WITH_GEOMETRY - _ONLY_TILES
    return bool(able & {*names}) and not any(Kind.TABLE in FORMATS[name].holds for name in names)


def formats_for(kind: Kind) -> tuple[str, ...]:
    """The formats that can hold or show a kind of value, the whole ones first.

    >>> formats_for(Kind.NUMBERS)
    ('npy', 'json', 'html', 'zip', 'csv')
    """
    whole = [name for name, entry in FORMATS.items() if kind in entry.holds]
    return (*whole, *(name for name, entry in FORMATS.items() if kind in entry.shows))


def _best(names: tuple[str, ...], kind: Kind, *, is_empty: bool) -> str | None:
    for able in (lambda name: kind in FORMATS[name].holds, lambda name: kind in FORMATS[name].shows):
        if (found := next(filter(able, names), None)) is not None:
            # Who lists formats takes what the value is made of; the official client never lists zip, but reads it.
            return "zip" if kind is Kind.BUNDLE and len(names) > 1 else found
    return next(iter(names), None) if is_empty else None


def _by_kind(wanted: Wanted, kind: Kind) -> tuple[str, ...]:
    if kind is Kind.NOTHING:
        # None could have been either; what both ask for differs only in how the emptiness looks.
        return _known(wanted.for_tables or wanted.for_rasters)
    return _known(wanted.for_rasters if kind in _RASTERS else wanted.for_tables)


def _known(names: str) -> tuple[str, ...]:
    asked = [name.strip().lower().removeprefix(".") for name in names.split(",") if name.strip()]
    known = tuple(dict.fromkeys(BY_EXTENSION[name] for name in asked if name in BY_EXTENSION))
    if asked and not known:
        nearest = get_close_matches(asked[0], BY_EXTENSION, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise FormatError(f"format: got {names!r}, known are {', '.join(FORMATS)}{hint}")
    return known


def _accepted(header: str) -> tuple[str, ...]:
    """The formats of an ``Accept`` header, the most wanted first; none where anything will do, as browsers say."""
    wanted: list[tuple[float, str]] = []
    for part in header.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if media_type == "*/*":
            return ()
        weight = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        wanted += [(_weight(weight), name) for kind, name in BY_MEDIA_TYPE.items() if _matches(kind, media_type)]
    order = list(FORMATS)
    ranked = sorted((pair for pair in wanted if pair[0] > 0), key=lambda pair: (-pair[0], order.index(pair[1])))
    if header.strip() and not ranked:
        raise NotAcceptableError(f"Accept: got {header!r}; known are {', '.join(BY_MEDIA_TYPE)}")
    return tuple(dict.fromkeys(name for _, name in ranked))


def _matches(kind: str, asked: str) -> bool:
    return kind == asked or (asked.endswith("/*") and kind.startswith(asked[:-1]))


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
