from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode, urljoin

import lxml.html
import numpy as np
import pytest
import rasterio
from openapi_spec_validator import OpenAPIV31SpecValidator
from owslib.wmts import WebMapTileService
from PIL import Image
from real_jupyter import Answer, JupyterServer, Kernel

BROWSER = {"Accept": "text/html,*/*;q=0.8"}
METADATA = {"name": "The corners", "minzoom": 1, "attribution": "nobody", "center": [10, 20, 3]}
Open = Callable[..., Answer]


@pytest.fixture(scope="module")
def live(page_kernel: Kernel) -> str:
    """A token for `corners` of the running kernel, for a few formats and zooms."""
    page_kernel.execute("from fused_jupyter.runtime import current; from fused_jupyter.wire import Limits").check()
    code = "print(current().grant('corners', Limits(formats=('png', 'json'), zooms=(0, 5), parameters=('shift',))))"
    return page_kernel.execute(code).check().text.strip()


@pytest.fixture(scope="module")
def saved(server: JupyterServer, page_kernel: Kernel) -> dict[str, str]:
    """Tokens of saved UDFs: one for `corners`, one for the collection of `corners` and `places`."""
    found = page_kernel.execute(
        f"""
        import json
        from pathlib import Path
        from fused_jupyter.settings import Options
        from fused_jupyter.storage import Library

        library = Library(Path(Options.from_environment().data_directory))
        for udf in (corners, places):
            udf.to_fused(collection_name="maps", create_collection=True, overwrite=True)
        one = library.find("corners", collection="maps")
        metadata = json.loads({json.dumps(json.dumps(METADATA))})
        udf, _ = library.create_token(udf_id=one.id, metadata=metadata)
        collection, _ = library.create_token(collection="maps", metadata={{"name": "Maps", "corners": metadata}})
        print(json.dumps({{"udf": udf, "collection": collection}}))
        """.replace("\n        ", "\n")
    )
    tokens: dict[str, str] = json.loads(found.check().text.strip().splitlines()[-1])
    return tokens


@pytest.fixture
def open_(server: JupyterServer) -> Open:
    """GET by somebody without a login."""

    def ask(address: str, **headers: str) -> Answer:
        return server.get(f"fused/{address}", headers=headers, login=False)

    return ask


def links(answer: Answer, server: JupyterServer, address: str) -> list[str]:
    root = lxml.html.document_fromstring(answer.body)
    found = root.xpath("//link/@href | //script/@src | //a[@href]/@href")
    return [urljoin(f"{server.root}fused/{address}", each) for each in found]


def test_pages_of_tokens_are_for_whoever_has_them(
    live: str, saved: dict[str, str], open_: Open, server: JupyterServer
) -> None:
    """No login, no cookie, and every link leads somewhere, likewise without a login."""
    one, many = saved["udf"], saved["collection"]
    for address in (
        f"{live}/page",
        f"{live}/",
        f"{one}/page",
        many,
        f"{many}/",
        f"{many}/places/page",
        f"{many}/corners/",
    ):
        answer = open_(address, **BROWSER)

        assert answer.status == 200, address
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "'none'" in answer.headers["Content-Security-Policy"]
        for link in links(answer, server, address):
            assert server.get(link, login=False, headers=BROWSER).status == 200, (address, link)


def test_a_page_of_a_token_shows_only_what_it_allows(live: str, open_: Open) -> None:
    """Parameters and formats."""
    root = lxml.html.document_fromstring(open_(f"{live}/page").body)

    assert root.xpath("//*[@data-parameter]/@name") == ["shift"]
    assert root.xpath("//select[@id='result-format']/option/@value") == ["", "png", "json"]
    assert json.loads(root.xpath("//script[@id='udf']/text()")[0])["is_owner"] is False


def test_the_document_of_a_token_can_be_followed_without_the_token(
    live: str, saved: dict[str, str], open_: Open, server: JupyterServer
) -> None:
    """It is valid, has no secret in it, and its relative addresses answer."""
    for token in (live, *saved.values()):
        document = open_(f"{token}/openapi.json").json()

        OpenAPIV31SpecValidator(document).validate()
        assert token not in json.dumps(document)
        assert server.token not in json.dumps(document)
        base = urljoin(f"{server.root}fused/{token}/openapi.json", document["servers"][0]["url"]).rstrip("/")
        for path in document["paths"]:
            if "{z}" in path and "places" not in path:
                address = path.format(extension="png", z=1, x=1, y=0) + "?shift=9"
                assert server.get(base + address, login=False).status == 200, address
            elif "{z}" not in path:
                # No bounds: the UDF fails, which it does only if it was found and run.
                assert server.get(base + path.format(extension="json"), login=False).status in {200, 422}, path


