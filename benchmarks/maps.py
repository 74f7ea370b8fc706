"""From a moved slider, and from an edited cell, to the pixels of the map, beside lonboard and localtileserver.

    PYTHONPATH=scripts python benchmarks/maps.py [--rounds 15] [--busy-rounds 5]

Each contender has a notebook of its own in one JupyterLab and one Chromium; the rounds take them in turn. The same
Python function draws the tiles of our map and of lonboard's RasterLayer, each defined in a plain cell; the same GeoTIFF
those of our map, by a `%%fused_udf` cell, which shows a card, and of localtileserver in ipyleaflet, which is what
leafmap's `add_raster` makes. A slider is moved by a key, the cell is run
by JupyterLab's command; the clock is that of the compositor's frames, and stops at the first in which the whole map
has the new colour. A running cell runs for four seconds, and the slider is moved after one.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import functools
import io
import itertools
import json
import re
import statistics
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from lonboard_cdn import answering_cdn
from PIL import Image
from playwright.sync_api import Page
from rasterio.enums import Resampling
from rasterio.transform import from_bounds
from real_jupyter import JupyterServer
from real_lab import LAB_ARGUMENTS, PATIENCE, Lab, chromium, write_notebook

SETUP = "import time\nimport numpy as np\n"
PAINT = """\
def paint(z, x, y, size, level):
    across = (x + np.arange(size) / size) / 2**z * 2 * np.pi
    down = (y + np.arange(size) / size) / 2**z * 2 * np.pi
    waves = sum(np.sin(n * across)[None, :] * np.cos(n * down)[:, None] / n for n in range(1, 9))
    blue = np.clip(20 + 4 * waves, 0, 40)
    return np.stack([np.full_like(blue, level), np.full_like(blue, NUMBER), blue]).astype("uint8")
"""
OUR_FUNCTION = """\
@fused.udf
def painted(tile: fused.types.TileXYZ = None, level: Annotated[int, (30, 150, 20)] = 30):
    import numpy as np
{paint}
    return paint(tile.z, tile.x, tile.y, 256, level)
"""
OUR_FILE = """\
%%fused_udf cog
from typing import Annotated
from rio_tiler.io import Reader
@fused.udf
def cog(tile: fused.types.TileXYZ = None, level: Annotated[int, (30, 150, 20)] = 30):
    with Reader({path!r}) as source:
        image = source.tile(tile.x, tile.y, tile.z)
    image.rescale([(0, 255 * NUMBER / level)])
    return image.array.filled(0)[0]
"""
OUR_MAP = """\
{name}.map(controls=["level"], center=(0, 0), zoom=2, basemap=None, legend=False, height=300)
"""
LONBOARD = """\
{paint}
async def fetch_tile(x, y, z):
    return z, x, y

def drawn(level):
    def render_tile(tile):
        file = io.BytesIO()
        Image.fromarray(np.moveaxis(paint(*tile, 512, level), 0, 2)).save(file, "png")
        return EncodedImage(data=file.getvalue(), media_type="image/png")
    return RasterLayer(_tile_matrix_set=None, _crs="EPSG:3857", _fetch_tile=fetch_tile, _render_tile=render_tile)

def show(level):
    m.layers = [drawn(level)]
if "m" in globals():
    show(slider.value)
"""
LONBOARD_SETUP = """\
import io
import ipywidgets, lonboard
from lonboard import RasterLayer
from lonboard.raster import EncodedImage
from PIL import Image
"""
LEAFLET_SETUP = """\
import ipyleaflet, ipywidgets
from localtileserver import TileClient, get_leaflet_tile_layer
client = TileClient({path!r})
"""
LONBOARD_MAP = """\
view = {"longitude": 0, "latitude": 0, "zoom": 2}
m = lonboard.Map([drawn(30)], basemap=None, height=300, view_state=view)
slider = ipywidgets.IntSlider(30, 30, 150, 20)
slider.observe(lambda change: show(change.new), names="value")
display(slider, m)
"""
LEAFLET = """\
def drawn(level):
    return get_leaflet_tile_layer(client, vmin=0, vmax=255 * NUMBER / level)

