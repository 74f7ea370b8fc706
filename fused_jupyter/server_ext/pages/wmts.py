"""WMTS 1.0.0 (OGC 07-057r7): UDFs as layers that QGIS, ArcGIS and GDAL add by one address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urlencode
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from fused_jupyter.errors import ArgumentError
from fused_jupyter.server_ext.pages.entry import DEEPEST_ZOOM, MEDIA_TYPES, Entry
from fused_jupyter.server_ext.pages.tilejson import WORLD

MATRIX_SET = "GoogleMapsCompatible"
"""Square Web Mercator tiles with 256 pixels at a side, as everywhere here."""

_FORMATS = ("png", "jpg", "webp")
_NAMESPACES = {
    "xmlns": "http://www.opengis.net/wmts/1.0",
    "xmlns:ows": "http://www.opengis.net/ows/1.1",
    "xmlns:xlink": "http://www.w3.org/1999/xlink",
    "version": "1.0.0",
}
_HALF = 20037508.342789244
_SCALE_OF_ZOOM_0 = 559082264.0287178
"""Of 256 pixels of 0.28 mm for the equator (annex E.4)."""

Argument = tuple[str, str]

_OF_EVERY_LAYER = frozenset({"rescale", "colormap", "nodata", "cache_max_age"})
NEEDED = frozenset({"layer", "format", "tilematrixset", "tilematrix", "tilerow", "tilecol"})
"""Parameters of `GetTile` without which there is no tile."""

_OURS = NEEDED | {"service", "request", "version", "style"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TileRequest:
    """What `GetTile` asks for."""

    layer: str
    extension: str
    tile: tuple[int, int, int]

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Read the parameters of the standard, whose names are in lower case here.

        Raises:
            ArgumentError: one is missing or has a value that no tile here has.

        >>> query = {"layer": "dem", "format": "image/png", "tilematrixset": MATRIX_SET}
        >>> TileRequest.of(query | {"tilematrix": "3", "tilerow": "2", "tilecol": "4"}).tile
        (3, 4, 2)
        """
        if _needed(query, "tilematrixset") != MATRIX_SET:
            raise _invalid("tilematrixset", query["tilematrixset"], f"there is {MATRIX_SET} only")
        media_type = _needed(query, "format")
        extension = next((name for name in _FORMATS if MEDIA_TYPES[name] == media_type), None)
        if extension is None:
            raise _invalid("format", media_type, "there are image/png, image/jpeg and image/webp")
        z, x, y = (_whole(query, name) for name in ("tilematrix", "tilecol", "tilerow"))
        return cls(layer=_needed(query, "layer"), extension=extension, tile=(z, x, y))


def asks_for_tile(query: Mapping[str, str]) -> bool:
    """Whether it is `GetTile`; an address without parameters gives the capabilities.

    Raises:
        ArgumentError: neither.
    """
    asked = query.get("request", "") or "GetCapabilities"
    if asked.lower() not in {"gettile", "getcapabilities"}:
        raise _invalid("request", asked, "there are GetCapabilities and GetTile")
    return asked.lower() == "gettile"


def standard_parameters(query: Mapping[str, Sequence[bytes]]) -> dict[str, str]:
    """Those parameters of a query that are WMTS's, whose names may be written in any case."""
    found = {name.lower(): values[0].decode(errors="replace") for name, values in query.items() if values}
    return {name: text for name, text in found.items() if name in _OURS}


def arguments_for(entry: Entry, passed_on: Sequence[Argument]) -> list[Argument]:
    """Those arguments that a UDF takes: not every layer has all of them."""
    takes_all = bool(entry.schema.get("additionalProperties"))
    taken = _OF_EVERY_LAYER | entry.properties.keys()
    return [each for each in passed_on if each[0].lower() not in _OURS and (takes_all or each[0] in taken)]


def capabilities(
    entries: Sequence[Entry], *, root: str, service: str, title: str, passed_on: Sequence[Argument]
) -> bytes:
    """The document that lists all layers: the UDFs that give tiles.

    Args:
        entries: all UDFs there are.
        root: the address below which those of the entries are, a slash at its end.
        service: the address that takes parameters in its query; `/1.0.0/WMTSCapabilities.xml` is below it.
        title: what the service is called.
        passed_on: arguments that become part of the addresses of each UDF that has such a parameter.
    """
    document = Element("Capabilities", _NAMESPACES)
    identification = SubElement(document, "ows:ServiceIdentification")
    _texts(identification, {"Title": title, "ServiceType": "OGC WMTS", "ServiceTypeVersion": "1.0.0"})
    search = _search([each for each in passed_on if each[0].lower() not in _OURS])
    document.append(_operations(f"{service}?{search}{search and '&'}"))
    contents = SubElement(document, "Contents")
    for entry in entries:
        if entry.spatial is not None and any(name in entry.formats for name in _FORMATS):
            contents.append(_layer(entry, root=root, passed_on=passed_on))
    contents.append(_matrix_set())
    SubElement(document, "ServiceMetadataURL", {"xlink:href": f"{service}/1.0.0/WMTSCapabilities.xml"})
    return _written(document)


