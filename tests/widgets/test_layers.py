"""The kinds of layers without a page: what they take, what they refuse, what the page gets of them."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import replace
from typing import Any

import geopandas as gpd
import h3
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
import xarray as xr
from PIL import Image

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets import FeatureLayer, FileLayer, FusedMap, ImageLayer, TileLayer
from fused_jupyter.widgets._layers import features

PLACES = gpd.GeoDataFrame({"name": ["Oslo"]}, geometry=[shapely.Point(10.75, 59.91)], crs=4326)


class Place:
    """What says where it lies in the way of many libraries."""

    __geo_interface__ = PLACES.__geo_interface__


def sent(layer: FeatureLayer) -> list[dict[str, Any]]:
    """The features that the page gets."""
    assert layer.content is not None
    found: list[dict[str, Any]] = json.loads(gzip.decompress(layer.content.body))["features"]
    return found


@pytest.mark.parametrize(
    "data",
    [
        PLACES,
        PLACES.to_crs(25832),
        PLACES.geometry,
        PLACES.geometry[0],
        PLACES.__geo_interface__,
        PLACES.to_json(),
        PLACES.geometry[0].__geo_interface__,
        Place(),
        pa.table(PLACES.to_arrow()),
        pd.DataFrame({"lat": [59.91], "lng": [10.75]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_features_of_all_kinds_arrive_in_degrees(data: Any) -> None:
    """To the centimetre."""
    layer = FeatureLayer(data)

    (feature,) = sent(layer)

    assert feature["geometry"]["type"] == "Point"
    assert feature["geometry"]["coordinates"] == pytest.approx([10.75, 59.91], abs=1e-7)
    assert len(str(feature["geometry"]["coordinates"][0])) <= len("10.1234567")
    assert layer.extent == pytest.approx([10.75, 59.91, 10.75, 59.91], abs=1e-6)


def test_cells_arrive_as_hexagons() -> None:
    """With the cell as a property."""
    cell = h3.latlng_to_cell(59.91, 10.75, 5)

    (feature,) = sent(FeatureLayer(pd.DataFrame({"hex": [cell], "value": [1]})))

    assert feature["geometry"]["type"] == "Polygon"
    assert feature["properties"] == {"hex": cell, "value": 1}


def test_no_features_are_features() -> None:
    """An empty result is no error."""
    layer = FeatureLayer(PLACES[:0])

    assert sent(layer) == []
    assert layer.extent is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pd.DataFrame({"a": [1]}), "says nowhere where its rows lie"),
        (gpd.GeoDataFrame(geometry=[shapely.Point(5e5, 6e6)]), "are no degrees"),
        ("POINT (1 2)", "no GeoJSON"),
        ({"type": "FeatureCollection", "features": [{"a": 1}]}, "no GeoJSON"),
        (7, "need a GeoDataFrame"),
    ],
)
def test_what_has_no_place_is_refused(data: Any, message: str) -> None:
    """With what would have one."""
    with pytest.raises(ArgumentError, match=message):
        FeatureLayer(data)


def test_too_many_features_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do instead."""
    monkeypatch.setattr(features, "MOST_FEATURES", 1)

    with pytest.raises(ArgumentError, match="got 2 features, and a page takes 1 at most; return them from a UDF"):
        FeatureLayer(pd.concat([PLACES, PLACES]))


def test_data_are_made_ready_once() -> None:
    """Another look costs nothing; other data are other content; equal data have equal names."""
    layer = FeatureLayer(PLACES, name="towns")

    assert replace(layer, opacity=0.5).content is layer.content
    assert replace(layer, data=PLACES[:0]).to_json()["data"] != layer.to_json()["data"]
    assert FeatureLayer(PLACES.copy()).to_json()["data"] == layer.to_json()["data"]


def png(pixels: Any) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


RGB = np.zeros((3, 6, 5), np.uint8) + np.array([10, 200, 30], np.uint8)[:, None, None]
BOUNDS = (4, 50, 6, 52)


@pytest.mark.parametrize(
    "image",
    [RGB, np.moveaxis(RGB, 0, 2), Image.fromarray(np.moveaxis(RGB, 0, 2)), png(np.moveaxis(RGB, 0, 2))],
    ids=["bands first", "bands last", "PIL", "PNG"],
)
def test_pictures_of_all_kinds_have_their_colours(image: Any) -> None:
    """At their bounds."""
    layer = ImageLayer(image, bounds=BOUNDS)

    assert layer.content is not None
    pixels = np.asarray(Image.open(io.BytesIO(layer.content.body)).convert("RGB"))
    assert (pixels == [10, 200, 30]).all()
    assert layer.extent == pytest.approx(BOUNDS)


def test_xarray_lies_where_its_coordinates_say() -> None:
    """They are the middles of pixels."""
    grid = xr.DataArray(np.zeros((2, 2)), dims=("lat", "lon"), coords={"lat": [51.5, 50.5], "lon": [4.5, 5.5]})

    assert ImageLayer(grid).extent == pytest.approx(BOUNDS)


