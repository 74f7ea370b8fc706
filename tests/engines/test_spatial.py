from __future__ import annotations

from typing import Any

import geopandas
import mercantile
import numpy as np
import pytest
import shapely

from fused_jupyter.engines.spatial import Area, tile_frame
from fused_jupyter.errors import ArgumentError
from fused_jupyter.tiles import Tile
from fused_jupyter.types import Bounds

SIDES = [-10.0, 50.0, 2.0, 59.0]
BOX = shapely.box(*SIDES)
METRES = geopandas.GeoSeries([BOX], crs=4326).to_crs(3857).iloc[0]
POLYGON = '{"type":"Polygon","coordinates":[[[2,50],[2,59],[-10,59],[-10,50],[2,50]]]}'
FEATURE = f'{{"type":"Feature","properties":{{}},"geometry":{POLYGON}}}'

FORMS: dict[str, Any] = {
    "text": "-10,50,2,59",
    "text with spaces": " -10, 50 ,2,59 ",
    "json": "[-10, 50, 2, 59]",
    "list": SIDES,
    "tuple": tuple(SIDES),
    "array": np.array(SIDES),
    "bounds": Bounds(SIDES),
    "area": Area.of(SIDES),
    "polygon": BOX,
    "geojson": POLYGON,
    "feature": FEATURE,
    "collection": f'{{"type":"FeatureCollection","features":[{FEATURE}]}}',
    "mapping": shapely.geometry.mapping(BOX),
    "frame": geopandas.GeoDataFrame(geometry=[BOX], crs=4326),
    "frame without crs": geopandas.GeoDataFrame(geometry=[BOX]),
    "series": geopandas.GeoSeries([BOX], crs=4326),
    "frame in metres": geopandas.GeoDataFrame(geometry=[BOX], crs=4326).to_crs(3857),
    "named": mercantile.LngLatBbox(*SIDES),
    "sides": {"west": -10, "south": 50, "east": 2, "north": 59},
    "sides in text": '{"west": -10, "south": 50, "east": 2, "north": 59}',
    "repeated": ["-10", "50", "2", "59"],
    "wkt": BOX.wkt,
    "wkt in metres": f"SRID=3857;{shapely.to_wkt(METRES, rounding_precision=-1)}",
    "collection in metres": geopandas.GeoDataFrame(geometry=[METRES], crs=3857).to_json(),
    "list of features": f"[{FEATURE}]",
    "interface": BOX.__geo_interface__,
}


@pytest.mark.parametrize("form", FORMS)
def test_area_is_read_in_every_form(form: str) -> None:
    """They all mean the same rectangle."""
    area = Area.of(FORMS[form])

    assert isinstance(area.bounds, Bounds)
    assert area.bounds == pytest.approx(SIDES)


@pytest.mark.parametrize(
    "tile",
    [
        mercantile.Tile(327, 791, 11),
        Tile(11, 327, 791),
        "11/327/791",
        '{"x": 327, "y": 791, "z": 11}',
        {"x": 327, "y": 791, "z": 11},
        tile_frame(Area.of_tile(Tile(11, 327, 791))),
    ],
)
def test_tile_is_an_area(tile: Any) -> None:
    """And the area's tile is that one, in whichever class it came."""
    area = Area.of(tile)

    assert area.tile == Tile(11, 327, 791)
    assert area.bounds == pytest.approx(mercantile.bounds(327, 791, 11))


@pytest.mark.parametrize(
    "value",
    [
        "", "a", "1,2,3", "1,2,3,4,5", "1,60,2,50", "nan,1,2,3", "[1,2,3", "{}", '{"type":"Feature"}',
        '{"type":"Point"}',
        '{"type":"FeatureCollection","features":[]}', 7, 1.5, True, [1, 2, 3], {"type": "Nothing"}, object(), ["a"] * 4,
        "99/1/1", "1/5/0", {"x": 1, "y": 2, "z": "a"}, {"west": 1}, "POINT EMPTY", "[" * 50_000,
        shapely.Polygon(), geopandas.GeoDataFrame(geometry=[], crs=4326), b"abcd",
    ],
)  # fmt: skip
def test_what_is_no_area_is_refused(value: Any) -> None:
    """With an error of ours that shows how to write one."""
    with pytest.raises(ArgumentError, match="west,south,east,north"):
        Area.of(value)
