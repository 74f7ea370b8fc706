"""The pixel at a place, against where pyproj says that the centres of pixels are."""

from __future__ import annotations

import numpy as np
import pytest
from pyproj import Transformer

from fused_jupyter.formats.rasters.points import pixel_at
from fused_jupyter.formats.rasters.raster import Raster, Sides

ROWS, COLUMNS = 6, 9


def numbered(bounds: Sides, crs: str) -> Raster:
    """Two bands: the row and the column of each pixel."""
    return Raster(data=np.indices((ROWS, COLUMNS)), bounds=bounds, crs=crs)


def places(raster: Raster, crs: str) -> list[tuple[float, float, int, int]]:
    """Longitude, latitude, row and column of each pixel, close to its edges, too."""
    west, south, east, north = raster.bounds or (0, 0, 0, 0)
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    found = []
    for row, column in np.ndindex(ROWS, COLUMNS):
        for down, across in ((0.5, 0.5), (0.01, 0.99), (0.99, 0.01)):
            x = west + (column + across) / COLUMNS * (east - west)
            y = north - (row + down) / ROWS * (north - south)
            found.append((*to_degrees.transform(x, y), row, column))
    return found


@pytest.mark.parametrize(
    ("crs", "bounds"),
    [
        ("EPSG:4326", (4.0, 51.0, 6.0, 53.0)),
        ("EPSG:3857", (-8_300_000.0, 4_900_000.0, -8_100_000.0, 5_100_000.0)),
        ("EPSG:32633", (300_000.0, 5_000_000.0, 700_000.0, 5_400_000.0)),
        ("EPSG:3413", (-900_000.0, -900_000.0, 900_000.0, 900_000.0)),
    ],
    ids=["degrees", "mercator", "utm", "polar"],
)
def test_each_place_has_the_pixel_that_it_lies_in(crs: str, bounds: Sides) -> None:
    raster = numbered(bounds, crs)
    for longitude, latitude, row, column in places(raster, crs):
        pixel = pixel_at(raster, longitude, latitude)
        assert pixel is not None
        assert pixel.data[:, 0, 0].tolist() == [row, column]


def test_a_raster_may_count_on_across_the_antimeridian() -> None:
    degrees = numbered((170, -10, 188, 10), "EPSG:4326")
    metres = numbered((19_000_000, -1_000_000, 21_000_000, 1_000_000), "EPSG:3857")
    for raster in (degrees, metres):
        east, west = pixel_at(raster, -174.01, 0.1), pixel_at(raster, 172.01, 0.1)
        assert east is not None
        assert west is not None
        assert east.data[1, 0, 0] > west.data[1, 0, 0]


@pytest.mark.parametrize(("longitude", "latitude"), [(3.9, 52), (6.1, 52), (5, 53.1), (5, 50.9), (float("nan"), 52)])
def test_beside_it_there_is_none(longitude: float, latitude: float) -> None:
    assert pixel_at(numbered((4, 51, 6, 53), "EPSG:4326"), longitude, latitude) is None


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:32633", "EPSG:4326"])
def test_the_poles_are_no_error(crs: str) -> None:
    for latitude in (90, -90):
        assert pixel_at(numbered((300_000, 5_000_000, 700_000, 5_400_000), crs), 15, latitude) is None


def test_what_is_hidden_stays_hidden() -> None:
    mask = np.zeros((1, ROWS, COLUMNS), np.bool_)
    mask[0, 0, 0] = True
    raster = Raster(data=np.ones((1, ROWS, COLUMNS)), mask=mask, bounds=(0, 0, 9, 6))
    hidden, shown = pixel_at(raster, 0.5, 5.5), pixel_at(raster, 1.5, 5.5)
    assert [pixel.mask.item() for pixel in (hidden, shown) if pixel is not None and pixel.mask is not None] == [1, 0]
