"""lonboard's own wheel in JupyterLab: what the user sees of a UDF on its map, judged by its colours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lonboard_cdn import CDN, answering_cdn
from playwright.sync_api import Browser
from real_jupyter import JupyterServer
from real_lab import Lab, colors_of, is_near, write_notebook

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("lab_server", ["/user/ana/"], indirect=True, ids=["prefix"]),
]

Color = tuple[int, int, int]

FLAT = """\
%%fused_udf flat
import numpy as np

@fused.udf
def flat(bounds: fused.types.Bounds = None, level: int = 200):
    picture = np.zeros((3, 256, 256), "uint8")
    picture[BAND] = level
    return picture
"""
SHAPES = """\
%%fused_udf shapes
import geopandas as gpd
import shapely

@fused.udf
def shapes(west: float = -60):
    places = [shapely.box(west, -40, 0, 40), shapely.LineString([(20, -40), (20, 40)])]
    places += [shapely.Point(50, 0), shapely.Point(80, 0)]
    return gpd.GeoDataFrame({"n": range(len(places))}, geometry=places, crs=4326)
"""
CELLS = """\
%%fused_udf cells
@fused.udf
def cells(count: int = 122):
    import h3, pandas as pd
    return pd.DataFrame({"hex": sorted(h3.get_res0_cells())[:count]})
"""
MAP = "lonboard.Map({}, basemap=None, height=300, view_state={{'longitude': 0, 'latitude': 0, 'zoom': 0.5}})"
LAYERS = """\
polygons = shapes.to_lonboard(geometry="polygon", get_fill_color=[0, 0, 250])
lines = shapes.to_lonboard(geometry="line", get_color=[250, 0, 250], width_min_pixels=20)
colors = np.array([[0, 250, 0], [250, 150, 0]], "uint8")
points = shapes.to_lonboard(geometry="point", radius_min_pixels=20, get_fill_color=lambda frame: colors[: len(frame)])
"""
SHOWN = [
    "%load_ext fused_jupyter\nimport lonboard, numpy as np",
    FLAT.replace("BAND", "0"),
    SHAPES,
    CELLS,
    "raster = flat.to_lonboard()\n" + MAP.format("raster"),
    LAYERS + MAP.format("[polygons, lines, points]"),
    "hexagons = cells.to_lonboard(get_fill_color=[0, 250, 250])\n" + MAP.format("hexagons"),
    "pass",
]
RASTER, VECTOR, HEXAGONS, LAST = 4, 5, 6, 7
RED, GREEN, BLUE, ORANGE = (200, 0, 0), (0, 250, 0), (0, 0, 250), (250, 150, 0)
MAGENTA, CYAN, DARK_RED, DARK_GREEN = (250, 0, 250), (0, 250, 250), (100, 0, 0), (0, 100, 0)
MUCH, SOME, NONE = (0.2, 1.0), (0.002, 0.1), (0.0, 0.001)
"""Least and greatest share of a picture."""


@pytest.fixture
def lab(browser: Browser, lab_server: JupyterServer) -> Iterator[Lab]:
    """A page of JupyterLab in which lonboard finds what it wants of its CDN, and nobody else anything."""
    context = browser.new_context(viewport={"width": 1280, "height": 2400})
    with answering_cdn(context) as asked:
        yield Lab(context.new_page(), lab_server)
        context.close()
    assert any(address.startswith(f"{CDN}parquet-wasm@") for address in asked)
    for kernel in lab_server.get("api/kernels").json():
        lab_server.request("DELETE", f"api/kernels/{kernel['id']}")


def test_rasters_and_features_are_drawn_and_follow(lab: Lab) -> None:
    """Each kind of layer is on its map; parameters and edited cells change it where it is."""
    write_notebook(lab.server.directory / "lonboard.ipynb", [*SHOWN])
    lab.open("lonboard.ipynb")

    lab.run_all()

    wait_for(lab, RASTER, {RED: MUCH})
    wait_for(lab, VECTOR, {BLUE: SOME, MAGENTA: SOME, GREEN: SOME, ORANGE: SOME})
    wait_for(lab, HEXAGONS, {CYAN: MUCH})

    wider = (1.8 * shares(lab, VECTOR)[BLUE], 1)
    lab.run(LAST, "raster.params = {'level': 100}; polygons.params = {'west': -120}; hexagons.params = {'count': 8}")
    lab.wait_idle()
    wait_for(lab, RASTER, {DARK_RED: MUCH, RED: NONE})
    wait_for(lab, VECTOR, {BLUE: wider, MAGENTA: SOME})
    wait_for(lab, HEXAGONS, {CYAN: SOME})

    lab.run(1, FLAT.replace("BAND", "1"))
    lab.run(2, SHAPES.replace(", shapely.Point(80, 0)]", "]"))
    wait_for(lab, RASTER, {DARK_GREEN: MUCH, DARK_RED: NONE})
    wait_for(lab, VECTOR, {GREEN: SOME, ORANGE: NONE, BLUE: wider})


def shares(lab: Lab, cell: int) -> dict[Color, float]:
    """Of the colours that are looked for, in a cell's output."""
    seen = colors_of(lab.page.locator(".jp-Cell").nth(cell).locator(".jp-Cell-outputArea"), floor=0)
    wanted = (RED, GREEN, BLUE, ORANGE, MAGENTA, CYAN, DARK_RED, DARK_GREEN)
    return {color: sum(part for one, part in seen.items() if is_near(one, color)) for color in wanted}


def wait_for(lab: Lab, cell: int, wanted: dict[Color, tuple[float, float]]) -> None:
    """Wait until each of these colours has its share."""
    seen: dict[Color, float] = {}
    for _ in range(120):
        seen = shares(lab, cell)
        if all(least <= seen[color] <= most for color, (least, most) in wanted.items()):
            return
        lab.page.wait_for_timeout(250)
    raise AssertionError(f"wanted {wanted}; there are {seen}")
