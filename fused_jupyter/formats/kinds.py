"""What a value is, as far as choosing a format goes; told by class names, so that no library is imported to ask."""

from __future__ import annotations

import re
from dataclasses import is_dataclass
from enum import Enum
from io import BytesIO
from typing import Any, Final

from fused_jupyter.errors import UdfSerializationError

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_PICTURES: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "png"),
    (re.compile(rb"\xff\xd8\xff"), "jpg"),
    (re.compile(rb"GIF8[79]a"), "gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "webp"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "avif"),
    (re.compile(rb"II[*+]\x00|MM\x00[*+]"), "tiff"),
)
"""How the bytes of a picture begin → the format that they are in."""

_HTML = re.compile(
    r"\s*<(?:!doctype\s+html|!--|(?:html|head|body|title|meta|style|script|link|div|span|p|h[1-6]|table|[uo]l|section"
    r"|main|article|header|nav|iframe|img|svg|canvas|button|form|a|b|i|pre|center)[\s/>])",
    re.IGNORECASE,
)


def is_html(text: str) -> bool:
    """Whether a text begins like HTML.

    >>> is_html(" <!DOCTYPE html><p>"), is_html("<wkt>")
    (True, False)
    """
    return _HTML.match(text.removeprefix("\ufeff")) is not None


class Kind(Enum):
    """The kinds of value that formats tell apart; the text is how an error message calls them."""

    NOTHING = "None"
    GEOMETRIES = "geometries"
    TABLE = "a table without geometry"
    ARRAY = "an array"
    """Of two dimensions or more, with no place on Earth."""
    NUMBERS = "an array of one dimension or none"
    RASTER = "a raster or image"
    PICTURE = "the bytes of a picture"
    BYTES = "bytes"
    CHART = "a chart"
    PAGE = "HTML text"
    PLAIN = "plain data"
    BUNDLE = "a dict of tables, arrays or pictures"
    RESPONSE = "a web response"


_KINDS: Final[dict[tuple[str, str], Kind]] = {
    ("geopandas", "GeoDataFrame"): Kind.GEOMETRIES,
    ("geopandas", "GeoSeries"): Kind.GEOMETRIES,
    ("shapely", "BaseGeometry"): Kind.GEOMETRIES,
    ("pandas", "DataFrame"): Kind.TABLE,
    ("pandas", "Series"): Kind.TABLE,
    ("pyarrow", "Table"): Kind.TABLE,
    ("pyarrow", "RecordBatch"): Kind.TABLE,
    ("pyarrow", "RecordBatchReader"): Kind.TABLE,
    ("numpy", "ndarray"): Kind.ARRAY,
    ("xarray", "DataArray"): Kind.RASTER,
    ("xarray", "Dataset"): Kind.RASTER,
    ("PIL", "Image"): Kind.RASTER,
    ("matplotlib", "Figure"): Kind.CHART,
    ("matplotlib", "Artist"): Kind.CHART,
    ("altair", "TopLevelMixin"): Kind.CHART,
    ("plotly", "BaseFigure"): Kind.CHART,
    ("starlette", "Response"): Kind.RESPONSE,
    ("numpy", "generic"): Kind.PLAIN,
    ("pandas", "NAType"): Kind.PLAIN,
    ("pandas", "Timedelta"): Kind.PLAIN,
    ("pandas", "Period"): Kind.PLAIN,
    ("pandas", "Interval"): Kind.PLAIN,
    ("pandas", "Index"): Kind.PLAIN,
    ("uuid", "UUID"): Kind.PLAIN,
    ("decimal", "Decimal"): Kind.PLAIN,
    ("pathlib", "PurePath"): Kind.PLAIN,
    ("enum", "Enum"): Kind.PLAIN,
    ("datetime", "date"): Kind.PLAIN,
    ("datetime", "time"): Kind.PLAIN,
    ("datetime", "timedelta"): Kind.PLAIN,
    ("builtins", "int"): Kind.PLAIN,
    ("builtins", "float"): Kind.PLAIN,
    ("builtins", "list"): Kind.PLAIN,
    ("builtins", "tuple"): Kind.PLAIN,
    ("builtins", "dict"): Kind.PLAIN,
    ("builtins", "str"): Kind.PLAIN,
    ("builtins", "NoneType"): Kind.NOTHING,
}
"""(top package, class name) of a class or one of its bases; the most derived one decides."""

_ACCEPTED: Final = (
    "GeoDataFrame, DataFrame, GeoSeries, Series, a shapely geometry, an Arrow table, an array, (array, bounds), "
    "xarray, a PIL image, a chart of matplotlib, Altair or Plotly, bytes, str, numbers, None, lists, dicts, "
    "or a starlette Response"
)

_IN_A_BUNDLE: Final = frozenset(
    {Kind.GEOMETRIES, Kind.TABLE, Kind.ARRAY, Kind.RASTER, Kind.PICTURE, Kind.BYTES, Kind.CHART}
)
"""Kinds that JSON is a poor home for: a dict with one of them is a bundle of files."""


