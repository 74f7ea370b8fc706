"""The pages of UDFs in a real browser: what people see and do there."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from real_jupyter import JupyterServer, Kernel

pytestmark = pytest.mark.browser

UDFS = [
    '''
    import datetime
    from typing import Literal

    @fused.udf
    def quakes(least: float = 5.5, kind: Literal["all", "deep"] = "all", day: datetime.date = None,
               flag: bool = True, tags: list[int] = None, word: str = "Zürich"):
        """Earthquakes.

        </title><script>document.title = "hacked"</script><img src=x onerror="document.title = 'hacked'">
        """
        import pandas as pd
        row = {"least": least, "kind": kind, "day": str(day), "flag": flag, "tags": str(tags), "word": word}
        return pd.DataFrame([row])
    ''',
    """
    @fused.udf
    def halves(bounds: fused.types.Bounds = None, blue: int = 0):
        import numpy as np
        picture = np.zeros((3, 256, 256), dtype="uint8")
        picture[0 if bounds[0] < 0 else 1] = 255
        picture[2] = blue
        return picture
    """,
    """
    @fused.udf
    def area(bounds: fused.types.Bounds = None):
        import geopandas as gpd, shapely
        return gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.box(-170, -60, 170, 60)], crs=4326)
    """,
    '''
    @fused.udf
    def page(text: str = "hello"):
        return "<h1>" + text + """</h1><script>
        let seen = "";
        try { seen = document.cookie; } catch (error) { seen = error.name; }
        try { parent.document.title = "hacked"; } catch (error) { seen += " " + error.name; }
        document.querySelector("h1").textContent += " " + seen + " " + origin;
        </script>"""
    ''',
    """
    @fused.udf
    def broken(n: int):
        raise KeyError(f"<b>no {n}</b>")
    """,
]  # fmt: skip


@pytest.fixture(scope="module")
def pages_kernel() -> Iterator[Kernel]:
    with JupyterServer(base_url="/user/ana/") as server, server.running_kernel() as kernel:
        for source in UDFS:
            kernel.define(source)
        yield kernel


@pytest.fixture(scope="module")
def pages_server(pages_kernel: Kernel) -> JupyterServer:
    server: JupyterServer = pages_kernel.server
    return server


@pytest.fixture
def faults() -> list[str]:
    """What the browser complained of: refused by the policy, raised by a script."""
    return []


@pytest.fixture
def page(browser: Browser, pages_server: JupyterServer, faults: list[str]) -> Iterator[Page]:
    """A page of somebody who is logged in; nothing of it may be refused by its own policy."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.on("console", lambda message: faults.append(message.text) if "Security Policy" in message.text else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{pages_server.root}login?token={pages_server.token}")
    yield page
    context.close()


def visit(page: Page, server: JupyterServer, address: str) -> None:
    page.goto(server.root + address)
    page.wait_for_selector("html[data-ready]")


def color_at(page: Page, x: float, y: float) -> list[int]:
    """In the picture of the map, at shares of its width and height."""
    picture = np.asarray(Image.open(io.BytesIO(page.locator("#map").screenshot())).convert("RGB"))
    pixel: list[int] = picture[int(y * (len(picture) - 1)), int(x * (len(picture[0]) - 1))].tolist()
    return pixel


def test_a_form_is_filled_in_and_run(page: Page, pages_server: JupyterServer, faults: list[str]) -> None:
    """The result is a table, its address follows the form, and so do the snippets."""
    visit(page, pages_server, "fused/udfs/quakes.html")

    page.get_by_label("least").fill("6.25")
    page.get_by_label("kind").select_option("deep")
    page.get_by_label("day").fill("2026-01-31")
    page.get_by_label("flag").uncheck()
    page.get_by_label("tags").fill("1,2")
    page.get_by_label("Format").select_option("json")
    page.get_by_role("button", name="Run").click()

    expect(page.locator("#result td")).to_have_text(["6.25", "deep", "2026-01-31", "false", "[1, 2]", "Zürich"])
    search = "?least=6.25&kind=deep&day=2026-01-31&flag=false&tags=1%2C2"
    expect(page.locator("#address")).to_have_text(f"{pages_server.root}fused/run/file/quakes.json{search}")
    expect(page.locator("#snippet")).to_contain_text(f"quakes.json{search}")
    expect(page.locator("#status")).to_contain_text("200 · application/json")
    assert page.title() == "quakes"
    assert faults == []


