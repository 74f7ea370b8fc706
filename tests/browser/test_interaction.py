"""What a notebook in JupyterLab hears of its maps, and maps beside each other there."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Error
from real_lab import PATIENCE, Lab, is_near, write_notebook

pytestmark = pytest.mark.browser

CELLS = [
    "%load_ext fused_jupyter\nimport fused_jupyter as fused",
    """\
%%fused_udf lands
@fused.udf
def lands(bounds: fused.types.Bounds = None):
    import geopandas, shapely
    return geopandas.GeoDataFrame({"n": [42]}, geometry=[shapely.box(-170, -80, 170, 80)], crs=4326)
""",
    """\
%%fused_udf flat
@fused.udf
def flat(bounds: fused.types.Bounds = None, level: int = 200):
    import numpy as np
    return np.stack([np.full((256, 256), value, "uint8") for value in (level, 0, 7)])
""",
    """\
m = fused.FusedMap("flat", fused.TileLayer("lands", style={"color": "#0000ff", "fill-opacity": 0.2}), zoom=1,
                   center=(0, 0), height="320px")
m
""",
    """\
@m.on_click
def told(click):
    print("heard", click["layer"], click["properties"]["n"], [f["values"] for f in click["features"]][-1])
    if click["lngLat"][0] > 30:
        raise ValueError("too far east")
""",
    "import time\nstarted = time.time()\nwhile time.time() - started < 80: pass",
    """\
def sides(bounds: fused.types.Bounds): return [round(side) for side in bounds]
where = fused.udf(sides)
print("viewport", where.run_on(m) == [round(side) for side in m.view_bounds], "drawn", where.run_on(m.drawn))
""",
    """\
lands_map = fused.FusedMap(fused.TileLayer("lands", style={"color": "#0000ff", "fill-opacity": 1.0}), zoom=3)
both = fused.compare(fused.FusedMap("flat", center=(0, 0), zoom=1), lands_map, height=300)
both
""",
    """\
print("zooms", [float(one.view_state["zoom"]) for one in both.maps])
""",
]


def output(lab: Lab, index: int) -> str:
    """The texts below a cell."""
    return str(
        lab.page.evaluate(
            """index => window.jupyterapp.shell.currentWidget.content.widgets[index]
                .node.querySelector('.jp-Cell-outputWrapper').innerText""",
            index,
        )
    )


def wait_for_output(lab: Lab, index: int, text: str) -> None:
    """Wait until a cell shows a text."""
    try:
        lab.page.wait_for_function(
            """([index, text]) => window.jupyterapp.shell.currentWidget.content.widgets[index]
                .node.querySelector('.jp-Cell-outputWrapper')?.innerText.includes(text)""",
            arg=[index, text],
            timeout=PATIENCE,
        )
    except Error:
        raise AssertionError(f"cell {index} shows {output(lab, index)!r}, not {text!r}") from None


@pytest.mark.parametrize("lab_server", ["/"], indirect=True, ids=["root"])
def test_clicks_and_drawings_reach_python_while_a_cell_runs(lab: Lab) -> None:
    """What a callback prints and raises is below the cell that gave it; the busy one goes on, and so do drawings."""
    write_notebook(lab.server.directory / "clicks.ipynb", CELLS)
    lab.open("clicks.ipynb")
    for index in range(5):
        lab.run(index)
    lab.wait_for_color((160, 0, 57), number=0)
    shown = lab.page.locator(".fused-map").first

    lab.run(5)
    shown.click(position={"x": 300, "y": 160})
    wait_for_output(lab, 4, "heard lands 42 [200, 0, 7]")
    shown.click(position={"x": 620, "y": 230})
    wait_for_output(lab, 4, "ValueError: too far east")
    assert "told(click)" in output(lab, 4), "the traceback shows the line"
    assert "on_click: ValueError: too far east" in lab.map(0).query_selector(".fused-status").inner_text()  # type: ignore[union-attr]
    shown.get_by_role("button", name="Draw a box").click()
    box = shown.bounding_box()
    assert box
    lab.page.mouse.move(box["x"] + 200, box["y"] + 60)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + 300, box["y"] + 120, steps=3)
    lab.page.mouse.up()
    assert lab.is_running(5), "the cell ended before Python had heard of it: nothing was proven"
    lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.interrupt()")
    wait_for_output(lab, 5, "KeyboardInterrupt")
    lab.wait_for_end(5)
    lab.page.wait_for_timeout(300)  # after an error the kernel drops, without a word, the cells that come at once

    lab.run(6)
    wait_for_output(lab, 6, "viewport True drawn [")
    west, south, east, north = json.loads(output(lab, 6).partition("drawn ")[2])
    assert (east - west, north > south) == (pytest.approx(100 / 1024 * 360, abs=1), True)

    lab.run(7)
    comparison = lab.page.locator(".fused-compare")
    comparison.locator(".fused-map[data-idle=true] >> nth=1").wait_for(timeout=PATIENCE)
    comparison.scroll_into_view_if_needed()
    wait_for_halves(lab, (200, 0, 7), (0, 0, 255))
    lab.run(8)
    wait_for_output(lab, 8, "zooms [1.0, 1.0]")


def wait_for_halves(lab: Lab, left: tuple[int, int, int], right: tuple[int, int, int]) -> None:
    """Wait until the two sides of the comparison have these colours."""
    seen: list[Any] = []
    for _ in range(60):
        picture = Image.open(io.BytesIO(lab.page.locator(".fused-compare").screenshot())).convert("RGB")
        seen = [picture.getpixel((picture.width * part // 8, picture.height // 2)) for part in (3, 5)]
        if is_near(seen[0], left) and is_near(seen[1], right):
            return
        lab.page.wait_for_timeout(250)
    raise AssertionError(f"the halves are {seen}, not {left} and {right}")
