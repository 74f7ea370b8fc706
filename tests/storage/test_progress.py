from __future__ import annotations

import io
import itertools

import pytest

from fused_jupyter.storage import progress
from fused_jupyter.storage.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def shown(clock: list[float], *, is_live: bool, seconds: int, size: int | None = 100_000_000) -> str:
    """What a download of a megabyte each eighth of a second shows."""
    screen = io.StringIO()
    told = Progress("roads.zip", screen, is_live=is_live)
    for step in range(seconds * 8):
        clock[0] += 0.125
        told((step + 1) * 1_000_000, size)
    told.close()
    return screen.getvalue()


@pytest.mark.parametrize("is_live", [True, False])
def test_nothing_is_shown_of_short_ones(clock: list[float], is_live: bool) -> None:
    """Not even an empty line."""
    assert shown(clock, is_live=is_live, seconds=1) == ""


def test_line_changes_in_a_notebook(clock: list[float]) -> None:
    """A few times a second, and it stays with what came of it."""
    text = shown(clock, is_live=True, seconds=5)

    *lines, last = text.split("\r")[1:]
    assert 7 <= len(lines) <= 10
    assert lines[0].strip() == "roads.zip: 16.0 of 100.0 MB, 16%, 7.5 MB/s, 11 s left"
    assert last.rstrip(" ") == last
    assert last.rstrip() == "roads.zip: 40.0 MB in 5 s"
    assert text.count("\n") == 1


def test_line_covers_the_one_before(clock: list[float]) -> None:
    """Of a longer one nothing sticks out."""
    lines = [line.rstrip("\n") for line in shown(clock, is_live=True, seconds=10).split("\r")[1:]]

    assert all(len(after) >= len(before.rstrip()) for before, after in itertools.pairwise(lines))


def test_few_lines_elsewhere(clock: list[float]) -> None:
    """An hour in a worker is nine lines, not a thousand."""
    lines = shown(clock, is_live=False, seconds=3600, size=None).splitlines()

    assert len(lines) == 9
    assert lines[0] == "roads.zip: 80.0 MB, 7.9 MB/s"


def test_speed_is_that_of_this_try(clock: list[float]) -> None:
    """What was there before did not come fast."""
    screen = io.StringIO()
    told = Progress("a", screen, is_live=True)
    told(900_000_000, 1_000_000_000)
    clock[0] += 10
    told(910_000_000, 1_000_000_000)

    assert "91%, 1.0 MB/s, 90 s left" in screen.getvalue()


def test_long_name_is_cut(clock: list[float]) -> None:
    """Its end says more than its begin."""
    screen = io.StringIO()
    told = Progress("x" * 100 + "roads.zip", screen, is_live=True)
    clock[0] += 10
    told(1, None)

    assert "roads.zip: 0.0 MB" in screen.getvalue()
    assert len(screen.getvalue()) < 80
