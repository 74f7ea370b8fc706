from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats import Style, Target, TileFrame
from fused_jupyter.formats.rasters.npy import encode_npy
from fused_jupyter.formats.rasters.tiff import encode_tiff
from fused_jupyter.tiles import Tile

RANDOM = np.random.default_rng(0)
GRID = xr.DataArray(RANDOM.random((6, 8)), dims=("y", "x"), coords={"y": np.arange(50, 44, -1.0), "x": np.arange(8.0)})


def frame() -> TileFrame:
    place = Tile(5, 16, 10)
    return TileFrame(z=5, x=16, y=10, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


TILE = Target(tile=frame())


def read(body: bytes) -> Any:
    return np.load(BytesIO(body), allow_pickle=False)


def same(one: Any, other: Any) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind in "fcmM")


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")  # fields with names beyond Latin-1
@settings(max_examples=100, deadline=None)
@given(
    array=arrays.arrays(
        st.one_of(
            arrays.scalar_dtypes().filter(lambda dtype: dtype.kind != "O"),
            arrays.array_dtypes(max_size=3, allow_subarrays=False),
        ),
        arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    )
)
def test_numpy_reads_what_was_written(array: Any) -> None:
    """Every type without Python objects and every shape, complex and structured ones too."""
    back = read(encode_npy(array))

    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == np.ascontiguousarray(array).tobytes()


def test_objects_are_not_pickled() -> None:
    """The error says what to do."""
    for array in (np.array([{}, None]), np.array([(1, None)], dtype=[("a", int), ("b", object)])):
        with pytest.raises(UdfSerializationError, match="no Python objects.*astype"):
            encode_npy(array)


def test_of_other_rasters_the_values_are_written() -> None:
    """Of a DataArray in its own order, of a Dataset the one that a picture would show, of an image as Pillow has it."""
    pixels = RANDOM.integers(0, 255, (4, 5, 3), np.uint8)
    sink = BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")

    assert same(read(encode_npy(GRID[::-1])), GRID.values[::-1])
    assert same(read(encode_npy(GRID.astype(complex))), GRID.values.astype(complex))
    assert same(read(encode_npy(xr.Dataset({"a": GRID}))), GRID.values)
    assert same(read(encode_npy((GRID.values, [0, 1, 2, 3]))), GRID.values)
    for value in (Image.fromarray(pixels), sink, sink.getvalue()):
        assert same(read(encode_npy(value)), pixels)
    assert same(read(encode_npy(encode_tiff((np.moveaxis(pixels, 2, 0), [0, 1, 2, 3])))), np.moveaxis(pixels, 2, 0))
    assert read(encode_npy(None)).size == 0


@pytest.mark.parametrize(("dtype", "hole"), [("f4", np.nan), ("c8", np.nan), ("i2", 0), ("M8[s]", "NaT"), ("U3", "")])
def test_masked_values_are_not_shown(dtype: str, hole: Any) -> None:
    """Whatever lies below the mask stays there."""
    array = np.ma.masked_array(np.array([["7", "8"]]).astype(int).astype(dtype), [[True, False]])

    expected = np.array(array.data)
    expected[0, 0] = hole
    assert same(read(encode_npy(array)), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint8, np.bool_])
def test_on_a_tile_a_raster_is_cut_to_it(dtype: Any) -> None:
    """In 256 by 256 pixels and as many dimensions as it had; beside it NaN or 0."""
    west, south, east, north = frame().bounds
    half = [west, south, (west + east) / 2, north]
    for shape in ((20, 20), (2, 20, 20)):
        back = read(encode_npy((np.ones(shape, dtype), half), TILE))
        assert back.shape == (*shape[:-2], 256, 256)
        assert back.dtype == dtype
        assert (back[..., :127] == 1).all()
        assert (np.isnan(back[..., 129:]) if np.dtype(dtype).kind == "f" else back[..., 129:] == 0).all()


def test_on_a_tile_what_has_no_place_is_written_whole() -> None:
    """As an array without bounds covers the tile in its own size."""
    array = np.arange(12.0).reshape(3, 4)

    assert same(read(encode_npy(array, TILE)), array)
    assert same(read(encode_npy(GRID.drop_vars(["x", "y"]), TILE)), GRID.values)
    assert same(read(encode_npy(GRID.isel(y=0), TILE)), GRID.values[0])
    assert read(encode_npy(GRID, TILE)).shape == (256, 256)
    tiff = encode_tiff((array, [0, 49, 10, 55]))
    assert read(encode_npy(tiff, TILE)).shape == (1, 256, 256)


def both(body: bytes) -> tuple[Any, Any]:
    """The values and what is missing; the second is None where the file ends after the first."""
    source = BytesIO(body)
    values = np.load(source, allow_pickle=False)
    return values, np.load(source, allow_pickle=False) if source.tell() < len(body) else None


def test_on_a_tile_integers_say_what_is_missing_in_a_second_array() -> None:
    """A 0 that was measured differs from the 0 beside the raster and from that below a mask."""
    west, south, east, north = frame().bounds
    half = [west, south, (west + east) / 2, north]

    values, missing = both(encode_npy((np.zeros((20, 20), np.uint8), half), TILE))

    assert (values == 0).all()
    assert not missing[:, :127].any()
    assert missing[:, 129:].all()
    masked = np.ma.masked_array(np.array([[0, 1]], np.int16), [[False, True]])
    assert both(encode_npy(masked, TILE))[1].tolist() == [[False, True]]


def test_on_a_tile_nodata_is_missing_whoever_says_it() -> None:
    """The array's own and that of the request; a pixel of several bands is missing where all are."""
    drawn = Target(tile=frame(), style=Style(nodata=-9))
    bands = np.array([[[-9, 1]], [[-9, -9]]], np.int16)

    assert both(encode_npy(bands, drawn))[1].tolist() == [[True, False]]
    assert both(encode_npy(bands.astype(np.float32), drawn))[1].tolist() == [[True, False]]
    grid = xr.DataArray(bands[0], dims=("y", "x"), attrs={"_FillValue": -9})
    assert both(encode_npy(grid, TILE))[1].tolist() == [[True, False]]


def test_no_second_array_where_the_values_say_it_themselves() -> None:
    """NaN is missing, all there is nothing missing, and of a file nobody asks."""
    west, south, east, north = frame().bounds
    half = [west, south, (west + east) / 2, north]
    masked = np.ma.masked_array(np.array([[0, 1]], np.int16), [[False, True]])

    assert both(encode_npy((np.ones((20, 20)), half), TILE))[1] is None
    assert both(encode_npy(np.array([[np.nan, 1.0]]), TILE))[1] is None
    assert both(encode_npy(np.ones((2, 2), np.uint8), TILE))[1] is None
    assert both(encode_npy(masked))[1] is None
