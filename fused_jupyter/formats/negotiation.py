"""Which format a response gets: what the request names, else what the value is."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Self

from fused_jupyter.errors import FormatError
from fused_jupyter.formats.catalog import BY_EXTENSION, FORMATS
from fused_jupyter.formats.kinds import Kind

_FOR_TILES: Final = {
    Kind.NOTHING: "",
    Kind.GEOMETRIES: "mvt",
    # No geometry, no vector tile: hexagon layers read such tiles as tables.
    Kind.TABLE: "parquet",
    Kind.RASTER: "png",
    Kind.PICTURE: "png",
    Kind.PAGE: "html",
    Kind.PLAIN: "json",
}
_FOR_FILES: Final = _FOR_TILES | {Kind.NOTHING: "json", Kind.GEOMETRIES: "parquet"}
_RASTERS: Final = frozenset({Kind.RASTER, Kind.PICTURE})
_TABLES: Final = frozenset({Kind.GEOMETRIES, Kind.TABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The formats that a request names, the best first; empty where it names none."""

    formats: tuple[str, ...] = ()
    """From the path's extension, else from ``format=``: it must be one of these."""
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
    ) -> Self:
        """Read what a request says; each text may be a comma list in order of preference, of which one must be known.

        Raises:
            FormatError: no name of the extension, or of ``format=`` where there is no extension, is a format.

        >>> Wanted.of(None, "npy,tiff,parquet,json", None, None).formats
        ('parquet', 'json')
        """
        return cls(
            formats=_known(extension or format or ""),
            for_rasters=dtype_out_raster or "",
            for_tables=dtype_out_vector or "",
        )


def choose(wanted: Wanted, kind: Kind, *, described: str, is_empty: bool, for_tile: bool) -> str:
    """The name of the format to write, ``""`` for an empty tile that nobody wants in a certain format.

    Args:
        wanted: what the request names.
        kind: what the value is.
        described: the value in words, for the error.
        is_empty: whether it has no rows or pixels; every format can say that.
        for_tile: whether the request is for a tile; it changes what is best where nothing is named.

    Raises:
        FormatError: what is named cannot hold the value.
    """
    names = wanted.formats or _by_kind(wanted, kind)
    fitting = next((name for name in names if is_empty or kind in FORMATS[name].holds), None)
    if fitting is not None:
        return fitting
    # dtype_out_vector in a link to a UDF that returns text is a left-over, not an order.
    if names and (wanted.formats or kind in _RASTERS | _TABLES):
        able = ", ".join(name for name, entry in FORMATS.items() if kind in entry.holds)
        asked = " or ".join(names)
        raise FormatError(f"The UDF returned {described}, which {asked} cannot hold; formats that can: {able}")
    if for_tile:
        return _FOR_TILES[Kind.NOTHING if is_empty and kind is Kind.TABLE else kind]
    return _FOR_FILES[kind]


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
