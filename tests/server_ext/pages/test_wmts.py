from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from owslib.wmts import WebMapTileService
from PIL import Image
from real_jupyter import JupyterServer, Kernel

from fused_jupyter.errors import ArgumentError
from fused_jupyter.server_ext.pages.entry import Entry
from fused_jupyter.server_ext.pages.wmts import MATRIX_SET, TileRequest, arguments_for, capabilities, exception_report

OWS = "{http://www.opengis.net/ows/1.1}"
TILE = {
    "layer": "dem",
    "format": "image/png",
    "tilematrixset": MATRIX_SET,
    "tilematrix": "3",
    "tilerow": "2",
    "tilecol": "4",
}


def layer(name: str, **fields: Any) -> Entry:
    values = {
        "schema": {"properties": {"bounds": {}, "n": {}}},
        "spatial": "bounds",
        "file": name,
        "tiles": f"tiles/{name}",
    }
    return Entry(name=name, **(values | fields))


def parsed(*entries: Entry, passed_on: tuple[tuple[str, str], ...] = ()) -> WebMapTileService:
    document = capabilities(
        entries, root="http://h/fused/", service="http://h/fused/wmts", title="t", passed_on=passed_on
    )
    return WebMapTileService("http://h/fused/wmts", xml=document)


def test_layers_are_the_udfs_with_tiles() -> None:
    """Those that may be asked for pictures, by the eyes of OWSLib."""
    service = parsed(layer("dem"), layer("table", spatial=None), layer("shapes", formats=("mvt",)))

    assert list(service.contents) == ["dem"]
    assert service.identification.type == "OGC WMTS"
    assert service["dem"].formats == ["image/png", "image/jpeg", "image/webp"]
    assert service["dem"].boundingBoxWGS84 == pytest.approx((-180, -85.0511287798066, 180, 85.0511287798066))
    templates = {each["format"]: each["template"] for each in service["dem"].resourceURLs}
    assert templates["image/png"] == "http://h/fused/tiles/dem/{TileMatrix}/{TileCol}/{TileRow}.png"


def test_the_matrix_set_is_the_well_known_one() -> None:
    """Scales of annex E.4 of the standard, and tiles that cover the same as everywhere here."""
    matrices = parsed(layer("dem")).tilematrixsets[MATRIX_SET].tilematrix

    denominators = {0: 559082264.0287178, 1: 279541132.0143589, 9: 1091957.546931089, 18: 2132.729583849784}
    for zoom, denominator in denominators.items():
        assert matrices[str(zoom)].scaledenominator == pytest.approx(denominator, rel=1e-12)
        assert matrices[str(zoom)].matrixwidth == 2**zoom
    assert matrices["0"].topleftcorner == pytest.approx((-20037508.342789, 20037508.342789))


def test_a_layer_says_which_zooms_may_be_asked_for() -> None:
    """Where the token allows some only."""
    service = parsed(layer("dem", zooms=(2, 4)), layer("free"))

    limits = service["dem"].tilematrixsetlinks[MATRIX_SET].tilematrixlimits
    assert {zoom: each.maxtilecol for zoom, each in limits.items()} == {"2": 3, "3": 7, "4": 15}
    assert service["free"].tilematrixsetlinks[MATRIX_SET].tilematrixlimits == {}


def test_arguments_become_part_of_the_addresses_that_take_them() -> None:
    """One address adds a layer with its arguments."""
    arguments = (("n", "a b&c"), ("word", "x"), ("colormap", "viridis"), ("STYLE", "default"))

    service = parsed(layer("dem"), layer("any", schema={"additionalProperties": True}), passed_on=arguments)

    templates = {name: each.resourceURLs[0]["template"] for name, each in service.contents.items()}
    assert templates["dem"].endswith("/{TileRow}.png?n=a%20b%26c&colormap=viridis")
    assert templates["any"].endswith("/{TileRow}.png?n=a%20b%26c&word=x&colormap=viridis")


def test_texts_are_escaped() -> None:
    """Whatever a docstring holds, the document is XML and says it."""
    service = parsed(layer("dem", description="a < b & c ]]> \x00\x0b <script>"))

    assert service["dem"].abstract == "a < b & c ]]>  <script>"


