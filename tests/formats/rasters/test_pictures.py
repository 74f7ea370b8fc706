from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image
from rasterio import Affine

from fused_jupyter.errors import ArgumentError
from fused_jupyter.formats import Encoded, Style, Target, TileFrame, Wanted, encode
from fused_jupyter.tiles import Tile

NAMES = ("png", "jpg", "webp", "avif", "gif")
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(1, 256, (40, 30, 3), np.uint8)


def frame() -> TileFrame:
    place = Tile(5, 16, 10)
    return TileFrame(z=5, x=16, y=10, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


TILE = frame()


def encoded(
    value: Any,
    name: str = "png",
    *,
    tile: TileFrame | None = None,
    domain: tuple[float, float] | None = None,
    **style: Any,
) -> Encoded:
    return encode(value, wanted=Wanted(formats=(name,)), target=Target(tile=tile, style=Style.of(style), domain=domain))


def see(body: bytes) -> Any:
    return np.asarray(Image.open(BytesIO(body)).convert("RGBA"))


def saved(pixels: Any, name: str, **options: Any) -> bytes:
    sink = BytesIO()
    Image.fromarray(pixels).save(sink, name, **options)
    return sink.getvalue()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, BytesIO])
def test_bytes_of_a_picture_are_passed_on(name: str, wrap: Any) -> None:
    """In a file and on a tile, byte by byte, where they are what is asked for."""
    body = encoded(PIXELS, name).body

    for tile in (None, TILE):
        answer = encoded(wrap(body), name, tile=tile)
        assert answer.body == body
        assert type(answer.body) is bytes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", ["PNG", "JPEG", "GIF", "WEBP", "AVIF", "TIFF"])
def test_any_picture_becomes_any_other(source: str, name: str) -> None:
    """Decoded and written anew; nearly the same is seen, and black stays black."""
    y, x = np.mgrid[:40, :30]
    pixels = np.stack([x * 8, y * 6, x * 0], axis=-1).astype(np.uint8)
    pixels[:8, :8] = 0

    seen = see(encoded(saved(pixels, source), name).body)

    assert seen.shape == (40, 30, 4)
    assert np.abs(seen[..., :3].astype(int) - pixels).mean() < 12
    assert (seen[..., 3] == 255).all()


def test_bytes_are_drawn_where_the_request_has_a_style() -> None:
    """A gray PNG takes a colour map, and nodata makes holes."""
    body = saved(np.array([[0, 128, 255]], np.uint8), "PNG")

    assert see(encoded(body, colormap="viridis").body)[0, 0].tolist() == [68, 1, 84, 255]
    assert see(encoded(body, nodata="128").body)[0, :, 3].tolist() == [255, 0, 255]
    assert see(encoded(body, rescale="0,128").body)[0, 1].tolist() == [255] * 4


@pytest.mark.parametrize("name", NAMES)
def test_pictures_with_bounds_are_placed_on_the_tile(name: str) -> None:
    """An array, an image and the bytes of one: half of the tile shows them, the other half nothing."""
    west, south, east, north = TILE.bounds
    half = [west, south, (west + east) / 2, north]
    image = Image.fromarray(PIXELS)

    for value in (
        (np.moveaxis(PIXELS, 2, 0), half),
        (image, shapely.box(*half)),
        (BytesIO(saved(PIXELS, "PNG")), half),
    ):
        seen = see(encoded(value, name, tile=TILE).body)
        assert seen.shape == (256, 256, 4)
        empty = seen[..., 3] == 0 if name != "jpg" else (seen[..., :3] > 240).all(axis=2)
        assert empty[:, 130:].mean() > 0.99
        assert empty[:, :126].mean() < 0.05


