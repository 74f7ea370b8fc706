"""The inside of an Excel workbook (ECMA-376): its cells, and the parts that are the same for every sheet."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from itertools import count, islice, product
from math import isfinite, isnan
from string import ascii_uppercase
from typing import Any, Final

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.tabular.columns import as_text, is_numeric, json_texts, naming, plain_values, weave
from fused_jupyter.formats.tabular.markup import escape_texts

_EMPTY: Final = "/>"
_LONGEST: Final = 32_767
_DIGITS: Final = 15
"""What Excel keeps of a number."""
_FIRST, _LAST = np.datetime64("1900-03-01"), np.datetime64("9999-12-31T23:59:59")
"""Where Excel's calendar is right: it has a 29 February 1900."""
_DAY_ZERO: Final = np.datetime64("1899-12-30")
BOLD, _MOMENT, _DATE = 1, 2, 3
"""Numbers of the styles in `PARTS`."""
_LOOKS_ESCAPED: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")

SHEET: Final = "xl/worksheets/sheet1.xml"
_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_KIND: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_FORMATS: Final = {_MOMENT: "yyyy\\-mm\\-dd\\ hh:mm:ss", _DATE: "yyyy\\-mm\\-dd"}

PARTS: Final = {
    "[Content_Types].xml": (
        f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
        f'<Override PartName="/{SHEET}" ContentType="{_KIND}.worksheet+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_KIND}.styles+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><workbookPr/>'
        '<sheets><sheet name="udf" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>'
    ),
    "xl/styles.xml": (
        f'{_XML}<styleSheet xmlns="{_MAIN}"><numFmts count="{len(_FORMATS)}">'
        + "".join(f'<numFmt numFmtId="{162 + style}" formatCode="{code}"/>' for style, code in _FORMATS.items())
        + '</numFmts><fonts count="2"><font><sz val="11"/><name val="Calibri"/><family val="2"/></font>'
        '<font><b/><sz val="11"/><name val="Calibri"/><family val="2"/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="{2 + len(_FORMATS)}"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
        '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
        + "".join(
            f'<xf numFmtId="{162 + style}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
            for style in _FORMATS
        )
        + '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    ),
}
"""Path in the archive → text, of all members but the sheet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The cells of one column."""

    pieces: list[str | list[str]]
    """For `weave`: what follows a cell's place."""
    width: int = 0
    """Characters; 0 for what Excel gives by itself."""


def column_letters(width: int) -> list[str]:
    """The names of that many columns.

    >>> column_letters(28)[-3:]
    ['Z', 'AA', 'AB']
    """
    names = ("".join(letters) for length in count(1) for letters in product(ascii_uppercase, repeat=length))
    return list(islice(names, width))


def cells_of(column: pd.Series[Any]) -> Cells:
    """The column's cells: numbers, booleans and dates where Excel keeps them as they are, else texts.

    Raises:
        UdfSerializationError: a text is longer than a cell can be.
    """
    with naming(column):
        return _cells_of(column)


def text_cells(texts: list[str], *, style: int = 0) -> Cells:
    """Cells of texts; `style` is a number of `PARTS`.

    Raises:
        UdfSerializationError: a text is longer than a cell can be.
    """
    if max(map(len, texts), default=0) > _LONGEST // 2:
        _check_lengths(texts)
    written = escape_texts(texts)
    if any("_x" in text for text in written):
        written = [_LOOKS_ESCAPED.sub("_x005F_", text) for text in written]
    if any("\r" in text for text in texts):
        written = [text.replace("&#13;\n", "\n").replace("&#13;", "\n") for text in written]
    styled = f' s="{style}"' if style else ""
    return Cells(pieces=[f'{styled} t="inlineStr"><is><t xml:space="preserve">', written, "</t></is></c>"])


def _cells_of(column: pd.Series[Any]) -> Cells:
    if str(column.dtype) == "category":
        return _category_cells(column)
    if is_numeric(column):
        return _NUMERIC[column.dtype.kind](column)
    if (moments := _moments(column)) is not None:
        return _moment_cells(moments)
    values = plain_values(column)
    types = set(map(type, values))
    if types == {str}:
        return text_cells(values)
    if types <= {str, type(None)}:
        texts = _split(text_cells([value or "" for value in values]), len(values))
        return Cells(pieces=[[_EMPTY if value is None else text for value, text in zip(values, texts, strict=True)]])
    return Cells(pieces=[[_cell(value) for value in values]])


def _split(cells: Cells, count: int) -> list[str]:
    """Each cell as one text."""
    return weave(cells.pieces, count, between="\x00").split("\x00")[:count]


def _check_lengths(texts: list[str]) -> None:
    longest = max(len(text.encode("utf-16-le", "replace")) // 2 for text in texts)
    if longest > _LONGEST:
        raise UdfSerializationError(
            f"a text has {longest} characters, and a cell of Excel holds {_LONGEST}; leave the column out, simplify its"
            " geometries, or ask for csv or parquet"
        )


def _cell(value: Any) -> str:
    """One cell of a column of several types."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return _EMPTY
    if isinstance(value, bool | np.bool_):
        return f' t="b"><v>{int(value)}</v></c>'
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, Enum)
    if is_number and _is_exact(value):
        return f"><v>{value}</v></c>"
    return weave(text_cells([str(value) if is_number else as_text(value)]).pieces, 1)


def _is_exact(number: float | Decimal) -> bool:
    """Whether Excel keeps the number: finite, and of no more digits than it has."""
    if isinstance(number, Decimal):
        return number.is_finite() and len(number.as_tuple().digits) <= _DIGITS
    return abs(number) < 10**_DIGITS if isinstance(number, int) else isfinite(number)


def _category_cells(column: pd.Series[Any]) -> Cells:
    categories = column.cat.categories.to_series()
    known = [*_split(_cells_of(categories), len(categories)), _EMPTY]
    return Cells(pieces=[[known[code] for code in column.cat.codes.tolist()]])


def _boolean_cells(column: pd.Series[Any]) -> Cells:
    return Cells(pieces=[' t="b"><v>', ["1" if value else "0" for value in column.tolist()], "</v></c>"])


def _integer_cells(column: pd.Series[Any]) -> Cells:
    values = column.to_numpy()
    if len(values) and max(int(values.max()), -int(values.min())) >= 10**_DIGITS:
        return text_cells(json_texts(column))
    return Cells(pieces=["><v>", json_texts(column), "</v></c>"])


def _float_cells(column: pd.Series[Any]) -> Cells:
    if np.isfinite(column.to_numpy()).all():
        return Cells(pieces=["><v>", json_texts(column), "</v></c>"])
    return Cells(pieces=[[_cell(value) for value in column.tolist()]])


def _moments(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """The column as moments without a zone, if it is one of those or of dates, and Excel counts that far."""
    if column.dtype == object and infer_dtype(column, skipna=True) == "date":
        column = column.astype("datetime64[s]")
    if not isinstance(column.dtype, np.dtype) or column.dtype.kind != "M":
        return None
    known = column.dropna()
    return column if known.between(_FIRST, _LAST).all() else None


def _moment_cells(column: pd.Series[Any]) -> Cells:
    days = ((column - pd.Timestamp(_DAY_ZERO)) / pd.Timedelta(days=1)).to_numpy()
    style = _DATE if (np.isnan(days) | (days % 1 == 0)).all() else _MOMENT
    cells = [_EMPTY if isnan(day) else f' s="{style}"><v>{day!r}</v></c>' for day in days.tolist()]
    return Cells(pieces=[cells], width=20 if style == _MOMENT else 11)


_NUMERIC: Final[dict[str, Callable[[pd.Series[Any]], Cells]]] = {
    "b": _boolean_cells,
    "i": _integer_cells,
    "u": _integer_cells,
    "f": _float_cells,
}
"""The kind of a numpy type → its cells."""