def test_an_image_of_one_band_takes_a_colormap() -> None:
    """And the page hears what its colours mean."""
    layer = ImageLayer(np.array([[0.0, 1.0]]), bounds=BOUNDS, colormap="viridis", rescale=(0, 2))

    assert layer.content is not None
    assert layer.content.headers["X-Fused-Rescale"] == "0,2"
    assert replace(layer, rescale=(0, 1)).to_json()["data"] != layer.to_json()["data"]


@pytest.mark.parametrize(
    ("image", "bounds", "message"),
    [
        (np.zeros((2, 2)), None, "say where it lies"),
        (np.zeros(2), BOUNDS, "array"),
        (np.zeros((2, 2)), (0, 86, 1, 89), "where maps end"),
    ],
)
def test_a_picture_without_a_place_is_refused(image: Any, bounds: Any, message: str) -> None:
    """With what would place it."""
    with pytest.raises(ArgumentError, match=message):
        ImageLayer(image, bounds=bounds)


def test_data_make_layers_of_their_own(registry: Any) -> None:
    """Each with a name, and the map shows where they lie."""
    fused_map = FusedMap(PLACES, (RGB, BOUNDS), PLACES.to_crs(3857))

    kinds = [(type(layer).__name__, layer.name) for layer in fused_map.layers]
    assert kinds == [("FeatureLayer", "features"), ("ImageLayer", "image"), ("FeatureLayer", "features 2")]
    assert fused_map.bounds == pytest.approx([4, 50, 10.75, 59.91])


def test_the_first_layer_of_an_empty_map_says_where_it_looks(registry: Any) -> None:
    """Unless somebody said so before."""
    empty, placed = FusedMap(), FusedMap(center=(0, 0))

    empty.add(PLACES, name="towns", style="red")
    placed.add(PLACES)

    assert empty.bounds == pytest.approx([10.75, 59.91, 10.75, 59.91])
    assert empty.layers[0].style == "red"
    assert placed.bounds is None


def test_a_udf_without_bounds_runs_once(registry: Any, parameter: Any) -> None:
    """One with bounds is tiled, unless it is to follow the view."""
    registry.register("once", parameter(name="day"))

    fused_map = FusedMap("quakes", "once")
    fused_map.add("quakes", name="followed", follow=True)

    tiled, once, followed = fused_map.layers
    assert isinstance(tiled, TileLayer)
    assert isinstance(once, FileLayer)
    assert (once.viewport, followed.viewport) == ("", "bounds")


def test_only_a_udf_with_bounds_follows_the_view(registry: Any, parameter: Any) -> None:
    """Another one is told what it lacks."""
    registry.register("once", parameter(name="day"))

    with pytest.raises(ArgumentError, match="takes no bounds; give it a parameter"):
        FusedMap(FileLayer("once", follow=True))


def test_an_unknown_field_is_refused(registry: Any) -> None:
    """With the one that was meant."""
    with pytest.raises(ArgumentError, match="did you mean 'opacity'"):
        FusedMap().add("quakes", opacty=1)


