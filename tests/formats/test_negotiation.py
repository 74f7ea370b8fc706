from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image
from starlette.responses import HTMLResponse, Response

from fused_jupyter.errors import FormatError, NotAcceptableError, UdfSerializationError
from fused_jupyter.formats import FORMATS, Encoded, Kind, Target, TileFrame, Wanted, encode, kind_of
from fused_jupyter.tiles import Tile

PLACES = gpd.GeoDataFrame({"name": ["Oslo"]}, geometry=[shapely.Point(10, 60)], crs=4326)
TABLE = pd.DataFrame({"hex": ["8a2a1072b59ffff"], "value": [1]})
PICTURE = np.ones((3, 8, 8), np.uint8)
NOTHING_WANTED = Wanted()


@pytest.fixture
def tile() -> TileFrame:
    place = Tile(3, 4, 2)
    return TileFrame(z=3, x=4, y=2, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


def as_file(value: Any, wanted: Wanted = NOTHING_WANTED) -> Encoded:
    return encode(value, wanted=wanted)


def by_format(name: str) -> Wanted:
    return Wanted.of(None, name, None, None)


@pytest.mark.parametrize(
    ("value", "for_file", "for_tile"),
    [
        (PLACES, "parquet", "mvt"),
        (PLACES.geometry, "parquet", "mvt"),
        (shapely.Point(1, 2), "parquet", "mvt"),
        (TABLE, "parquet", "parquet"),
        (TABLE["value"], "parquet", "parquet"),
        (PICTURE, "png", "png"),
        ((PICTURE, [0, 0, 1, 1]), "png", "png"),
        (Image.new("RGB", (4, 4)), "png", "png"),
        ("<!DOCTYPE html><p>hello", "html", "html"),
        ("  <div class='a'>x</div>", "html", "html"),
        ("a < b", "json", "json"),
        ([1, 2], "json", "json"),
        (np.arange(3), "json", "json"),
        (True, "json", "json"),
    ],
)
def test_the_value_decides_where_nothing_is_wanted(value: Any, for_file: str, for_tile: str, tile: TileFrame) -> None:
    """Each kind of value has a format for files and one for tiles."""
    assert as_file(value).format == for_file
    assert encode(value, wanted=NOTHING_WANTED, target=Target(tile=tile)).format == for_tile


def test_the_extension_goes_before_format_and_both_before_dtype_out() -> None:
    """The nearer to the path, the more a wish counts."""
    assert as_file(TABLE, Wanted.of("csv", "json", "png", "parquet")).format == "csv"
    assert as_file(TABLE, Wanted.of(None, "json", "png", "parquet")).format == "json"
    assert as_file(TABLE, Wanted.of(None, None, "png", "html")).format == "html"
    assert as_file(PICTURE, Wanted.of(None, None, "png", "html")).format == "png"


def test_the_official_clients_list_finds_what_fits() -> None:
    """Of a list, unknown formats are passed over and the first that can hold the value is taken."""
    wanted = by_format("npy,tiff,parquet,json")

    assert as_file(TABLE, wanted).format == "parquet"
    assert as_file("text", wanted).format == "json"
    assert as_file(None, wanted).body != b""


def test_names_are_read_generously() -> None:
    """Case, a leading dot, blanks and the other usual extension of a format do not matter."""
    assert Wanted.of(".PBF", None, None, None).formats == ("mvt",)
    assert by_format(" HTM , Json").formats == ("html", "json")


def test_an_unknown_format_names_the_nearest() -> None:
    """A misspelt format is an error before the UDF runs, with the known ones and the likeliest."""
    with pytest.raises(FormatError, match=r"'geojsn'.*png, jpg.*did you mean geojson"):
        Wanted.of("geojsn", None, None, None)


def test_an_unknown_dtype_out_matters_only_for_its_kind() -> None:
    """dtype_out_raster=jp2 in a link does no harm to a UDF that returns a table."""
    wanted = Wanted.of(None, None, "jp2", None)

    assert as_file(TABLE, wanted).format == "parquet"
    with pytest.raises(FormatError, match="jp2"):
        as_file(PICTURE, wanted)


@pytest.mark.parametrize(
    ("value", "name", "able"),
    [
        (PICTURE, "csv", "png"),
        (TABLE, "mvt", "parquet, feather, csv, xlsx, xml, json, html"),
        (TABLE, "png", "parquet, feather, csv, xlsx, xml, json, html"),
        (PLACES, "png", "mvt, geojson, parquet"),
        ([1], "parquet", "json, html"),
        (b"no picture", "png", "zip, bin"),
        ({"a": TABLE}, "csv", "zip, json"),
    ],
)
def test_a_format_that_cannot_hold_the_value_says_which_can(value: Any, name: str, able: str) -> None:
    """The error tells what the value is and where it fits; its status is 406."""
    with pytest.raises(NotAcceptableError, match=f"which {name} cannot hold.*{able}"):
        as_file(value, by_format(name))


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, (n for n in ()), np.zeros((2, 2), complex)])
def test_what_no_format_can_carry_is_named(value: Any) -> None:
    """The error names the type or what is wrong with it."""
    with pytest.raises(UdfSerializationError, match=r"object|set|complex|generator"):
        as_file(value)


def test_none_is_an_empty_tile_and_a_null_file(tile: TileFrame) -> None:
    """UDFs return None where there is nothing to show: that is no error."""
    assert encode(None, wanted=NOTHING_WANTED, target=Target(tile=tile)) == Encoded(
        body=b"", media_type="", format="", status=204
    )
    assert encode(None, wanted=by_format("mvt"), target=Target(tile=tile)).status == 204
    assert as_file(None).body == b"null"
    for body in (
        as_file(None, by_format("png")).body,
        encode(None, wanted=by_format("png"), target=Target(tile=tile)).body,
    ):
        assert Image.open(BytesIO(body)).size == (256, 256)