@pytest.mark.parametrize("kind", ["udf", "collection"])
def test_tilejson_says_what_the_owner_says(
    kind: str, saved: dict[str, str], open_: Open, server: JupyterServer
) -> None:
    """And its addresses answer without a login."""
    below = "" if kind == "udf" else "corners/"

    described = open_(f"{saved[kind]}/{below}tilejson.json?format=png&shift=4").json()

    assert described.items() >= METADATA.items()
    tile = server.get(described["tiles"][0].format(z=1, x=1, y=0), login=False)
    assert np.asarray(Image.open(io.BytesIO(tile.body)).convert("RGB"))[9, 9].tolist() == [50, 200, 4]


def test_zooms_of_a_token_are_told(live: str, open_: Open) -> None:
    """In TileJSON and in WMTS."""
    described = open_(f"{live}/tilejson.json?format=png").json()
    service = WebMapTileService("http://h", xml=open_(f"{live}/wmts").body)

    assert (described["minzoom"], described["maxzoom"]) == (0, 5)
    limits = service["corners"].tilematrixsetlinks["GoogleMapsCompatible"].tilematrixlimits
    assert list(limits) == ["0", "1", "2", "3", "4", "5"]


def test_tilejson_leads_to_tiles_that_the_token_allows(open_: Open, live: str) -> None:
    """Where nobody names a format: vector tiles, unless the token allows pictures only."""
    (template,) = open_(f"{live}/tilejson.json").json()["tiles"]

    assert template.endswith("/run/tiles/{z}/{x}/{y}.png")
    assert open_(template.partition("/fused/")[2].format(z=0, x=0, y=0)).status == 200


def test_fields_of_a_token_are_found_out(saved: dict[str, str], open_: Open) -> None:
    """By one tile of it."""
    (layer,) = open_(f"{saved['collection']}/places/tilejson.json").json()["vector_layers"]

    assert layer == {"id": "udf", "fields": {"word": "String", "size": "Number", "is_big": "Boolean"}}


@pytest.mark.parametrize("kind", ["live", "udf", "collection"])
def test_gdal_reads_a_token_without_a_login(
    kind: str, live: str, saved: dict[str, str], server: JupyterServer, tmp_path: Path
) -> None:
    """One address is all that QGIS needs."""
    token = live if kind == "live" else saved[kind]
    address = f"{server.root}fused/{token}/wmts/1.0.0/WMTSCapabilities.xml?shift=77"

    with (
        rasterio.Env(GDAL_HTTP_TIMEOUT="60", GDAL_DEFAULT_WMS_CACHE_PATH=str(tmp_path)),
        rasterio.open(f"WMTS:{address},layer=corners,zoom_level=1") as layer,
    ):
        pixels = layer.read([1, 2, 3])

    assert pixels[:, 0, 0].tolist() == [200, 200, 77]
    assert pixels[:, 0, -1].tolist() == [50, 200, 77]


def test_a_tile_can_be_asked_for_by_query(live: str, saved: dict[str, str], open_: Open) -> None:
    """As ArcGIS may; parameters that the layer has not are left out."""
    place = "service=WMTS&request=GetTile&layer=corners&format=image/png&tilematrixset=GoogleMapsCompatible"
    for token in (live, *saved.values()):
        answer = open_(f"{token}/wmts?{place}&TILEMATRIX=1&TILEROW=0&TILECOL=1&shift=5&other=1")

        assert np.asarray(Image.open(io.BytesIO(answer.body)).convert("RGB"))[9, 9].tolist() == [50, 200, 5]


def test_a_list_is_for_programs_too(saved: dict[str, str], open_: Open) -> None:
    """As JSON, without code and without what only the owner knows."""
    listed = open_(saved["collection"]).json()["udfs"]

    assert [each["name"] for each in listed] == ["corners", "places"]
    assert {key for each in listed for key in each} == {"name", "description", "schema", "spatial"}


TILE = {"tilematrixset": "GoogleMapsCompatible", "tilematrix": 0, "tilerow": 0, "tilecol": 0}
TILE |= {"request": "GetTile", "format": "image/png"}
NOBODY = "fsh_" + "x" * 43
WRONG = [
    f"{NOBODY}/page",
    f"{NOBODY}/openapi.json",
    f"{NOBODY}/tilejson.json",
    f"{NOBODY}/wmts",
    f"{NOBODY}/run/file.json",
    f"fc_{'x' * 43}/",
    f"fc_{'x' * 43}/places/page",
    "{collection}/nobody/page",
    "{collection}/typed/tilejson.json",
    f"{{collection}}/wmts?{urlencode({**TILE, 'layer': 'typed'})}",
]


def test_what_a_token_does_not_open_is_the_same_404(saved: dict[str, str], open_: Open) -> None:
    """Unknown, of another UDF, and of one that there is but that it does not open: nobody learns which."""
    answers = [open_(address.format(**saved)) for address in WRONG]

    assert {answer.status for answer in answers} == {404}
    told = {answer.json()["error"] for answer in answers if answer.headers.get_content_type() == "application/json"}
    assert told == {"this token opens nothing here"}
    assert len({answer.body for answer in answers if answer.headers.get_content_type() == "text/xml"}) == 1