def test_the_address_of_a_filled_form_can_be_sent_on(page: Page, pages_server: JupyterServer) -> None:
    """What was run is in it; who opens it sees the same form."""
    visit(page, pages_server, "fused/udfs/quakes.html")
    page.get_by_label("word").fill("a b&c")
    page.get_by_label("flag").uncheck()
    page.get_by_label("Format").select_option("csv")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#result td").last).to_have_text("a b&c")

    visit(page, pages_server, page.url.removeprefix(pages_server.root))

    assert page.get_by_label("word").input_value() == "a b&c"
    assert not page.get_by_label("flag").is_checked()
    assert page.get_by_label("Format").input_value() == "csv"


def test_a_table_can_be_looked_at(page: Page, pages_server: JupyterServer) -> None:
    """By itself it comes as Parquet, to be saved."""
    visit(page, pages_server, "fused/udfs/quakes.html")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("link", name="save the file")).to_be_visible()

    page.get_by_role("button", name="show as JSON").click()

    expect(page.locator("#result th")).to_have_text(["least", "kind", "day", "flag", "tags", "word"])


def test_the_keyboard_is_enough(page: Page, pages_server: JupyterServer) -> None:
    """Through the form, run by Enter, on to the snippets and along them with the arrows."""
    visit(page, pages_server, "fused/udfs/broken.html")
    page.get_by_label("n", exact=False).first.focus()

    page.keyboard.type("7")
    page.keyboard.press("Enter")

    expect(page.get_by_role("alert")).to_contain_text("KeyError")
    page.get_by_role("tab", name="cURL").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Python")).to_be_focused()
    expect(page.locator("#snippet")).to_contain_text("requests.get")


def test_an_error_is_text(page: Page, pages_server: JupyterServer, faults: list[str]) -> None:
    """What went wrong and where, and none of it is markup."""
    visit(page, pages_server, "fused/udfs/broken.html?n=3")
    page.get_by_role("button", name="Run").click()

    expect(page.get_by_role("alert")).to_contain_text("<b>no 3</b>")
    expect(page.get_by_role("alert")).to_contain_text("Traceback")
    assert page.locator("#result b").count() == 0
    assert faults == []


def test_what_is_required_is_asked_for(page: Page, pages_server: JupyterServer) -> None:
    """Before anything runs."""
    visit(page, pages_server, "fused/udfs/broken.html")
    page.get_by_role("button", name="Run").click()

    assert page.evaluate("document.querySelector('[name=n]').matches(':invalid:focus')")
    expect(page.locator("#status")).to_have_text("not run yet")


@pytest.mark.parametrize("chosen", ["", "html"])
def test_html_of_a_udf_has_no_rights(page: Page, pages_server: JupyterServer, chosen: str) -> None:
    """It is shown and its script runs, in an origin of its own: no cookie, no way to the page around it."""
    visit(page, pages_server, "fused/udfs/page.html")
    page.get_by_label("Format").select_option(chosen)
    page.get_by_role("button", name="Run").click()

    inner = page.frame_locator("#result iframe").locator("h1")
    expect(inner).to_have_text("hello SecurityError SecurityError null")
    assert page.title() == "page"


def wait_for_map(page: Page) -> None:
    """Until all tiles of the map in its frame are there."""
    page.frame_locator("#map iframe").locator(".fused-map[data-idle=true]").wait_for(timeout=30_000)


