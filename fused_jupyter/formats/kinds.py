"""What a value is, as far as choosing a format goes; told by class names, so that no library is imported to ask."""

from __future__ import annotations

import re
from dataclasses import is_dataclass
from enum import Enum
from io import BytesIO
from typing import Any, Final

from fused_jupyter.errors import UdfSerializationError

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_HTML = re.compile(
    r"\s*<(?:!doctype\s+html|!--|(?:html|head|body|title|meta|style|script|link|div|span|p|h[1-6]|table|[uo]l|section"
    r"|main|article|header|nav|iframe|img|svg|canvas|button|form|a|b|i|pre|center)[\s/>])",
    re.IGNORECASE,
)


class Kind(Enum):
    """The kinds of value that formats tell apart; the text is how an error message calls them."""

    NOTHING = "None"
    GEOMETRIES = "geometries"
    TABLE = "a table without geometry"
    RASTER = "an array or image"
    PICTURE = "the bytes of a PNG"
    PAGE = "HTML text"
    PLAIN = "plain data"
    RESPONSE = "a web response"


_KINDS: Final[dict[tuple[str, str], Kind]] = {
    ("geopandas", "GeoDataFrame"): Kind.GEOMETRIES,
    ("geopandas", "GeoSeries"): Kind.GEOMETRIES,
    ("shapely", "BaseGeometry"): Kind.GEOMETRIES,
    ("pandas", "DataFrame"): Kind.TABLE,
    ("pandas", "Series"): Kind.TABLE,
    ("pyarrow", "Table"): Kind.TABLE,
    ("numpy", "ndarray"): Kind.RASTER,
    ("xarray", "DataArray"): Kind.RASTER,
    ("xarray", "Dataset"): Kind.RASTER,
    ("PIL", "Image"): Kind.RASTER,
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
    "GeoDataFrame, DataFrame, GeoSeries, Series, a shapely geometry, a pyarrow Table, an array of 2 or 3 dimensions, "
    "(array, bounds), xarray, a PIL image, the bytes of a PNG, str, numbers, None, lists and dicts"
)


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


def png_bytes(value: bytes | bytearray | memoryview | BytesIO) -> bytes:
    """The bytes behind a value of kind PICTURE."""
    return value.getvalue() if isinstance(value, BytesIO) else bytes(value)


def _kind_of_class(kind: type) -> Kind | None:
    bases = ((base.__module__.partition(".")[0], base.__name__) for base in kind.__mro__)
    return next((_KINDS[base] for base in bases if base in _KINDS), None)


def _kind_of_bytes(value: bytes | bytearray | memoryview | BytesIO) -> Kind:
    if png_bytes(value).startswith(PNG_SIGNATURE):
        return Kind.PICTURE
    raise UdfSerializationError(
        f"The UDF returned {type_name(value)} that are no PNG; return a PNG, an array, text, or a starlette Response"
        " with its media type"
    )


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
    if schema is None:
        return kind
    geoarrow = any(b"geoarrow" in (field.metadata or {}).get(b"ARROW:extension:name", b"") for field in schema)
    geoarrow = geoarrow or any(str(getattr(kind, "extension_name", "")).startswith("geoarrow") for kind in schema.types)
    return Kind.GEOMETRIES if geoarrow or b"geo" in (schema.metadata or {}) else kind


def _refine_raster(value: Any, kind: Kind) -> Kind:
    is_small_array = type(value).__module__.startswith("numpy") and value.ndim < 2
    return Kind.PLAIN if is_small_array else kind


def _refine_plain(value: Any, kind: Kind) -> Kind:
    if isinstance(value, str):
        return Kind.PAGE if _HTML.match(value.removeprefix("\ufeff")) else kind
    if isinstance(value, tuple) and len(value) == 2 and _kind_of_class(type(value[0])) is Kind.RASTER:
        return _refine_raster(value[0], Kind.RASTER) if _looks_like_bounds(value[1]) else kind
    return kind


def _looks_like_bounds(value: Any) -> bool:
    if _kind_of_class(type(value)) is Kind.GEOMETRIES:
        return True
    return hasattr(value, "__len__") and not isinstance(value, str | dict) and len(value) == 4


_REFINED: Final = {
    Kind.GEOMETRIES: _refine_geometries,
    Kind.TABLE: _refine_table,
    Kind.RASTER: _refine_raster,
    Kind.PLAIN: _refine_plain,
}
