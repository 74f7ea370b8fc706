"""HTML: text and charts as they are, tables, pictures and other data as a plain page with everything escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from html import escape
from typing import Any, Final

from fused_jupyter.formats.kinds import Kind, kind_of, type_name
from fused_jupyter.formats.plain import dump
from fused_jupyter.formats.target import Target

MAX_ROWS: Final = 1000
"""A browser lays out ten thousand rows for seconds, and nobody reads them."""
MAX_COLUMNS: Final = 200
MAX_TEXT: Final = 1000
"""Characters of one cell: the outline of a country has a hundred thousand."""

_STYLE: Final = (
    "body{font:13px system-ui,sans-serif;margin:1em}table{border-collapse:collapse}"
    "th,td{padding:2px 8px;border-bottom:1px solid #ddd;text-align:left;white-space:nowrap}"
    "th{position:sticky;top:0;background:#fff}"
)


def encode_html(value: Any, target: Target | None = None) -> bytes:
    """A page: HTML text and charts pass unchanged, pictures are shown, other data is shown as JSON.

    Of a table are shown the first `MAX_ROWS` rows, `MAX_COLUMNS` columns and `MAX_TEXT` characters of a cell; the page
    says what it leaves out. Of bytes and of dicts of files it tells what they are.
    """
    if value is None:
        return b""
    kind = kind_of(value)
    if kind is Kind.PAGE:
        return str(value).encode()
    if kind is Kind.CHART:
        from fused_jupyter.formats.charts import chart_html

        return chart_html(value)
    return _page(_BODIES[kind](value, target or Target()))


def _data(value: Any, target: Target) -> str:
    del target
    return f"<pre>{escape(dump(value).decode())}</pre>"


def _table(value: Any, target: Target) -> str:
    del target
    from fused_jupyter.formats.tabular.columns import text_values
    from fused_jupyter.formats.tabular.frames import to_frame, with_wkt

    frame = to_frame(value)
    shown = with_wkt(frame.iloc[:MAX_ROWS, :MAX_COLUMNS])
    head = "".join(f"<th>{escape(name)}</th>" for name in shown.columns)
    columns = [[escape(_cut(text)) for text in text_values(shown[name])] for name in shown.columns]
    rows = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>\n" for row in zip(*columns, strict=True))
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>{_notes(frame)}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text)} characters)"


def _notes(frame: Any) -> str:
    limits = ((len(frame), MAX_ROWS, "rows"), (frame.shape[1], MAX_COLUMNS, "columns"))
    return "".join(f"<p>The first {most} of {count} {what}.</p>" for count, most, what in limits if count > most)


def _picture(value: Any, target: Target) -> str:
    from fused_jupyter.formats.encoding import write

    picture = b64encode(write(value, "png", target).body).decode()
    return f'<img alt="{escape(type_name(value))}" src="data:image/png;base64,{picture}">'


def _bytes(value: Any, target: Target) -> str:
    del target
    from fused_jupyter.formats.bundle import describe_bytes

    return f"<p>{escape(describe_bytes(value))}</p>"


def _bundle(value: Any, target: Target) -> str:
    del target
    members = ((str(key), type_name(member)) for key, member in value.items())
    return f"<ul>{''.join(f'<li>{escape(key)}: {escape(kind)}</li>' for key, kind in members)}</ul>"


def _page(body: str) -> bytes:
    title = '<!doctype html><html><head><meta charset="utf-8">'
    return f"{title}<style>{_STYLE}</style></head><body>{body}</body></html>\n".encode()


_BODIES: Final[dict[Kind, Callable[[Any, Target], str]]] = {
    Kind.GEOMETRIES: _table,
    Kind.TABLE: _table,
    Kind.ARRAY: _picture,
    Kind.RASTER: _picture,
    Kind.PICTURE: _picture,
    Kind.NUMBERS: _data,
    Kind.PLAIN: _data,
    Kind.BUNDLE: _bundle,
    Kind.BYTES: _bytes,
}
"""What a value is → what stands on its page."""
