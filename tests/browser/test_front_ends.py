"""Maps in front ends that reach the server in other ways than JupyterLab, or not at all; judged by their colours."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocket
from real_jupyter import JupyterServer, eventually
from real_lab import LAB_ARGUMENTS, PATIENCE, Lab, NotebookServer, write_notebook

from fused_jupyter.wire import Announcement, Status, connect

pytestmark = pytest.mark.browser

RASTER = """\
%%fused_udf flat
import numpy as np

@fused.udf
def flat(bounds: fused.types.Bounds = None, level: int = 200):
    picture = np.zeros((3, 256, 256), "uint8")
    picture[0] = level
    return picture
"""
VECTOR = """\
%%fused_udf lands
@fused.udf
def lands(bounds: fused.types.Bounds = None):
    import geopandas, shapely
    return geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.box(-120, -60, 120, 60)], crs=4326)
"""
CELLS = [
    "%load_ext fused_jupyter",
    RASTER,
    VECTOR,
    "m = flat.map(zoom=1, height='320px')\nm",
    "fused.FusedMap(fused.TileLayer('lands', style={'color': '#0000ff', 'fill-opacity': 1.0}), zoom=0, height='320px')",
    "pass",
]
SLOW = RASTER.replace("    picture = np", "    if level == 77:\n        import time; time.sleep(60)\n    picture = np")
BROKEN = RASTER.replace("    picture = np", "    {}['mag']\n    picture = np")
RED, BLUE = (200, 0, 0), (0, 0, 255)


@pytest.fixture(scope="module", params=["/", "/user/bob/"], ids=["root", "prefix"])
def notebook_server(request: pytest.FixtureRequest) -> Iterator[NotebookServer]:
    """Notebook 7, at the root and under a base URL."""
    with NotebookServer(base_url=request.param) as server:
        yield server


@pytest.fixture(scope="module")
def bare_server() -> Iterator[JupyterServer]:
    """JupyterLab whose server lacks our extension: to a page that is as VS Code and Colab are."""
    arguments = (*LAB_ARGUMENTS, "--ServerApp.jpserver_extensions=fused_jupyter=False")
    with JupyterServer(application="lab", arguments=arguments) as server:
        yield server


@contextlib.contextmanager
def opened(browser: Browser, server: JupyterServer, *cells: str, first: str = "") -> Iterator[Lab]:
    """A notebook with these cells, all run; `first` is done in the page before that, to `kernel`."""
    name = f"{len([*server.directory.iterdir()])}.ipynb"
    write_notebook(server.directory / name, [*cells])
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    lab = Lab(context.new_page(), server)
    lab.open(name)
    session = "window.jupyterapp.shell.currentWidget.context.sessionContext.session"
    if first:
        lab.page.evaluate(f"() => {{ const {{ kernel }} = {session}; {first} }}")
    lab.run_all()
    yield lab
    kernel = lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.id")
    context.close()
    server.request("DELETE", f"api/kernels/{kernel}")


@pytest.fixture(scope="module")
def bare(browser: Browser, bare_server: JupyterServer) -> Iterator[Lab]:
    """Both maps there, without our extension; `frames` are the sizes of messages, `requests` those to our routes."""
    frames: list[int] = []
    requests: list[str] = []

    def count(page: Page) -> None:
        page.on("websocket", lambda socket: listen(socket, frames))
        page.on("request", lambda request: requests.append(request.url) if "/fused/" in request.url else None)

    browser_context = browser.new_context
    with opened(_Counting(browser_context, count), bare_server, *CELLS) as lab:  # type: ignore[arg-type]
        lab.frames, lab.requests = frames, requests  # type: ignore[attr-defined]
        yield lab


class _Counting:
    """A browser whose pages are listened to from the start."""

    def __init__(self, new_context: Callable[..., object], count: Callable[[Page], None]) -> None:
        self._new_context = new_context
        self._count = count

    def new_context(self, **options: object) -> object:
        context = self._new_context(**options)
        context.on("page", self._count)  # type: ignore[attr-defined]
        return context


def listen(socket: WebSocket, frames: list[int]) -> None:
    """Note the sizes of what comes by a web socket."""
    socket.on("framereceived", lambda payload: frames.append(len(payload)))


def test_notebook_draws_rasters_and_vectors(browser: Browser, notebook_server: NotebookServer) -> None:
    """By HTTP, with a slider and an edited cell that change the map, at the root and under a prefix."""
    with opened(browser, notebook_server, *CELLS) as lab:
        lab.wait_for_color(RED, number=0)
        lab.wait_for_color(BLUE, number=1)
        assert transport(lab) == f"HTTP via {notebook_server.base_url}"

        move_slider(lab, "level", 100)
        lab.wait_for_color((100, 0, 0), number=0)
        lab.run(1, RASTER.replace("picture[0]", "picture[1]"))
        lab.wait_for_color((0, 100, 0), number=0)


def test_maps_draw_by_the_comm_alone(bare: Lab) -> None:
    """Rasters and vectors are there; both sides say why it is the comm; nothing was asked of our routes but whether
    they are there; and the map's code came once for both maps."""
    bare.wait_for_color(RED, number=0)
    bare.wait_for_color(BLUE, number=1)

    reason = "comm, because / has no fused_jupyter extension (404)"
    assert transport(bare) == reason
    assert reason in status(bare)
    bare.run(5, "print(m.transport)")
    bare.wait_idle()
    assert reason in bare.page.locator(".jp-OutputArea-output").last.inner_text()
    assert {url.partition("?")[0] for url in bare.requests} == {f"{bare.server.root}fused/ping"}  # type: ignore[attr-defined]
    assert len([size for size in bare.frames if size > 1_000_000]) == 1  # type: ignore[attr-defined]