def test_pictures_are_drawn_on_the_map(page: Page, pages_server: JupyterServer, faults: list[str]) -> None:
    """Each half of the world its colour; the map follows the form, and keeps its place while it does."""
    visit(page, pages_server, "fused/udfs/halves.html")
    page.get_by_role("button", name="Show map").click()
    wait_for_map(page)
    west, east = color_at(page, 0.4, 0.3), color_at(page, 0.6, 0.3)

    page.frame_locator("#map iframe").get_by_role("button", name="Zoom in").click()
    page.wait_for_function("document.querySelector('#map iframe').contentWindow.location.hash")
    place = page.evaluate("document.querySelector('#map iframe').contentWindow.location.hash")
    page.get_by_label("blue").fill("200")
    page.get_by_role("button", name="Show map").click()
    page.wait_for_function("document.querySelector('#map iframe').contentWindow.location.search === '?blue=200'")
    wait_for_map(page)

    assert (west, east) == ([255, 0, 0], [0, 255, 0])
    assert color_at(page, 0.4, 0.3) == [255, 0, 200]
    assert page.evaluate("document.querySelector('#map iframe').contentWindow.location.hash") == place
    assert faults == []


def test_features_are_drawn_on_the_map(page: Page, pages_server: JupyterServer, faults: list[str]) -> None:
    """Where there are features there is colour, and nowhere else."""
    visit(page, pages_server, "fused/udfs/area.html")
    page.get_by_role("button", name="Show map").click()
    wait_for_map(page)

    inside, outside = color_at(page, 0.5, 0.5), color_at(page, 0.5, 0.02)
    assert max(inside) - min(inside) > 30
    assert max(outside) - min(outside) < 10
    assert faults == []


def test_a_page_of_a_token_needs_no_login(
    browser: Browser, pages_server: JupyterServer, pages_kernel: Kernel, faults: list[str]
) -> None:
    """Its form runs the UDF by the token, and so does its map; the snippets carry the token."""
    grant = "from fused_jupyter.runtime import current; print(current().grant('halves'))"
    token = pages_kernel.execute(grant).check().text.strip()
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    visit(page, pages_server, f"fused/{token}/page")

    page.get_by_label("bounds").fill("-10,0,10,10")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#result img")).to_be_visible()
    page.get_by_label("blue").fill("99")
    page.get_by_role("button", name="Show map").click()
    wait_for_map(page)

    assert color_at(page, 0.4, 0.3) == [255, 0, 99]
    expect(page.locator("#snippet")).to_contain_text(f"/fused/{token}.json?bounds=")
    page.get_by_role("tab", name="QGIS").click()
    expect(page.locator("#snippet")).to_contain_text(f"/fused/{token}/wmts/1.0.0/WMTSCapabilities.xml?blue=99")
    expect(page.locator("#snippet")).not_to_contain_text("bounds=")
    assert context.cookies() == []
    assert faults == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ["fused/udfs.html", "fused/udfs/quakes.html", "fused/udfs/area.html"])
def test_a_page_fits_a_telephone(page: Page, pages_server: JupyterServer, address: str, scheme: str) -> None:
    """400 pixels across, nothing sticks out; text stands out from its ground by 4.5 to 1 (WCAG AA)."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(pages_server.root + address)
    page.wait_for_load_state("networkidle")

    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    colors = page.evaluate(
        """() => ['--ink', '--soft', '--accent', '--bad', '--paper', '--card'].map(name => {
            const probe = document.body.appendChild(document.createElement('i'));
            probe.style.color = `var(${name})`;
            return getComputedStyle(probe).color.match(/\\d+/g).map(Number);
        })"""
    )
    *inks, paper, card = (luminance(color) for color in colors)
    for ink in inks:
        for ground in (paper, card):
            assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) > 4.5


def luminance(color: list[int]) -> float:
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in np.array(color) / 255
    ]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
