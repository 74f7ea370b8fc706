"""The panel in JupyterLab, with real workers: what a storm of slider moves costs, and what comes back to Python."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from real_jupyter import Kernel
from real_lab import Lab, write_notebook

pytestmark = pytest.mark.browser

UDF = """\
%%fused_udf storm
import datetime, time
from typing import Annotated, Literal
import numpy as np

@fused.udf
def storm(bounds: fused.types.Bounds = None, level: Annotated[int, fused.Control(0, 200)] = 0,
          band: Literal[0, 1, 2] = 0, day: datetime.date = datetime.date(2024, 5, 1)):
    time.sleep(0.15)
    assert isinstance(day, datetime.date) and isinstance(band, int)
    picture = np.zeros((3, 256, 256), "uint8")
    picture[band] = level
    return picture
"""
STORM = """async () => {
    const slider = document.querySelector('.fused-map').querySelector('[aria-label=level]');
    for (let level = 1; level <= 100; level++) {
        slider.value = 2 * level;
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    slider.dispatchEvent(new Event('change', { bubbles: true }));
}"""


@pytest.mark.parametrize("lab_server", ["/"], indirect=True, ids=["root"])
def test_a_slider_storm_cancels_runs_and_leaves_no_backlog(lab: Lab) -> None:
    """100 moves in 5 seconds: the last is drawn, runs of the others were cancelled, and a second later none is left."""
    write_notebook(lab.server.directory / "storm.ipynb", ["%load_ext fused_jupyter", UDF, "m = storm.map(zoom=1); m"])
    lab.open("storm.ipynb")
    lab.run_all()
    lab.map()
    [running] = lab.server.get("api/kernels").json()
    with closing(Kernel(lab.server, running["id"])) as kernel:
        storm(lab, kernel)


def storm(lab: Lab, kernel: Kernel) -> None:
    lab.page.evaluate(STORM)
    lab.wait_for_color((200, 0, 0), share=0.5)
    lab.page.wait_for_timeout(1000)

    status = status_of(kernel)
    outcomes = status["udfs"]["storm"]["outcomes"]
    assert status["workers"]["waiting"] == 0
    assert status["active"] == []
    assert outcomes["cancelled"] >= 5
    assert outcomes.get("failed", 0) == 0
    assert sum(outcomes.values()) < 100 * 4, "not every move asked for every tile"
    assert values_of(kernel) == {"level": 200}

    control_by_keyboard(lab)
    lab.wait_for_color((0, 200, 0), share=0.5)
    assert values_of(kernel) == {"level": 200, "band": 1}
    kernel.execute("m.params = {'level': 90, 'day': '2024-06-01'}").check()
    lab.wait_for_color((90, 0, 0), share=0.5)
    assert lab.page.locator(".fused-map [aria-label=level]").input_value() == "90"


def control_by_keyboard(lab: Lab) -> None:
    """Choose the next band; JupyterLab, which moves between cells by the same key, must not take it."""
    active = "window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    before = lab.page.evaluate(active)
    lab.page.locator(".fused-map").get_by_label("band").focus()
    lab.page.keyboard.press("ArrowDown")
    assert lab.page.evaluate(active) == before


def status_of(kernel: Kernel) -> dict[str, Any]:
    """In a thread of its own, as Playwright has an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(kernel.status).result()


def values_of(kernel: Kernel) -> dict[str, Any]:
    """The trait in the kernel."""
    return dict(ast.literal_eval(kernel.execute("print(m.params)").check().text))