def test_the_page_gets_the_data_that_it_asks_for(registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one binary buffer, by digest; of what nobody holds it is told so."""
    fused_map = FusedMap(FeatureLayer(PLACES, name="towns"))
    (layer,) = fused_map.layers
    told: list[Any] = []
    monkeypatch.setattr(FusedMap, "send", lambda _self, content, buffers=None: told.append((content, buffers)))

    for digest in (layer.content.digest, "other", None, "world.json"):
        fused_map._handle_custom_msg({"kind": "data", "data": digest}, [])

    assert told[0] == ({"kind": "data", "data": layer.content.digest}, [layer.content.body])
    assert told[1:3] == [({"kind": "data", "data": "other"}, []), ({"kind": "data", "data": "None"}, [])]
    (name, (outline,)) = told[3]
    assert name == {"kind": "data", "data": "world.json"}
    assert json.loads(outline)["land"]


def test_the_page_gets_the_numbers_under_its_pointer(registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the array itself, not of what is drawn; nothing beside it, of features, or for what is no place."""
    values = np.array([[1.5, np.nan], [-9.0, 4.25]])
    image = ImageLayer(values, name="image", bounds=[0, 0, 20, 20], nodata=-9)
    fused_map = FusedMap(image, FeatureLayer(PLACES, name="towns"))
    told: list[Any] = []
    monkeypatch.setattr(FusedMap, "send", lambda _self, _content, buffers=None: told.append(buffers))
    picture, towns = (layer.content.digest for layer in fused_map.layers)

    def ask(digest: str, place: str) -> list[Any]:
        fused_map._handle_custom_msg({"kind": "data", "data": f"{digest}@{place}"}, [])
        file = io.BytesIO(*told.pop())
        return [np.load(file).tolist() for _ in range(2) if file.tell() < len(file.getbuffer())]

    assert ask(picture, "19.9,0.1") == [[[[4.25]]]]
    assert ask(picture, "0.1,9.9") == [[[[-9.0]]], [[True]]]
    assert ask(picture, "0.1,19.9") == [[[[1.5]]]]
    for digest, place in ((picture, "21,1"), (picture, "1"), (picture, "x,y"), (picture, "nan,1"), (towns, "4.9,52.4")):
        assert ask(digest, place) == []


STATES = [
    {"name": "b", "visible": False, "opacity": 0.25, "color": "#ff0000"},
    {"name": "a", "visible": True, "opacity": 1, "color": None},
]


def three(registry: Any) -> FusedMap:
    for name in ("a", "b", "c"):
        registry.register(name)
    return FusedMap(TileLayer("a"), TileLayer("b"), TileLayer("c"))


def test_python_reads_what_the_user_chose(registry: Any) -> None:
    """Order, visibility, opacity, colour; and new code of the UDF changes none of it."""
    fused_map = three(registry)

    fused_map.set_state({"layer_states": STATES})
    registry.register("b", digest="2")

    assert [layer.name for layer in fused_map.layers] == ["b", "a", "c"]
    lowest = fused_map.layers[0]
    assert (lowest.visible, lowest.opacity, lowest.main_color, lowest.version) == (False, 0.25, "#ff0000", "2")
    assert fused_map.layers[1].opacity == 1


def test_nonsense_of_a_page_changes_nothing(registry: Any) -> None:
    """A page is not trusted to know."""
    fused_map = three(registry)

    fused_map.set_state({"layer_states": [{"name": "a", "opacity": 7, "visible": "no"}, {"name": "nobody"}, {}]})

    assert [layer.name for layer in fused_map.layers] == ["a", "b", "c"]
    assert (fused_map.layers[0].opacity, fused_map.layers[0].visible) == (1.0, True)


def test_a_cell_that_runs_again_keeps_what_the_user_chose(registry: Any) -> None:
    """What the cell says otherwise than before wins."""
    fused_map = three(registry)
    fused_map.add(TileLayer("b", opacity=0.9))
    fused_map.set_state({"layer_states": STATES})

    fused_map.add(TileLayer("b", opacity=0.9))
    same = fused_map.layers[0]
    fused_map.add(TileLayer("b", opacity=0.6))
    other = fused_map.layers[0]

    assert (same.name, same.opacity, same.visible) == ("b", 0.25, False)
    assert (other.name, other.opacity, other.visible) == ("b", 0.6, False)


def test_what_python_says_last_holds(registry: Any) -> None:
    """The choices of the page are in the layers, and begin anew."""
    fused_map = three(registry)
    fused_map.set_state({"layer_states": STATES})

    fused_map.set_layer("b", opacity=0.8)
    fused_map.arrange(["a", "b"])

    assert [(layer.name, layer.opacity) for layer in fused_map.layers] == [("c", 1.0), ("a", 1.0), ("b", 0.8)]
    assert fused_map.layer_states == []


def test_unknown_layers_are_named(registry: Any) -> None:
    """With those that there are."""
    with pytest.raises(ArgumentError, match="it has a, b, c"):
        three(registry).set_layer("d", opacity=1)


@pytest.mark.parametrize("basemap", ["wrold", 7, {"tiles": []}, {"url": "https://x/{z}/{x}/{y}.png", "atribution": ""}])
def test_an_unknown_basemap_is_refused(registry: Any, basemap: Any) -> None:
    """With those that are known."""
    with pytest.raises(ArgumentError, match=r"basemap: got .*(world|url)"):
        FusedMap(basemap=basemap)


@pytest.mark.parametrize(
    ("basemap", "told"),
    [
        ("world", "world"),
        ("plain", "plain"),
        (None, None),
        ("https://x/{z}/{x}/{y}.png", "https://x/{z}/{x}/{y}.png"),
        ({"url": "https://x/{z}", "attribution": "me"}, {"tiles": ["https://x/{z}"], "attribution": "me"}),
        ({"version": 8, "sources": {}, "layers": []}, {"version": 8, "sources": {}, "layers": []}),
    ],
)
def test_the_page_gets_a_basemap_in_its_words(registry: Any, basemap: Any, told: Any) -> None:
    """Names stay names in Python."""
    fused_map = FusedMap(basemap=basemap)

    assert fused_map.get_state("basemap")["basemap"] == told
    assert fused_map.basemap == basemap


def test_known_names_stand_for_tiles_with_their_makers(registry: Any) -> None:
    """Which is what the makers ask for."""
    state = FusedMap(basemap="osm").get_state("basemap")["basemap"]

    assert state["tiles"] == ["https://tile.openstreetmap.org/{z}/{x}/{y}.png"]
    assert "OpenStreetMap" in state["attribution"]


def test_a_map_needs_no_internet_unless_told(registry: Any) -> None:
    """The world comes from our own server or kernel."""
    assert FusedMap().basemap == "world"