def test_no_rows_and_no_pixels_are_empty_tiles_too(tile: TileFrame) -> None:
    """Emptiness fits every format, also that of the other kind."""
    assert encode(PLACES.iloc[:0], wanted=NOTHING_WANTED, target=Target(tile=tile)).status == 204
    assert encode(TABLE.iloc[:0], wanted=NOTHING_WANTED, target=Target(tile=tile)).status == 204
    assert (
        encode(np.zeros((3, 0, 0), np.uint8), wanted=NOTHING_WANTED, target=Target(tile=tile)).media_type == "image/png"
    )
    assert encode(TABLE.iloc[:0], wanted=by_format("png"), target=Target(tile=tile)).media_type == "image/png"


def test_an_empty_table_keeps_its_columns() -> None:
    """A reader of a file can rely on the columns even on a day without rows."""
    body = as_file(TABLE.iloc[:0], by_format("parquet")).body

    assert list(pd.read_parquet(BytesIO(body)).columns) == ["hex", "value"]


def test_pictures_stay_in_the_format_they_are_in() -> None:
    """Bytes that the UDF made are passed on; only a map that cannot draw them gets others."""
    sink = BytesIO()
    Image.new("RGB", (8, 8), "red").save(sink, "jpeg")

    assert as_file(sink) == Encoded(body=sink.getvalue(), media_type="image/jpeg", format="jpg", extension="jpg")
    assert as_file(b"%PDF-1.7 ...").format == "bin"


@pytest.mark.parametrize(
    ("accept", "formats"),
    [
        ("text/csv", ("csv",)),
        ("application/json;q=0.2, text/csv;q=0.9", ("csv", "json")),
        ("application/vnd.apache.parquet", ("parquet",)),
        ("application/octet-stream", ("parquet",)),
        ("image/*", ("png", "jpg", "webp", "avif", "gif", "tiff")),
        ("text/html,application/xhtml+xml,image/webp,*/*;q=0.8", ()),
        ("text/csv;q=0, application/json", ("json",)),
        ("", ()),
    ],
)
def test_accept_is_read_where_nothing_else_is_said(accept: str, formats: tuple[str, ...]) -> None:
    """A program asks by media type; a browser, which takes everything, gets what suits the value."""
    assert Wanted.of(None, None, None, None, accept).formats == formats
    assert Wanted.of("png", None, None, None, accept).formats == ("png",)
    assert Wanted.of(None, None, "gif", None, accept).formats == ()


def test_accept_of_nothing_that_is_here_is_not_acceptable() -> None:
    """The error lists the media types."""
    with pytest.raises(NotAcceptableError, match=r"application/msword.*image/png"):
        Wanted.of(None, None, None, None, "application/msword")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (PICTURE, "npy"),
        (np.arange(3), "npy"),
        ((PICTURE, [0, 0, 1, 1]), "tiff"),
        (TABLE, "parquet"),
        (PLACES, "parquet"),
        (PLACES.iloc[:0], "parquet"),
        (None, "json"),
        ("text", "json"),
        ("<html></html>", "json"),
        ({"a": 1}, "json"),
        ({"a": TABLE, "b": PICTURE}, "zip"),
        (Image.new("L", (4, 4)), "tiff"),
    ],
)
def test_the_official_client_gets_each_value_whole(value: Any, name: str) -> None:
    """Its list means: whichever of these loses nothing."""
    assert as_file(value, by_format("npy,tiff,parquet,json")).format == name


def test_a_png_passes_through() -> None:
    """What the UDF drew itself is not drawn again."""
    body = as_file(PICTURE).body

    assert as_file(body).body == body
    assert as_file(BytesIO(body)).format == "png"


def test_a_web_response_passes_through() -> None:
    """html_to_obj, the most used helper of public UDFs, returns one."""
    encoded = as_file(HTMLResponse("<p>hi", status_code=203))

    assert encoded == Encoded(body=b"<p>hi", media_type="text/html; charset=utf-8", format="", status=203)
    assert as_file(Response(b"x", headers={"content-language": "nb"})).headers == {"content-language": "nb"}


def test_a_response_without_a_body_is_an_error() -> None:
    """A class that only looks like a web response is named."""

    class Bare(Response):
        def __init__(self) -> None:
            self.status_code, self.raw_headers = 200, []

    with pytest.raises(UdfSerializationError, match="no body"):
        as_file(Bare())


def test_a_table_that_lost_its_geometry_is_a_table() -> None:
    """Selecting columns of a GeoDataFrame may leave a GeoDataFrame without geometry."""
    assert kind_of(PLACES.assign(a=1)[["a", "geometry"]].drop(columns="geometry")) is Kind.TABLE
    assert kind_of(gpd.GeoDataFrame({"a": [1]})) is Kind.TABLE


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_writer_and_says_nothing_in_its_own_way(name: str, tile: TileFrame) -> None:
    """Each entry of the table leads to a function that can write an empty result."""
    encoded = encode(None, wanted=by_format(name), target=Target(tile=tile))

    assert encoded.media_type == FORMATS[name].media_type
    assert encoded.format == name


def test_the_names_cost_no_heavy_import() -> None:
    """The host asks which formats there are; it never needs numpy for that."""
    code = "import sys, fused_jupyter.formats; print({'numpy', 'pandas', 'orjson'} & sys.modules.keys())"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "set()"
