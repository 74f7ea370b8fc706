"""Writes the table of formats and kinds of value in the documentation from the code's own table.

python scripts/formats_table.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from fused_jupyter.formats import FORMATS, Kind

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "formats.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"

_WHOLE, _PART = "●", "○"
_HEADS = {
    Kind.GEOMETRIES: "geometries",
    Kind.TABLE: "table",
    Kind.ARRAY: "array",
    Kind.RASTER: "raster, image",
    Kind.PICTURE: "picture bytes",
    Kind.NUMBERS: "1-D array",
    Kind.PLAIN: "plain data",
    Kind.PAGE: "HTML",
    Kind.CHART: "chart",
    Kind.BUNDLE: "dict of these",
    Kind.BYTES: "bytes",
    Kind.NOTHING: "None",
}


def table() -> str:
    """The table as Markdown."""
    head = ["format", "asked for by", "media type", *_HEADS.values()]
    lines = [_line(head), _line(["---"] * 3 + [":-:"] * len(_HEADS))]
    for name, entry in FORMATS.items():
        names = ", ".join(f"`{extension}`" for extension in entry.extensions)
        cells = [_WHOLE if kind in entry.holds else _PART if kind in entry.shows else "" for kind in _HEADS]
        lines.append(_line([name, names, f"`{entry.media_type}`", *cells]))
    return "\n".join(lines) + "\n"


def page_with(markdown: str) -> str:
    """The page with the table in its place."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{markdown}\n{END}{after}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    text = page_with(table())
    if "--check" in sys.argv[1:]:
        sys.exit(text != PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")
