"""Maps as files: what is fetched for them, and what is in them."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import mercantile
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from PIL import Image

from fused_jupyter.errors import ArgumentError, FusedError, UdfRuntimeError
from fused_jupyter.types import Bounds
from fused_jupyter.widgets import FusedMap, TileLayer
from fused_jupyter.widgets._layers import FeatureLayer
from fused_jupyter.widgets._stored import MOST_TILES, Store, View, store_layers, tiles_of
from fused_jupyter.wire import Reply, Run

VIEW = View(bounds=Bounds([4.5, 51.5, 5.5, 52.5]), zoom=8)


def png(color: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class RecordingRuntime:
    """Answers runs, and remembers them."""

    answer_run: Callable[[Run], tuple[Reply, bytes]]
    runs: list[Run] = field(default_factory=list)

    def answer(self, run: Run, *, on_wait: Callable[[], None]) -> Future[tuple[Reply, bytes]]:
        del on_wait
        self.runs.append(run)
        future: Future[tuple[Reply, bytes]] = Future()
        try:
            future.set_result(self.answer_run(run))
        except FusedError as exc:
            future.set_exception(exc)
        return future


def picture(run: Run) -> tuple[Reply, bytes]:
    """A tile in one colour; the UDF has printed something."""
    reply = Reply(id=0, media_type="image/png", extension="png", stdout="a secret", headers={"x-fused-colors": "{}"})
    return reply, png((255, 0, 0))


def stored(layer: TileLayer, runtime: RecordingRuntime, *, view: View = VIEW) -> tuple[Store, dict[str, Any]]:
    store = Store()
    (spec,), _ = store_layers([layer], store, view=view, params={"n": 5, "other": 1}, runtime=runtime)  # type: ignore[arg-type]  # as far as it is used
    return store, spec


LAYER = TileLayer("quakes", kind="raster", version="abc", parameters=("n",), params={"rescale": [0, 1]})


@given(
    west=st.floats(-180, 179), width=st.floats(0.01, 200), south=st.floats(-84, 83), height=st.floats(0.01, 60),
    zoom=st.integers(0, 7),
)  # fmt: skip
def test_tiles_of_bounds_are_mercantiles(west: float, width: float, south: float, height: float, zoom: int) -> None:
    """The same ones; where an edge lies on a tile's edge, mercantile leaves out what only touches."""
    bounds = Bounds([west, south, min(west + width, 180), min(south + height, 84.9)])

    ours = {(x, y) for _, x, y in tiles_of(bounds, zoom)}

    theirs = {(tile.x, tile.y) for tile in mercantile.tiles(*bounds, zooms=zoom)}
    assert theirs <= ours
    for x, y in ours - theirs:
        edges = mercantile.bounds(x, y, zoom)
        sides = [(edges.west, bounds[2]), (edges.east, bounds[0]), (edges.north, bounds[1]), (edges.south, bounds[3])]
        assert any(abs(a - b) < 1e-6 for a, b in sides), (x, y)


def test_a_file_holds_the_tiles_in_view_further_out_and_two_further_in() -> None:
    """The page pans and zooms there; its layer asks for nothing beyond."""
    runtime = RecordingRuntime(picture)

    store, spec = stored(LAYER, runtime)

    zooms = {int(path.split("/")[4]) for path in store.answers}
    assert zooms == set(range(12))  # MapLibre draws pictures of 256 px at zoom 9 where the map is at 8
    for zoom in zooms:
        wanted = {f"fused/run/tiles/0/{z}/{x}/{y}.png" for z, x, y in tiles_of(VIEW.area, zoom)}
        assert wanted <= store.answers.keys()
    assert (spec["min_zoom"], spec["max_zoom"], spec["bounds"]) == (0, 11, [*VIEW.area])


def test_a_file_is_never_larger_than_it_may_be() -> None:
    """Whole zooms are left out, those further in first; that of the view is there."""
    runtime = RecordingRuntime(picture)

    _, spec = stored(LAYER, runtime, view=View(bounds=Bounds([-60, -40, 60, 40]), zoom=4))

    assert len(runtime.runs) <= MOST_TILES
    assert spec["min_zoom"] <= 5 <= spec["max_zoom"] < 7


def test_equal_tiles_are_kept_once() -> None:
    """A sea of one colour costs one picture."""
    store, _ = stored(LAYER, RecordingRuntime(picture))

    assert len(store.answers) > 20
    assert store.bodies == [png((255, 0, 0))]


def test_values_of_now_are_asked_for_and_not_told() -> None:
    """Those that the UDF takes, and the layer's own; the page has only the pictures that they made."""
    runtime = RecordingRuntime(picture)

    _, spec = stored(LAYER, runtime)

    assert runtime.runs[0].parameters == {"n": "5", "rescale": "[0,1]"}
    assert (spec["udf"], spec["params"], spec["version"]) == ("0", {}, "")


def test_what_a_udf_printed_is_in_no_file() -> None:
    """Only what the page needs to draw: the type, and what the colours mean."""
    store, _ = stored(LAYER, RecordingRuntime(picture))

    assert {name.lower() for answer in store.answers.values() for name in answer["headers"]} == {
        "content-type",
        "x-fused-colors",
    }


def test_a_kind_that_is_not_said_is_found_out() -> None:
    """By the first tile with something in it."""

    def features(run: Run) -> tuple[Reply, bytes]:
        if run.extension is None and run.tile == next(tiles_of(VIEW.area, 8)):
            return Reply(id=0, status=204), b""
        return Reply(id=0, media_type="application/vnd.mapbox-vector-tile", extension="mvt"), b"mvt"

    store, spec = stored(TileLayer("quakes"), RecordingRuntime(features))

    assert spec["kind"] == "vector"
    assert all(path.endswith(".mvt") for path in store.answers)


