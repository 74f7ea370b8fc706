"""What a call from Python gives, beside the object."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Lines = Mapping[str, Mapping[int, tuple[float, int]]]
"""By module ("" is the UDF's own cell) and line: seconds, and bytes by which memory grew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The object that a UDF returned, and what its run cost."""

    value: Any
    seconds: float
    """How long the UDF ran; a cached result has the time of the run that made it."""
    peak_memory: int
    """Bytes that the run needed at most, beyond what its process had before; 0 where it is not known."""
    cached: bool = False
    stdout: str = ""
    stderr: str = ""
    run_id: str = ""
    """What the log and `%fused_top` call the run."""
    lines: Lines | None = None
    """Where the time went, for a run that was measured."""


def lines_of(profile: Mapping[str, Mapping[str, Sequence[float]]] | None) -> Lines | None:
    """The lines of a reply, whose numbers JSON has as text."""
    if profile is None:
        return None
    return {
        module: {int(line): (seconds, int(growth)) for line, (seconds, growth) in lines.items()}
        for module, lines in profile.items()
    }


def show(stream: str, text: str) -> None:
    """Print what a UDF printed."""
    if text:
        (sys.stdout if stream == "stdout" else sys.stderr).write(text)


def hide(stream: str, text: str) -> None:
    """Print nothing."""
