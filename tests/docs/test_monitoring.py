from __future__ import annotations

import re
from pathlib import Path

from fused_jupyter.errors import FusedError
from fused_jupyter.runtime.activity import _MOST_ERRORS, _MOST_UDFS, _OUTCOMES, Activity, FinishedRun
from fused_jupyter.runtime.log import line_of
from fused_jupyter.runtime.tally import _RECENT
from fused_jupyter.server_ext import metrics
from fused_jupyter.settings import Options

PAGE = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")


def test_every_metric_is_documented_with_its_labels() -> None:
    """By the names that Prometheus sees, and none that is not there."""
    families = {
        **{name: labels for name, (_, labels) in (metrics._GAUGES | metrics._COUNTERS).items()},
        metrics._HISTOGRAM[0]: metrics._HISTOGRAM[2],
    }
    documented = {
        name: tuple(re.findall(r"`(\w+)`", row[2]))
        for row in re.finditer(r"^\| (`fused_\w+`.*?) \| (.*?) \|", PAGE, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row[1])
    }

    assert documented == families


def test_every_field_of_a_line_is_documented() -> None:
    """As the example shows it, in its order."""
    (example,) = re.findall(r"WARNING (run=.*)", PAGE)
    names = [word.partition("=")[0] for word in example.split()]
    table = PAGE[PAGE.index("| name | meaning |") :].partition("\n\n")[0]

    assert re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines())) == names
    run = Activity().ask("f", stop=lambda: None)
    line = line_of(FinishedRun(run=run, outcome="failed", status=422, seconds=1.0, error=FusedError("no")))
    assert [word.partition("=")[0] for word in line.split()] == names
    assert all(f"`{outcome}`" in PAGE for outcome in {"ok", "failed", *_OUTCOMES.values()})


def test_numbers_are_those_of_the_code() -> None:
    """Limits that a reader may rely on."""
    assert f"last\n  {_RECENT} runs" in PAGE
    assert f"up to {_MOST_ERRORS}" in PAGE
    assert f"{_MOST_UDFS} UDFs are told apart" in PAGE
    assert f"longer than {Options().slow_seconds:g} s\n(`FUSED_SLOW_SECONDS`)" in PAGE
