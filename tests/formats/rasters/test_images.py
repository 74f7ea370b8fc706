from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import rasterio.warp
from PIL import Image, ImageCms
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.io import MemoryFile

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats import TileFrame
from fused_jupyter.formats.rasters.images import open_image, raster_of_bytes, raster_of_image
from fused_jupyter.formats.rasters.placement import place
from fused_jupyter.formats.rasters.raster import Raster, missing_pixels
from fused_jupyter.tiles import Tile

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, (7, 9, 4), np.uint8)
NORTH_UP = Affine(0.01, 0, 10.0, 0, -0.01, 60.0)


def frame(z: int, x: int, y: int) -> TileFrame:
    place = Tile(z, x, y)
    return TileFrame(z=z, x=x, y=y, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


def saved(image: Image.Image, name: str, **options: Any) -> bytes:
    sink = BytesIO()
    image.save(sink, name, **options)
    return sink.getvalue()


def geotiff(
    data: Any, *, transform: Affine | None = NORTH_UP, crs: str | None = "EPSG:4326", after: Any = None, **profile: Any
) -> bytes:
    """A GeoTIFF that rasterio writes; `after` is called with the open file."""
    bands, height, width = data.shape
    profile |= {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": data.dtype, "crs": crs}
    with MemoryFile(ext=".tif") as memory:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), memory.open(transform=transform, **profile) as sink:
            sink.write(data)
            if after is not None:
                after(sink)
        return bytes(memory.getbuffer())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "P", "PA", "LA", "La", "RGBa"])
def test_colours_of_every_mode_become_rgba(mode: str) -> None:
    """As Pillow itself converts them."""
    through = {"La": "LA", "PA": "P", "RGBa": "RGBA"}.get(mode, mode)
    image = Image.fromarray(COLOURS).convert("RGB" if mode in {"HSV", "CMYK", "YCbCr"} else "RGBA")
    image = image.convert(through).convert(mode) if through != mode else image.convert(mode)

    raster = raster_of_image(image)

    first = {"HSV": "RGB", "La": "LA"}.get(mode, mode)
    expected = (image if first == mode else image.convert(first)).convert("RGBA")
    assert np.array_equal(np.moveaxis(raster.data, 0, 2), np.asarray(expected))


def test_lab_is_converted_by_its_profile() -> None:
    """Pillow has no direct way."""
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    image = ImageCms.applyTransform(Image.fromarray(COLOURS[..., :3]), to_lab)

    raster = raster_of_image(image)

    assert np.abs(np.moveaxis(raster.data[:3], 0, 2).astype(int) - COLOURS[..., :3]).mean() < 3


@pytest.mark.parametrize(
    ("mode", "dtype"),
    [("1", np.bool_), ("L", np.uint8), ("I", np.int32), ("F", np.float32), ("I;16", np.uint16), ("I;16B", np.uint16)],
)
def test_one_band_keeps_its_type(mode: str, dtype: Any) -> None:
    """Masks are bool, measurements what they are."""
    image = Image.new(mode, (5, 4), 1)

    raster = raster_of_image(image)

    assert raster.data.shape == (1, 4, 5)
    assert raster.data.dtype.newbyteorder("=") == dtype
    assert (raster.data == 1).all()


def test_a_transparent_shade_is_transparent() -> None:
    """Gray PNGs may name one."""
    body = saved(Image.fromarray(np.array([[7, 8]], np.uint8)), "PNG", transparency=7)

    assert raster_of_bytes(body).data[3].tolist() == [[0, 255]]


def test_photographs_are_turned_as_their_camera_says() -> None:
    """Browsers do so too."""
    exif = Image.Exif()
    exif[0x0112] = 6
    body = saved(Image.fromarray(COLOURS[..., :3]), "JPEG", exif=exif)

    assert open_image(body).size == (7, 9)


@pytest.mark.parametrize("body", [b"\x89PNG\r\n\x1a\nbroken", b"GIF89a", saved(Image.fromarray(COLOURS), "PNG")[:60]])
def test_what_nobody_can_read_is_an_error(body: bytes) -> None:
    """It names the format that the bytes claim to be in."""
    with pytest.raises(UdfSerializationError, match=r"picture \((png|gif)\) that Pillow cannot read"):
        raster_of_bytes(body)


def test_a_broken_tiff_is_an_error() -> None:
    """GDAL's own words."""
    with pytest.raises(UdfSerializationError, match="TIFF that GDAL cannot read"):
        raster_of_bytes(b"II*\x00broken")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_a_geotiff_brings_its_place(dtype: Any) -> None:
    """Its CRS, bounds, nodata and the names of its bands."""
    data = RANDOM.integers(0, 100, (2, 20, 30)).astype(dtype)
    body = geotiff(data, nodata=5, after=lambda sink: setattr(sink, "descriptions", ("red", "nir")))

    raster = raster_of_bytes(body)

    assert np.array_equal(raster.data, data)
    assert raster.bounds == pytest.approx((10.0, 59.8, 10.3, 60.0))
    assert rasterio.CRS.from_user_input(raster.crs).to_epsg() == 4326
    assert (raster.nodata, raster.names) == (5, ("red", "nir"))


