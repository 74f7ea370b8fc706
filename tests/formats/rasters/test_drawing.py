from __future__ import annotations

import json
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from fused_jupyter.errors import ArgumentError, UdfSerializationError
from fused_jupyter.formats import Style, Target, TileFrame
from fused_jupyter.formats.rasters.drawing import Picture, draw
from fused_jupyter.formats.rasters.raster import Raster
from fused_jupyter.formats.rasters.reading import to_raster
from fused_jupyter.tiles import Tile

RANDOM = np.random.default_rng(0)
NUMBERS = [np.bool_, np.uint8, np.int8, np.uint16, np.int32, np.uint64, np.float16, np.float32, np.float64]
VIRIDIS = mpl.colormaps["viridis"]


def frame() -> TileFrame:
    place = Tile(5, 16, 10)
    return TileFrame(z=5, x=16, y=10, bounds=place.bounds, mercator_bounds=place.mercator_bounds)


def picture(value: Any, *, domain: tuple[float, float] | None = None, tile: bool = False, **style: Any) -> Picture:
    raster = value if isinstance(value, Raster) else to_raster(value)
    return draw(raster, Target(tile=frame() if tile else None, style=Style.of(style), domain=domain))


def see(value: Any, **asked: Any) -> Any:
    """What is seen, as RGBA of shape (height, width, 4)."""
    drawn = picture(value, **asked)
    if drawn.palette is not None:
        return drawn.palette[drawn.pixels]
    pixels = drawn.pixels[:, :, 0] if drawn.pixels.shape[2] == 1 else drawn.pixels
    seen = np.array(Image.fromarray(np.ascontiguousarray(pixels)).convert("RGBA"))
    if drawn.clear is not None:
        seen[(drawn.pixels == drawn.clear).all(axis=2), 3] = 0
    return seen


@settings(max_examples=80, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(NUMBERS), bands=st.integers(1, 4), height=st.integers(5, 12))
def test_any_array_becomes_a_picture_of_its_size(data: st.DataObject, dtype: Any, bands: int, height: int) -> None:
    """Every type of number, with NaN and infinities, with and without a colour map or range, on tiles and in files."""
    array = data.draw(arrays.arrays(dtype, (bands, height, 9)))
    colormap = data.draw(st.sampled_from(["", "magma_r", '{"0":"red","1":"blue"}', '[[0,"red"],[9,"blue"]]']))
    rescale = data.draw(st.sampled_from(["", "0,1", "-5,1e30"]))
    tile = data.draw(st.booleans())

    for value in (array, array[0], np.moveaxis(array, 0, 2)):
        assert see(value, colormap=colormap, rescale=rescale, tile=tile).shape == (height, 9, 4)


def test_bytes_are_shown_as_they_are() -> None:
    """uint8 is gray, RGB or RGBA without change, in either order of bands."""
    pixels = RANDOM.integers(1, 255, (4, 16, 16), np.uint8)

    assert np.array_equal(see(pixels[0])[..., 0], pixels[0])
    for bands in (3, 4):
        expected = np.moveaxis(pixels[:bands], 0, 2)
        assert np.array_equal(see(pixels[:bands])[..., :bands], expected)
        assert np.array_equal(see(np.ascontiguousarray(expected))[..., :bands], expected)


def test_black_is_transparent_in_rgb_only() -> None:
    """Tiles of imagery mark what they do not cover with zeros; a fourth band says it itself."""
    pixels = RANDOM.integers(1, 255, (4, 18, 18), np.uint8)
    pixels[:3, 2, 3] = 0

    assert see(pixels[:3])[2, 3].tolist() == [0, 0, 0, 0]
    assert (see(pixels[:3])[..., 3] == 0).sum() == 1
    assert see(pixels)[2, 3].tolist() == [0, 0, 0, pixels[3, 2, 3]]
    assert see(Image.fromarray(np.moveaxis(pixels[:3], 0, 2)))[2, 3, 3] == 255


