from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from real_lab import write_notebook

from fused_jupyter.errors import HostLostError
from fused_jupyter.magics.top import _MOST_ROWS, Top


def test_top_shows_what_ran_and_what_runs(notebook: Any) -> None:
    """UDFs with their counts and times, the last error with its line, and each run with its id."""
    notebook.run("%%fused_udf counted\ndef counted(n: int = 1):\n    return n")
    notebook.run("%%fused_udf broken\ndef broken():\n    raise KeyError('mag')")
    notebook.run("%%fused_udf nap\ndef nap():\n    import time\n    time.sleep(60)")
    notebook.run("counted(); counted(n=2); fused.run_result(broken)")
    notebook.run("for _ in range(4): fused.run(counted, n=3, cache_max_age='1h')")
    asleep = threading.Thread(target=notebook.run, args=("error = fused.run_result(nap).error",))
    asleep.start()
    deadline = time.monotonic() + 10
    while not (runs := notebook.run("fused.runs()")) or runs[0].state != "running":
        assert time.monotonic() < deadline

    top = notebook.run("%fused_top --once")
    runs[0].cancel()
    asleep.join(10)

    lines = repr(top).splitlines()
    assert "workers busy · 0 waiting" in lines[0]
    assert "of memory: host" in lines[0]
    rows = [line.split() for line in lines]
    assert ["run", "UDF", "tile", "client", "waited", "runs", "for"] in rows
    assert [row[:3] for row in rows if row[:1] == [runs[0].run_id]] == [[runs[0].run_id, "nap", "kernel"]]
    (counted,) = [row for row in rows if row[:1] == ["counted"]]
    assert (counted[1], counted[2], counted[-1]) == ("6", "50%", "0")
    (error,) = [line for line in lines if "KeyError" in line]
    assert "broken" in error
    assert "KeyError: 'mag' (line 3)" in error
    assert type(notebook["error"]).__name__ == "CancelledRunError"


def test_a_terminal_gets_text(notebook: Any) -> None:
    """There is nobody who could show a widget."""
    assert isinstance(notebook.run("%fused_top"), Top)


def test_a_host_that_is_gone_is_said_so() -> None:
    """Top is for when something is wrong; it does not fail then."""

    class Gone:
        def status(self) -> dict[str, Any]:
            raise HostLostError("the runtime host has stopped")

    assert repr(Top.of(Gone())) == "the runtime host has stopped"


def test_what_is_too_much_to_read_is_left_out() -> None:
    """The oldest runs and the busiest UDFs stay."""
    tally = {"cached_share": 0.0, "p50": 0.1, "p95": None, "errors": 0}
    run = {"udf": "f", "tile": [1, 2, 3], "client": "map", "state": "waiting", "queue_seconds": 2.0, "seconds": 0.0}

    class Busy:
        def status(self) -> dict[str, Any]:
            return {
                "workers": {"idle": 0, "busy": 2, "waiting": 98},
                "memory": {"host": 0, "workers": 0, "others": 0},
                "is_ready": False,
                "active": [{**run, "run_id": str(number)} for number in range(100)],
                "udfs": {f"f{number}": {**tally, "requests": number} for number in range(100)},
                "errors": [],
            }

    top = Top.of(Busy())

    runs, udfs, _ = top.tables
    assert [row.run for row in runs.rows] == [*map(str, range(_MOST_ROWS)), ""]
    assert [row.cells[0] for row in udfs.rows] == [*(f"f{99 - number}" for number in range(_MOST_ROWS)), "…"]
    assert top.summary == "2 of 2 workers busy · 98 waiting · starting"
    assert "  0    f    1/2/3  map     2.0 s   waiting" in repr(top)
    assert "last errors" not in repr(top)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of zmq's sockets in nbclient
def test_a_notebook_that_runs_without_a_browser_ends(tmp_path: Path) -> None:
    """Its output has the text; the thread that looks keeps nobody waiting."""
    path = tmp_path / "top.ipynb"
    write_notebook(path, ["%load_ext fused_jupyter", "@fused.udf\ndef one(): return 1\none()", "%fused_top"])
    notebook: Any = nbformat.read(path, as_version=4)

    started = time.monotonic()
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()

    (output,) = notebook.cells[2].outputs
    assert "application/vnd.jupyter.widget-view+json" in output.data
    assert "workers busy" in output.data["text/plain"]
    assert any(line.split()[:2] == ["one", "1"] for line in output.data["text/plain"].splitlines())
    assert time.monotonic() - started < 30
