from __future__ import annotations

from io import BytesIO
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio.warp
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pyproj import CRS
from rasterio import Affine
from rasterio.enums import Resampling

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats import TileFrame, Wanted, encode, pictures
from fused_jupyter.formats.placement import place
from fused_jupyter.formats.raster import Raster, to_raster
from fused_jupyter.tiles import Tile

SQUARE = shapely.box(0, 45, 5, 50)
RANDOM = np.random.default_rng(0)
NUMBERS = [np.bool_, np.uint8, np.int8, np.uint16, np.int32, np.uint64, np.float16, np.float32, np.float64]


def frame(z: int, x: int, y: int) -> TileFrame:
    place = Tile(z, x, y)
    return TileFrame(z=z, x=x, y=y, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


TILE = frame(5, 16, 10)


def see(value: Any, tile: TileFrame | None = None) -> Any:
    """The picture as RGBA, shape (height, width, 4)."""
    body = encode(value, wanted=Wanted(formats=("png",)), tile=tile).body
    return np.asarray(Image.open(BytesIO(body)).convert("RGBA"))


def hills(height: int, width: int) -> Any:
    """Smooth numbers from 0 to 1."""
    y, x = np.mgrid[:height, :width]
    return (np.sin(x / width * 5) * np.cos(y / height * 4) + 1) / 2


def by_gdal(data: Any, bounds: Any, crs: str, tile: TileFrame, resampling: Resampling) -> Any:
    """What rasterio makes of it in the tile; -1 where there is nothing."""
    target = np.full((256, 256), -1.0)
    (west, south, east, north), (left, bottom, right, top) = bounds, tile.mercator_bounds
    height, width = data.shape
    rasterio.warp.reproject(
        data.astype(np.float64),
        target,
        src_transform=Affine((east - west) / width, 0, west, 0, (south - north) / height, north),
        src_crs=crs,
        dst_transform=Affine((right - left) / 256, 0, left, 0, (bottom - top) / 256, top),
        dst_crs="EPSG:3857",
        resampling=resampling,
        init_dest_nodata=False,
        tolerance=0,
    )
    return target


@settings(max_examples=80, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(NUMBERS), bands=st.integers(1, 4), height=st.integers(1, 20))
def test_any_array_becomes_a_picture_of_its_size(data: st.DataObject, dtype: Any, bands: int, height: int) -> None:
    """Every type of number, with NaN and infinities, in either order of bands."""
    array = data.draw(arrays.arrays(dtype, (bands, height, 9)))

    for value in (array, array[0]):
        assert see(value).shape == (height, 9, 4)
    if height > 4:
        assert np.array_equal(see(np.moveaxis(array, 0, 2)), see(array))


def test_bytes_are_shown_as_they_are() -> None:
    """uint8 is gray, RGB or RGBA without change."""
    pixels = RANDOM.integers(1, 255, (4, 16, 16), np.uint8)

    assert np.array_equal(see(pixels[0])[..., 0], pixels[0])
    assert np.array_equal(see(pixels[:3])[..., :3], np.moveaxis(pixels[:3], 0, 2))
    assert np.array_equal(see(pixels), np.moveaxis(pixels, 0, 2))


def test_black_is_transparent_in_rgb_only() -> None:
    """Tiles of imagery mark what they do not cover with zeros; a fourth band says it itself."""
    pixels = np.full((4, 8, 8), 255, np.uint8)
    pixels[:3, 2, 3] = 0

    assert see(pixels[:3])[2, 3].tolist() == [0, 0, 0, 0]
    assert (see(pixels[:3])[..., 3] == 0).sum() == 1
    assert see(pixels)[2, 3].tolist() == [0, 0, 0, 255]
    assert see(Image.fromarray(np.moveaxis(pixels[:3], 0, 2)))[2, 3, 3] == 255


def test_a_dark_float_colour_is_not_mistaken_for_nothing() -> None:
    """A reflectance that rounds to black is still data."""
    pixels = np.full((3, 8, 8), 0.5)
    pixels[:, 0, 0], pixels[:, 0, 1] = 0.0001, 0.0

    assert see(pixels)[0, :2, 3].tolist() == [255, 0]


def test_floats_of_three_bands_reach_from_0_to_1() -> None:
    """As matplotlib has it; beyond is clipped, NaN is transparent."""
    pixels = np.stack([np.array([[0.5, 2.0, np.nan, -1.0]])] * 3)

    assert see(pixels)[0, :, 0].tolist() == [128, 255, 0, 0]
    assert see(pixels)[0, :, 3].tolist() == [255, 255, 0, 255]


def test_measurements_are_numbered_colours_over_their_range() -> None:
    """The lowest value is viridis' first colour, the highest its last; what is missing is transparent."""
    values = np.array([[-10.0, 0.0, 30.0, np.nan, np.inf]])

    seen = see(values)

    assert seen[0, 0].tolist() == [68, 1, 84, 255]
    assert seen[0, 2].tolist() == seen[0, 4].tolist() == [253, 231, 37, 255]
    assert seen[0, 3, 3] == 0


def test_neighbouring_tiles_agree_on_colours() -> None:
    """On tiles the colour of a value depends on nothing else in the tile: 0 to 1, or 0 to 255, or as attributes say."""
    low, high = np.full((4, 4), 0.25), np.array([[0.25, 9.0]] * 2)
    named = xr.DataArray(np.full((4, 4), 5.0), dims=("y", "x"), attrs={"valid_range": [0, 10]})

    assert see(low, TILE)[0, 0].tolist() == see(high, TILE)[0, 0].tolist()
    assert see(np.full((4, 4), 51, np.int16), TILE)[0, 0].tolist() == see(np.full((4, 4), 0.2), TILE)[0, 0].tolist()
    assert see(named, TILE)[0, 0].tolist() == see(np.full((4, 4), 0.5), TILE)[0, 0].tolist()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_masked_pixels_are_transparent(dtype: Any) -> None:
    """Of every type, in one band and in three."""
    for shape in ((6, 6), (3, 6, 6)):
        array = np.ma.masked_array(np.full(shape, 1, dtype), np.zeros(shape, bool))
        array[..., 1, 2] = np.ma.masked
        assert np.flatnonzero(see(array)[..., 3] == 0).tolist() == [8]


def test_true_is_seen_and_false_is_not() -> None:
    """A mask is one colour on nothing."""
    assert see(np.array([[True, False]]))[0, :, 3].tolist() == [255, 0]


def test_other_numbers_of_bands_are_cut() -> None:
    """Of two bands the first is shown, of many the first three, with a warning."""
    pixels = RANDOM.integers(1, 255, (7, 12, 12), np.uint8)

    assert np.array_equal(see(pixels[:2]), see(pixels[0]))
    with pytest.warns(UserWarning, match="first 3 of 7 bands"):
        assert np.array_equal(see(pixels), see(pixels[:3]))


@pytest.mark.parametrize("array", [np.zeros((2, 2), complex), np.zeros((2, 3, 4, 5)), np.array([["a", "b"]])])
def test_what_is_no_picture_says_what_it_is(array: Any) -> None:
    """The error has the type and shape that came and those that are possible."""
    with pytest.raises(UdfSerializationError, match=r"with shape \(.*height, width"):
        see(array)


@pytest.mark.parametrize("tile", [TILE, frame(3, 4, 2), frame(9, 260, 170)])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_placed_as_gdal_places(tile: TileFrame, crs: str) -> None:
    """Reprojecting axis by axis differs from GDAL by less than the eye sees, bilinear and nearest."""
    bounds = rasterio.warp.transform_bounds("EPSG:4326", crs, 1.0, 46.0, 11.0, 55.0)
    data = hills(150, 170)

    placed = place(Raster(data=data[None], bounds=bounds, crs=crs), tile)
    classes = place(Raster(data=(data[None] * 9).astype(np.int16), bounds=bounds, crs=crs), tile)

    inside = by_gdal(np.ones_like(data), bounds, crs, tile, Resampling.nearest) > 0
    assert (inside == ~placed.mask).mean() > 0.995
    both = inside & ~placed.mask
    assert np.allclose(placed.data[0][both], by_gdal(data, bounds, crs, tile, Resampling.bilinear)[both], atol=0.02)
    expected = by_gdal((data * 9).astype(np.int16), bounds, crs, tile, Resampling.nearest)
    assert (classes.data[0][both] == expected[both]).mean() > 0.98


def test_missing_pixels_do_not_bleed_into_their_neighbours() -> None:
    """NaN stays where it is, and its neighbours keep their values."""
    data = np.full((60, 60), 0.5)
    data[:, 30:] = np.nan

    placed = place(Raster(data=data[None], bounds=(0.0, 40.0, 12.0, 56.0)), TILE)

    assert np.allclose(placed.data[0][~placed.mask], 0.5)
    assert (~placed.mask).any(axis=0).sum() == pytest.approx(256 * 6 / 11.25, abs=1)


def test_other_crs_are_warped() -> None:
    """A UTM grid with its CRS in spatial_ref lands where rasterio puts it."""
    data = hills(80, 90).astype(np.float32)
    xs, ys = 400_000 + np.arange(90) * 5000.0, 5_600_000 - np.arange(80) * 5000.0
    array = xr.DataArray(data, dims=("y", "x"), coords={"y": ys, "x": xs})
    array = array.assign_coords(spatial_ref=xr.DataArray(0, attrs={"crs_wkt": CRS.from_epsg(32632).to_wkt()}))

    placed = place(to_raster(array), TILE)

    bounds = (xs[0] - 2500, ys[-1] - 2500, xs[-1] + 2500, ys[0] + 2500)
    expected = by_gdal(data, bounds, "EPSG:32632", TILE, Resampling.bilinear)
    both = (expected >= 0) & ~placed.mask
    assert both.sum() > 1000
    assert np.allclose(placed.data[0][both], expected[both], atol=0.01)


def grid(*, south_first: bool, **attributes: Any) -> xr.DataArray:
    """A row of ones in the north, zeros below, in degrees."""
    values = np.zeros((20, 30))
    values[:10] = 1
    latitudes = np.linspace(54.5, 42.5, 20)
    array = xr.DataArray(values, dims=("lat", "lon"), coords={"lat": latitudes, "lon": np.linspace(-2, 14, 30)})
    return (array[::-1] if south_first else array).assign_attrs(attributes)


@pytest.mark.parametrize("tile", [None, frame(4, 8, 5)])
def test_north_is_up_whichever_way_y_runs(tile: TileFrame | None) -> None:
    """Rows that begin in the south are turned, in files and in tiles."""
    assert np.array_equal(see(grid(south_first=True), tile), see(grid(south_first=False), tile))
    column = see(grid(south_first=True), tile)[:, 10, :3].sum(axis=1)
    assert column[len(column) // 6] > column[-len(column) // 4]


def test_longitudes_from_0_to_360_are_turned() -> None:
    """Climate grids begin at Greenwich; the tile of America shows their second half."""
    west_half = np.where(np.arange(0, 360, 2.0) >= 180, 1.0, 0.0)
    axes = {"lat": np.arange(89, -91, -2.0), "lon": np.arange(0, 360, 2.0)}
    array = xr.DataArray(np.tile(west_half, (90, 1)), dims=("lat", "lon"), coords=axes)

    assert see(array, frame(2, 0, 1))[128, 128, 0] > 200
    assert see(array, frame(2, 2, 1))[128, 128, 0] < 80


def test_bounds_across_the_antimeridian() -> None:
    """West above east means around the back of the globe: both sides see their part."""
    value = (np.ones((10, 10)), [170.0, -20.0, -170.0, 20.0])

    assert see(value, frame(2, 3, 1))[250, 250, 3] == 255
    assert see(value, frame(2, 0, 1))[250, 5, 3] == 255
    assert see(value, frame(2, 1, 1))[..., 3].max() == 0


def test_uneven_latitudes_are_evened() -> None:
    """Gaussian grids are not stretched."""
    latitudes = np.array([60.0, 58, 55, 50, 40, 20])
    axes = {"lat": latitudes, "lon": range(4)}
    array = xr.DataArray((latitudes[:, None] > 45) * np.ones(4), dims=("lat", "lon"), coords=axes)

    raster = to_raster(array)

    # Even steps are 60, 52, 44, 36, 28, 20; nearest to them are 60, 50 or 55, 40, 40, 20, 20.
    assert raster.data[0, :, 0].tolist() == [1, 1, 0, 0, 0, 0]
    assert raster.bounds == pytest.approx((-0.5, 16, 3.5, 64))


def test_an_array_without_a_place_covers_the_tile_in_its_own_size() -> None:
    """So does one whose bounds are the tile's."""
    pixels = RANDOM.integers(1, 255, (3, 100, 100), np.uint8)

    for value in (pixels, (pixels, TILE.bounds), (pixels, shapely.box(*TILE.bounds))):
        assert np.array_equal(see(value, TILE)[..., :3], np.moveaxis(pixels, 0, 2))
    assert see((pixels, [-10.0, 40.0, 0.5, 52.0]), TILE).shape == (256, 256, 4)


@pytest.mark.parametrize(
    "bounds",
    [[0, 45, 5, 50], np.array([0, 45, 5, 50]), SQUARE, gpd.GeoDataFrame(geometry=[SQUARE], crs=4326)],
)
def test_bounds_come_in_many_clothes(bounds: Any) -> None:
    """Four numbers, a geometry and a GeoDataFrame say the same."""
    assert to_raster((np.ones((4, 4)), bounds)).bounds == (0, 45, 5, 50)


@pytest.mark.parametrize("bounds", [[0, 5, 5, 0], [0, 0, np.nan, 1], ["a", 0, 1, 2]])
def test_bounds_that_are_no_rectangle_are_an_error(bounds: Any) -> None:
    """The order is the usual mistake, so the error has it."""
    with pytest.raises(UdfSerializationError, match="bounds"):
        see((np.ones((4, 4)), bounds))


@pytest.mark.parametrize(("crs", "hint"), [({}, "no degrees.*write_crs"), ({"crs": "nonsense"}, "'nonsense'")])
def test_coordinates_without_a_meaning_are_an_error(crs: dict[str, str], hint: str) -> None:
    """Metres without a CRS would be an empty tile, and nobody would know why."""
    axes = {"y": np.arange(5) * 1e5, "x": np.arange(6) * 1e5}
    array = xr.DataArray(np.zeros((5, 6)), dims=("y", "x"), coords=axes, attrs=crs)

    with pytest.raises(UdfSerializationError, match=hint):
        see(array, TILE)


def test_datasets_show_what_they_have() -> None:
    """One variable, three bands of the same shape, or the one called image."""
    band = xr.DataArray(RANDOM.integers(1, 255, (8, 8), np.uint8), dims=("y", "x"))

    assert np.array_equal(see(xr.Dataset({"a": band})), see(band))
    assert np.array_equal(see(xr.Dataset({"r": band, "g": band, "b": band})), see(np.stack([band] * 3)))
    assert np.array_equal(see(xr.Dataset({"other": band + 1, "image": band})), see(band))


def test_nodata_of_an_xarray_is_transparent() -> None:
    """_FillValue marks pixels without data."""
    array = xr.DataArray(np.array([[1, 255]], np.uint8), dims=("y", "x"), attrs={"_FillValue": 255})

    assert see(array)[0, :, 3].tolist() == [255, 0]


def test_the_whole_world_in_one_tile() -> None:
    """A large grid is averaged, not sampled: a fine chequerboard becomes even."""
    chequers = (np.indices((1440, 2880)).sum(0) % 2).astype(np.float32)

    placed = place(Raster(data=chequers[None], bounds=(-180.0, -90.0, 180.0, 90.0)), frame(0, 0, 0))

    assert np.abs(placed.data - 0.5).max() < 0.35
    assert not placed.mask.any()


def test_the_palette_is_viridis() -> None:
    """Its ends and its middle are those of the paper."""
    colours = pictures._viridis()[:, :3].tolist()

    assert (colours[1], colours[255]) == ([68, 1, 84], [253, 231, 37])
    assert np.abs(np.array(colours[128]) - [33, 145, 140]).max() <= 2
