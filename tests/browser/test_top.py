"""`%fused_top` in JupyterLab."""

from __future__ import annotations

import pytest
from real_lab import PATIENCE, Lab, write_notebook

pytestmark = pytest.mark.browser

NAP = """\
%%fused_udf nap
def nap(seconds: float = 60.0):
    import time
    time.sleep(seconds)
"""
CELLS = [
    "%load_ext fused_jupyter",
    NAP,
    "%fused_top",
    "import time\nprint(type(fused.run_result(nap).error).__name__)\ntime.sleep(3)",
    "import threading\nprint('fused-top' in [thread.name for thread in threading.enumerate()])",
]


def test_top_is_live_and_stops_a_run_while_its_cell_waits(lab: Lab) -> None:
    """The run is shown although the kernel is busy, its button ends it, and a closed output ends the looking."""
    write_notebook(lab.server.directory / "top.ipynb", CELLS)
    lab.open("top.ipynb")
    lab.page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    lab.page.wait_for_selector(".fused-top button", timeout=PATIENCE)
    first = lab.page.inner_text(".fused-top td >> nth=5")
    lab.page.wait_for_function(
        "first => document.querySelectorAll('.fused-top td')[5].textContent !== first", arg=first, timeout=10_000
    )
    assert lab.is_running(3)
    lab.page.click(".fused-top button")
    lab.page.wait_for_function("() => !document.querySelector('.fused-top button')", timeout=10_000)
    lab.wait_idle()
    outputs = lab.page.locator(".jp-OutputArea-output pre").all_inner_texts()
    assert [text.strip() for text in outputs[-2:]] == ["CancelledRunError", "True"]

    lab.page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 2; }")
    lab.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-cell-output')")
    lab.page.wait_for_selector(".fused-top", state="detached")
    lab.page.wait_for_timeout(2500)
    lab.run(4)
    lab.page.wait_for_function(
        """() => [...document.querySelectorAll('.jp-OutputArea-output pre')].at(-1).textContent.trim() === 'False'""",
        timeout=10_000,
    )
