"""Tables as XML and as Excel workbooks, both by our own writers: text templates beat an XML library ten times."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.tabular._workbook import BOLD, PARTS, SHEET, cells_of, column_letters, text_cells
from fused_jupyter.formats.tabular.capsules import distinct
from fused_jupyter.formats.tabular.columns import text_values, weave
from fused_jupyter.formats.tabular.frames import to_frame, with_wkt
from fused_jupyter.formats.tabular.markup import escape_texts

if TYPE_CHECKING:
    import pandas as pd

    from fused_jupyter.formats.target import Target

MAX_ROWS: Final = 1_048_575
"""What Excel has, less one for the names."""
MAX_COLUMNS: Final = 16_384

_NAME_START: Final = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff"
    "\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NO_NAME: Final = re.compile(f"[^-.0-9\xb7\u0300-\u036f\u203f\u2040{_NAME_START}]")
_STARTS_NAME: Final = re.compile(f"[{_NAME_START}]")
_OLDEST: Final = (1980, 1, 1, 0, 0, 0)
"""The time of all members of an archive, so that equal values give equal bytes."""


def encode_xml(value: Any, target: Target | None = None) -> bytes:
    """XML as ``pandas.read_xml`` reads it: a ``row`` of ``data`` for each row, geometries as WKT.

    What is missing is an empty element. Column names keep the characters that XML allows in names, others become ``_``;
    characters that XML forbids in texts become U+FFFD.
    """
    del target
    frame = with_wkt(to_frame(value))
    pieces: list[str | list[str]] = ["<row>"]
    for name, tag in zip(frame.columns, _tags(list(frame.columns)), strict=True):
        pieces += _elements(frame[name], tag)
    around = ('<?xml version="1.0" encoding="utf-8"?>\n<data>\n', "</data>\n")
    return weave([*pieces, "</row>\n"], len(frame), around=around).encode()


def encode_xlsx(value: Any, target: Target | None = None) -> bytes:
    """An Excel workbook of one sheet, its first row the names; geometries as WKT, lists and dicts as JSON.

    A text is always a text, also where it begins with ``=``. Numbers of more than 15 digits, moments with a zone and
    those before 1900 are texts, for Excel would change them.

    Raises:
        UdfSerializationError: more rows, columns or characters than Excel has room for.
    """
    del target
    frame = with_wkt(to_frame(value))
    _check_size(frame)
    sink = BytesIO()
    with ZipFile(sink, "w") as archive:
        for name, text in {**PARTS, SHEET: _sheet(frame)}.items():
            member = ZipInfo(name, _OLDEST)
            member.compress_type = ZIP_DEFLATED
            archive.writestr(member, text.encode(), compresslevel=1)
    return sink.getvalue()


def _elements(column: pd.Series[Any], tag: str) -> list[str | list[str]]:
    texts = escape_texts(text_values(column))
    if not column.isna().any():
        return [f"<{tag}>", texts, f"</{tag}>"]
    missing = column.isna().tolist()
    return [[f"<{tag}/>" if gone else f"<{tag}>{text}</{tag}>" for text, gone in zip(texts, missing, strict=True)]]


def _tags(names: list[str]) -> list[str]:
    allowed = [_NO_NAME.sub("_", name) for name in names]
    return distinct([name if _STARTS_NAME.match(name) else f"_{name}" for name in allowed])


def _check_size(frame: pd.DataFrame) -> None:
    rows, columns = frame.shape
    if rows > MAX_ROWS or columns > MAX_COLUMNS:
        raise UdfSerializationError(
            f"The UDF returned a table of {rows} rows and {columns} columns; an Excel sheet has {MAX_ROWS} and"
            f" {MAX_COLUMNS}. Return fewer, or ask for csv or parquet"
        )


def _sheet(frame: pd.DataFrame) -> str:
    rows, letters = [str(row) for row in range(2, len(frame) + 2)], column_letters(frame.shape[1])
    names = text_cells(list(frame.columns), style=BOLD)
    head = weave(['<c r="', letters, '1"', *names.pieces], len(letters))
    pieces: list[str | list[str]] = ['<row r="', rows, '">']
    widths = []
    for number, (letter, name) in enumerate(zip(letters, frame.columns, strict=True), start=1):
        cells = cells_of(frame[name])
        pieces += [f'<c r="{letter}', rows, '"', *cells.pieces]
        widths += [f'<col min="{number}" max="{number}" width="{cells.width}" customWidth="1"/>'] if cells.width else []
    layout = f"<cols>{''.join(widths)}</cols>" if widths else ""
    begin = (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f'<dimension ref="A1:{letters[-1] if letters else "A"}{len(frame) + 1}"/>'
        '<sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f'{layout}<sheetData><row r="1">{head}</row>'
    )
    return weave([*pieces, "</row>"], len(frame), around=(begin, "</sheetData></worksheet>"))
