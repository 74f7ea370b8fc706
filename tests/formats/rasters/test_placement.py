from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import rasterio.warp
import xarray as xr
from pyproj import CRS
from rasterio import Affine
from rasterio.enums import Resampling

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats import TileFrame
from fused_jupyter.formats.rasters.placement import place, window
from fused_jupyter.formats.rasters.raster import Raster
from fused_jupyter.formats.rasters.reading import to_raster
from fused_jupyter.tiles import Tile

GLOBE = (-180.0, -90.0, 180.0, 90.0)


def frame(z: int, x: int, y: int) -> TileFrame:
    place = Tile(z, x, y)
    return TileFrame(z=z, x=x, y=y, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


TILE = frame(5, 16, 10)


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


@pytest.mark.parametrize("tile", [TILE, frame(3, 4, 2), frame(9, 260, 170)])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_placed_as_gdal_places(tile: TileFrame, crs: str) -> None:
    """Reprojecting axis by axis differs from GDAL by less than the eye sees, bilinear and nearest."""
    bounds = rasterio.warp.transform_bounds("EPSG:4326", crs, 1.0, 46.0, 11.0, 55.0)
    data = hills(150, 170)

    placed = place(Raster(data=data[None], bounds=bounds, crs=crs), tile)
    classes = place(Raster(data=(data[None] * 9).astype(np.int16), bounds=bounds, crs=crs), tile)

    inside = by_gdal(np.ones_like(data), bounds, crs, tile, Resampling.nearest) > 0
    assert (inside == ~placed.mask[0]).mean() > 0.995
    both = inside & ~placed.mask[0]
    assert np.allclose(placed.data[0][both], by_gdal(data, bounds, crs, tile, Resampling.bilinear)[both], atol=0.02)
    expected = by_gdal((data * 9).astype(np.int16), bounds, crs, tile, Resampling.nearest)
    assert (classes.data[0][both] == expected[both]).mean() > 0.98


def test_missing_pixels_do_not_bleed_into_their_neighbours() -> None:
    """NaN, nodata and masked pixels stay where they are, and their neighbours keep their values."""
    data = np.full((1, 60, 60), 0.5)
    hole = np.zeros((1, 60, 60), bool)
    hole[:, :, 30:] = True
    place_of = {"bounds": (0.0, 40.0, 12.0, 56.0)}
    rasters = [
        Raster(data=np.where(hole, np.nan, data), **place_of),
        Raster(data=np.where(hole, -9999, data), nodata=-9999, **place_of),
        Raster(data=np.where(hole, 7, data), mask=hole, **place_of),
    ]

    for raster in rasters:
        placed = place(raster, TILE)
        seen = ~placed.mask[0] & ~np.isnan(placed.data[0])
        assert np.allclose(placed.data[0][seen], 0.5)
        assert seen.any(axis=0).sum() == pytest.approx(256 * 6 / 11.25, abs=1)


def test_a_hole_in_one_band_is_no_hole_in_the_others() -> None:
    """What is measured stays, for formats that keep bands apart."""
    data = np.ones((2, 40, 40))
    data[1, :, 20:] = np.nan

    placed = place(Raster(data=data, bounds=(0.0, 40.0, 12.0, 56.0)), TILE)

    assert not np.isnan(placed.data[0]).any()
    assert 0.4 < np.isnan(placed.data[1]).mean() < 0.6


@pytest.mark.parametrize("kind", [np.float32, np.int16, np.uint8, np.int64, np.bool_])
def test_other_crs_are_warped(kind: Any) -> None:
    """A UTM grid with its CRS in spatial_ref lands where rasterio puts it."""
    data = hills(80, 90).astype(np.float32)
    data = data if kind is np.float32 else (data * (1.99 if kind is np.bool_ else 90)).astype(kind)
    xs, ys = 400_000 + np.arange(90) * 5000.0, 5_600_000 - np.arange(80) * 5000.0
    array = xr.DataArray(data, dims=("y", "x"), coords={"y": ys, "x": xs})
    array = array.assign_coords(spatial_ref=xr.DataArray(0, attrs={"crs_wkt": CRS.from_epsg(32632).to_wkt()}))

    placed = place(to_raster(array, TILE), TILE)

    bounds = (xs[0] - 2500, ys[-1] - 2500, xs[-1] + 2500, ys[0] + 2500)
    resampling = Resampling.bilinear if kind is np.float32 else Resampling.nearest
    expected = by_gdal(data, bounds, "EPSG:32632", TILE, resampling)
    both = (expected >= 0) & ~placed.mask[0]
    assert placed.data.dtype == kind
    assert both.sum() > 1000
    assert np.isclose(placed.data[0][both].astype(float), expected[both], atol=0.01).mean() > 0.99


@pytest.mark.parametrize("tile", [frame(0, 0, 0), frame(2, 2, 1), frame(7, 67, 43), frame(10, 540, 346)])
@pytest.mark.parametrize("epsg", [32632, 3035, 2056])
def test_what_is_cut_away_was_not_needed(tile: TileFrame, epsg: int) -> None:
    """At any zoom, a national grid looks the same whether or not it is cut to the tile before it is warped."""
    bounds = rasterio.warp.transform_bounds("EPSG:4326", f"EPSG:{epsg}", 7.0, 46.0, 10.0, 48.0)
    data = (hills(400, 400) * 250).astype(np.uint8)

    placed = place(Raster(data=data[None], bounds=bounds, crs=f"EPSG:{epsg}"), tile)

    expected = by_gdal(data, bounds, f"EPSG:{epsg}", tile, Resampling.nearest)
    seen = ~placed.mask[0]
    assert ((expected >= 0) == seen).mean() > 0.995
    both = seen & (expected >= 0)
    # Where the grid is far finer than the tile, the nearest of thinned pixels is one of its neighbours.
    coarse = tile.z < 3
    assert (
        np.abs(placed.data[0][both] - expected[both]).mean() < (20 if coarse else 3) if both.any() else not seen.any()
    )


def test_bounds_across_the_antimeridian() -> None:
    """West above east means around the back of the globe: both sides see their part."""
    raster = to_raster((np.ones((10, 10)), [170.0, -20.0, -170.0, 20.0]))

    assert not place(raster, frame(2, 3, 1)).mask[0, 250, 250]
    assert not place(raster, frame(2, 0, 1)).mask[0, 250, 5]
    assert place(raster, frame(2, 1, 1)).mask.all()


def test_an_array_without_a_place_covers_the_tile_in_its_own_size() -> None:
    """So does one whose bounds are the tile's, in degrees or in metres."""
    pixels = np.random.default_rng(0).integers(1, 255, (3, 100, 100), np.uint8)

    assert place(Raster(data=pixels), TILE).data is pixels
    assert place(Raster(data=pixels, bounds=tuple(TILE.bounds)), TILE).data is pixels
    assert place(Raster(data=pixels, bounds=TILE.mercator_bounds, crs="EPSG:3857"), TILE).data is pixels
    assert place(Raster(data=pixels, bounds=(-10.0, 40.0, 0.5, 52.0)), TILE).data.shape == (3, 256, 256)


@pytest.mark.parametrize(("crs", "hint"), [("", "no degrees.*write_crs"), ("nonsense", "'nonsense'")])
def test_coordinates_without_a_meaning_are_an_error(crs: str, hint: str) -> None:
    """Metres without a CRS would be an empty tile, and nobody would know why."""
    with pytest.raises(UdfSerializationError, match=hint):
        place(Raster(data=np.zeros((1, 5, 6)), bounds=(0.0, 0.0, 6e5, 5e5), crs=crs), TILE)
    for bounds in ([0, 0, 6e5, 5e5], [0, 0, 256, 256]):
        with pytest.raises(UdfSerializationError, match="no degrees"):
            place(to_raster((np.zeros((5, 6)), bounds)), TILE)


def test_the_whole_world_in_one_tile() -> None:
    """A large grid is averaged, not sampled: a fine chequerboard becomes even."""
    chequers = (np.indices((1440, 2880)).sum(0) % 2).astype(np.float32)

    placed = place(Raster(data=chequers[None], bounds=GLOBE), frame(0, 0, 0))

    assert np.abs(placed.data - 0.5).max() < 0.35
    assert not placed.mask.any()


def test_neighbouring_tiles_meet() -> None:
    """Two tiles of a fine grid, and the one above them, show the same hills."""
    data = hills(3000, 3000).astype(np.float32)[None]
    raster = Raster(data=data, bounds=(0.0, 40.0, 12.0, 56.0))

    upper, lower = (place(raster, frame(6, 32, 20 + row)).data[0] for row in (0, 1))
    parent = place(raster, frame(5, 16, 10)).data[0]

    assert np.abs(upper[-1] - lower[0]).max() < 0.02
    together = np.concatenate([upper, lower]).reshape(256, 2, 128, 2).mean(axis=(1, 3))
    assert np.nanmax(np.abs(together - parent[:, :128])) < 0.02


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("tile", [frame(0, 0, 0), frame(8, 134, 85)])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3035"])
def test_of_a_huge_array_only_what_the_tile_needs_is_touched(dtype: Any, tile: TileFrame, crs: str) -> None:
    """A tile of an array of 20 000 by 20 000 pixels takes the memory of some thousand rows at most."""
    data = np.broadcast_to(np.asarray(7, dtype), (1, 20_000, 20_000))
    bounds = (0.0, 45.0, 10.0, 55.0) if crs == "EPSG:4326" else (4_000_000.0, 2_500_000.0, 5_000_000.0, 3_500_000.0)
    raster = Raster(data=data, bounds=bounds, crs=crs, nodata=3, mask=np.broadcast_to(np.False_, data.shape))

    tracemalloc.start()
    placed = place(raster, tile)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 150e6
    seen = placed.data[0][~placed.mask[0]]
    assert seen.size
    assert (seen == 7).all()


def test_infinities_stay_infinite() -> None:
    """Between two of them is no number, and no warning."""
    data = np.full((1, 30, 30), np.inf)

    placed = place(Raster(data=data, bounds=(0.0, 40.0, 12.0, 56.0)), TILE)

    assert not np.isfinite(placed.data).any()


def test_the_window_is_small_where_the_raster_lies_elsewhere() -> None:
    """Nothing is read of a raster on the other side of the globe."""
    near = window((100.0, -40.0, 110.0, -30.0), "EPSG:4326", (5000, 5000), TILE)

    assert (near.rows, near.columns) == (slice(0, 1, 1), slice(0, 1, 1))
