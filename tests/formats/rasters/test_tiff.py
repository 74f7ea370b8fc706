from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from rasterio.enums import ColorInterp, MaskFlags
from rio_cogeo.cogeo import cog_validate

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats import Style, Target, TileFrame
from fused_jupyter.formats.rasters.placement import transform_of
from fused_jupyter.formats.rasters.tiff import encode_tiff
from fused_jupyter.tiles import Tile

NUMBERS = [np.bool_, *(np.dtype(code) for code in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"))]
RANDOM = np.random.default_rng(0)
BOUNDS = [10.0, 45.0, 12.0, 47.0]
GRID = xr.DataArray(
    RANDOM.random((6, 8)), dims=("y", "x"), coords={"y": np.arange(50, 44, -1.0), "x": np.arange(8.0)}, name="height"
)

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def frame() -> TileFrame:
    place = Tile(5, 16, 10)
    return TileFrame(z=5, x=16, y=10, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


TILE = Target(tile=frame())


@contextmanager
def opened(body: bytes) -> Iterator[Any]:
    with rasterio.MemoryFile(body) as memory, memory.open() as source:
        yield source


@settings(max_examples=80, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(NUMBERS), bands=st.integers(1, 6), height=st.integers(7, 12))
def test_rasterio_reads_the_values_that_were_written(data: st.DataObject, dtype: Any, bands: int, height: int) -> None:
    """Of every type of number and any count of bands, at both ends of its range, with NaN and infinities."""
    array = data.draw(arrays.arrays(dtype, (bands, height, 9)))

    for value in (array, (array, BOUNDS), array[0]):
        with opened(encode_tiff(value)) as source:
            expected = value[0] if isinstance(value, tuple) else value
            seen = source.read().reshape(expected.shape)
            assert np.array_equal(seen, expected, equal_nan=expected.dtype.kind == "f")


@pytest.mark.parametrize(
    ("dtype", "written"), [("bool", "uint8"), ("int8", "int16"), ("float16", "float32"), ("int64", "int32")]
)
def test_types_that_old_gdals_do_not_know_are_widened(dtype: str, written: str) -> None:
    """Never so that a value is lost: numbers beyond 32 bits become floats, and beyond 53 stay what they are."""
    with opened(encode_tiff(np.ones((3, 3), dtype))) as source:
        assert source.dtypes == (written,)
    for value, kept in ((2**40, "float64"), (2**60 + 1, "int64")):
        with opened(encode_tiff(np.full((3, 3), value))) as source:
            assert source.dtypes == (kept,)
            assert source.read(1)[0, 0] == value


@pytest.mark.parametrize("code", [">f2", ">f4", ">f8", ">i2", ">u4", ">i8", "g"])
def test_the_order_of_bytes_does_not_matter(code: str) -> None:
    """netCDF and FITS have the high byte first; on a tile too, in degrees and in another CRS."""
    values = RANDOM.integers(0, 100, (40, 40)).astype(code)
    array = xr.DataArray(
        values, dims=("y", "x"), coords={"y": 5.6e6 - np.arange(40) * 9e3, "x": 4e5 + np.arange(40) * 9e3}
    )
    array.attrs["crs"] = "EPSG:32632"

    with opened(encode_tiff(values)) as source:
        assert np.array_equal(source.read(1), values)
    for value in (array, (values, [0.0, 49.0, 11.0, 55.0])):
        with opened(encode_tiff(value, TILE)) as source:
            seen = source.read(1, masked=True).compressed()
        assert seen.size > 1000
        assert seen.min() >= 0
        assert seen.max() <= 100


@pytest.mark.parametrize("shape", [(3, 3), (300, 200), (3, 700, 1100), (1, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_it_is_a_cloud_optimised_geotiff(shape: tuple[int, ...], dtype: Any, tmp_path: Path) -> None:
    """As rio-cogeo judges: tiled, compressed, with overviews where it is large, and in the right order."""
    path = tmp_path / "result.tif"
    path.write_bytes(encode_tiff((RANDOM.integers(0, 9, shape).astype(dtype), BOUNDS)))

    is_valid, errors, warnings = cog_validate(path, strict=True, quiet=True)

    assert (is_valid, errors, warnings) == (True, [], [])
    with rasterio.open(path) as source:
        assert source.compression.name == "deflate"
        assert bool(source.overviews(1)) == (max(shape) > 256)


def test_the_place_is_that_of_the_bounds() -> None:
    """In degrees; without any it is the globe, as the reference says."""
    with opened(encode_tiff((np.zeros((20, 10)), BOUNDS))) as source:
        assert source.crs.to_epsg() == 4326
        assert tuple(source.bounds) == pytest.approx(BOUNDS)
    for value in (np.zeros((20, 10)), GRID.drop_vars(["x", "y"]), Image.new("L", (10, 20))):
        with opened(encode_tiff(value)) as source:
            assert tuple(source.bounds) == (-180, -90, 180, 90)


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rioxarray with affine 3
def test_the_place_of_a_dataarray_is_its_own() -> None:
    """rioxarray reads back what rioxarray wrote: coordinates, CRS and values."""
    array = xr.DataArray(
        RANDOM.random((2, 6, 8)).astype("f4"),
        dims=("band", "y", "x"),
        coords={"band": [1, 2], "y": 5e6 - np.arange(6) * 30.0, "x": 5e5 + np.arange(8) * 30.0},
    ).rio.write_crs("EPSG:32632")

    with rioxarray.open_rasterio(BytesIO(encode_tiff(array))) as back:
        assert back.rio.crs == array.rio.crs
        assert np.allclose(back.x, array.x)
        assert np.allclose(back.y, array.y)
        assert np.array_equal(back.values, array.values)


def test_rows_from_the_south_are_turned() -> None:
    """GeoTIFFs have their north up; coordinates go with the values."""
    assert encode_tiff(GRID[::-1]) == encode_tiff(GRID)


def test_what_has_no_regular_place_still_travels() -> None:
    """A curvilinear grid, and metres that nobody has named: the values come, without a CRS that would be wrong."""
    lons, lats = np.meshgrid(np.arange(8.0), np.arange(6.0))
    curved = GRID.drop_vars(["x", "y"]).assign_coords(lat=(("y", "x"), lats), lon=(("y", "x"), lons))
    metres = GRID.assign_coords(x=GRID.x * 1e5, y=GRID.y * 1e5)

    for value in (curved, metres):
        with opened(encode_tiff(value)) as source:
            assert source.crs is None
            assert np.array_equal(source.read(1), GRID.values)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, np.int64])
def test_holes_are_holes(dtype: Any) -> None:
    """Masked pixels are masked for rasterio, and all others keep their values."""
    array = np.ma.masked_array(RANDOM.integers(0, 200, (2, 9, 9)).astype(dtype), np.zeros((2, 9, 9), bool))
    array[0, 3, 4] = array[1, 5, 5] = np.ma.masked

    with opened(encode_tiff(array)) as source:
        back = source.read(masked=True)
        assert np.array_equal(back.mask, array.mask)
        assert np.array_equal(back.filled(1), array.filled(1))


def test_where_no_value_is_free_the_holes_are_a_mask() -> None:
    """All 256 values of a byte are seen, so none can mean nothing."""
    values = np.arange(512, dtype=np.uint16).reshape(16, 32).astype(np.uint8)
    array = np.ma.masked_array(values, np.zeros(values.shape, bool))
    array[9, 9] = np.ma.masked

    with opened(encode_tiff(array)) as source:
        assert source.nodata is None
        assert source.mask_flag_enums == ([MaskFlags.per_dataset],)
        assert np.array_equal(source.read_masks(1) == 0, array.mask)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_holes_among_the_largest_numbers_are_holes(dtype: Any) -> None:
    """By a mask, for what is nodata is said as a float, and that is no number of 64 bits."""
    array = np.ma.masked_array(np.array([[0, 2**60 + 1, 5]], dtype), [[False, False, True]])

    with opened(encode_tiff(array)) as source:
        back = source.read(1, masked=True)
    assert back.mask.tolist() == [[False, False, True]]
    assert back.compressed().tolist() == [0, 2**60 + 1]


def test_nodata_is_kept() -> None:
    """Of attributes and of the request; beside NaN, which is nodata already, all become NaN."""
    named = (GRID * 0 + 5).assign_attrs(_FillValue=5.0)
    style = Target(style=Style.of({"nodata": "5"}))

    for body in (encode_tiff(named), encode_tiff(named.assign_attrs(_FillValue=7.0), style)):
        with opened(body) as source:
            assert source.nodata == 5
            assert source.read(1, masked=True).mask.all()
    named[0, 0] = np.nan
    with opened(encode_tiff(named)) as source:
        assert np.isnan(source.nodata)
        assert np.isnan(source.read(1)).all()


def test_colours_are_named_as_colours() -> None:
    """So that QGIS shows a photograph as one, with its alpha; many bands have names of their own."""
    rgba = RANDOM.integers(0, 255, (4, 9, 9), np.uint8)
    red, green, blue, alpha = ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha

    with opened(encode_tiff(rgba)) as source:
        assert source.colorinterp == (red, green, blue, alpha)
    with opened(encode_tiff(rgba[:3])) as source:
        assert source.colorinterp == (red, green, blue)
    image = Image.fromarray(np.moveaxis(rgba[:3], 0, 2))
    with opened(encode_tiff(image)) as source:
        assert np.array_equal(source.read(), rgba[:3])
    with opened(encode_tiff(xr.Dataset({"nir": GRID, "swir": GRID, "red": GRID}))) as source:
        assert source.descriptions == ("nir", "swir", "red")


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (np.zeros((4, 5)), {"orig_type": "numpy.ndarray", "shape": [4, 5]}),
        (np.zeros((1, 4, 5)), {"orig_type": "numpy.ndarray", "shape": [1, 4, 5]}),
        ((np.zeros((4, 5)), BOUNDS), {"orig_type": "numpy.ndarray", "shape": [4, 5], "bounds": BOUNDS}),
        ((np.zeros((3, 7, 5)), tuple(BOUNDS)), {"orig_type": "numpy.ndarray", "shape": [3, 7, 5], "bounds": BOUNDS}),
        (GRID, {"orig_type": "xarray.DataArray"}),
        (xr.Dataset({"height": GRID}), {"key": "height"}),
        (xr.Dataset({"a": GRID, "b": GRID, "c": GRID}), {}),
        (Image.new("RGB", (4, 5)), {}),
    ],
    ids=["2d", "3d", "2d with bounds", "3d with bounds", "DataArray", "Dataset", "bands", "image"],
)
def test_tags_tell_the_official_client_what_it_was(value: Any, tags: dict[str, Any]) -> None:
    """In the domain ``fused``, as version 2.9.5 reads them."""
    with opened(encode_tiff(value)) as source:
        seen = source.tags(ns="fused")

    assert {name: json.loads(text) if text[0] == "[" else text for name, text in seen.items()} == tags


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.bool_])
def test_a_tile_is_cut_in_mercator(dtype: Any) -> None:
    """256 pixels of EPSG:3857, masked where the raster is not."""
    west, south, east, north = frame().bounds
    half = [west, south, (west + east) / 2, north]
    with opened(encode_tiff((np.ones((2, 30, 30), dtype), half), TILE)) as source:
        assert source.crs.to_epsg() == 3857
        assert tuple(source.bounds) == pytest.approx(frame().mercator_bounds)
        back = source.read(masked=True)
        tags = source.tags(ns="fused")

    assert back.shape == (2, 256, 256)
    assert back.mask[:, :, 129:].all()
    assert not back.mask[:, :, :127].any()
    assert (back.compressed() == 1).all()
    assert json.loads(tags["shape"]) == [2, 256, 256]
    assert json.loads(tags["bounds"]) == pytest.approx([*frame().bounds])