def kind_of(value: object) -> Kind:
    """The kind of value this is.

    Raises:
        UdfSerializationError: nothing that a format could hold.

    >>> kind_of({"a": 1}), kind_of("<html></html>"), kind_of(None)
    (<Kind.PLAIN: 'plain data'>, <Kind.PAGE: 'HTML text'>, <Kind.NOTHING: 'None'>)
    """
    if isinstance(value, bytes | bytearray | memoryview | BytesIO):
        return _kind_of_bytes(value)
    found = _kind_of_class(type(value))
    if found is None and (hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")):
        # polars, DuckDB, geoarrow, lonboard's tables and whatever comes next: https://arrow.apache.org/docs/format/
        return _refine_arrow(value)
    if found is None:
        if is_dataclass(value) and not isinstance(value, type):
            return Kind.PLAIN
        raise UdfSerializationError(
            f"The UDF returned a value of type {type_name(value)}, which no format can carry; return {_ACCEPTED}"
        )
    return _REFINED.get(found, _unchanged)(value, found)


def type_name(value: object) -> str:
    """The class of a value as users write it, e.g. ``numpy.ndarray``."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    return kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"


def content(value: bytes | bytearray | memoryview | BytesIO) -> bytes:
    """The bytes behind a value of kind PICTURE or BYTES."""
    return value.getvalue() if isinstance(value, BytesIO) else bytes(value)


def picture_format(data: bytes) -> str:
    """The format that a picture's bytes are in; ``""`` where they are no picture.

    >>> picture_format(b"GIF89a")
    'gif'
    """
    return next((name for begin, name in _PICTURES if begin.match(data)), "")


def _kind_of_class(kind: type) -> Kind | None:
    bases = ((base.__module__.partition(".")[0], base.__name__) for base in kind.__mro__)
    return next((_KINDS[base] for base in bases if base in _KINDS), None)


def _kind_of_bytes(value: bytes | bytearray | memoryview | BytesIO) -> Kind:
    return Kind.PICTURE if picture_format(content(value)[:16]) else Kind.BYTES


def _refine_arrow(value: Any) -> Kind:
    import pyarrow as pa

    schema = getattr(value, "__arrow_c_schema__", None)
    if schema is not None:
        return _refine_schema(pa.Schema._import_from_c_capsule(schema()), Kind.TABLE)  # noqa: SLF001  pyarrow's own way
    return Kind.TABLE


def _unchanged(value: Any, kind: Kind) -> Kind:  # Any: a value of the user's
    del value
    return kind


def _refine_geometries(value: Any, kind: Kind) -> Kind:
    # A GeoDataFrame that lost its active geometry column (a join, a selection of columns) is an ordinary table.
    if hasattr(value, "columns"):
        return kind if getattr(value, "_geometry_column_name", None) in value.columns else Kind.TABLE
    return kind


def _refine_table(value: Any, kind: Kind) -> Kind:
    schema = getattr(value, "schema", None)
    return kind if schema is None else _refine_schema(schema, kind)


def _refine_schema(schema: Any, kind: Kind) -> Kind:
    geoarrow = any(b"geoarrow" in (field.metadata or {}).get(b"ARROW:extension:name", b"") for field in schema)
    geoarrow = geoarrow or any(str(getattr(kind, "extension_name", "")).startswith("geoarrow") for kind in schema.types)
    return Kind.GEOMETRIES if geoarrow or b"geo" in (schema.metadata or {}) else kind


def _refine_array(value: Any, kind: Kind) -> Kind:
    return Kind.NUMBERS if value.ndim < 2 else kind


def _refine_raster(value: Any, kind: Kind) -> Kind:
    return Kind.NUMBERS if getattr(value, "ndim", 2) < 2 else kind


def _refine_plain(value: Any, kind: Kind) -> Kind:
    if isinstance(value, str):
        return Kind.PAGE if is_html(value) else kind
    if isinstance(value, tuple) and len(value) == 2 and _is_raster(value[0]):
        return Kind.RASTER if _looks_like_bounds(value[1]) else kind
    if isinstance(value, dict) and any(_kind_inside(member) in _IN_A_BUNDLE for member in value.values()):
        return Kind.BUNDLE
    return kind


def _is_raster(value: Any) -> bool:
    found = _kind_inside(value)
    return found in {Kind.ARRAY, Kind.RASTER, Kind.PICTURE}


def _kind_inside(value: Any) -> Kind | None:
    try:
        return kind_of(value)
    except UdfSerializationError:
        return None


def _looks_like_bounds(value: Any) -> bool:
    if _kind_of_class(type(value)) is Kind.GEOMETRIES:
        return True
    return hasattr(value, "__len__") and not isinstance(value, str | dict) and len(value) == 4


_REFINED: Final = {
    Kind.GEOMETRIES: _refine_geometries,
    Kind.TABLE: _refine_table,
    Kind.ARRAY: _refine_array,
    Kind.RASTER: _refine_raster,
    Kind.PLAIN: _refine_plain,
}
