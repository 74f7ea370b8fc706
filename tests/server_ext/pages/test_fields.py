from __future__ import annotations

from typing import Any

import geopandas as gpd
import mapbox_vector_tile
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.formats import Target, TileFrame, Wanted, encode
from fused_jupyter.server_ext.pages.fields import fields_of
from fused_jupyter.tiles import Tile

KINDS = {str: "String", bool: "Boolean", int: "Number", float: "Number"}


def tile_of(**columns: Any) -> bytes:
    """A tile as another encoder writes it."""
    features = [
        {"geometry": shapely.Point(index, index), "properties": dict(zip(columns, values, strict=True))}
        for index, values in enumerate(zip(*columns.values(), strict=True))
    ]
    tile: bytes = mapbox_vector_tile.encode([{"name": "udf", "features": features}])
    return tile


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.one_of(st.text(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False)),
        min_size=1,
    )
)
def test_fields_are_those_that_were_written(properties: dict[str, Any]) -> None:
    """Names in any script, values of each kind."""
    tile = tile_of(**{name: [value] for name, value in properties.items()})

    assert fields_of(tile) == {name: KINDS[type(value)] for name, value in properties.items()}


def test_a_field_of_several_kinds_is_text() -> None:
    """As tippecanoe says it."""
    assert fields_of(tile_of(a=[1, "x"], b=[1, 2.5])) == {"a": "String", "b": "Number"}


def test_our_own_tiles_are_read() -> None:
    """With compressed numbers, ids and all that our encoder does."""
    table = gpd.GeoDataFrame({"n": [1, -2], "name": ["a", None]}, geometry=[shapely.box(0, 0, 5, 5)] * 2, crs=4326)
    place = Tile(0, 0, 0)
    frame = TileFrame(z=0, x=0, y=0, bounds=place.bounds, mercator_bounds=place.mercator_bounds)

    written = encode(table, wanted=Wanted(formats=("mvt",)), target=Target(tile=frame))

    assert fields_of(written.body) == {"n": "Number", "name": "String"}


@pytest.mark.parametrize("tile", [b"", b"\x1a", b"\x1a\xff\xff\xff\xff\x0f", b"\xff" * 40, b"{}", b"\x1a\x02\x1a\x05"])
def test_what_is_no_tile_has_no_fields(tile: bytes) -> None:
    """And raises nothing."""
    assert fields_of(tile) == {}


@given(st.binary(max_size=300), st.integers(0, 200))
def test_any_bytes_are_survived(noise: bytes, place: int) -> None:
    """Also in the middle of a tile."""
    tile = tile_of(a=[1, 2], b=["x", "y"])

    assert isinstance(fields_of(noise), dict)
    assert isinstance(fields_of(tile[:place] + noise + tile[place:]), dict)
