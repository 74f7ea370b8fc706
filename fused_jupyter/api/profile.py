"""Where the time of a run went, line by line."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fused_jupyter.api.figures import amount, duration
from fused_jupyter.api.udf import Udf

_LONG = 200
"""Lines of a source above which only those near a measured one are shown."""

_NEAR = 2
_LEAST_GROWTH = 1_000_000
"""Bytes that are worth a word: memory comes and goes in smaller pieces all the time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """The answer of `udf.profile(...)`; a notebook shows it as the source with the time beside each line.

    A line has the time in which it ran or waited for what it called. So a line that calls a function of the cell has
    the time of that function, whose own lines show where it went.
    """

    udf: Udf
    """The version that ran."""
    data: Any
    """What the UDF returned."""
    seconds: float
    """How long it ran, a little longer than without being watched."""
    peak_memory: int
    """Bytes that the run needed at most, beyond what its process had before; 0 where it is not known."""
    stdout: str = ""
    stderr: str = ""
    measured: Mapping[str, Mapping[int, tuple[float, int]]]
    """By module, "" for the UDF's own cell, and line: seconds, and bytes by which memory grew."""

    @property
    def lines(self) -> dict[int, float]:
        """Seconds by line of the cell; lines that were too quick to be seen are missing."""
        return {line: seconds for line, (seconds, _) in self.measured.get("", {}).items()}

    @property
    def memory(self) -> dict[int, int]:
        """Bytes by which memory grew, by line of the cell."""
        return {line: growth for line, (_, growth) in self.measured.get("", {}).items()}

    @property
    def modules(self) -> dict[str, dict[int, float]]:
        """Seconds by header module and line."""
        return {
            module: {line: seconds for line, (seconds, _) in lines.items()}
            for module, lines in self.measured.items()
            if module
        }

    def __repr__(self) -> str:
        return "\n".join([f"{self.udf.name}: {self._facts()}", *self._text()])

    def _repr_html_(self) -> str:
        return (
            "<div style='font-size:13px;line-height:1.6'>"
            f"<div><code style='font-weight:600'>{html.escape(self.udf.name)}</code> "
            f"<span style='opacity:.75'>{self._facts()}</span></div>{''.join(self._page())}</div>"
        )

    def _facts(self) -> str:
        return f"{duration(self.seconds)} · {amount(self.peak_memory)} of memory"

    def _sources(self) -> Iterator[tuple[str, list[_Row]]]:
        """Title and rows of each source in which time was spent."""
        definition = self.udf.definition
        sources = {"": definition.source} | {header.module_name: header.source for header in definition.headers}
        for module, source in sources.items():
            measured = self.measured.get(module, {})
            if measured or not module:
                yield f"{module}.py" if module else "", list(_rows(source.splitlines(), measured))

    def _text(self) -> Iterator[str]:
        for title, rows in self._sources():
            if title:
                yield f"-- {title}"
            for row in rows:
                bar = "█" * round(10 * row.share(self.seconds))
                yield f"{row.number:>4} {row.time:>7} {bar:<10} {row.growth:>8}  {row.text}".rstrip()

    def _page(self) -> Iterator[str]:
        for title, rows in self._sources():
            if title:
                yield f"<div><code>{html.escape(title)}</code></div>"
            yield "<pre style='margin:0;overflow-x:auto;line-height:1.4'>"
            for row in rows:
                share = f"{100 * row.share(self.seconds):.0f}%"
                heat = f"background:linear-gradient(90deg,rgba(240,62,20,.35) {share},transparent {share})"
                style = f" style='{heat}'" if row.time else ""
                figures = f"{row.number:>4} {row.time:>7} {row.growth:>8}"
                yield f"<div{style}><span style='opacity:.65'>{figures}</span>  {html.escape(row.text)}</div>"
            yield "</pre>"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of a source, or what stands for some that are left out."""

    number: str
    text: str = ""
    seconds: float = 0.0
    grown: int = 0

    @property
    def time(self) -> str:
        return duration(self.seconds) if self.seconds else ""

    @property
    def growth(self) -> str:
        return f"{'+' if self.grown > 0 else ''}{amount(self.grown)}" if abs(self.grown) >= _LEAST_GROWTH else ""

    def share(self, whole: float) -> float:
        return min(1.0, self.seconds / whole) if whole else 0.0


def _rows(source: list[str], measured: Mapping[int, tuple[float, int]]) -> Iterator[_Row]:
    left_out = False
    for number, text in enumerate(source, start=1):
        if len(source) > _LONG and not any(near in measured for near in range(number - _NEAR, number + _NEAR + 1)):
            left_out = True
            continue
        if left_out:
            yield _Row(number="⋮")
            left_out = False
        seconds, grown = measured.get(number, (0.0, 0))
        yield _Row(number=str(number), text=text, seconds=seconds, grown=grown)
    if left_out:
        yield _Row(number="⋮")