def test_sliders_and_edits_travel_by_the_comm(bare: Lab) -> None:
    """Also while a cell sleeps, as JupyterLab sends comm messages past it."""
    move_slider(bare, "level", 120)
    bare.wait_for_color((120, 0, 0), number=0)
    bare.run(1, RASTER.replace("picture[0]", "picture[2]"))
    bare.wait_for_color((0, 0, 120), number=0)

    bare.run(5, "import time; time.sleep(8)")
    move_slider(bare, "level", 250)
    bare.wait_for_color((0, 0, 250), number=0)
    assert bare.is_running(5), "the cell ended before the map had changed: nothing was proven"
    bare.wait_idle()


def test_tiles_wait_for_a_cell_where_comm_messages_do(browser: Browser, bare_server: JupyterServer) -> None:
    """As with ipykernel 6 and in other front ends: the map says what it waits for, and is drawn when the cell ends."""
    with opened(
        browser, bare_server, *CELLS[:2], CELLS[3], "pass", first="kernel.commsOverSubshells = 'disabled'"
    ) as lab:
        lab.wait_for_color(RED)
        lab.run(3, "import time; time.sleep(9)")
        move_slider(lab, "level", 90)
        waiting = "() => document.querySelector('.fused-status').innerText.includes('tiles wait for the running cell')"
        lab.page.wait_for_function(waiting, timeout=PATIENCE)
        assert lab.is_running(3)

        lab.wait_for_color((90, 0, 0))

        assert "wait" not in status(lab)


def test_errors_by_the_comm_say_why(bare: Lab) -> None:
    """The UDF's error and its line stand on the tile and in the status line, and go when it is repaired."""
    bare.run(1, BROKEN)
    bare.page.wait_for_selector(".fused-tile-error", timeout=PATIENCE)
    assert bare.page.locator(".fused-tile-error").first.inner_text() == "KeyError: 'mag' (line 6)"
    assert "failed: KeyError: 'mag' (line 6)" in status(bare)

    bare.run(1, RASTER.replace("picture[0]", "picture[1]"))
    bare.wait_for_color((0, 250, 0), number=0)
    assert bare.page.locator(".fused-tile-error").count() == 0


def test_what_nobody_wants_is_cancelled_by_the_comm(bare: Lab) -> None:
    """Runs of a value that the slider has left are stopped in their workers, and the next value is drawn at once."""
    bare.run(1, SLOW)
    bare.wait_for_color((250, 0, 0), number=0)
    before = host_status(bare)["cancelled"]
    move_slider(bare, "level", 77)
    eventually(lambda: len(host_status(bare)["active"]) > 0, timeout=30)

    move_slider(bare, "level", 180)

    bare.wait_for_color((180, 0, 0), number=0)
    eventually(lambda: not host_status(bare)["active"], timeout=30)
    assert host_status(bare)["cancelled"] > before


def test_a_notebook_that_is_saved_holds_no_secret(bare: Lab) -> None:
    """Neither the server's token nor a shared one is in the file, widget state and all."""
    bare.run(5, "from fused_jupyter import runtime\ntoken = runtime.current().grant('flat')\nprint(token[:4])")
    bare.wait_idle()
    assert "fsh_" in bare.page.locator(".jp-OutputArea-output").last.inner_text()
    bare.run(5, "pass")
    bare.wait_idle()
    bare.page.evaluate(
        """async () => {
            const { commands, shell } = window.jupyterapp;
            await commands.execute('@jupyter-widgets/jupyterlab-manager:saveWidgetState');
            await commands.execute('docmanager:save');
        }"""
    )
    bare.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", timeout=PATIENCE)

    name = bare.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path")
    text = (bare.server.directory / name).read_text()

    assert '"kernel_id"' in text, "the state of the widgets is not in the file: nothing was proven"
    assert bare.server.token not in text
    assert "fsh_" not in text


def test_a_kernel_that_is_gone_is_said_to_be_and_comes_back(bare: Lab) -> None:
    """After a restart the old map says what to do; done, there is a map again."""
    bare.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart()")
    bare.page.wait_for_function(
        "() => document.querySelector('.fused-status')?.innerText.includes('the kernel is gone; run the map')",
        timeout=PATIENCE,
    )

    bare.page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.status === 'idle'",
        timeout=PATIENCE,
    )
    bare.run_all()

    bare.wait_for_color(RED, number=0)
    bare.wait_for_color(BLUE, number=1)


def host_status(lab: Lab) -> dict[str, Any]:
    """What the kernel's host says of itself; asked in a thread, as Playwright has this one's event loop."""
    kernel = lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.id")
    path = Announcement.path_for(lab.server.runtime_directory, kernel)

    async def ask() -> bytes:
        client = await connect(Announcement.read(path), role="server", on_event=lambda _: None)
        _, body = await client.reply_to(Status(id=client.next_number()))
        await client.close()
        return body

    with ThreadPoolExecutor(1) as thread:
        status: dict[str, Any] = json.loads(thread.submit(lambda: asyncio.run(ask())).result(30))
    return status


def transport(lab: Lab) -> str:
    return lab.page.locator(".fused-map").first.get_attribute("data-transport") or ""


def status(lab: Lab) -> str:
    return lab.page.locator(".fused-status span").first.inner_text()


def move_slider(lab: Lab, name: str, value: int) -> None:
    """Set a control of the first map as a hand would."""
    lab.page.locator(".fused-map").first.get_by_label(name).first.evaluate(
        """(input, value) => {
            input.value = String(value);
            input.dispatchEvent(new Event('input', {bubbles: true}));
            input.dispatchEvent(new Event('change', {bubbles: true}));
        }""",
        value,
    )