@pytest.mark.parametrize("colours", [2, 256, 300])
@pytest.mark.parametrize("black", [True, False])
def test_the_alpha_of_rgba_is_kept(colours: int, *, black: bool) -> None:
    """All there, all or nothing, and anything between; whether or not there is black to be seen."""
    random = np.random.default_rng(1)
    pixels = random.integers(1, 256, (colours, 4), np.uint8)[
        random.permutation(np.arange(400) % colours).reshape(20, 20)
    ]
    pixels[3, 3, :3] = 0 if black else 1
    for alpha in (np.full((20, 20), 255), random.choice([0, 255], (20, 20)), random.integers(0, 256, (20, 20))):
        pixels[..., 3] = alpha
        pixels[3, 3, 3] = 255
        seen = see(np.moveaxis(pixels, 2, 0))
        assert np.array_equal(seen[..., 3], pixels[..., 3])
        visible = pixels[..., 3] > 0
        assert np.array_equal(seen[visible], pixels[visible])


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


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_rescale_brings_colours_to_bytes(dtype: Any) -> None:
    """Reflectance of a satellite: one range for all bands, or one for each; an alpha has none unless it is given."""
    bands = np.array([[[0, 1500, 3000]], [[300, 600, 4000]], [[1, 2, 3]], [[0, 255, 9]]], dtype)

    one = see(bands[:3], rescale="0,3000")
    each = see(bands[:3], rescale=["0,3000", "300,900", "1,3"])

    assert one[0].tolist() == [[0, 26, 0, 255], [128, 51, 0, 255], [255, 255, 0, 255]]
    assert each[0].tolist() == [[0, 0, 0, 255], [128, 128, 128, 255], [255, 255, 255, 255]]
    alpha = [0, 255, 9] if dtype not in {np.float32, np.float64} else [0, 255, 255]
    assert see(bands, rescale="0,3000")[0, :, 3].tolist() == alpha
    assert see(bands, rescale="0,3000,0,3000,0,3000,0,510")[0, :, 3].tolist() == [0, 128, 5]
    with pytest.raises(ArgumentError, match="rescale: got 2 pairs for 3 bands"):
        see(bands[:3], rescale="0,1,0,1")


def test_measurements_are_numbered_colours_over_their_range() -> None:
    """The lowest value is viridis' first colour, the highest its last; what is missing is transparent."""
    values = np.array([[-10.0, 0.0, 30.0, np.nan, np.inf, -np.inf]])

    seen = see(values)

    assert seen[0, 0].tolist() == seen[0, 5].tolist() == [68, 1, 84, 255]
    assert seen[0, 2].tolist() == seen[0, 4].tolist() == [253, 231, 37, 255]
    assert seen[0, 3, 3] == 0


@settings(deadline=None)
@given(low=st.floats(-1e6, 1e6), length=st.floats(0.01, 1e6), dtype=st.sampled_from([np.float32, np.float64, np.int32]))
def test_a_value_has_the_colour_that_matplotlib_gives_it(low: float, length: float, dtype: Any) -> None:
    """Within the two steps that 255 instead of 256 colours make."""
    values = (low + np.linspace(0, 1, 64) * length).astype(dtype)[None]

    seen = see(values, rescale=f"{low},{low + length}")

    place = (values.astype(float) - low) / length
    resolution = float(np.abs(np.spacing(values.astype(np.float32)).astype(float)).max() / length)
    tolerance = 8 + 1000 * resolution
    assert np.abs(seen[..., :3] - VIRIDIS(place)[..., :3] * 255).max() <= tolerance


def test_one_range_makes_one_colour_on_all_tiles() -> None:
    """Whether it comes from the request, from attributes, or from the first tile of the layer."""
    low, high = np.array([[5.0, 5.0]]), np.array([[5.0, 900.0]])
    named = Raster(data=low[None], domain=(0.0, 10.0))
    middle = np.array(VIRIDIS(0.5)[:3]) * 255

    for seen in (
        see(low, tile=True, rescale="0,10"),
        see(high, tile=True, rescale="0,10"),
        see(low, tile=True, domain=(0, 10)),
        see(high, tile=True, domain=(0, 10)),
        see(named, tile=True, domain=(0, 1)),
        see(named, tile=True),
    ):
        assert np.abs(seen[0, 0, :3].astype(int) - middle).max() <= 2