def show(level):
    m.layers = [drawn(level)]
if "m" in globals():
    show(slider.value)
"""
LEAFLET_MAP = """\
m = ipyleaflet.Map(layers=[drawn(30)], center=(0, 0), zoom=2, layout={"height": "300px"}, zoom_control=False,
                   attribution_control=False)
slider = ipywidgets.IntSlider(30, 30, 150, 20)
slider.observe(lambda change: show(change.new), names="value")
display(slider, m)
"""
LEVELS = range(30, 151, 20)
"""Of the slider."""
TOLERANCE = 9
"""JPEG's, of 255."""
FILM = {"format": "jpeg", "quality": 90, "maxWidth": 340, "maxHeight": 625}
"""Half of the size: what takes the pictures takes CPU from what is measured."""
TO_THE_TOP = """cell => {
    window.jupyterapp.shell.currentWidget.content.activeCellIndex = cell;
    document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0;
}"""
"""JupyterLab scrolls to the cell that runs; from here it does not have to."""
DEFINE, SHOW = 1, 2
BUSY = {
    "sleeps": "time.sleep(4)",
    "computes in Python": "end = time.monotonic() + 4\nwhile time.monotonic() < end:\n    sum(range(10_000))",
    "is in one long call": """\
started = time.monotonic()
sum(range(10_000_000))
sum(range(int(10_000_000 * 4 / (time.monotonic() - started))))""",
}
"""What a running cell may do; the last keeps the GIL, as much of pandas does."""

Color = tuple[int | None, int | None, int | None]
Times = dict[tuple[str, str], list[float]]


@dataclass(kw_only=True)
class Contender:
    """One way to a map with a slider: a notebook of set-up, definition, map, and a cell that computes."""

    name: str
    setup: str
    definition: str
    """With NUMBER where each run of the cell writes another one."""
    shown: str
    element: str
    """The map, of the page."""
    slider: str
    """Which the arrow keys move."""
    color: Callable[[int, int], Color]
    """What the map shows at a level of the slider with a number in the cell; None where anything may be."""


def painted(level: int, number: int) -> Color:
    """The colour of the function's tiles: the blue is its waves."""
    return level, number, None


