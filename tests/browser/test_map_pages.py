"""Maps in pages of their own, from a real server and out of files: what is seen, and what they may do."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from real_jupyter import JupyterServer, Kernel

pytestmark = pytest.mark.browser

HALVES = '''
@fused.udf
def halves(bounds: fused.types.Bounds = None, blue: int = 100, word: str = "a"):
    """West red, east green."""
    import numpy as np
    picture = np.zeros((3, 256, 256), dtype="uint8")
    picture[0 if bounds[0] < 0 else 1] = 255
    picture[2] = blue
    return picture
'''
LIMITED = """
from typing import Annotated

@fused.udf
def limited(
    bounds: fused.types.Bounds = None, blue: Annotated[int, fused.Control(5, 220, 5, value=60, label="Depth")] = 9
):
    import numpy as np
    return np.stack([np.full((256, 256), each, "uint8") for each in (0, 0, blue)])
"""
AREA = """
@fused.udf
def area(bounds: fused.types.Bounds = None):
    import geopandas, shapely
    return geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.box(-20, -20, 20, 20)], crs=4326)
"""
WEST, EAST = (0.3, 0.7), (0.6, 0.7)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with JupyterServer(base_url="/user/ana/") as server, server.running_kernel() as running:
        running.define(HALVES)
        running.define(AREA)
        running.define(LIMITED)
        yield running


@pytest.fixture(scope="module")
def server(kernel: Kernel) -> JupyterServer:
    running: JupyterServer = kernel.server
    return running


@pytest.fixture
def faults() -> list[str]:
    """All that the browser complained of."""
    return []


@pytest.fixture
def visitor(browser: Browser, faults: list[str]) -> Iterator[Page]:
    """A page of somebody without a login."""
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.on("console", lambda message: faults.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()


@pytest.fixture
def owner(visitor: Page, server: JupyterServer, faults: list[str]) -> Page:
    """A page of somebody who is logged in."""
    visitor.goto(f"{server.root}login?token={server.token}")
    faults.clear()
    return visitor


def grant(kernel: Kernel, udf: str = "halves", limits: str = "") -> str:
    """A token's secret."""
    return kernel.execute(f"print({udf}.create_access_token({limits}).token)").check().text.strip()


def wait_idle(page: Page) -> None:
    page.wait_for_selector(".fused-map[data-idle=true]")


def color(page: Page, place: tuple[float, float]) -> tuple[int, int, int]:
    """At shares of the window's width and height."""
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return image.getpixel((int(place[0] * image.width), int(place[1] * image.height)))  # type: ignore[return-value]


def wait_color(page: Page, wanted: tuple[int, int, int], place: tuple[float, float]) -> None:
    for _ in range(60):
        if (seen := color(page, place)) == wanted:
            return
        page.wait_for_timeout(100)
    pytest.fail(f"{seen} at {place}, not {wanted}")


def test_an_owners_map_follows_its_controls_and_its_address(
    owner: Page, server: JupyterServer, faults: list[str]
) -> None:
    """A control changes pixels and address; one step back undoes it, also in the pixels, one forward does it again."""
    owner.goto(f"{server.root}fused/udfs/halves/map#2/0/0")
    wait_idle(owner)
    assert (color(owner, WEST), color(owner, EAST)) == ((255, 0, 100), (0, 255, 100))

    owner.get_by_label("blue").fill("200")
    wait_color(owner, (0, 255, 200), EAST)
    assert owner.url.endswith("/map?blue=200#2/0/0")
    owner.go_back()
    wait_color(owner, (0, 255, 100), EAST)
    owner.go_forward()
    wait_color(owner, (0, 255, 200), EAST)

    expect(owner.get_by_label("blue")).to_have_value("200")
    assert faults == []


def test_an_address_opens_the_same_map(owner: Page, server: JupyterServer, faults: list[str]) -> None:
    """Place and values of it; the button gives it whole, and moving around changes it."""
    owner.goto(f"{server.root}fused/udfs/halves/map?blue=50&word=b%26c#4/10/30")
    wait_idle(owner)
    assert color(owner, WEST) == (0, 255, 50)
    expect(owner.get_by_label("word")).to_have_value("b&c")

    owner.get_by_role("button", name="Zoom in").click()
    owner.wait_for_url("**#5/10/30")
    owner.get_by_text("Share", exact=True).click()

    expect(owner.get_by_label("Address of this view")).to_have_value(owner.url)
    assert faults == []


def test_controls_are_those_that_the_signature_says(
    visitor: Page, server: JupyterServer, kernel: Kernel, faults: list[str]
) -> None:
    """With its limits, label and start, as on a map in the notebook; the start is no part of the address."""
    visitor.goto(f"{server.root}fused/{grant(kernel, 'limited')}/map#2/0/0")
    wait_idle(visitor)

    assert color(visitor, WEST) == (0, 0, 60)
    slider = visitor.get_by_label("Depth")
    assert [slider.get_attribute(name) for name in ("min", "max", "step")] == ["5", "220", "5"]
    slider.focus()
    visitor.keyboard.press("End")
    wait_color(visitor, (0, 0, 220), WEST)
    assert visitor.url.endswith("/map?blue=220#2/0/0")
    visitor.get_by_role("button", name="Reset").click()
    wait_color(visitor, (0, 0, 60), WEST)
    assert visitor.url.endswith("/map#2/0/0")
    assert faults == []