def exception_report(message: str, *, parameter: str | None, query: Mapping[str, str]) -> bytes:
    """An error as WMTS clients read it.

    Args:
        message: what went wrong.
        parameter: the one that did not fit, if one did not.
        query: the parameters of the standard that came.
    """
    report = Element("ows:ExceptionReport", {"xmlns:ows": _NAMESPACES["xmlns:ows"], "version": "1.1.0"})
    code = "NoApplicableCode"
    if parameter in _OURS:
        code = "InvalidParameterValue" if query.get(parameter) else "MissingParameterValue"
    attributes = {"exceptionCode": code} | ({"locator": parameter} if parameter else {})
    SubElement(SubElement(report, "ows:Exception", attributes), "ows:ExceptionText").text = _printable(message)
    return _written(report)


def _operations(address: str) -> Element:
    metadata = Element("ows:OperationsMetadata")
    for name in ("GetCapabilities", "GetTile"):
        operation = SubElement(metadata, "ows:Operation", {"name": name})
        get = SubElement(SubElement(SubElement(operation, "ows:DCP"), "ows:HTTP"), "ows:Get", {"xlink:href": address})
        values = SubElement(SubElement(get, "ows:Constraint", {"name": "GetEncoding"}), "ows:AllowedValues")
        SubElement(values, "ows:Value").text = "KVP"
    return metadata


def _layer(entry: Entry, *, root: str, passed_on: Sequence[Argument]) -> Element:
    layer = Element("Layer")
    _texts(layer, {"Title": entry.name, "Abstract": entry.description or entry.name})
    west, south, east, north = WORLD
    box = SubElement(layer, "ows:WGS84BoundingBox")
    _texts(box, {"LowerCorner": f"{west} {south}", "UpperCorner": f"{east} {north}"})
    _texts(layer, {"Identifier": entry.name})
    style = SubElement(layer, "Style", {"isDefault": "true"})
    _texts(style, {"Identifier": "default"})
    formats = [name for name in _FORMATS if name in entry.formats]
    for name in formats:
        SubElement(layer, "Format").text = MEDIA_TYPES[name]
    link = SubElement(layer, "TileMatrixSetLink")
    SubElement(link, "TileMatrixSet").text = MATRIX_SET
    if entry.zooms != (0, DEEPEST_ZOOM):
        link.append(_limits(entry.zooms))
    search = _search(arguments_for(entry, passed_on))
    for name in formats:
        template = f"{root}{entry.tiles}/{{TileMatrix}}/{{TileCol}}/{{TileRow}}.{name}{search and '?'}{search}"
        attributes = {"format": MEDIA_TYPES[name], "resourceType": "tile", "template": template}
        SubElement(layer, "ResourceURL", attributes)
    return layer


def _limits(zooms: tuple[int, int]) -> Element:
    limits = Element("TileMatrixSetLimits")
    for zoom in range(zooms[0], min(zooms[1], DEEPEST_ZOOM) + 1):
        last = 2**zoom - 1
        each = SubElement(limits, "TileMatrixLimits")
        for name, value in (
            ("TileMatrix", zoom),
            ("MinTileRow", 0),
            ("MaxTileRow", last),
            ("MinTileCol", 0),
            ("MaxTileCol", last),
        ):
            SubElement(each, name).text = str(value)
    return limits


def _matrix_set() -> Element:
    matrices = Element("TileMatrixSet")
    _texts(matrices, {"Identifier": MATRIX_SET, "SupportedCRS": "urn:ogc:def:crs:EPSG::3857"})
    SubElement(matrices, "WellKnownScaleSet").text = "urn:ogc:def:wkss:OGC:1.0:GoogleMapsCompatible"
    for zoom in range(DEEPEST_ZOOM + 1):
        matrix = SubElement(matrices, "TileMatrix")
        _texts(matrix, {"Identifier": str(zoom)})
        for name, value in (
            ("ScaleDenominator", repr(_SCALE_OF_ZOOM_0 / 2**zoom)),
            ("TopLeftCorner", f"{-_HALF} {_HALF}"),
            ("TileWidth", "256"),
            ("TileHeight", "256"),
            ("MatrixWidth", str(2**zoom)),
            ("MatrixHeight", str(2**zoom)),
        ):
            SubElement(matrix, name).text = value
    return matrices


def _texts(parent: Element, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        SubElement(parent, f"ows:{name}").text = _printable(text)


def _written(root: Element) -> bytes:
    indent(root)
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _printable(text: str) -> str:
    """Text as XML 1.0 can hold it."""
    return "".join(letter for letter in text if letter in "\t\n" or (letter >= " " and letter.isprintable()))


def _search(passed_on: Sequence[Argument]) -> str:
    return urlencode(passed_on, quote_via=quote)


def _needed(query: Mapping[str, str], name: str) -> str:
    if not (value := query.get(name, "")):
        raise ArgumentError(f"{name.upper()} is missing", parameter=name)
    return value


def _whole(query: Mapping[str, str], name: str) -> int:
    text = _needed(query, name)
    if text.isascii() and text.isdigit() and len(text) < 12:
        return int(text)
    raise _invalid(name, text, "a whole number is wanted")


def _invalid(name: str, value: str, what: str) -> ArgumentError:
    return ArgumentError(f"{name.upper()}={value!r}: {what}", parameter=name)