@pytest.mark.parametrize(
    ("change", "parameter", "code"),
    [
        ({"layer": ""}, "layer", "MissingParameterValue"),
        ({"tilerow": ""}, "tilerow", "MissingParameterValue"),
        ({"tilecol": "-1"}, "tilecol", "InvalidParameterValue"),
        ({"tilematrix": "GoogleMapsCompatible:3"}, "tilematrix", "InvalidParameterValue"),
        ({"format": "image/tiff"}, "format", "InvalidParameterValue"),
        ({"tilematrixset": "WorldCRS84Quad"}, "tilematrixset", "InvalidParameterValue"),
    ],
)
def test_wrong_requests_are_told_as_the_standard_has_it(change: dict[str, str], parameter: str, code: str) -> None:
    """Which parameter, and whether it is missing or wrong."""
    with pytest.raises(ArgumentError) as caught:
        TileRequest.of(TILE | change)

    report = exception_report(caught.value.message, parameter=caught.value.parameter, query=TILE | change)
    (told,) = ET.fromstring(report)
    assert told.attrib == {"exceptionCode": code, "locator": parameter}
    assert told.findtext(f"{OWS}ExceptionText") == caught.value.message


def test_arguments_of_other_layers_are_left_out() -> None:
    """The address of the service carries all of them."""
    assert arguments_for(layer("dem"), [("n", "1"), ("word", "x"), ("TileRow", "1")]) == [("n", "1")]


# -- on a real server


@pytest.fixture(scope="module")
def service(server: JupyterServer, page_kernel: Kernel) -> WebMapTileService:
    address = f"{server.root}fused/wmts/1.0.0/WMTSCapabilities.xml?shift=77"
    return WebMapTileService(address, headers={"Authorization": f"token {server.token}"})


@pytest.fixture
def gdal_login(server: JupyterServer, tmp_path: Path) -> Iterator[None]:
    """Else GDAL keeps tiles in the user's home."""
    login = f"Authorization: token {server.token}"
    with rasterio.Env(GDAL_HTTP_HEADERS=login, GDAL_HTTP_TIMEOUT="60", GDAL_DEFAULT_WMS_CACHE_PATH=str(tmp_path)):
        yield


def test_owslib_gets_a_tile_both_ways(service: WebMapTileService, server: JupyterServer) -> None:
    """By the template of the layer, and by parameters in the query."""
    place = {"layer": "corners", "tilematrixset": MATRIX_SET, "tilematrix": "1", "row": "0", "column": "1"}

    rest = server.get(service.buildTileResource(**place))
    request = service.buildTileRequest(**place, format="image/png", style="default")
    base = service.getOperationByName("GetTile").methods[0]["url"]
    kvp = server.get(f"{base}{request}")

    assert {"corners", "places"} <= set(service.contents)
    for answer in (rest, kvp):
        picture = np.asarray(Image.open(io.BytesIO(answer.body)).convert("RGB"))
        assert picture[128, 128].tolist() == [50, 200, 77]


@pytest.mark.usefixtures("page_kernel", "gdal_login")
def test_gdal_reads_the_right_pixels(server: JupyterServer) -> None:
    """QGIS reads through GDAL and the like: the whole world at once, each quarter its colour."""
    address = f"{server.root}fused/wmts/1.0.0/WMTSCapabilities.xml?shift=77"

    with rasterio.open(f"WMTS:{address},layer=corners,zoom_level=1") as layer:
        crs, shape = layer.crs, (layer.count, layer.height, layer.width)
        pixels = layer.read([1, 2, 3])

    assert crs.to_epsg() == 3857
    assert shape[1:] == (512, 512)
    assert pixels[:, 0, 0].tolist() == [200, 200, 77]
    assert pixels[:, 0, 511].tolist() == [50, 200, 77]
    assert pixels[:, 511, 0].tolist() == [200, 50, 77]


@pytest.mark.usefixtures("page_kernel")
@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("fused/wmts?SERVICE=WMTS&REQUEST=GetTile", 400, "MissingParameterValue"),
        (f"fused/wmts?{urlencode(TILE | {'request': 'GetTile', 'layer': 'nobody'})}", 404, "NoApplicableCode"),
        ("fused/wmts?request=GetFeatureInfo", 400, "InvalidParameterValue"),
    ],
)
def test_errors_are_xml(address: str, status: int, code: str, server: JupyterServer) -> None:
    """With the status that the standard has for them."""
    answer = server.get(address)

    assert answer.status == status
    assert answer.headers.get_content_type() == "text/xml"
    assert ET.fromstring(answer.body)[0].attrib["exceptionCode"] == code
