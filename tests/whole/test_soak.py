"""A minute of `make soak`, and that what it looks with can see."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from soak_cases import CASES, Got, Timeline, check_error
from soak_growth import BOUNDS, Census, excesses

SOAK = Path(__file__).parents[2] / "scripts" / "soak.py"
REST = Census(
    seconds=0,
    processes={"server": 1, "kernel": 3, "host": 3, "template": 3, "worker": 9},
    descriptors={"server": 40, "host": 90},
    memory={"server": 90.0, "host": 60.0},
    temporary=("tmp/fused-1-2-a/host.sock",),
    drafts=0,
    logs=1000,
)


@pytest.mark.timeout(300)
def test_a_minute_of_everything(tmp_path: Path) -> None:
    """Each kind of request was answered, each answer was right, and nothing has grown."""
    report = tmp_path / "report.json"
    command = [sys.executable, str(SOAK), "--seconds", "30", "--report", str(report)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(report.read_text())
    assert {case.__name__ for case in CASES} <= set(said["kinds"])
    assert said["answers"] > 500
    assert said["edits"] > 10
    assert len(said["census"]) >= 2


def test_a_version_answers_from_its_cell_until_the_next_one_has_run() -> None:
    """While a cell runs, both may answer; before and after, one."""
    timeline = Timeline()
    for version in (1, 2):
        timeline.begin(version)
        timeline.end()
    between = time.monotonic()
    timeline.begin(3)
    during = time.monotonic()

    assert timeline.between(between, between) == {2}
    assert timeline.between(between, during) == {2, 3}
    timeline.end()
    after = time.monotonic()
    assert timeline.between(after, after) == {3}


@pytest.mark.parametrize(
    ("later", "text"),
    [
        (replace(REST, processes={**REST.processes, "stray": 1}), "strays"),
        (replace(REST, processes={**REST.processes, "worker": 10}), "kind worker"),
        (replace(REST, descriptors={**REST.descriptors, "host": 200}), "host descriptors"),
        (replace(REST, memory={**REST.memory, "server": 500.0}), "server memory"),
        (replace(REST, temporary=("tmp/other",)), "new temporary files"),
        (replace(REST, drafts=100), "drafts"),
        (replace(REST, logs=3_000_000), "log"),
    ],
)
def test_growth_is_seen(later: Census, text: str) -> None:
    """Each kind of it; and nothing where all is as before."""
    assert not excesses(REST, REST)
    assert any(text in found for found in excesses(REST, later))


def test_each_number_of_a_census_has_its_bound() -> None:
    """None can grow unseen."""
    assert set(REST.numbers()) <= set(BOUNDS)


def test_a_wrong_answer_is_seen() -> None:
    """By its status, its kind or its text."""
    got = Got(status=422, headers={}, body=b'{"type": "ArgumentError", "error": "n: no"}', started=0, ended=1)

    check_error(got, 422, "ArgumentError", "n: no")
    for status, kind, text in [(400, "ArgumentError", "n"), (422, "TileError", "n"), (422, "ArgumentError", "m:")]:
        with pytest.raises(AssertionError):
            check_error(got, status, kind, text)