def test_a_tile_that_fails_is_in_the_file_and_a_layer_that_fails_is_none() -> None:
    """The page shows the error where it lies; but nobody wants a file with nothing but errors."""
    first = next(tiles_of(VIEW.area, 9))

    def one_fails(run: Run) -> tuple[Reply, bytes]:
        if run.tile == first:
            raise UdfRuntimeError("KeyError: 'mag'", line=3, traceback="/home/ana/secret.py")
        return picture(run)

    def all_fail(run: Run) -> tuple[Reply, bytes]:
        raise UdfRuntimeError("KeyError: 'mag'", line=3)

    store, _ = stored(LAYER, RecordingRuntime(one_fails))
    failed = store.answers["fused/run/tiles/0/{}/{}/{}.png".format(*first)]
    assert failed["status"] == 422
    assert json.loads(store.bodies[failed["body"]])["error"] == "KeyError: 'mag'"
    assert not any(b"/home/ana" in body for body in store.bodies)
    with pytest.raises(UdfRuntimeError, match="layer 'quakes' fails: KeyError"):
        stored(LAYER, RecordingRuntime(all_fail))


# -- the file


@pytest.fixture
def spot() -> FeatureLayer:
    name = "</script><script>alert(1)</script><!--"
    frame = gpd.GeoDataFrame({"name": [name]}, geometry=[shapely.box(4, 51, 6, 53)], crs=4326)
    return FeatureLayer(frame, name=name)


def data_of(written: str) -> dict[str, Any]:
    """What a browser's parser finds in the page."""
    (text,) = html.document_fromstring(written).xpath("//script[@id='fused-page']/text()")
    found: dict[str, Any] = json.loads(text)
    return found


def test_names_of_users_are_no_markup(registry: Any, spot: FeatureLayer) -> None:
    """Neither in the title nor in the data: the page has its own three scripts and no other."""
    written = str(FusedMap(spot).to_html(title="</title><script>alert(2)</script>"))

    parsed = html.document_fromstring(written)
    scripts = parsed.xpath("//script")
    assert [script.get("type") for script in scripts] == ["application/json", "application/json", "module"]
    assert parsed.xpath("//title/text()") == ["</title><script>alert(2)</script>"]
    assert data_of(written)["state"]["layers"][0]["name"] == spot.name


def test_a_still_file_may_ask_nobody(registry: Any, spot: FeatureLayer) -> None:
    """Its policy allows its own script and what it holds; a basemap of the internet opens it."""
    offline = str(FusedMap(spot).to_html())
    online = str(FusedMap(spot, basemap="https://tiles.example/{z}/{x}/{y}.png").to_html())

    def rules(written: str) -> dict[str, str]:
        (content,) = html.document_fromstring(written).xpath("//meta[@http-equiv]/@content")
        return {rule.split()[0]: rule.partition(" ")[2] for rule in content.split("; ")}

    assert rules(offline)["connect-src"] == "data: blob:"
    assert re.fullmatch(r"'sha256-[\w+/=]{44}' blob:", rules(offline)["script-src"])
    assert "https:" in rules(online)["connect-src"]


def test_a_file_holds_the_data_of_feature_layers(registry: Any, spot: FeatureLayer) -> None:
    """Under the digest by which the layer asks for it; and the outline of the world."""
    page = data_of(str(FusedMap(spot, basemap="world").to_html()))

    assert spot.content is not None
    body = base64.b64decode(page["bodies"][page["contents"][spot.content.digest]])
    assert body == spot.content.body
    world = json.loads(base64.b64decode(page["bodies"][page["contents"]["world.json"]]))
    assert world


def test_a_file_says_nothing_of_its_notebook(registry: Any, spot: FeatureLayer, tmp_path: Path) -> None:
    """No kernel, no server, no controls that do nothing."""
    path = FusedMap(spot, server_url="http://127.0.0.1:8888/secret/").to_html(tmp_path / "map.html")

    state = data_of(Path(path).read_text(encoding="utf-8"))["state"]
    assert not state.keys() & {"kernel_id", "server_url", "transport", "tile_errors", "_esm", "_model_module"}
    assert state["controls"] == []
    assert (state["keep_picture"], state["draw_tools"]) == (False, False)


@dataclass(frozen=True)
class FakeToken:
    udf_slug: str
    address: str

    def get_tile_url(self, format: str | None = None) -> str:  # noqa: A002 - as in the reference
        del format
        return f"{self.address}/run/tiles/{{z}}/{{x}}/{{y}}"


def test_a_live_file_asks_by_the_tokens_that_it_got(registry: Any) -> None:
    """At their addresses, and with its controls."""
    token = FakeToken("quakes", "https://hub.example/user/ana/fused/fsh_x")

    page = data_of(str(FusedMap("quakes").to_html(live=token)))

    assert page["routes"] == {
        "quakes": {kind: f"https://hub.example/user/ana/fused/fsh_x/run/{kind}" for kind in ("file", "tiles")}
    }
    assert page["root"] == "https://hub.example/user/ana/"
    assert [control["name"] for control in page["state"]["controls"]] == ["min_mag"]


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (FakeToken("other", "https://a/fused/fsh_x"), "no token opens quakes"),
        (FakeToken("quakes", "https://YOUR-SERVER/fused/fsh_x"), "only the browser knows"),
    ],
)
def test_a_live_file_that_could_not_work_is_not_written(registry: Any, token: FakeToken, text: str) -> None:
    """A token is missing, or nobody knows where the server is."""
    with pytest.raises(ArgumentError, match=text):
        FusedMap("quakes").to_html(live=[token])
