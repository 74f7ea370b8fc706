"""What a UDF prints that another one calls, kept apart from what the caller prints."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from fused_jupyter.engines.streams import STANDARD, CStdout, flush

Files = tuple[IO[bytes], IO[bytes]]


@dataclass(slots=True)
class Captured:
    """What was printed, known when it is over."""

    stdout: str = ""
    stderr: str = ""


class Captures:
    """Takes stdout and stderr of this process for as long as somebody captures them.

    They are there once for all threads. Of several that capture at the same time, the one that began last has all that
    is printed; when it ends, the one before it goes on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[Files] = []
        self._outside: tuple[int, ...] = ()
        """Where output goes when nobody captures it."""
        self._c_stdout = CStdout()

    @contextlib.contextmanager
    def capture(self) -> Iterator[Captured]:
        """Keep what this process and its children print meanwhile."""
        captured = Captured()
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            self._begin((stdout, stderr))
            try:
                yield captured
            finally:
                self._end((stdout, stderr))
                captured.stdout, captured.stderr = _text(stdout), _text(stderr)

    def _begin(self, files: Files) -> None:
        with self._lock:
            flush(self._c_stdout)
            if not self._active:
                self._outside = tuple(os.dup(number) for number in STANDARD)
            self._active.append(files)
            self._connect()

    def _end(self, files: Files) -> None:
        with self._lock:
            flush(self._c_stdout)
            self._active.remove(files)
            self._connect()
            if not self._active:
                for descriptor in self._outside:
                    os.close(descriptor)

    def _connect(self) -> None:
        ends = [file.fileno() for file in self._active[-1]] if self._active else self._outside
        for number, descriptor in zip(STANDARD, ends, strict=True):
            os.dup2(descriptor, number)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