def test_an_image_on_a_tile_keeps_its_alpha() -> None:
    """Beside it all is transparent."""
    west, south, east, north = frame().bounds
    image = Image.new("RGBA", (20, 20), (10, 20, 30, 255))
    with opened(encode_tiff((image, [west, south, (west + east) / 2, north]), TILE)) as source:
        assert source.colorinterp[3] is ColorInterp.alpha
        alpha = source.read(4)

    assert (alpha[:, :127] == 255).all()
    assert not alpha[:, 129:].any()


def test_a_tiff_is_passed_on() -> None:
    """Byte by byte; on a tile it is cut."""
    body = encode_tiff((np.ones((30, 30), np.uint8), BOUNDS))

    assert encode_tiff(BytesIO(body)) == body
    with opened(encode_tiff(body, TILE)) as source:
        assert source.shape == (256, 256)
        assert source.read(1, masked=True).mask.any()


def test_land_cover_on_a_tile_keeps_its_colours() -> None:
    """The numbers are classes, and the table says how they look."""
    table = {0: (0, 0, 0, 255), 1: (10, 200, 30, 255), 2: (200, 10, 30, 255)}
    profile = {"driver": "GTiff", "count": 1, "height": 30, "width": 30, "dtype": "uint8", "crs": "EPSG:4326"}
    with rasterio.MemoryFile() as memory:
        with memory.open(transform=transform_of((0.0, 49.0, 11.0, 55.0), (30, 30)), nodata=0, **profile) as sink:
            sink.write(np.full((1, 30, 30), 2, np.uint8))
            sink.write_colormap(1, table)
        body = bytes(memory.getbuffer())

    with opened(encode_tiff(body, TILE)) as source:
        assert source.colormap(1)[2] == table[2]
        assert set(np.unique(source.read(1))) == {0, 2}
        assert source.nodata == 0


def test_nothing_is_a_file_without_data() -> None:
    """One pixel, or as many as a tile has, all of them nodata."""
    for target, side in ((Target(), 1), (TILE, 256)):
        with opened(encode_tiff(None, target)) as source:
            assert source.shape == (side, side)
            assert source.read(1, masked=True).mask.all()


def test_what_gdal_cannot_hold_is_an_error() -> None:
    """Complex numbers, and a CRS that nobody knows."""
    with pytest.raises(UdfSerializationError, match="complex128"):
        encode_tiff(np.zeros((3, 3), complex))
    with pytest.raises(UdfSerializationError, match="nonsense"):
        encode_tiff(GRID.assign_attrs(crs="nonsense"))
