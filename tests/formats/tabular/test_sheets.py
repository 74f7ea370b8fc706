from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from io import BytesIO
from typing import Any

import geopandas as gpd
import lxml.etree
import numpy as np
import openpyxl
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.tabular.sheets import encode_xlsx, encode_xml

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 has no place for."""


def rows(table: Any) -> list[tuple[Any, ...]]:
    sheet = openpyxl.load_workbook(BytesIO(encode_xlsx(table))).active
    return list(sheet.iter_rows(values_only=True))


def elements(table: Any) -> list[dict[str, str | None]]:
    return [{child.tag: child.text for child in row} for row in lxml.etree.fromstring(encode_xml(table))]


TYPES = pd.DataFrame(
    {
        "whole": [1, -2],
        "gaps": pd.array([None, 3], "Int64"),
        "real": [0.1, np.nan],
        "endless": [np.inf, -np.inf],
        "yes": [True, False],
        "perhaps": pd.array([None, True], "boolean"),
        "name": ["Ås", None],
        "kind": pd.Categorical([2.5, None]),
        "day": [dt.date(2020, 2, 29), None],
        "moment": pd.to_datetime(["2020-02-29T12:00:00.25", None]),
        "abroad": pd.to_datetime(["2020-02-29T12:00:00+05:30", None]),
        "early": pd.to_datetime(["1850-01-01", "2020-01-01"]),
        "span": pd.to_timedelta([90, None], unit="s"),
        "price": [Decimal("1.10"), Decimal("123456789012345678.9")],
        "cell": [1 << 62, 5],
        "mixed": [1 << 62, "5"],
        "list": [[1, 2], {"a": None}],
    }
)


def test_excel_shows_each_type_as_its_own() -> None:
    """Numbers, booleans and dates are such; what Excel would round or shift is text."""
    names, first, second = rows(TYPES)

    assert names == tuple(TYPES.columns)
    noon = dt.datetime(2020, 2, 29, 12, 0, 0, 250_000)  # noqa: DTZ001  Excel knows no zones
    day = dt.datetime(2020, 2, 29)  # noqa: DTZ001  same
    numbers = (1, None, 0.1, "inf", True, None, "Ås", 2.5)
    texts = (
        "2020-02-29T12:00:00+05:30",
        "1850-01-01T00:00:00",
        "P0DT0H1M30S",
        1.1,
        str(1 << 62),
        str(1 << 62),
        "[1,2]",
    )
    assert first == (*numbers, day, noon, *texts)
    gone = (None, None, None, "2020-01-01T00:00:00", None)
    assert second == (
        -2,
        3,
        None,
        "-inf",
        False,
        True,
        None,
        None,
        *gone,
        "123456789012345678.9",
        "5",
        "5",
        '{"a":null}',
    )


def test_excel_is_told_how_to_show_dates() -> None:
    """A moment is no bare number of days, and its column is wide enough for it."""
    sheet = openpyxl.load_workbook(BytesIO(encode_xlsx(TYPES[["day", "moment"]]))).active

    assert [sheet["A2"].number_format, sheet["B2"].number_format] == ["yyyy\\-mm\\-dd", "yyyy\\-mm\\-dd\\ hh:mm:ss"]
    assert sheet.column_dimensions["B"].width >= 19
    assert sheet["A1"].font.b


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", "http://a", "007", "1e5"]
)
def test_a_text_is_never_a_formula(text: str) -> None:
    """Nor a link or a number: who opens the file of a stranger runs nothing."""
    sheet = openpyxl.load_workbook(BytesIO(encode_xlsx(pd.DataFrame({text: [text]})))).active

    assert (sheet["A2"].value, sheet["A2"].data_type) == (text, "s")
    assert (sheet["A1"].value, sheet["A1"].data_type) == (text, "s")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(max_size=6) | st.sampled_from(["_x0041_", "a\r\nb", "\x07", "\ufffe", ' <&" ']), min_size=1, max_size=4
    )
)
def test_any_text_survives_excel(texts: list[str]) -> None:
    """Blanks around it, markup, what looks like an escape of Excel's; what is no character for XML is replaced."""
    read = [row[0] for row in rows(pd.DataFrame({"t": pd.Series(texts, dtype=object), "n": 1}))]

    expected = [FORBIDDEN.sub("\ufffd", text).replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    assert [unescape(text or "") for text in read[1:]] == expected


def test_what_excel_has_no_room_for_is_an_error_that_says_what_to_do() -> None:
    """Cut tables and texts would go unnoticed."""
    too_many = pd.DataFrame({"a": np.zeros(1_048_576, bool)})
    too_wide = pd.DataFrame(np.zeros((1, 16_385)))
    too_long = gpd.GeoSeries([shapely.Point(0, 0).buffer(1, 1000)], crs=4326)

    for table, match in ((too_many, "1048575"), (too_wide, "16384"), (too_long, "'geometry'.*32767")):
        with pytest.raises(UdfSerializationError, match=match) as caught:
            encode_xlsx(table)
        assert "csv" in caught.value.message
    assert rows(pd.DataFrame({"a": ["x" * 32_767]}))[1] == ("x" * 32_767,)


def test_equal_tables_give_equal_workbooks() -> None:
    """No clock is in them, so caches know them."""
    assert encode_xlsx(TYPES) == encode_xlsx(TYPES.copy())


def test_empty_tables_are_written() -> None:
    """Names without rows, and nothing at all."""
    assert rows(pd.DataFrame({"a": []})) == [("a",)]
    assert rows(None) in ([], [()], [(None,)])
    assert encode_xml(None).endswith(b"<data>\n</data>\n")


def test_pandas_reads_xml_and_excel() -> None:
    """With its defaults."""
    table = pd.DataFrame({"n": [1, 2], "x": [0.5, np.nan], "t": ["Ås <&>", None], "ok": [True, False]})

    for read in (pd.read_xml(BytesIO(encode_xml(table))), pd.read_excel(BytesIO(encode_xlsx(table)))):
        pd.testing.assert_frame_equal(read, table, check_dtype=False)


def test_xml_says_what_csv_says() -> None:
    """Numbers, moments and spans as text; what is missing is an empty element; geometries are WKT."""
    table = gpd.GeoDataFrame(TYPES, geometry=[shapely.Point(10, 60), None], crs=4326)

    first, second = elements(table)

    assert (first["endless"], first["yes"], first["span"], first["list"]) == ("inf", "true", "P0DT0H1M30S", "[1,2]")
    assert (first["moment"], first["geometry"]) == ("2020-02-29T12:00:00.250000", "POINT (10 60)")
    assert {second[name] for name in ("gaps", "real", "name", "kind", "day", "moment", "geometry")} == {"3", None}


def test_xml_names_are_names() -> None:
    """Blanks and leading digits are none; names stay different."""
    names = ["a b", "a_b", "1st", "Größe", "", "<x>", "a:b", "x-1.y"]

    (row,) = elements(pd.DataFrame([range(8)], columns=names))

    assert list(row) == ["a_b", "a_b_1", "_1st", "Größe", "_", "_x_", "a_b_2", "x-1.y"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=6) | st.sampled_from(["a\r\nb", "\x00", "]]>", "\ufffe"]), min_size=1, max_size=4))
def test_any_text_survives_xml(texts: list[str]) -> None:
    """Carriage returns too; what XML forbids becomes the replacement character."""
    read = elements(pd.DataFrame({"t": pd.Series(texts, dtype=object)}))

    assert [row["t"] or "" for row in read] == [FORBIDDEN.sub("\ufffd", text) for text in texts]
