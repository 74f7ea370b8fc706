"""HTML: text as it is, tables and other data as a plain page with everything escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from fused_jupyter.formats.kinds import Kind, kind_of
from fused_jupyter.formats.plain import dump

if TYPE_CHECKING:
    from fused_jupyter.formats.target import Target

MAX_ROWS: Final = 1000
"""A browser lays out ten thousand rows for seconds, and nobody reads them."""

_STYLE: Final = (
    "body{font:13px system-ui,sans-serif;margin:1em}table{border-collapse:collapse}"
    "th,td{padding:2px 8px;border-bottom:1px solid #ddd;text-align:left;white-space:nowrap}"
    "th{position:sticky;top:0;background:#fff}"
)


def encode_html(value: Any, target: Target | None = None) -> bytes:
    """A page: a text passes unchanged, a table shows its first `MAX_ROWS` rows, other data is shown as JSON."""
    del target
    if isinstance(value, str):
        return value.encode()
    if value is None:
        return b""
    if kind_of(value) is Kind.PLAIN:
        return _page(f"<pre>{escape(dump(value).decode())}</pre>")
    return _page(_table(value))


def _table(value: Any) -> str:
    from fused_jupyter.formats.columns import text_values
    from fused_jupyter.formats.frames import to_frame

    frame = to_frame(value)
    shown = frame.iloc[:MAX_ROWS]
    head = "".join(f"<th>{escape(name)}</th>" for name in shown.columns)
    columns = [[escape(text) for text in text_values(shown[name])] for name in shown.columns]
    rows = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>\n" for row in zip(*columns, strict=True))
    note = f"<p>The first {MAX_ROWS} of {len(frame)} rows.</p>" if len(frame) > MAX_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>{note}"


def _page(body: str) -> bytes:
    title = '<!doctype html><html><head><meta charset="utf-8">'
    return f"{title}<style>{_STYLE}</style></head><body>{body}</body></html>\n".encode()
