"""What a call from Python gives, beside the object."""

from __future__ import annotations

import sys
from collections.abc import Mapping
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
    lines: Lines | None = None
    """Where the time went, for a run that was measured."""


def show(stream: str, text: str) -> None:
    """Print what a UDF printed."""
    if text:
        (sys.stdout if stream == "stdout" else sys.stderr).write(text)


def hide(stream: str, text: str) -> None:
    """Print nothing."""