def test_the_first_tile_tells_its_range() -> None:
    """Later ones do not, nor do files, nor colours that mean no range."""
    values = np.array([[0.5, 97.3]])

    first = picture(values, tile=True).range
    assert first is not None
    assert (first.low, first.high, first.is_settled_here) == (0, 98, True)
    assert not getattr(picture(values, tile=True, domain=(0, 98)).range, "is_settled_here", True)
    assert not getattr(picture(values).range, "is_settled_here", True)
    assert picture(values, tile=True, colormap='{"1":"red"}').range is None
    assert str(picture(values.astype(np.uint8)).range) == "0,255"
    assert str(picture(values, colormap='[[-5,"red"],[5,"blue"]]').range) == "-5,5"


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_masked_pixels_and_nodata_are_transparent(dtype: Any) -> None:
    """Of every type, in one band and in three."""
    for shape in ((6, 6), (3, 6, 6)):
        array = np.full(shape, 1, dtype)
        array[..., 1, 2] = 77
        masked = np.ma.masked_equal(array, 77)
        for seen in (see(masked), see(array, nodata="77"), see(Raster(data=np.atleast_3d(array.T).T, nodata=77))):
            assert np.flatnonzero(seen[..., 3] == 0).tolist() == [8]


def test_the_nodata_of_the_request_goes_before_that_of_the_file() -> None:
    """Who asks knows better."""
    raster = Raster(data=np.array([[[1, 2]]], np.uint8), nodata=1)

    assert see(raster)[0, :, 3].tolist() == [0, 255]
    assert see(raster, nodata="2")[0, :, 3].tolist() == [255, 0]
    assert see(raster, nodata="nan")[0, :, 3].tolist() == [255, 255]


def test_gray_with_holes_keeps_every_shade() -> None:
    """Whether a shade is free to stand for nothing or all 256 are taken."""
    shades = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for band in (np.vstack([shades, shades]), np.vstack([shades, shades]) // 2):
        hole = np.zeros(band.shape, bool)
        hole[16:, 4:9] = True
        seen = see(np.ma.masked_array(band, hole))
        assert np.array_equal(seen[..., 3] == 0, hole)
        assert np.array_equal(seen[..., 0][~hole], band[~hole])


def test_a_file_with_a_table_of_colours_is_drawn_by_it() -> None:
    """With holes where its nodata is, even if all 256 numbers are taken; a colour map of the request goes before."""
    colours = np.random.default_rng(0).integers(0, 256, (256, 4), np.uint8)
    colours[:, 3] = 255
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)

    for band in (every, every % 9):
        hole = np.zeros((1, 16, 16), bool)
        hole[0, 0, 5] = True
        assert np.array_equal(see(Raster(data=band, colours=colours)), colours[band[0]])
        seen = see(Raster(data=np.hstack([band, band]), mask=np.hstack([hole, ~hole]), colours=colours))
        expected = np.where(np.hstack([hole, ~hole])[0][..., None], 0, colours[np.hstack([band, band])[0]])
        assert np.array_equal(seen, expected)
    assert see(Raster(data=every, colours=colours), colormap="gray")[0, 9].tolist() == [9, 9, 9, 255]


def test_true_is_seen_and_false_is_not() -> None:
    """A mask is one colour on nothing; with a colour map both have one."""
    mask = np.array([[True, False]])

    assert see(mask)[0, :, 3].tolist() == [255, 0]
    assert see(mask, colormap="gray")[0].tolist() == [[255] * 4, [0, 0, 0, 255]]
    assert see(mask, colormap='{"0":"red"}')[0].tolist() == [[0] * 4, [255, 0, 0, 255]]


