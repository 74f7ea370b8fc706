"""Some seconds of `make load`, and that what it looks with can see."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from token_load import IN_FLIGHT, Seen, Strangers, report_of, wrong_in

LOAD = Path(__file__).parents[2] / "scripts" / "token_load.py"
STRANGERS = Strangers(root="", tokens={}, count=50, seed=1)


@pytest.mark.timeout(120)
def test_fifty_clients_with_tokens_beside_the_owners_map(tmp_path: Path) -> None:
    """Each answer is right or a refusal that says why and until when, and the owner is refused nothing.

    How long the owner waits is for `make load` to judge: here other tests may run beside it.
    """
    report = tmp_path / "report.json"
    command = [sys.executable, str(LOAD), "--seconds", "8", "--report", str(report)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode in {0, 2}, done.stdout + done.stderr
    said = json.loads(report.read_text())
    assert said["failures"] == []
    assert said["clients"] == 50
    assert min(said["owners_tiles"]) > 4 * IN_FLIGHT
    answered = {kind.rpartition(",")[0] for kind in said["tokens"] if kind.endswith(" 200")}
    pictures = {"live picture", "live picture, few", "saved picture", "saved picture, one at a time"}
    assert answered == pictures | {"live numbers", "saved numbers", "collection, picture"}
    assert any(kind.endswith(" 429") for kind in said["tokens"])


@pytest.mark.parametrize(
    ("status", "headers", "body", "text"),
    [
        (200, {}, b'{"n": 3}', ""),
        (200, {}, b'{"n": 4}', "another answer"),
        (429, {"Retry-After": "1"}, b'{"type": "RateError", "error": "too many"}', ""),
        (503, {"Retry-After": "9"}, b'{"type": "BusyError", "error": "too many"}', ""),
        (503, {}, b'{"type": "BusyError", "error": "too many"}', "without"),
        (503, {"Retry-After": "1"}, b'{"type": "BusyError"}', "without"),
        (503, {"Retry-After": "1"}, b'{"type": "HostLostError", "error": "gone"}', "without"),
        (429, {"Retry-After": "1"}, b'{"type": "BusyError", "error": "too many"}', "without"),
        (500, {}, b"{}", "500"),
        (404, {}, b"{}", "404"),
    ],
)
def test_a_wrong_answer_is_seen(status: int, headers: dict[str, str], body: bytes, text: str) -> None:
    """Also a refusal that says too little."""
    wrong = wrong_in(SimpleNamespace(status=status, headers=headers), body, "live numbers", 3)

    assert text in wrong
    assert bool(text) == bool(wrong)


@pytest.mark.parametrize(("beside", "is_fast"), [(0.019, True), (0.021, False)])
def test_a_slow_map_is_seen(beside: float, *, is_fast: bool) -> None:
    """By the medians of all its tiles."""
    alone, others = (Seen(seconds={"new tile": [seconds] * 3, "known tile": [seconds]}) for seconds in (0.01, beside))

    report = report_of(alone, others, Seen(), seconds=1, strangers=STRANGERS)

    assert report["is_fast"] is is_fast
    assert report["times"] == beside * 100