def test_a_token_opens_one_map_and_nothing_else(
    visitor: Page, server: JupyterServer, kernel: Kernel, faults: list[str]
) -> None:
    """No login, no cookie; every request of the page is one of the token, or for the page's own code."""
    token = grant(kernel)
    asked: list[str] = []
    visitor.on("request", lambda request: asked.append(request.url.removeprefix(f"{server.root}fused/")))

    visitor.goto(f"{server.root}fused/{token}/map?blue=7#2/0/0")
    wait_idle(visitor)
    visitor.get_by_label("blue").fill("9")
    wait_color(visitor, (255, 0, 9), WEST)

    of_page = [each for each in asked if each.startswith("http") and not each.startswith("http://127.0.0.1")]
    assert of_page == []
    assert {each.partition("/")[0] for each in asked if not each.startswith(("blob:", "data:"))} == {token, "pages"}
    assert visitor.context.cookies() == []
    assert faults == []
    for other in ("fused/udfs/halves/map", "fused/udfs.html", "fused/run/tiles/halves/0/0/0.png", "api/kernels"):
        assert visitor.evaluate("url => fetch(url).then(answer => answer.status)", server.root + other) == 403


def test_a_page_of_a_token_that_is_closed_opens_nothing(server: JupyterServer, kernel: Kernel) -> None:
    """As any address that never was."""
    closed = kernel.execute("t = halves.create_access_token(); print(t.token); t.delete()").check().text.strip()

    assert server.get(f"fused/{closed}/map", login=False).status == 404


def test_a_token_asks_for_the_formats_and_parameters_that_it_allows(
    visitor: Page, server: JupyterServer, kernel: Kernel, faults: list[str]
) -> None:
    """Its page has no control for more."""
    token = grant(kernel, limits="parameters=['word'], formats=['png']")

    visitor.goto(f"{server.root}fused/{token}/map#2/0/0")
    wait_idle(visitor)

    assert color(visitor, EAST) == (0, 255, 100)
    assert visitor.get_by_label("word").count() == 1
    assert visitor.get_by_label("blue").count() == 0
    assert faults == []


def test_the_policy_of_a_map_page_lets_nothing_else_in(visitor: Page, server: JupyterServer, kernel: Kernel) -> None:
    """No inline script, no other host, no foreign frame."""
    token = grant(kernel)
    answer = server.get(f"fused/{token}/map", login=False)
    visitor.goto(f"{server.root}fused/{token}/map#2/0/0")
    wait_idle(visitor)

    tried = visitor.evaluate(
        """async () => {
            const script = document.createElement("script");
            script.textContent = "window.hacked = true";
            document.body.append(script);
            const gone = await fetch("http://localhost:1/").then(() => "sent", (error) => error.name);
            return [window.hacked ?? false, gone];
        }"""
    )

    policy = answer.headers["Content-Security-Policy"]
    assert tried == [False, "TypeError"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_map_page_fits_a_telephone(owner: Page, server: JupyterServer, scheme: str) -> None:
    """400 pixels across, nothing sticks out, and the map has most of the height."""
    owner.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two
    owner.set_viewport_size({"width": 400, "height": 800})
    owner.goto(f"{server.root}fused/udfs/halves/map#2/0/0")
    wait_idle(owner)

    box = owner.locator(".fused-map").bounding_box()
    assert box
    assert owner.evaluate("document.documentElement.scrollWidth") <= 400
    assert box["height"] > 600


# -- files

MAP = """
import geopandas, shapely
spot = geopandas.GeoDataFrame({{"n": [1]}}, geometry=[shapely.box(-5, -5, 5, 5)], crs=4326)
m = fused.FusedMap(halves, area, center=(0, 0), zoom=3, params={{"blue": 60}})
m.add(spot, name="spot", style={{"color": "#ffffff", "fill_opacity": 1.0}})
m.to_html({path!r}{more})
"""


def test_a_file_shows_the_map_without_any_server(
    visitor: Page, kernel: Kernel, tmp_path: Path, faults: list[str]
) -> None:
    """Offline: pictures, tiles of features and data of Python in their colours, and the next zoom too."""
    path = tmp_path / "still.html"
    kernel.execute(MAP.format(path=str(path), more="")).check()
    visitor.context.set_offline(offline=True)

    visitor.goto(f"file://{path}")
    wait_idle(visitor)

    middle = (0.45, 0.52)
    assert (color(visitor, middle), color(visitor, (0.05, 0.6))) == ((255, 255, 255), (255, 0, 60))
    over_west = color(visitor, (0.35, 0.52))
    assert over_west not in {(255, 0, 60), (255, 255, 255)}, "the square lies over it"
    expect(visitor.locator(".fused-status")).to_contain_text("without a server")
    visitor.get_by_role("button", name="Zoom in").click()
    visitor.wait_for_url("**#4/0/0")
    wait_idle(visitor)
    assert color(visitor, (0.01, 0.4)) == (255, 0, 60)
    assert faults == []


def test_a_live_file_runs_the_udf_until_its_token_is_deleted(
    visitor: Page, kernel: Kernel, tmp_path: Path, faults: list[str]
) -> None:
    """Its controls work; the file holds tokens of its UDFs and no other secret."""
    path = tmp_path / "live.html"
    kernel.execute(MAP.format(path=str(path), more=", live=True")).check()

    visitor.goto(f"file://{path}")
    wait_idle(visitor)
    before = color(visitor, (0.05, 0.6))
    visitor.get_by_label("blue").fill("120")
    wait_color(visitor, (255, 0, 120), (0.05, 0.6))

    written = path.read_text()
    assert before == (255, 0, 60)
    assert kernel.server.token not in written
    assert kernel.id not in written
    assert faults == []
    kernel.execute("for t in halves.get_access_tokens(): t.delete()").check()
    visitor.reload()
    expect(visitor.locator(".fused-status")).to_contain_text("opens nothing")
