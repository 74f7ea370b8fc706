"""Tables without a geometry that say where their rows lie."""

from __future__ import annotations

import json
import sys
from typing import Any

import h3
import mapbox_vector_tile
import numpy as np
import pandas as pd
import polars as pl
import pytest
import shapely

from fused_jupyter.errors import NotAcceptableError, UdfSerializationError
from fused_jupyter.formats import Target, TileFrame, Wanted, encode
from fused_jupyter.formats.tabular.places import cell_column, with_geometry
from fused_jupyter.tiles import Tile

OSLO = h3.latlng_to_cell(59.91, 10.75, 5)


def frame_of(z: int, x: int, y: int) -> TileFrame:
    tile = Tile(z, x, y)
    return TileFrame(z=z, x=x, y=y, bounds=tile.bounds, mercator_bounds=tile.mercator_bounds)


def outline(cell: str) -> shapely.Polygon:
    """The cell by another library, in one piece."""
    ring = np.array([(lng, lat) for lat, lng in h3.cell_to_boundary(cell)])
    if np.ptp(ring[:, 0]) > 180:
        ring[:, 0] += np.where(ring[:, 0] < 0, 360, 0)
    return shapely.Polygon(ring)


def cells_of(resolution: int) -> list[str]:
    return [str(cell) for cell in h3.uncompact_cells(h3.get_res0_cells(), resolution)]


@pytest.mark.parametrize("resolution", [0, 1, 2])
def test_every_cell_lies_where_another_library_says(resolution: int) -> None:
    """Pentagons and cells across the antimeridian too; only those with a pole in them have no ring of their own."""
    cells = cells_of(resolution)
    poles = {h3.latlng_to_cell(90, 0, resolution), h3.latlng_to_cell(-90, 0, resolution)}

    frame = with_geometry(pd.DataFrame({"hex": cells}))

    assert frame is not None
    assert frame.geometry.is_valid.all()
    assert frame["hex"].tolist() == cells
    for cell, shape in zip(cells, frame.geometry, strict=True):
        if cell not in poles:
            assert shape.symmetric_difference(outline(cell)).area < 1e-9, cell


def test_a_cell_with_a_pole_reaches_to_the_pole() -> None:
    """All around the globe."""
    north, south = (h3.latlng_to_cell(latitude, 0, 1) for latitude in (90, -90))

    frame = with_geometry(pd.DataFrame({"hex": [north, south]}))

    assert frame is not None
    assert frame.geometry.bounds.round(6).iloc[:, [0, 2]].to_numpy().tolist() == [[-180, 180], [-180, 180]]
    assert shapely.contains_xy(frame.geometry.to_numpy(), [100, 100], [89.9, -89.9]).all()


@pytest.mark.parametrize("name", ["hex", "H3", "h3_index", "cell"])
@pytest.mark.parametrize(
    "column",
    [
        [OSLO, None],
        pd.array([h3.str_to_int(OSLO), None], "Int64"),
        pd.array([h3.str_to_int(OSLO), None], "UInt64"),
        np.array([h3.str_to_int(OSLO), 0], np.int64),
        np.array([h3.str_to_int(OSLO), 5], np.uint64),
    ],
    ids=["text", "Int64", "UInt64", "int64", "uint64"],
)
def test_cells_are_texts_or_integers_under_the_usual_names(name: str, column: Any) -> None:
    """What is no cell has no geometry; the others keep their cell as text."""
    frame = with_geometry(pd.DataFrame({name: column, "value": [1, 2]}))

    assert frame is not None
    assert frame.geometry.isna().tolist() == [False, True]
    assert frame[name].tolist()[0] == OSLO
    assert frame["value"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "frame", [{"hex": ["#ff0000"]}, {"cell": [1, 2]}, {"hex": [True]}, {"hex": [1.5]}, {"hex": []}]
)
def test_other_columns_of_such_names_are_no_cells(frame: dict[str, list[Any]]) -> None:
    """Colours, counts and cells of a battery."""
    assert cell_column(pd.DataFrame(frame)) is None


@pytest.mark.parametrize("names", [("lat", "lng"), ("Latitude", "Longitude"), ("y", "x")])
def test_latitude_and_longitude_are_points(names: tuple[str, str]) -> None:
    """What is missing, or beyond a pole, has no geometry."""
    frame = with_geometry(pd.DataFrame([[59.91, 10.75], [np.nan, 1.0]], columns=[*names]))

    assert frame is not None
    assert frame.geometry[0] == shapely.Point(10.75, 59.91)
    assert frame.geometry[1] is None


def test_metres_in_y_and_x_are_no_places() -> None:
    """Nobody says what they are in."""
    assert with_geometry(pd.DataFrame({"x": [500_000.0], "y": [6_640_000.0]})) is None


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_tiles_of_cells_are_hexagons(make: Any) -> None:
    """With the cell as a property that browsers can read."""
    value = make({"hex": [h3.str_to_int(OSLO)], "value": [7]})

    made = encode(value, wanted=Wanted(formats=("mvt",)), target=Target(tile=frame_of(8, 135, 74)))

    (feature,) = mapbox_vector_tile.decode(made.body)["udf"]["features"]
    assert feature["geometry"]["type"] == "Polygon"
    assert feature["properties"] == {"hex": OSLO, "value": 7}


def test_files_of_cells_are_hexagons_where_geojson_is_wanted() -> None:
    """And tables as ever where anything else is."""
    table = pd.DataFrame({"hex": [OSLO], "value": [7]})
    as_file = {name: encode(table, wanted=Wanted(formats=(name,))) for name in ("geojson", "json", "csv")}

    (feature,) = json.loads(as_file["geojson"].body)["features"]
    assert shapely.Polygon(feature["geometry"]["coordinates"][0]).equals_exact(outline(OSLO), 1e-9)
    assert json.loads(as_file["json"].body) == [{"hex": OSLO, "value": 7}]
    assert as_file["csv"].body == f'"hex","value"\n"{OSLO}",7\n'.encode()
    assert encode(table, wanted=Wanted()).format == "parquet"
    assert encode(table, wanted=Wanted(), target=Target(tile=frame_of(0, 0, 0))).format == "parquet"
    assert encode(table, wanted=Wanted(formats=("geojson", "json"))).format == "json"


def test_a_table_without_places_is_refused_with_a_hint() -> None:
    """It says which columns would do."""
    with pytest.raises(NotAcceptableError, match="column hex of H3 cells, or columns lat and lng"):
        encode(pd.DataFrame({"a": [1]}), wanted=Wanted(formats=("geojson",)))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With how to get it."""
    monkeypatch.setitem(sys.modules, "h3ronpy", None)

    with pytest.raises(UdfSerializationError, match=r"pip install \"fused-jupyter\[h3\]\""):
        encode(pd.DataFrame({"hex": [OSLO]}), wanted=Wanted(formats=("geojson",)))