def test_a_geotiff_is_drawn_in_its_place() -> None:
    """In the file whole, on the tile where it lies."""
    profile = {"driver": "GTiff", "count": 1, "height": 20, "width": 20, "dtype": "uint8", "crs": "EPSG:4326"}
    transform = Affine(0.1, 0, TILE.bounds[0], 0, -0.1, TILE.bounds[3])
    with rasterio.MemoryFile() as memory:
        with memory.open(transform=transform, nodata=0, **profile) as sink:
            sink.write(np.full((1, 20, 20), 200, np.uint8))
        body = bytes(memory.getbuffer())

    assert see(encoded(body).body).shape == (20, 20, 4)
    seen = see(encoded(body, tile=TILE).body)
    assert seen[..., 3].sum() / 255 == pytest.approx((256 * 2 / 11.25) ** 2 * 1.73, rel=0.03)
    assert seen[0, 0].tolist() == [200, 200, 200, 255]
    assert seen[200, 200, 3] == 0


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_a_transparent_tile(name: str) -> None:
    """Of None and of an array without pixels; a JPEG of it is white."""
    for value in (None, np.zeros((0, 5)), np.zeros((3, 0, 0), np.uint8)):
        seen = see(encoded(value, name, tile=TILE).body)
        assert seen.shape == (256, 256, 4)
        assert (seen == 255).all() if name == "jpg" else not seen[..., 3].any()


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_becomes_a_picture(name: str) -> None:
    """Of its own size, in any format."""
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.subplots().plot([1, 3, 2])

    assert see(encoded(figure, name).body).shape == (50, 100, 4)


@pytest.mark.parametrize("name", NAMES)
def test_the_range_of_the_colours_is_in_a_header(name: str) -> None:
    """For a legend; what is no range has none."""
    values = np.array([[0.5, 97.3]])

    assert encoded(values, name).headers["X-Fused-Rescale"] == "0.5,97.3"
    assert encoded(values, name, rescale="0,50").headers["X-Fused-Rescale"] == "0,50"
    assert encoded(values, name, tile=TILE).headers["X-Fused-Rescale"] == "0,98"
    assert "X-Fused-Rescale" not in encoded(values, name, colormap='{"1":"red"}').headers
    assert encoded(PIXELS, name).headers == {}


@pytest.mark.parametrize("name", NAMES)
def test_what_the_colours_stand_for_is_in_a_header(name: str) -> None:
    """Of a range nine colours, of classes each with its own; colours that stand for themselves need no legend."""
    values, shades = np.array([[0.5, 97.3]]), np.array([[3, 200]], np.uint8)
    viridis = " ".join(to_hex(colormaps["viridis"](round(255 * place / 8)))[1:] for place in range(9))

    assert encoded(values, name).headers["X-Fused-Colors"] == viridis
    assert encoded(values, name, colormap="burg").headers["X-Fused-Colors"].split()[::8] == ["ffc6c4", "672044"]
    assert encoded(shades, name).headers["X-Fused-Colors"].split()[::4] == ["000000", "808080", "ffffff"]
    classes = '{"1":"red","2.5":[0,0,255,128],"3":[0,0,0,0]}'
    assert encoded(values, name, colormap=classes).headers == {"X-Fused-Colors": "1=ff0000 2.5=0000ff80"}
    assert encoded(values > 5, name).headers == {"X-Fused-Colors": "True=440154"}


def test_tiles_of_a_layer_share_the_range_of_the_first() -> None:
    """The host hands on what the first tile settled; with it one value has one colour everywhere."""
    first = encoded(np.array([[0.0, 50.0, 97.3]]), tile=TILE)

    later = encoded(np.array([[50.0, 5000.0]]), tile=TILE, domain=first.domain)

    assert first.domain == (0, 98)
    assert later.domain is None
    assert later.headers == first.headers
    assert see(later.body)[0, 0].tolist() == see(first.body)[0, 1].tolist()


def test_what_cannot_be_drawn_is_an_error_of_the_request() -> None:
    """An unknown colour map names its parameter, even where bytes could have been passed on."""
    for value in (np.zeros((3, 3)), saved(PIXELS, "PNG")):
        with pytest.raises(ArgumentError, match="colormap: got virdis"):
            encoded(value, colormap="virdis")
