from __future__ import annotations

import logging
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fused_jupyter.errors import FusedError, UdfRuntimeError, UdfTimeoutError, WorkerLostError
from fused_jupyter.runtime import log
from fused_jupyter.runtime.activity import Activity
from fused_jupyter.runtime.log import run_log
from fused_jupyter.wire import Reply


def lines_at(level: str, path: Path, *, seconds: float = 0.1, error: FusedError | None = None, **asked: Any) -> str:
    """What a run leaves in the log."""
    logger = run_log(level, path)
    activity = Activity(logger, slow_seconds=5.0)
    run = activity.ask("quakes", **({"client": "kernel", "stop": lambda: None} | asked))
    if error is None:
        activity.succeed(run, Reply(id=1, seconds=seconds, encode_seconds=0.25))
    else:
        activity.lose(run, error)
    logger.handlers[0].close()
    return path.read_text() if path.exists() else ""


def test_what_went_well_is_a_line_for_who_wants_all(tmp_path: Path) -> None:
    """Names and values, times in milliseconds."""
    text = lines_at("debug", tmp_path / "log", tile=(12, 654, 1583))

    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} DEBUG run=[0-9a-f]{12} udf=quakes tile=12/654/1583 outcome=ok "
        r"status=200 queue_ms=0\.0 run_ms=100\.0 encode_ms=250\.0 client=kernel\n",
        text,
    )
    assert lines_at("info", tmp_path / "none") == ""


def test_what_was_slow_is_a_line(tmp_path: Path) -> None:
    """Though it went well."""
    assert " WARNING run=" in lines_at("info", tmp_path / "log", seconds=5.0)
    assert lines_at("error", tmp_path / "none", seconds=5.0) == ""


ERRORS: dict[str, tuple[FusedError, str]] = {
    "raised": (
        UdfRuntimeError("KeyError: 'token-1'", line=7, child_exception_class="KeyError"),
        "WARNING run= outcome=failed status=422 error=KeyError line=7",
    ),
    "too long": (UdfTimeoutError.after(3.0, udf="f"), "WARNING outcome=timeout status=504 error=UdfTimeoutError"),
    "died": (WorkerLostError("killed by signal 11"), "ERROR outcome=lost status=500 error=WorkerLostError line=-"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_went_wrong_is_a_line(case: str, tmp_path: Path) -> None:
    """With what and where; not the message, which may quote an argument."""
    error, words = ERRORS[case]

    text = lines_at("info", tmp_path / "log", error=error)

    assert all(word in text for word in words.split())
    assert error.message not in text
    assert "token" not in text


def test_nobody_writes_lines_of_their_own(tmp_path: Path) -> None:
    """Blanks and line ends of a client's name, or of an exception's, become underscores."""
    error = UdfRuntimeError("no", child_exception_class="Bad\n2026 ERROR run=forged")

    text = lines_at("info", tmp_path / "log", client="me status=200\nrun=forged", error=error)

    assert text.count("\n") == 1
    assert text.count(" run=") == 1
    assert text.count(" status=") == 1


def test_the_log_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end stays, in whole lines, while several processes go on adding to it."""
    path = tmp_path / "log"
    monkeypatch.setattr(log, "_LARGEST", 20_000)
    monkeypatch.setattr(log, "_KEPT", 5000)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    before = os.dup(2)
    try:
        os.dup2(descriptor, 2)
        for number in range(3000):
            os.write(2, b"line %d\n" % number)
            log.trim_log(path)
        os.write(descriptor, b"the other's\n")
        subprocess.run([sys.executable, "-c", "import os; os.write(2, b'the last\\n')"], check=True)
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(descriptor)

    *numbered, others, last = path.read_text().splitlines()
    assert (others, last) == ("the other's", "the last")
    assert numbered == [f"line {number}" for number in range(3000 - len(numbered), 3000)]
    assert 400 < len(numbered) < 3000
    assert path.stat().st_size <= 20_100
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_not_the_log_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where stderr is something else, nothing is cut."""
    path = tmp_path / "log"
    path.write_text("x" * 100)
    monkeypatch.setattr(log, "_LARGEST", 10)

    log.trim_log(path)
    log.trim_log(tmp_path / "nothing")

    assert path.stat().st_size == 100


def test_the_logger_is_no_business_of_the_notebook() -> None:
    """Its own settings of `logging` neither silence it nor get its lines."""
    logger = run_log("info")

    assert logger.parent is None
    assert logger is not logging.getLogger(logger.name)
