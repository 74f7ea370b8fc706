from __future__ import annotations

from base64 import b64decode
from io import BytesIO
from typing import Any

import geopandas as gpd
import lxml.html
import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image

from fused_jupyter.formats.page import encode_html


def page(value: Any) -> Any:
    return lxml.html.fromstring(encode_html(value).decode()).find("body")


def test_html_text_passes_unchanged() -> None:
    """It is the author's page, to the last blank."""
    text = "\n<!doctype html><p>Ås</p> "

    assert encode_html(text).decode() == text


def test_html_shows_a_table_with_everything_escaped() -> None:
    """A value that looks like markup stays text; long tables are cut, and say so."""
    table = pd.DataFrame({"<b>": ["<script>alert(1)</script>"] * 1500})

    body = encode_html(table).decode()

    assert "<script>" not in body
    assert "<th>&lt;b&gt;</th>" in body
    assert body.count("&lt;script&gt;") == 1000
    assert "first 1000 of 1500 rows" in body


def test_wide_tables_and_long_texts_are_cut_and_say_so() -> None:
    """A browser must lay out what it gets."""
    table = gpd.GeoDataFrame({f"c{number}": [0] for number in range(300)}, geometry=[None], crs=4326)
    coast = gpd.GeoSeries([shapely.Point(0, 0).buffer(1, 1000)], crs=4326)

    assert len(page(table).xpath("//th")) == 200
    assert "first 200 of 301 columns" in page(table).text_content()
    assert len(page(coast).xpath("//td")[0].text_content()) < 1100
    assert page(coast).xpath("//td")[0].text_content().startswith("POLYGON ((")


@pytest.mark.parametrize("value", [np.full((3, 8, 9), 200, np.uint8), Image.new("RGB", (9, 8), (200, 200, 200))])
def test_pixels_are_shown_as_a_picture(value: Any) -> None:
    """The page needs nothing from elsewhere."""
    (source,) = page(value).xpath("//img/@src")

    head, _, data = source.partition(",")
    with Image.open(BytesIO(b64decode(data))) as picture:
        assert (head, picture.size) == ("data:image/png;base64", (9, 8))
        assert picture.convert("RGB").getpixel((0, 0)) == (200, 200, 200)


def test_what_cannot_be_shown_is_described() -> None:
    """Bytes by their size and type, a dict of files by its members; with everything escaped."""
    assert page(b"%PDF-1.7").text_content().strip() == "8 bytes of application/pdf"
    items = page({"<b>": pd.DataFrame(), "pixels": np.zeros((2, 2))}).xpath("//li")
    assert [item.text_content() for item in items] == ["<b>: pandas.DataFrame", "pixels: numpy.ndarray"]


def test_plain_data_and_numbers_are_shown_as_json() -> None:
    """As the other formats would say it."""
    assert page({"a": "<i>"}).text_content().strip() == '{"a":"<i>"}'
    assert page(np.array([1.5, np.nan])).text_content().strip() == "[1.5,null]"
