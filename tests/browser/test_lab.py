"""A notebook in JupyterLab: what the user sees on the map, judged by its colours."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from real_lab import Lab, is_near, write_notebook

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.browser

RASTER = """\
%%fused_udf flat
import numpy as np

@fused.udf
def flat(bounds: fused.types.Bounds = None, level: int = 200):
    picture = np.zeros((3, 256, 256), "uint8")
    picture[BAND] = level
    return picture
"""
VECTOR = """\
%%fused_udf lands
@fused.udf
def lands(bounds: fused.types.Bounds = None, width: float = 120.0):
    import geopandas, shapely
    return geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.box(-width, -60, width, 60)], crs=4326)
"""
CELLS = [
    "%load_ext fused_jupyter",
    RASTER.replace("BAND", "0"),
    VECTOR,
    "flat.map(zoom=1, height='320px')",
    "fused.FusedMap(fused.TileLayer('lands', style={'color': '#0000ff', 'fill-opacity': 1.0}), zoom=0, height='320px')",
]

BUSY = {
    "sleeping": "import time; time.sleep(6)",
    "spinning": "import time\nstarted = time.time()\nwhile time.time() - started < 6: pass",
    "holding the GIL": "sum(range(25 * 10**7))",  # one call in C: no other thread of the kernel runs meanwhile
}

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 255)


def test_maps_show_raster_and_vector_and_follow_edits_and_sliders(lab: Lab) -> None:
    """Pixels of both kinds are there; a slider and an edited cell change them, also while another cell spins."""
    write_notebook(lab.server.directory / "live.ipynb", [*CELLS, "pass"])
    lab.open("live.ipynb")

    lab.run_all()
    lab.wait_for_color(RED, number=0)
    lab.wait_for_color(BLUE, number=1)

    move_slider(lab, "level", 100)
    lab.wait_for_color((100, 0, 0), number=0)
    lab.run(1, RASTER.replace("BAND", "1"))
    lab.wait_for_color((0, 100, 0), number=0)

    # The edited cell, and at once a cell that spins: the map changes while that one runs.
    lab.run(1, RASTER.replace("BAND", "2"))
    lab.run(5, BUSY["spinning"].replace("6", "20"))
    lab.wait_for_color((0, 0, 100), number=0)
    move_slider(lab, "level", 250)
    lab.wait_for_color((0, 0, 250), number=0)
    assert lab.is_running(5), "the cell ended before the map had changed: nothing was proven"


@pytest.mark.parametrize("lab_server", ["/"], indirect=True, ids=["root"])
def test_map_is_live_whatever_the_kernel_does(lab: Lab) -> None:
    """New tiles come while a cell sleeps, spins, or holds the GIL in one long call."""
    write_notebook(lab.server.directory / "busy.ipynb", [*CELLS[:2], CELLS[3], "pass"])
    lab.open("busy.ipynb")
    lab.run_all()
    lab.wait_for_color(RED)

    for level, busy in zip((90, 140, 250), BUSY.values(), strict=True):
        lab.run(3, busy)
        move_slider(lab, "level", level)
        lab.wait_for_color((level, 0, 0))
        assert lab.is_running(3), f"the cell ended before the map had changed: {busy}"
        lab.wait_idle()


@pytest.mark.parametrize("lab_server", ["/user/ana/"], indirect=True, ids=["prefix"])
def test_quickstart_draws_its_maps(lab: Lab) -> None:
    """The notebook that newcomers open runs in JupyterLab: rasters and points are on its map, no tile fails."""
    shutil.copy(ROOT / "notebooks" / "quickstart.ipynb", lab.server.directory)
    lab.open("quickstart.ipynb")

    lab.run_all()

    points, warm, cold = (
        (58, 111, 145),
        (122, 209, 129),
        (65, 68, 135),
    )  # points: the ramp's first colour
    lab.wait_for_color(points, number=0, share=0.0005, floor=0.0)
    assert "elevation" in lab.page.locator(".fused-map").first.inner_text(), (
        "the legend says what the points' colours mean"
    )
    seen = lab.colors(0, floor=0.0)
    assert sum(part for color, part in seen.items() if is_near(color, warm, tolerance=60)) > 0.01
    assert sum(part for color, part in seen.items() if is_near(color, cold, tolerance=60)) > 0.01
    assert [element.get_attribute("data-failed") for element in lab.page.query_selector_all(".fused-map")] == ["0", "0"]


@pytest.mark.parametrize("lab_server", ["/"], indirect=True, ids=["root"])
def test_pages_of_udfs_are_shown_without_the_origin_of_the_notebook(lab: Lab) -> None:
    """HTML text and a Starlette response: each is drawn, its script runs, and reaches nothing around it."""
    page = (
        "<h1>HEAD</h1><p id='found'></p><script>let found = origin; "
        "try { found += ' ' + parent.document.title } catch (e) { found += ' ' + e.name }; "
        "document.getElementById('found').textContent = found</script>"
    )
    text = f"@fused.udf\ndef text():\n    return {page.replace('HEAD', 'Text')!r}\ntext()"
    response = (
        "@fused.udf\ndef response():\n    from starlette.responses import HTMLResponse\n"
        f"    return HTMLResponse({page.replace('HEAD', 'Response')!r})\nresponse()"
    )
    write_notebook(lab.server.directory / "pages.ipynb", ["%load_ext fused_jupyter", text, response])
    lab.open("pages.ipynb")

    lab.run_all()

    for number, title in enumerate(("Text", "Response")):
        frame = lab.page.frame_locator(".jp-OutputArea iframe").nth(number)
        frame.get_by_role("heading", name=title).wait_for()
        assert frame.locator("#found").inner_text() == "null SecurityError"


def move_slider(lab: Lab, name: str, value: int) -> None:
    """Set a control of the first map as a hand would."""
    control = lab.page.locator(".fused-map").first.get_by_label(name)
    control.evaluate(
        """(input, value) => {
            input.value = String(value);
            input.dispatchEvent(new Event('input', {bubbles: true}));
            input.dispatchEvent(new Event('change', {bubbles: true}));
        }""",
        value,
    )
