from __future__ import annotations

from pathlib import Path
from typing import Any

import datashader.transfer_functions as shading
import numpy as np
import pytest
import rioxarray  # noqa: F401  it adds .rio
import xarray as xr
from pyproj import CRS

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats import TileFrame
from fused_jupyter.formats.rasters.grids import raster_of_xarray, upright_xarray
from fused_jupyter.formats.rasters.placement import place
from fused_jupyter.tiles import Tile


def frame(z: int, x: int, y: int) -> TileFrame:
    place = Tile(z, x, y)
    return TileFrame(z=z, x=x, y=y, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


def grid(xs: Any, ys: Any, names: tuple[str, str] = ("y", "x"), **attributes: Any) -> xr.DataArray:
    """A grid in which each pixel's value is x + 1000 y."""
    xs, ys = np.asarray(xs, float), np.asarray(ys, float)
    values = xs[None] + 1000 * ys[:, None]
    return xr.DataArray(values, dims=names, coords={names[0]: ys, names[1]: xs}, attrs=attributes)


PLAIN = grid(np.arange(10.0), np.arange(50.0, 44.0, -1))


def ways_to_write_it() -> dict[str, xr.DataArray]:
    """One grid in ten spellings."""
    with_bands = PLAIN.expand_dims("band")
    by_meaning = PLAIN.rename(x="i", y="j")
    by_meaning["i"].attrs["standard_name"] = "longitude"
    by_meaning["j"].attrs["axis"] = "Y"
    return {
        "plain": PLAIN,
        "south first": PLAIN[::-1],
        "east first": PLAIN[:, ::-1],
        "columns first": PLAIN.transpose("x", "y"),
        "lat and lon": PLAIN.rename(x="lon", y="lat"),
        "Latitude": PLAIN.rename(x="Longitude", y="Latitude"),
        "by CF attributes": by_meaning,
        "band first": with_bands,
        "band last": with_bands.transpose("y", "x", "band"),
        "one time": PLAIN.expand_dims(["time", "band"]),
        "with its CRS": PLAIN.rio.write_crs("EPSG:4326"),
        "from 0 to 360": PLAIN.assign_coords(x=PLAIN.x + 360),
    }


@pytest.mark.parametrize("name", ways_to_write_it())
def test_a_grid_is_the_same_however_it_is_written(name: str) -> None:
    """Order and names of dimensions do not matter; north is up, west is left."""
    raster = raster_of_xarray(ways_to_write_it()[name])

    assert raster.bounds == pytest.approx((-0.5, 44.5, 9.5, 50.5))
    assert np.array_equal(raster.data, PLAIN.values[None])


def test_the_bounds_are_those_of_rioxarray() -> None:
    """The outer edges, half a pixel beyond the centres, in the CRS that it has written."""
    array = grid(500_000 + np.arange(7) * 30.0, 5_000_000 - np.arange(5) * 20.0).rio.write_crs("EPSG:32632")

    raster = raster_of_xarray(array)

    assert raster.bounds == pytest.approx(array.rio.bounds())
    assert CRS.from_user_input(raster.crs).to_epsg() == 32632


@pytest.mark.parametrize(
    ("attributes", "coordinates"),
    [
        ({"crs": "EPSG:32632"}, {}),
        ({"crs": 32632}, {}),
        ({"crs": "+init=epsg:32632"}, {}),
        ({}, {"epsg": 32632}),
        ({}, {"proj:code": "EPSG:32632"}),
        ({"grid_mapping": "utm"}, {"utm": xr.DataArray(0, attrs=CRS.from_epsg(32632).to_cf())}),
        ({"grid_mapping": "utm"}, {"utm": xr.DataArray(0, attrs={"spatial_ref": CRS.from_epsg(32632).to_wkt()})}),
    ],
)
def test_the_crs_is_said_in_many_ways(attributes: dict[str, Any], coordinates: dict[str, Any]) -> None:
    """By an attribute, by readers of STAC, by CF's grid mapping with and without WKT."""
    array = grid(500_000 + np.arange(7) * 30.0, 5_000_000 - np.arange(5) * 20.0, **attributes)

    raster = raster_of_xarray(array.assign_coords(coordinates))

    assert CRS.from_user_input(raster.crs).to_epsg() == 32632


def test_a_grid_mapping_without_wkt_is_read() -> None:
    """CF names the projection and its parameters; many files have no more."""
    said = {"grid_mapping_name": "transverse_mercator", "longitude_of_central_meridian": 9.0}
    said |= {"scale_factor_at_central_meridian": 0.9996, "false_easting": 500000.0, "latitude_of_projection_origin": 0}
    array = grid(np.arange(4) * 1e4, np.arange(4) * 1e4, grid_mapping="tm")

    raster = raster_of_xarray(array.assign_coords(tm=xr.DataArray(0, attrs=said)))

    assert CRS.from_user_input(raster.crs).coordinate_operation.method_name == "Transverse Mercator"


def test_nobody_guesses_that_metres_are_degrees() -> None:
    """Nor are pixel numbers degrees: 300 degrees north is nowhere."""
    assert raster_of_xarray(grid(np.arange(5) * 1e5, np.arange(5) * 1e5)).crs == ""
    assert raster_of_xarray(grid(np.arange(300), np.arange(300))).crs == ""
    assert raster_of_xarray(grid(np.arange(0, 360, 10), np.arange(90, -91, -10))).crs == "EPSG:4326"


def test_longitudes_from_0_to_360_are_turned() -> None:
    """Climate grids begin at Greenwich; maps at the antimeridian."""
    array = grid(np.arange(0, 360, 2.0), np.arange(89, -91, -2.0), ("lat", "lon"))

    raster = raster_of_xarray(array)

    assert raster.bounds == pytest.approx((-181, -90, 179, 90))
    assert raster.data[0, 0, 0] == pytest.approx(180 + 89_000)


@pytest.mark.parametrize(
    ("first", "bounds"), [(200.0, (-160.5, -149.5)), (170.0, (169.5, 180.5)), (175.0, (174.5, 185.5))]
)
def test_a_part_of_the_globe_stays_in_one_piece(first: float, bounds: tuple[float, float]) -> None:
    """Across the antimeridian longitudes count on; a grid of ten degrees is not stretched around the globe."""
    raster = raster_of_xarray(grid(first + np.arange(11.0), np.arange(5.0, -6, -1)))

    assert raster.bounds is not None
    assert (raster.bounds[0], raster.bounds[2]) == pytest.approx(bounds)
    assert np.array_equal(np.diff(raster.data[0, 0]), np.ones(10))


def test_uneven_latitudes_are_evened() -> None:
    """Gaussian grids are not stretched."""
    latitudes = np.array([60.0, 58, 55, 50, 40, 20])
    array = xr.DataArray(
        (latitudes[:, None] > 45) * np.ones(4), dims=("lat", "lon"), coords={"lat": latitudes, "lon": range(4)}
    )

    raster = raster_of_xarray(array)

    # Even steps are 60, 52, 44, 36, 28, 20; nearest to them are 60, 50 or 55, 40, 40, 20, 20.
    assert raster.data[0, :, 0].tolist() == [1, 1, 0, 0, 0, 0]
    assert raster.bounds == pytest.approx((-0.5, 16, 3.5, 64))


def test_a_single_row_is_as_high_as_its_pixels_are_wide() -> None:
    """Or as rioxarray has noted it; a single pixel has no size to guess."""
    row = PLAIN.isel(y=[2])
    noted = PLAIN.isel(x=[3], y=[2]).rio.write_crs("EPSG:4326")
    noted["spatial_ref"].attrs["GeoTransform"] = "-0.5 1.0 0.0 50.5 0.0 -1.0"

    assert raster_of_xarray(row).bounds == pytest.approx((-0.5, 47.5, 9.5, 48.5))
    assert raster_of_xarray(noted).bounds == pytest.approx((2.5, 47.5, 3.5, 48.5))
    pixel = raster_of_xarray(PLAIN.isel(x=[3], y=[2]))
    assert pixel.data.shape == (1, 1, 1)
    with pytest.raises(UdfSerializationError, match="no size; return"):
        place(pixel, frame(5, 16, 10))


def test_a_curvilinear_grid_is_drawn_but_has_no_place_in_a_tile() -> None:
    """The error says what it is and both ways out."""
    lons, lats = np.meshgrid(np.arange(5.0), np.arange(4.0))
    coords = {"lat": (("y", "x"), lats + lons / 9), "lon": (("y", "x"), lons)}
    raster = raster_of_xarray(xr.DataArray(np.zeros((4, 5)), dims=("y", "x"), coords=coords))

    assert raster.data.shape == (1, 4, 5)
    with pytest.raises(UdfSerializationError, match=r"lat, lon.*reproject it.*return \(array, bounds\)"):
        place(raster, frame(5, 16, 10))


@pytest.mark.parametrize("broken", [[0, 1, np.nan, 3], [2, 2, 2, 2]])
def test_broken_coordinates_are_no_place(broken: list[float]) -> None:
    """They are named."""
    raster = raster_of_xarray(xr.DataArray(np.zeros((2, 4)), dims=("y", "x"), coords={"y": [1, 0], "x": broken}))

    with pytest.raises(UdfSerializationError, match="coordinate x has missing or equal values"):
        place(raster, frame(5, 16, 10))


@pytest.mark.parametrize(
    "array", [PLAIN.drop_vars(["x", "y"]), PLAIN.assign_coords(x=list("abcdefghij")), PLAIN.rename(x="a", y="b")]
)
def test_without_coordinates_it_covers_whatever_is_asked_for(array: xr.DataArray) -> None:
    """As an array of NumPy's does."""
    raster = raster_of_xarray(array)

    assert raster.bounds is None
    assert not raster.misplaced
    assert np.array_equal(raster.data, PLAIN.values[None])


def test_datasets_show_what_they_have() -> None:
    """One variable, three bands of the same shape, or the one called image."""
    other = PLAIN + 1

    assert np.array_equal(raster_of_xarray(xr.Dataset({"a": PLAIN})).data, PLAIN.values[None])
    three = raster_of_xarray(xr.Dataset({"r": PLAIN, "g": other, "b": PLAIN}))
    assert np.array_equal(three.data, np.stack([PLAIN, other, PLAIN]))
    assert three.names == ("r", "g", "b")
    assert np.array_equal(raster_of_xarray(xr.Dataset({"other": other, "image": PLAIN})).data, PLAIN.values[None])
    with pytest.raises(UdfSerializationError, match=r"no variable has two dimensions; it has \['a'\]"):
        raster_of_xarray(xr.Dataset({"a": ("x", [1, 2])}))


def test_a_datashader_image_is_rgba_with_the_north_up() -> None:
    """Its rows begin in the south, with or without coordinates; to_pil() of its own is the oracle."""
    counts = grid(np.arange(5.0), np.arange(40.0, 44.0))
    counts[0, 0] = np.nan
    image = shading.shade(counts)

    for value in (image, image.drop_vars(["x", "y"])):
        raster = raster_of_xarray(value)
        assert np.array_equal(np.moveaxis(raster.data, 0, 2), np.asarray(image.to_pil()))
    assert raster_of_xarray(image).bounds == pytest.approx((-0.5, 39.5, 4.5, 43.5))
    assert np.array_equal(upright_xarray(image).values, raster_of_xarray(image).data)


def test_nodata_and_range_are_read_from_attributes() -> None:
    """As CF and rioxarray write them; what cannot be a number says nothing."""
    raster = raster_of_xarray(PLAIN.assign_attrs(_FillValue=np.float32(-9999), valid_range=np.array([0, 100])))

    assert (raster.nodata, raster.domain) == (-9999, (0, 100))
    assert raster_of_xarray(PLAIN.assign_attrs(valid_min=1, valid_max=2)).domain == (1, 2)
    odd = raster_of_xarray(PLAIN.assign_attrs(_FillValue="none", actual_range="wide"))
    assert (odd.nodata, odd.domain) == (None, None)


def test_bands_keep_their_names() -> None:
    """From coordinates or from long_name, as rioxarray reads them from a file."""
    bands = PLAIN.expand_dims(band=["red", "nir"])

    assert raster_of_xarray(bands).names == ("red", "nir")
    numbered = PLAIN.expand_dims(band=[1, 2])
    assert raster_of_xarray(numbered.assign_attrs(long_name=("a", "b"))).names == ("a", "b")
    assert raster_of_xarray(numbered).names == ()
    assert raster_of_xarray(PLAIN.rename("height")).names == ("height",)


def test_steps_of_time_are_not_bands() -> None:
    """A year of days is no picture of 365 bands, and three days are not red, green and blue."""
    assert raster_of_xarray(PLAIN.expand_dims(time=3)).are_steps
    assert not raster_of_xarray(PLAIN.expand_dims(band=3)).are_steps
    assert not raster_of_xarray(PLAIN.expand_dims(time=1)).are_steps


@pytest.mark.parametrize("south_first", [True, False])
@pytest.mark.parametrize("place_of", [frame(0, 0, 0), frame(4, 8, 5), frame(9, 268, 176)])
def test_a_tile_needs_but_a_part_of_it(place_of: TileFrame, *, south_first: bool) -> None:
    """Cut before it is read, it looks the same in the tile as all of it."""
    array = grid(np.linspace(0, 20, 1500), np.linspace(60, 40, 1500))
    array = array[::-1] if south_first else array

    part, whole = raster_of_xarray(array, place_of), raster_of_xarray(array)

    assert part.data.size < whole.data.size
    cut, expected = place(part, place_of), place(whole, place_of)
    assert np.array_equal(cut.mask, expected.mask)
    assert np.allclose(cut.data, expected.data, rtol=1e-3, equal_nan=True)


def test_a_file_that_was_opened_lazily_is_not_read_whole(tmp_path: Path) -> None:
    """A tile of a netCDF of a whole country reads the tile's surroundings, and leaves the rest on disk."""
    path = tmp_path / "country.nc"
    grid(np.linspace(0, 20, 800), np.linspace(60, 40, 800)).to_netcdf(path, engine="h5netcdf")
    with xr.open_dataarray(path, engine="h5netcdf") as array:
        raster = raster_of_xarray(array, frame(9, 268, 176))

        assert not array.variable._in_memory
    assert raster.data.size < 800 * 80
