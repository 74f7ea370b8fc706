"""What `%fused_top` shows: what runs, what waits, what was kept, how long things take, and what went wrong."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from IPython.core.interactiveshell import InteractiveShell

from fused_jupyter.api.figures import amount, duration
from fused_jupyter.errors import FusedError
from fused_jupyter.runtime import KernelRuntime

if TYPE_CHECKING:
    from fused_jupyter.widgets import LiveTop

_MOST_ROWS = 30
_LEFT_OUT = "…"


class Watched(Protocol):
    """The runtime of this kernel, as far as it is watched."""

    def status(self) -> dict[str, Any]:
        """What the host says of itself, and of all that runs."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    cells: tuple[str, ...]
    run: str = ""
    """The run that can be stopped here."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text below a title."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        lines = [self.columns, *(row.cells for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join([self.title, *(f"  {line.rstrip()}" for line in padded)])


@dataclass(frozen=True, slots=True)
class Top:
    """The activity of a kernel's host at one moment, as text."""

    summary: str
    tables: tuple[Table, ...]

    @classmethod
    def of(cls, runtime: Watched) -> Top:
        """Look now."""
        try:
            status = runtime.status()
        except FusedError as exc:
            return cls(exc.message, ())
        return cls(
            _summary(status),
            (
                Table(
                    "runs",
                    ("run", "UDF", "tile", "client", "waited", "runs for"),
                    _first(map(_run, status["active"]), width=6),
                ),
                Table(
                    "UDFs",
                    ("UDF", "requests", "cached", "p50", "p95", "errors"),
                    _first((_udf(*each) for each in _busiest_first(status["udfs"])), width=6),
                ),
                Table("last errors", ("at", "UDF", "tile", "error", "run"), tuple(map(_error, status["errors"]))),
            ),
        )

    def __repr__(self) -> str:
        return "\n".join([self.summary, *(str(table) for table in self.tables if table.rows)])

    def to_json(self) -> dict[str, Any]:
        """What the page draws; its twin is `State` in js/src/top.ts."""
        return asdict(self)


def live_top(runtime: KernelRuntime, cells: Cells) -> LiveTop | Top:
    """The widget, or the text where there is nobody who could show it."""
    if not cells.are_of_a_notebook:
        return Top.of(runtime)
    from fused_jupyter.widgets import LiveTop

    return LiveTop(
        lambda: Top.of(runtime), cancel=runtime.cancel, is_busy=lambda: cells.is_running, kernel_id=runtime.kernel_id
    )


class Cells:
    """Whether a cell runs; made while one does."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.is_running = True
        self._count = 0
        self.are_of_a_notebook = getattr(shell, "kernel", None) is not None
        shell.events.register("pre_execute", self._begin)
        shell.events.register("post_execute", self._end)

    @property
    def quiet(self) -> int | None:
        """None while a cell runs, else how many have begun."""
        return None if self.is_running else self._count

    def _begin(self) -> None:
        self.is_running = True
        self._count += 1

    def _end(self) -> None:
        self.is_running = False


def _summary(status: Mapping[str, Any]) -> str:
    load, memory = status["workers"], status["memory"]
    parts = [f"{load['busy']} of {load['busy'] + load['idle']} workers busy", f"{load['waiting']} waiting"]
    if total := sum(memory.values()):  # else the system does not tell
        kinds = ", ".join(f"{kind} {amount(size)}" for kind, size in memory.items())
        parts.append(f"{amount(total)} of memory: {kinds}")
    if not status["is_ready"]:
        parts.append("starting")
    return " · ".join(parts)


def _busiest_first(udfs: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    return sorted(udfs.items(), key=lambda item: int(item[1]["requests"]), reverse=True)


def _run(run: Mapping[str, Any]) -> Row:
    runs_for = duration(run["seconds"]) if run["state"] == "running" else run["state"]
    return Row(
        (run["run_id"], run["udf"], _tile(run), run["client"], duration(run["queue_seconds"]), runs_for),
        run=run["run_id"],
    )


def _udf(name: str, tally: Mapping[str, Any]) -> Row:
    times = ["" if tally[share] is None else duration(tally[share]) for share in ("p50", "p95")]
    return Row((name, str(tally["requests"]), f"{tally['cached_share']:.0%}", *times, str(tally["errors"])))


def _error(error: Mapping[str, Any]) -> Row:
    at = time.strftime("%H:%M:%S", time.localtime(error["at"]))
    where = f" (line {error['line']})" if error["line"] else ""
    message = " ".join(error["message"].split())
    return Row((at, error["udf"], _tile(error), f"{message}{where}", error["run_id"]))


def _tile(values: Mapping[str, Any]) -> str:
    return "/".join(map(str, values["tile"])) if values["tile"] else ""


def _first(rows: Iterable[Row], *, width: int) -> tuple[Row, ...]:
    """As many rows as one can read, and a sign that there are more."""
    found = tuple(rows)
    return found if len(found) <= _MOST_ROWS else (*found[:_MOST_ROWS], Row((_LEFT_OUT,) * width))