def gray(level: int, number: int) -> Color:
    """The colour of the file, all of whose values are near 100, drawn from black at 0 to white."""
    return (min(255, level * 100 // number),) * 3


def contenders(path: Path) -> list[Contender]:
    """Two of ours, each before its peer."""
    ours = {
        "setup": f"{SETUP}from typing import Annotated\n%load_ext fused_jupyter\nimport fused_jupyter as fused",
        "element": ".fused-map",
        "slider": ".fused-map input[type=range]",
    }
    peer = {"slider": ".noUi-handle"}
    return [
        Contender(
            name="ours, a function",
            definition=OUR_FUNCTION.format(paint=textwrap.indent(PAINT, "    ")),
            shown=OUR_MAP.format(name="painted"),
            color=painted,
            **ours,
        ),
        Contender(
            name="lonboard RasterLayer, the same function",
            setup=SETUP + LONBOARD_SETUP,
            definition=PAINT + LONBOARD,
            shown=LONBOARD_MAP,
            color=painted,
            element=".jp-OutputArea-output canvas",
            **peer,
        ),
        Contender(
            name="ours, a GeoTIFF",
            definition=OUR_FILE.format(path=str(path)),
            shown=OUR_MAP.format(name="cog"),
            color=gray,
            **ours,
        ),
        Contender(
            name="localtileserver, the same GeoTIFF",
            setup=SETUP + LEAFLET_SETUP.format(path=str(path)),
            definition=LEAFLET,
            shown=LEAFLET_MAP,
            color=gray,
            element=".leaflet-container",
            **peer,
        ),
    ]


class Stage:
    """The open notebook of a contender, and the clock."""

    def __init__(self, contender: Contender, page: Page, server: JupyterServer) -> None:
        self.contender = contender
        self._page = page
        self._frames: list[Frame] = []
        self._levels = itertools.cycle(LEVELS)
        self._numbers = itertools.chain.from_iterable(zip(itertools.count(100), itertools.count(60), strict=True))
        self._level, self._number = next(self._levels), next(self._numbers)
        self._devtools = page.context.new_cdp_session(page)
        self._devtools.on("Page.screencastFrame", self._take)
        self._lab = Lab(page, server)
        name = re.sub(r"\W+", "-", contender.name) + ".ipynb"
        write_notebook(server.directory / name, [contender.setup, "", contender.shown, *BUSY.values()])
        self._lab.open(name)
        page.keyboard.press("Control+b")  # no file browser
        page.add_style_tag(content=".Toastify { display: none }")  # no news
        for index, source in enumerate((contender.setup, self._definition)):
            self._lab.run(index, source)
            page.wait_for_timeout(300)
            while self._lab.is_running(index):
                page.wait_for_timeout(100)
        self._lab.run(SHOW)
        self._box: Any = None
        page.wait_for_selector(contender.element, timeout=PATIENCE)
        with self._filming():
            self._wait_for_pixels()

    @property
    def _definition(self) -> str:
        return self.contender.definition.replace("NUMBER", str(self._number))

    def run_again(self) -> float:
        """Seconds from running the edited cell to the pixels."""
        self._number = next(self._numbers)  # in turn much more and much less, and never the same again
        with self._filming():
            started = self._now()
            self._lab.run(DEFINE, self._definition)
            return self._wait_for_pixels() - started

    def move_slider(self) -> float:
        """Seconds from a key on the slider to the pixels."""
        self._level = next(self._levels)
        with self._filming():
            self._page.locator(self.contender.slider).first.focus()
            started = self._now()
            self._page.keyboard.press("Home" if self._level == LEVELS[0] else "ArrowRight")
            return self._wait_for_pixels() - started

    def move_slider_while(self, busy: str) -> float:
        """The same, a second after the start of a cell that does this."""
        cell = SHOW + 1 + [*BUSY].index(busy)
        self._lab.run(cell)
        self._page.wait_for_timeout(1000)
        seconds = self.move_slider()
        while self._lab.is_running(cell):
            self._page.wait_for_timeout(100)
        return seconds

    @contextlib.contextmanager
    def _filming(self) -> Iterator[None]:
        self._page.bring_to_front()
        self._page.evaluate(TO_THE_TOP, DEFINE)
        self._page.wait_for_timeout(200)
        self._box = self._page.locator(self.contender.element).first.bounding_box()
        self._frames = []
        self._devtools.send("Page.startScreencast", FILM)
        yield
        self._devtools.send("Page.stopScreencast")

    def _take(self, event: dict[str, Any]) -> None:
        self._frames.append(Frame(event["metadata"]["timestamp"], event["data"]))
        self._devtools.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    def _now(self) -> float:
        return float(self._page.evaluate("() => Date.now() / 1000"))

    def _wait_for_pixels(self) -> float:
        """The time of the first frame that has the colour everywhere."""
        wanted = self.contender.color(self._level, self._number)
        seen = 0
        for _ in range(3000):
            for frame in self._frames[seen:]:
                if frame.shows(wanted, self._box):
                    return frame.time
            seen = len(self._frames)
            self._page.wait_for_timeout(10)
        self._page.screenshot(path="maps-benchmark-failed.png")
        raise TimeoutError(f"{self.contender.name}: no map of {wanted} within 30 s; see maps-benchmark-failed.png")


@dataclass(frozen=True)
class Frame:
    """What the compositor has shown."""

    time: float
    data: str

    def shows(self, wanted: Color, box: Mapping[str, float]) -> bool:
        """Whether all of the map's middle has the colour."""
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(self.data))).convert("RGB"), "int16")
        rows = np.linspace(box["y"] + 0.2 * box["height"], box["y"] + 0.8 * box["height"], 12) / 2
        columns = np.linspace(box["x"] + 0.1 * box["width"], box["x"] + 0.5 * box["width"], 16) / 2
        points = picture[rows.astype(int)][:, columns.astype(int)]
        return all(
            bool((np.abs(points[..., band] - value) <= TOLERANCE).all())
            for band, value in enumerate(wanted)
            if value is not None
        )


