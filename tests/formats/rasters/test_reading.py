from __future__ import annotations

from io import BytesIO
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.rasters.raster import missing_pixels
from fused_jupyter.formats.rasters.reading import to_raster
from fused_jupyter.types import Bounds

SQUARE = shapely.box(0, 45, 5, 50)
RANDOM = np.random.default_rng(0)
NUMBERS = [np.bool_, np.uint8, np.int8, np.uint16, np.int32, np.uint64, np.float16, np.float32, np.float64]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(NUMBERS), bands=st.integers(1, 4), height=st.integers(5, 20))
def test_bands_are_found_in_either_order(data: st.DataObject, dtype: Any, bands: int, height: int) -> None:
    """Of every type of number, the same bands come first or last, and one band may come alone."""
    array = data.draw(arrays.arrays(dtype, (bands, height, 9)))

    assert np.array_equal(to_raster(array).data, array, equal_nan=array.dtype.kind == "f")
    assert np.array_equal(to_raster(np.moveaxis(array, 0, 2)).data, array, equal_nan=array.dtype.kind == "f")
    assert to_raster(array[0]).data.shape == (1, height, 9)


def test_of_many_bands_the_shorter_end_counts() -> None:
    """Twelve bands of a satellite in either order."""
    array = np.zeros((12, 40, 50))

    assert to_raster(array).data.shape == (12, 40, 50)
    assert to_raster(np.moveaxis(array, 0, 2)).data.shape == (12, 40, 50)


def test_of_leading_dimensions_the_first_is_taken() -> None:
    """A stack of rasters warns, a single one in too many brackets does not."""
    stack = RANDOM.random((5, 3, 8, 8))

    with pytest.warns(UserWarning, match="first of 5 rasters"):
        assert np.array_equal(to_raster(stack).data, stack[0])
    with pytest.warns(UserWarning, match="first of 2 x 5 rasters"):
        assert np.array_equal(to_raster(np.stack([stack, stack])).data, stack[0])
    assert np.array_equal(to_raster(stack[:1]).data, stack[0])


@pytest.mark.parametrize("array", [np.zeros((2, 2), complex), np.zeros(4), np.array([["a", "b"]])])
def test_what_is_no_picture_says_what_it_is(array: Any) -> None:
    """The error has the type and shape that came and those that are possible."""
    with pytest.raises(UdfSerializationError, match=r"with shape \(.*height, width"):
        to_raster(array)


def test_complex_numbers_are_told_where_to_go() -> None:
    """They have no colour, but a format."""
    with pytest.raises(UdfSerializationError, match=r"complex128.*\.real.*npy"):
        to_raster(np.zeros((3, 4, 4), complex))


@pytest.mark.parametrize(
    "bounds",
    [
        [0, 45, 5, 50],
        (0, 45, 5, 50),
        np.array([0, 45, 5, 50]),
        Bounds([0.0, 45.0, 5.0, 50.0]),
        SQUARE,
        gpd.GeoDataFrame(geometry=[SQUARE], crs=4326),
        gpd.GeoSeries([SQUARE], crs=4326).to_crs(3857),
    ],
    ids=lambda bounds: type(bounds).__name__,
)
def test_bounds_come_in_many_clothes(bounds: Any) -> None:
    """Four numbers, a geometry and a GeoDataFrame say the same."""
    assert to_raster((np.ones((4, 4)), bounds)).bounds == pytest.approx((0, 45, 5, 50))


@pytest.mark.parametrize("bounds", [[0, 5, 5, 0], [0, 0, np.nan, 1], ["a", 0, 1, 2], [360, 0, 0, 1], [0, 0, 1e-12, 1]])
def test_bounds_that_are_no_rectangle_are_an_error(bounds: Any) -> None:
    """The order is the usual mistake, so the error has it."""
    with pytest.raises(UdfSerializationError, match="bounds"):
        to_raster((np.ones((4, 4)), bounds))


def test_all_that_has_pixels_may_have_bounds_beside_it() -> None:
    """An image, its bytes, and a DataArray, of which the bounds win over its own place."""
    image = Image.fromarray(RANDOM.integers(1, 255, (6, 5, 3), np.uint8))
    sink = BytesIO()
    image.save(sink, "PNG")
    grid = xr.DataArray(np.eye(6), dims=("y", "x"), coords={"y": np.arange(6) * 1e6, "x": np.arange(6) * 1e6})

    for value in (image, sink, sink.getvalue(), grid):
        raster = to_raster((value, [0, 45, 5, 50]))
        assert raster.bounds == (0, 45, 5, 50)
        assert raster.crs == "EPSG:4326"
    assert np.array_equal(to_raster((grid, [0, 45, 5, 50])).data[0], np.eye(6)[::-1])


def test_longitudes_of_an_array_with_bounds_are_left_in_their_order() -> None:
    """The columns are as its author sees them: the bounds say where the first one is."""
    columns = np.arange(36.0)
    grid = xr.DataArray(columns[None] + np.zeros((4, 1)), dims=("lat", "lon"), coords={"lon": columns * 10})

    assert np.array_equal(to_raster((grid, [0, -90, 360, 90])).data[0, 0], columns)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_masked_pixels_are_missing(dtype: Any) -> None:
    """Of every type, if any band is masked."""
    array = np.ma.masked_array(np.full((3, 6, 6), 1, dtype), np.zeros((3, 6, 6), bool))
    array[1, 1, 2] = np.ma.masked

    missing = missing_pixels(to_raster(array), slice(None))

    assert missing is not None
    assert np.flatnonzero(missing).tolist() == [8]
    assert not np.asarray(missing_pixels(to_raster(array), slice(0, 1))).any()
