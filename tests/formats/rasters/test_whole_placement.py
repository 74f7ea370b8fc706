"""A whole raster in web mercator, as a map puts it between four corners."""

from __future__ import annotations

import numpy as np
import pytest
from rasterio import Affine
from rasterio.warp import Resampling, reproject, transform_bounds

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.rasters.placement import place_in_mercator
from fused_jupyter.formats.rasters.raster import Raster


def raster(crs: str, bounds: tuple[float, float, float, float], shape_yx: tuple[int, int] = (60, 40)) -> Raster:
    pixels = np.arange(shape_yx[0] * shape_yx[1], dtype=np.uint16).reshape(1, *shape_yx)
    return Raster(data=pixels, bounds=bounds, crs=crs)


def transform(bounds: tuple[float, float, float, float], shape_yx: tuple[int, int]) -> Affine:
    west, south, east, north = bounds
    return Affine((east - west) / shape_yx[1], 0, west, 0, (south - north) / shape_yx[0], north)


@pytest.mark.parametrize(
    ("crs", "bounds"), [("EPSG:4326", (4.0, 50.0, 8.0, 60.0)), ("EPSG:32632", (3e5, 5e6, 7e5, 6e6))]
)
def test_pixels_lie_where_gdal_puts_them(crs: str, bounds: tuple[float, float, float, float]) -> None:
    """All but a few at the edges of two pixels."""
    given = raster(crs, bounds)

    placed, frame = place_in_mercator(given, longest=500)

    shape = placed.data.shape[1:]
    expected = np.zeros(shape, np.uint16)
    reproject(
        given.data[0],
        expected,
        src_transform=transform(bounds, (60, 40)),
        src_crs=crs,
        dst_transform=transform(frame, (shape[0], shape[1])),
        dst_crs="EPSG:3857",
        resampling=Resampling.nearest,
    )
    seen = np.where(np.broadcast_to(placed.mask, placed.data.shape)[0], 0, placed.data[0])  # type: ignore[arg-type]
    assert (seen == expected).mean() > 0.99
    assert frame == pytest.approx(transform_bounds(crs, "EPSG:3857", *bounds), rel=1e-6)
    assert max(shape) == 500


def test_web_mercator_stays_as_it_is() -> None:
    """Nothing is computed anew."""
    given = raster("EPSG:3857", (0.0, 0.0, 400.0, 600.0))

    placed, frame = place_in_mercator(given, longest=500)

    assert placed is given
    assert frame == given.bounds


def test_what_lies_beyond_the_end_of_mercator_is_left_out() -> None:
    """The rows near the poles."""
    _, frame = place_in_mercator(raster("EPSG:4326", (-180.0, -90.0, 180.0, 90.0)), longest=500)

    assert frame == pytest.approx((-20037508.34, -20037508.34, 20037508.34, 20037508.34))


@pytest.mark.parametrize("bounds", [None, (0.0, 86.0, 1.0, 89.0)])
def test_a_raster_without_a_place_on_the_map_is_refused(bounds: tuple[float, float, float, float] | None) -> None:
    """It says so."""
    given = Raster(data=np.zeros((1, 2, 2), np.uint8), bounds=bounds)

    with pytest.raises(UdfSerializationError, match="no place on Earth|where maps end"):
        place_in_mercator(given, longest=500)