def test_a_colour_map_draws_the_first_band_whatever_its_type() -> None:
    """uint8 over 0 to 255; of three bands the first."""
    band = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = np.rint(mpl.colormaps["RdYlGn"](band)[..., :3] * 255)

    for value in (band, np.stack([band, band[::-1], band]), np.dstack([band] * 4)):
        assert np.abs(see(value, colormap="rdylgn")[..., :3] - expected).max() <= 1
    assert np.array_equal(see(band, colormap="gray", rescale="100,200")[0, 0], [0, 0, 0, 255])
    holes = see(band, colormap="rdylgn", nodata="7")
    assert np.flatnonzero(holes[..., 3] == 0).tolist() == [7]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int64, np.float32, np.float64])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_classes_have_exactly_their_colours(dtype: Any, data: st.DataObject) -> None:
    """All other values, and NaN, are transparent."""
    limits = (-50, 50) if np.dtype(dtype).kind != "u" else (0, 100)
    values = data.draw(arrays.arrays(np.int16, (6, 7), elements=st.integers(*limits))).astype(dtype)
    said = data.draw(
        st.dictionaries(st.integers(*limits), st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=9)
    )

    seen = see(values, colormap=json.dumps(said))

    for row, colours in zip(values, seen, strict=True):
        for value, colour in zip(row, colours, strict=True):
            assert colour.tolist() == ([*said[int(value)], 255] if int(value) in said else [0, 0, 0, 0])


def test_many_classes_are_more_than_a_palette_holds() -> None:
    """Then it is RGBA; fractions and values beyond all lists are found as well."""
    said = {str(value): [value % 256, value // 256, 7] for value in range(600)}

    assert see(np.arange(600).reshape(20, 30), colormap=json.dumps(said))[19, 29].tolist() == [599 % 256, 2, 7, 255]
    seen = see(np.array([[0.5, 0.25], [1e6, np.nan]]), colormap='{"0.5":"red","1000000":"blue"}')
    assert seen[..., 3].tolist() == [[255, 0], [255, 0]]


def test_other_numbers_of_bands_are_cut() -> None:
    """Of two bands the first is shown, of many the first three, with a warning, and of steps of time one."""
    pixels = RANDOM.integers(1, 255, (7, 12, 12), np.uint8)

    assert np.array_equal(see(pixels[:2]), see(pixels[0]))
    with pytest.warns(UserWarning, match="first 3 of 7 bands"):
        assert np.array_equal(see(pixels), see(pixels[:3]))
    with pytest.warns(UserWarning, match="first of 3 steps"):
        assert np.array_equal(see(Raster(data=pixels[:3], are_steps=True)), see(pixels[0]))


def test_flat_colours_become_a_palette_and_photographs_do_not() -> None:
    """A class map that comes as RGB is a sixth of the bytes."""
    classes = RANDOM.integers(1, 255, (5, 3), np.uint8)[RANDOM.integers(0, 5, (30, 30))]

    assert picture(np.moveaxis(classes, 2, 0)).is_flat
    assert picture(np.moveaxis(classes, 2, 0)).palette is not None
    assert picture(RANDOM.integers(1, 255, (3, 30, 30), np.uint8)).palette is None


def test_an_unknown_colour_map_is_an_error_of_the_request() -> None:
    """With the parameter's name."""
    with pytest.raises(ArgumentError, match="colormap: got virdis"):
        see(np.zeros((3, 3)), colormap="virdis")
    with pytest.raises(UdfSerializationError, match="complex128"):
        see(np.zeros((3, 3), complex))


@pytest.mark.parametrize("code", [">f2", ">f4", ">f8", ">i2", ">u4", ">i8", "g"])
def test_the_order_of_bytes_does_not_matter(code: str) -> None:
    """netCDF and FITS have the high byte first; a long double is drawn as a double."""
    values = RANDOM.integers(0, 100, (20, 20)).astype(code)

    for style in ({}, {"rescale": "0,50"}, {"colormap": '{"7":"red"}'}, {"nodata": "9"}):
        assert np.array_equal(see(values, **style), see(values.astype(np.float64), **style))
