"""A map in JupyterLab behind a real JupyterHub, judged by its colours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page
from real_hub import BASE_URL, HubUser, JupyterHub
from real_jupyter import Kernel
from real_lab import PATIENCE, Lab, chromium, write_notebook

pytestmark = pytest.mark.browser

CELLS = [
    "%load_ext fused_jupyter",
    """%%fused_udf flat
@fused.udf
def flat(bounds: fused.types.Bounds = None, level: int = 200):
    import numpy as np
    picture = np.zeros((3, 256, 256), "uint8")
    picture[0] = level
    return picture
""",
    """%%fused_udf lands
@fused.udf
def lands(bounds: fused.types.Bounds = None):
    import geopandas, shapely
    return geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.box(-120, -60, 120, 60)], crs=4326)
""",
    "flat.map(zoom=1, height='320px')",
    "fused.FusedMap(fused.TileLayer('lands', style={'color': '#0000ff', 'fill-opacity': 1.0}), zoom=0, height='320px')",
    "flat.map(zoom=1, height='320px', transport='comm', level=150)",
]
RED, BLUE = (200, 0, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def page(hub: JupyterHub, ana: HubUser, kernel: Kernel) -> Iterator[Page]:
    """A browser in which ana has logged in at the Hub, as people do."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(f"{hub.origin}{BASE_URL}hub/login", timeout=PATIENCE)
        page.fill("input[name=username]", "ana")
        page.fill("input[name=password]", "any")
        page.click("#login_submit")
        page.wait_for_url(f"{ana.root}**", timeout=PATIENCE)
        yield page
    for other in ana.get("api/kernels").json():
        if other["id"] != kernel.id:
            ana.request("DELETE", f"api/kernels/{other['id']}")


def test_maps_draw_behind_the_hub(page: Page, ana: HubUser) -> None:
    """Rasters and vectors come by HTTP through the proxy, with the cookie, and by the comm; an edit is followed."""
    write_notebook(ana.directory / "maps.ipynb", CELLS)
    lab = Lab(page, ana)
    statuses: set[int] = set()
    page.on("response", lambda answer: statuses.add(answer.status) if "/fused/" in answer.url else None)
    lab.open("maps.ipynb")

    lab.run_all()

    lab.wait_for_color(RED, number=0)
    lab.wait_for_color(BLUE, number=1)
    lab.wait_for_color((150, 0, 0), number=2)
    elements = page.query_selector_all(".fused-map")
    assert [element.get_attribute("data-failed") for element in elements] == ["0", "0", "0"]
    by_http = f"HTTP via {BASE_URL}user/ana/"
    ways = [element.get_attribute("data-transport") for element in elements]
    assert ways == [by_http, by_http, "comm, because it was asked for"]
    lab.run(1, CELLS[1].replace("picture[0]", "picture[1]"))
    lab.wait_for_color((0, 200, 0), number=0)
    lab.wait_for_color((0, 150, 0), number=2)
    assert statuses <= {200, 304}
