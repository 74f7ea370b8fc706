"""Where the time of a run goes, line by line: a thread looks again and again where the UDF is."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from contextvars import Token
from types import FrameType, TracebackType
from typing import Self

from fused_jupyter.engines.memory import resident_memory
from fused_jupyter.engines.places import is_measured

Line = tuple[str, int]
"""Module ("" is the UDF's own cell) and number."""

_SHORTEST, _LONGEST = 0.0002, 0.002
"""Seconds between two looks: seldom enough to cost little, often enough to see the lines of a short run."""

_SWITCH = 0.001
"""Seconds after which Python code lets the sampler in; 5 ms is the default."""


class LineSampler:
    """Time and growth of memory by line of one UDF, while the `with` lasts.

    A line has the time in which it was running or waiting for what it called, in any thread, so the lines of a function
    and the line that called it have it both. The time between two looks belongs to the line of the second one: code
    that keeps other threads out makes a look late and pays for it, as it is compiled with places to look at.
    """

    def __init__(self, filename: str) -> None:
        self._filename = filename
        self._others = f"{filename[:-1]} "
        """How the files of its header modules begin."""
        self._seconds: dict[Line, float] = {}
        self._growth: dict[Line, int] = {}
        self._running = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="fused-sampler", daemon=True)
        self._switch = self._started = 0.0
        self._had = 0
        self._measured: Token[bool] | None = None

    def __enter__(self) -> Self:
        self._measured = is_measured.set(True)
        self._switch = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH)
        self._started, self._had = time.perf_counter(), resident_memory()
        self._running.acquire()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.release()
        self._thread.join()
        sys.setswitchinterval(self._switch)
        if self._measured is not None:
            is_measured.reset(self._measured)

    @property
    def modules(self) -> dict[str, dict[str, tuple[float, int]]]:
        """By module and line: seconds, and bytes by which memory grew. Keys are text, as JSON has them."""
        found: dict[str, dict[str, tuple[float, int]]] = {}
        for (module, line), seconds in sorted(self._seconds.items()):
            found.setdefault(module, {})[str(line)] = (round(seconds, 6), self._growth[module, line])
        return found

    def _watch(self) -> None:
        last, had = self._started, self._had
        wait, pause = self._running.acquire, _SHORTEST
        # Nothing between the end of the wait and the look: at each call the UDF might go on, and be on another line.
        while not wait(timeout=pause):
            frames = sys._current_frames()  # noqa: SLF001 - documented; a debugger's way in
            now = time.perf_counter()
            has, lines = resident_memory(), self._lines(frames)
            for line in lines:
                self._seconds[line] = self._seconds.get(line, 0.0) + now - last
                self._growth[line] = self._growth.get(line, 0) + has - had
            last, had = now, has
            is_late = time.perf_counter() - now > _SWITCH  # the UDF went on meanwhile; it has just let us in again
            pause = 0.0 if is_late else min(_LONGEST, max(_SHORTEST, (now - self._started) / 500))

    def _lines(self, frames: Mapping[int, FrameType]) -> set[Line]:
        """The UDF's lines in these threads."""
        lines: set[Line] = set()
        for innermost in frames.values():
            frame: FrameType | None = innermost
            while frame is not None:
                filename = frame.f_code.co_filename
                if filename == self._filename or filename.startswith(self._others):
                    lines.add((self._module(filename), frame.f_lineno))
                frame = frame.f_back
        return lines

    def _module(self, filename: str) -> str:
        return filename.removeprefix(self._others).removesuffix(".py>") if filename != self._filename else ""