def test_a_tiff_without_a_place_is_a_picture() -> None:
    """It covers whatever is asked for, and black is black in it."""
    body = saved(Image.fromarray(COLOURS[..., :3]), "TIFF")

    raster = raster_of_bytes(body)

    assert raster.bounds is None
    assert np.array_equal(np.moveaxis(raster.data[:3], 0, 2), COLOURS[..., :3])
    assert (raster.data[3] == 255).all()


def test_masks_and_alpha_of_a_geotiff_are_kept() -> None:
    """An internal mask hides pixels, an alpha beside one band too, and of four bands it is the fourth."""
    data = RANDOM.integers(1, 100, (2, 6, 6), np.uint8)
    data[1] = 255
    data[1, 2, 3] = 0
    seen = data[1] > 0
    masked = geotiff(data[:1], after=lambda sink: sink.write_mask(seen))
    gray_alpha = geotiff(data, alpha="YES")

    for body in (masked, gray_alpha):
        raster = raster_of_bytes(body)
        assert raster.data.shape == (1, 6, 6)
        assert np.array_equal(~np.asarray(missing_pixels(raster, slice(None))), seen)
    rgba = geotiff(np.moveaxis(COLOURS, 2, 0), photometric="RGB", alpha="YES")
    assert np.array_equal(np.moveaxis(raster_of_bytes(rgba).data, 0, 2), COLOURS)


def test_a_table_of_colours_is_kept_beside_the_classes() -> None:
    """Land cover comes with its colours, and stays land cover for who wants its numbers."""
    classes = np.array([[[0, 1], [2, 1]]], np.uint8)
    table = {0: (0, 0, 0, 255), 1: (10, 200, 30, 255), 2: (200, 10, 30, 255)}
    body = geotiff(classes, nodata=0, after=lambda sink: sink.write_colormap(1, table))

    raster = raster_of_bytes(body)

    assert np.array_equal(raster.data, classes)
    assert raster.colours is not None
    assert raster.colours[[1, 2]].tolist() == [[10, 200, 30, 255], [200, 10, 30, 255]]


@pytest.mark.parametrize(
    "transform", [Affine(0.01, 0, 10, 0, 0.01, 59.8), Affine(0.008, 0.004, 10, 0.004, -0.008, 59.9)]
)
def test_south_up_and_turned_files_are_made_upright(transform: Affine) -> None:
    """As GDAL does it: the picture in the tile is in the same place as rasterio puts it."""
    data = RANDOM.integers(1, 100, (1, 20, 20), np.uint8)
    tile = frame(9, 270, 148)

    placed = place(raster_of_bytes(geotiff(data, transform=transform), tile), tile)

    assert_as_gdal(placed, data, transform, tile, agreement=0.9)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_ground_control_points_are_a_place() -> None:
    """Scans of maps have nothing else."""
    corners = [(0, 0, 10.0, 60.0), (0, 20, 10.2, 60.0), (20, 0, 10.0, 59.8), (20, 20, 10.2, 59.8)]
    points = [GroundControlPoint(row=row, col=col, x=x, y=y) for row, col, x, y in corners]
    body = geotiff(
        np.ones((1, 20, 20), np.uint8),
        transform=None,
        crs=None,
        after=lambda sink: setattr(sink, "gcps", (points, rasterio.CRS.from_epsg(4326))),
    )

    assert raster_of_bytes(body).bounds == pytest.approx((10.0, 59.8, 10.2, 60.0), abs=0.02)


@pytest.mark.parametrize("tile", [frame(6, 33, 18), frame(12, 2162, 1189)])
def test_of_a_large_geotiff_a_tile_reads_its_part(tile: TileFrame) -> None:
    """Few pixels are read, and the tile looks as if all were."""
    y, x = np.mgrid[:1500, :1500]
    data = (np.sin(x / 200) * np.cos(y / 150) + 2).astype(np.float32)[None]
    transform = Affine(0.001, 0, 10.0, 0, -0.001, 60.0)
    body = geotiff(
        data,
        transform=transform,
        tiled=True,
        after=lambda sink: sink.build_overviews([2, 4, 8], Resampling.average),
    )

    raster = raster_of_bytes(body, tile)

    assert raster.data.size < data.size / 2
    placed = place(raster, tile)
    whole = place(raster_of_bytes(body), tile)
    both = ~placed.mask[0] & ~whole.mask[0]
    assert (placed.mask == whole.mask).mean() > 0.99
    assert np.abs(placed.data[0][both] - whole.data[0][both]).max() < 0.05


def assert_as_gdal(placed: Raster, data: Any, transform: Affine, tile: TileFrame, *, agreement: float) -> None:
    left, bottom, right, top = tile.mercator_bounds
    expected = np.zeros((256, 256), np.uint8)
    rasterio.warp.reproject(
        data[0],
        expected,
        src_transform=transform,
        src_crs="EPSG:4326",
        dst_transform=Affine((right - left) / 256, 0, left, 0, (bottom - top) / 256, top),
        dst_crs="EPSG:3857",
        resampling=Resampling.nearest,
    )
    seen = np.where(placed.mask[0], 0, placed.data[0])
    assert ((seen > 0) == (expected > 0)).mean() > agreement
    assert (expected > 0).any()