def write_geotiff(path: Path) -> None:
    """The world in EPSG:3857, 4096 x 4096 values near 100, tiled, with overviews."""
    edge = 20037508.342789244
    y, x = np.mgrid[0:4096, 0:4096] / 4096
    values = (100 + np.sin(40 * x) * np.cos(40 * y)).astype("float32")
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "width": 4096, "height": 4096, "crs": "EPSG:3857"}
    profile |= {"transform": from_bounds(-edge, -edge, edge, edge, 4096, 4096), "tiled": True, "compress": "deflate"}
    with rasterio.open(path, "w", **profile) as target:
        target.write(values, 1)
        target.build_overviews([2, 4, 8, 16], Resampling.average)


def write_settings(directory: Path, *, has_subshells: bool) -> str:
    """Settings of JupyterLab: whether widgets' messages have a thread of their own in the kernel."""
    path = directory / "@jupyterlab" / "apputils-extension" / "kernels-settings.jupyterlab-settings"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"commsOverSubshells": "perCommTarget" if has_subshells else "disabled"}))
    return str(directory)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--busy-rounds", type=int, default=5)
    parser.add_argument("--no-subshells", action="store_true", help="comms as with ipykernel 6 or in VS Code and Colab")
    said = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as scratch,
        JupyterServer(
            application="lab",
            arguments=LAB_ARGUMENTS,
            environment={"JUPYTERLAB_SETTINGS_DIR": write_settings(Path(scratch), has_subshells=not said.no_subshells)},
        ) as server,
        chromium() as browser,
        contextlib.ExitStack() as open_until_the_end,
    ):
        path = Path(scratch) / "world.tif"
        write_geotiff(path)
        stages = []
        for contender in contenders(path):
            context = browser.new_context(viewport={"width": 680, "height": 1250})
            open_until_the_end.enter_context(answering_cdn(context))  # lonboard loads a part of itself
            stages.append(Stage(contender, context.new_page(), server))
        times: Times = {}
        for number in range(said.rounds):
            for measure, act in MEASURES.items():
                if number < said.busy_rounds or "cell" not in measure:
                    for stage in stages:
                        times.setdefault((measure, stage.contender.name), []).append(act(stage))
        report(times, [stage.contender.name for stage in stages])


MEASURES = {
    "slider": Stage.move_slider,
    "re-run": Stage.run_again,
    **{f"slider, cell {busy}": functools.partial(Stage.move_slider_while, busy=busy) for busy in BUSY},
}


def report(times: Times, names: list[str]) -> None:
    """Medians, and how many times longer the peer takes."""
    print(f"{'ms':32}" + "".join(f"{name.partition(',')[0]:>26}{'':8}" for name in names))
    for measure in MEASURES:
        ours, theirs, *others = (statistics.median(times[measure, name]) * 1000 for name in names)
        columns = [f"{ours:26.0f}{'':8}", f"{theirs:26.0f}{theirs / ours:7.1f}x"]
        ours, theirs = others
        columns += [f"{ours:26.0f}{'':8}", f"{theirs:26.0f}{theirs / ours:7.1f}x"]
        print(f"{measure:32}" + "".join(columns))


if __name__ == "__main__":
    main()
