"""Layers of all kinds in JupyterLab, with a real kernel behind them."""

from __future__ import annotations

import pytest
from real_lab import Lab, write_notebook

pytestmark = pytest.mark.browser

HEXAGONS = """\
%%fused_udf hexagons
@fused.udf
def hexagons(bounds: fused.types.Bounds = None):
    import h3, pandas as pd
    return pd.DataFrame({"hex": [h3.str_to_int(cell) for cell in h3.get_res0_cells()], "value": 1})
"""
ONCE = """\
%%fused_udf once
@fused.udf
def once():
    import h3, pandas as pd
    return pd.DataFrame({"hex": h3.get_res0_cells()})
"""
VIEW = """\
%%fused_udf view
@fused.udf
def view(bounds: fused.types.Bounds):
    import geopandas, shapely
    west, south, east, north = bounds
    return geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.box(west, south, east, north)], crs=4326)
"""
STYLE = "{'color': '%s', 'fill-opacity': 1.0}"
LOOK = "zoom=1, center=(0, 0), height='300px', draw_tools=False, show_legend=False"
HELD = (
    "import geopandas, shapely\n"
    "area = geopandas.GeoSeries([shapely.box(-40, -20, 40, 20)], crs=4326)\n"
    f"m = fused.FusedMap({LOOK}, layer_panel=True)\n"
    f"m.add(area, name='area', style={STYLE % '#00c8c8'})\n"
    "m"
)
CELLS = [
    "%load_ext fused_jupyter",
    HEXAGONS,
    ONCE,
    VIEW,
    f"fused.FusedMap(fused.TileLayer('hexagons', style={STYLE % '#00c800'}), {LOOK})",
    f"fused.FusedMap(fused.FileLayer('once', style={STYLE % '#c80000'}), {LOOK})",
    f"fused.FusedMap(fused.FileLayer('view', follow=True, style={STYLE % '#0000ff'}), {LOOK})",
    HELD,
    "print('opacity', m.layers[0].opacity)",
]
GREEN, RED, BLUE, CYAN = (0, 200, 0), (200, 0, 0), (0, 0, 255), (0, 200, 200)


@pytest.mark.parametrize("lab_server", ["/user/ana/"], indirect=True, ids=["prefix"])
def test_layers_of_all_kinds_are_drawn_and_python_reads_the_panel(lab: Lab) -> None:
    """Hexagons of tiles and of a file, a file that follows the view, and features that Python holds."""
    write_notebook(lab.server.directory / "layers.ipynb", CELLS)
    lab.open("layers.ipynb")

    lab.run_all()

    for number, color in enumerate([GREEN, RED, BLUE, CYAN]):
        lab.wait_for_color(color, number=number)

    lab.page.get_by_label("Opacity of area").fill("50")
    for _ in range(20):  # the page tells Python when the slider rests
        lab.run(8, CELLS[8])
        lab.wait_idle()
        if lab.page.get_by_text("opacity 0.5").is_visible():
            return
    pytest.fail("Python did not hear of the panel")
