from __future__ import annotations

from typing import Any

import mercantile
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_jupyter import JupyterServer, Kernel

from fused_jupyter.server_ext.pages.entry import Entry
from fused_jupyter.server_ext.pages.tilejson import sample_tile, tilejson, view_of


def entry(*, zooms: tuple[int, int] = (0, 22), **metadata: Any) -> Entry:
    return Entry(
        name="f", description="what", schema={}, spatial="bounds", file="", tiles="", zooms=zooms, metadata=metadata
    )


def told(extension: str = "png", *, zooms: tuple[int, int] = (0, 22), **metadata: Any) -> dict[str, Any]:
    return tilejson(entry(zooms=zooms, **metadata), template="http://x/{z}/{x}/{y}", extension=extension)


def test_what_the_owner_says_is_told() -> None:
    """Of a token's metadata, what TileJSON has and what is true to form."""
    metadata = {
        "name": "Quakes",
        "attribution": "USGS",
        "bounds": [-10, 40, 10, 60],
        "center": [2, 48, 6],
        "minzoom": 3,
        "maxzoom": 12,
    }

    assert told(**metadata).items() >= metadata.items()


@pytest.mark.parametrize(
    "wrong",
    [
        {"bounds": [10, 60, -10, 40]},
        {"bounds": [0, 0, float("nan"), 1]},
        {"bounds": "world"},
        {"center": [200, 0, 3]},
        {"minzoom": -1},
        {"maxzoom": "9"},
        {"maxzoom": True},
        {"name": 7},
        {"tiles": ["http://elsewhere/{z}/{x}/{y}"]},
        {"vector_layers": [{"id": "x"}]},
        {"vector_layers": [{"id": "x", "fields": {"a": 1}}]},
        {"scheme": "tms"},
    ],
    ids=str,
)
def test_what_is_not_true_to_form_is_passed_over(wrong: dict[str, Any]) -> None:
    """It cannot make the document invalid, nor lead elsewhere."""
    assert told("mvt", **wrong) == told("mvt")


def test_zooms_are_those_that_the_token_allows() -> None:
    """What the owner says narrows them, and never widens them."""
    assert (told(zooms=(4, 9))["minzoom"], told(zooms=(4, 9))["maxzoom"]) == (4, 9)
    narrowed = told(zooms=(4, 9), minzoom=6, maxzoom=20)
    assert (narrowed["minzoom"], narrowed["maxzoom"]) == (6, 9)
    apart = told(zooms=(4, 9), minzoom=12, maxzoom=14)
    assert (apart["minzoom"], apart["maxzoom"]) == (9, 9)


def test_vector_layers_are_of_vector_tiles_only() -> None:
    """Those of the owner before those that were found out."""
    layers = [{"id": "udf", "fields": {"size": "in metres"}}]

    assert told("pbf", vector_layers=layers)["vector_layers"] == layers
    assert told("mvt")["vector_layers"] == [{"id": "udf", "fields": {}}]
    assert "vector_layers" not in told("png", vector_layers=layers)


@given(st.floats(-180, 179.99), st.floats(-85, 85), st.integers(0, 22))
def test_the_sample_is_where_the_centre_is(longitude: float, latitude: float, zoom: int) -> None:
    """By mercantile; within a hair of a tile's edge either side will do."""
    z, x, y = sample_tile(entry(center=[longitude, latitude, zoom]))

    bounds = mercantile.bounds(x, y, z)
    assert z == zoom
    assert bounds.west - 1e-9 <= longitude <= bounds.east + 1e-9
    assert bounds.south - 1e-9 <= latitude <= bounds.north + 1e-9


@given(st.floats(-180, 179), st.floats(-80, 79), st.floats(0.01, 1), st.tuples(st.integers(0, 22), st.integers(0, 22)))
def test_a_map_begins_within_the_zooms(west: float, south: float, side: float, zooms: tuple[int, int]) -> None:
    """And in the middle of the bounds."""
    least, most = sorted(zooms)
    bounds = [west, south, west + side, south + side]

    longitude, latitude, zoom = view_of(entry(bounds=bounds, zooms=(least, most)))

    assert least <= zoom <= most
    assert (longitude, latitude) == (west + side / 2, south + side / 2) or west <= longitude <= west + side
    assert south <= latitude <= south + side


@pytest.mark.usefixtures("page_kernel")
def test_the_fields_are_those_of_the_tiles(server: JupyterServer) -> None:
    """Told before anybody has asked for a tile."""
    described = server.get("fused/run/tiles/places/tilejson.json?word=there").json()

    assert described["vector_layers"] == [
        {"id": "udf", "fields": {"word": "String", "size": "Number", "is_big": "Boolean"}}
    ]
    assert "word=there" in described["tiles"][0]


def test_a_layer_whose_tiles_fail_is_described(server: JupyterServer, page_kernel: Kernel) -> None:
    """Without fields: the document is there before the UDF is right; nor does a slow one keep it waiting."""
    page_kernel.define("@fused.udf\ndef slow(bounds=None):\n    import time\n    time.sleep(30)")

    failed = server.get("fused/run/tiles/broken/tilejson.json")
    slow = server.get("fused/run/tiles/slow/tilejson.json")

    assert [answer.json()["vector_layers"] for answer in (failed, slow)] == [[{"id": "udf", "fields": {}}]] * 2
    assert slow.seconds < 10


@pytest.mark.usefixtures("page_kernel")
def test_a_query_that_is_no_text_is_the_callers_fault(server: JupyterServer) -> None:
    """Not ours."""
    assert server.get("fused/run/tiles/places/tilejson.json?word=%ff").status == 422
    assert server.get("fused/wmts?word=%ff").status == 422
