"""The host's log: one line for each run that is worth it, in a file that does not grow without end.

Arguments, tokens and messages of errors, which may quote them, are in no line.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fused_jupyter.runtime.activity import FinishedRun

_LARGEST = 2_000_000
"""Bytes of the file."""
_KEPT = 1_000_000
"""Bytes of its end that stay when it is cut."""

_STRANGE = re.compile(r"[^\w./:+-]")
_LEVELS = {"ok": logging.DEBUG, "lost": logging.ERROR}
"""By outcome; all others are warnings. A slow run that went well is one too."""


def run_log(level: str, path: Path | None = None) -> logging.Logger:
    """A logger of runs.

    Args:
        level: as the setting `log_level` says.
        path: the file that it adds to, once there is something to say; None is stderr, as the host has it.
    """
    handler = logging.StreamHandler(sys.stderr) if path is None else logging.FileHandler(path, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.Logger("fused_jupyter.runs", level.upper())  # noqa: LOG001 - not one of those that the notebook configures
    log.addHandler(handler)
    return log


def log_run(log: logging.Logger, finished: FinishedRun, *, slow_seconds: float) -> None:
    """Write the line of a run, if its level is wanted."""
    level = _LEVELS.get(finished.outcome, logging.WARNING)
    if finished.outcome == "ok" and finished.seconds >= slow_seconds:
        level = logging.WARNING
    if log.isEnabledFor(level):
        log.log(level, "%s", line_of(finished))


def line_of(finished: FinishedRun) -> str:
    """What is written of a run: names and values that a program can read, times in milliseconds."""
    run, error = finished.run, finished.error
    values: dict[str, object] = {
        "run": run.run_id,
        "udf": run.udf,
        "tile": "/".join(map(str, run.tile)) if run.tile is not None else "-",
        "outcome": finished.outcome,
        "status": finished.status,
        "queue_ms": f"{run.queue_seconds * 1000:.1f}",
        "run_ms": f"{finished.seconds * 1000:.1f}",
        "encode_ms": f"{finished.encode_seconds * 1000:.1f}",
        "client": run.client or "-",
    }
    if error is not None:
        values["error"] = error.child_exception_class or type(error).__name__
        values["line"] = error.line or "-"
    return " ".join(f"{name}={_word(value)}" for name, value in values.items())


def trim_log(path: Path) -> None:
    """Cut the file that is this process's stderr, if it has grown too large; its end stays."""
    with contextlib.suppress(OSError):
        now = os.fstat(2)
        if now.st_size <= _LARGEST or not stat.S_ISREG(now.st_mode) or not os.path.samestat(now, path.stat()):
            return
        # Cut in place, not renamed: the template and its workers hold the same open file. All of them append.
        with path.open("rb+") as file:
            file.seek(-_KEPT, os.SEEK_END)
            end = file.read().partition(b"\n")[2]
            file.seek(0)
            file.truncate()
            file.write(end)


def _word(value: object) -> str:
    """A value without blanks and line ends, so that nobody can write lines of their own into the log."""
    return _STRANGE.sub("_", str(value))[:80] if not isinstance(value, int) else str(value)
