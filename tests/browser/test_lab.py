"""A notebook in JupyterLab: what the user sees on the map, judged by its colours."""

from __future__ import annotations

import pytest
from real_lab import Lab, write_notebook

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
    "import time\nstarted = time.time()\nwhile time.time() - started < SECONDS: pass",
]

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 255)


def test_maps_show_raster_and_vector_and_follow_edits_and_sliders_while_a_cell_runs(lab: Lab) -> None:
    """Pixels of both kinds are there; a slider and an edited cell change them, also while another cell spins."""
    busy = CELLS[5].replace("SECONDS", "25")
    write_notebook(lab.server.directory / "live.ipynb", [*CELLS[:5], "pass"])
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
    lab.run(5, busy)
    lab.wait_for_color((0, 0, 100), number=0)
    move_slider(lab, "level", 250)
    lab.wait_for_color((0, 0, 250), number=0)
    assert lab.is_running(5), "the cell ended before the map had changed: nothing was proven"


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
