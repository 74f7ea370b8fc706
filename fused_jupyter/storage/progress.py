"""How far a download is: nothing of a short one, a line that changes in a notebook, few lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from typing import Protocol


class Screen(Protocol):
    """Where text appears."""

    def write(self, text: str, /) -> object:
        """Show it."""
        ...

    def flush(self) -> object:
        """Now."""
        ...


class Progress:
    """Tells of one download.

    Args:
        name: of the file.
        screen: where.
        is_live: whether a carriage return goes back to the begin of the line there. If not, a line follows the other:
            the first after ten seconds, each next one after twice the time.
    """

    LIVE = 2.0, 0.3
    """Seconds before the first line, and between two."""
    LINES = 10.0

    def __init__(self, name: str, screen: Screen, *, is_live: bool) -> None:
        self._name = name if len(name) <= 40 else f"…{name[-39:]}"
        self._screen = screen
        self._is_live = is_live
        self._started = time.monotonic()
        self._next = self._started + (self.LIVE[0] if is_live else self.LINES)
        self._begun: int | None = None
        self._done = 0
        self._width = 0

    def __call__(self, done: int, size: int | None) -> None:
        """Bytes that are there, of how many."""
        if self._begun is None or done < self._begun:
            self._begun = done  # what an earlier download left says nothing about the speed
        self._done = done
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (self.LIVE[1] if self._is_live else now - self._started)
        self._show(self._line(done, size, now), end="" if self._is_live else "\n")

    def close(self) -> None:
        """Leave the line, if there is one, with what came of it."""
        if self._width and self._is_live:
            self._show(
                f"{self._name}: {self._done / 1e6:,.1f} MB in {time.monotonic() - self._started:,.0f} s", end="\n"
            )

    def _show(self, line: str, *, end: str) -> None:
        start, wide = ("\r", line.ljust(self._width)) if self._is_live else ("", line)
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none: no reason to stop
            self._screen.write(f"{start}{wide}{end}")
            self._screen.flush()
        self._width = len(line)

    def _line(self, done: int, size: int | None, now: float) -> str:
        speed = (done - (self._begun or 0)) / max(now - self._started, 1e-9)
        line = f"{self._name}: {done / 1e6:,.1f}"
        if size:
            left = (size - done) / speed if speed > 0 else 0
            return f"{line} of {size / 1e6:,.1f} MB, {done / size:.0%}, {speed / 1e6:,.1f} MB/s, {left:,.0f} s left"
        return f"{line} MB, {speed / 1e6:,.1f} MB/s"
