from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import geopandas as gpd
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from fused_jupyter.formats import Target, TileFrame
from fused_jupyter.formats.mvt import encoder
from fused_jupyter.formats.mvt.cut import covered_area
from fused_jupyter.tiles import Tile

PLACE = Tile(10, 540, 340)
TILE = TileFrame(z=10, x=540, y=340, bounds=PLACE.bounds, mercator_bounds=PLACE.mercator_bounds)
WHOLE = (-64.0, -64.0, 4160.0, 4160.0)
KERNELS = [encoder.NUMPY, encoder.best_kernel()]
Random = np.random.Generator


def draw(shapes: Sequence[Any], kernel: encoder.Kernel | None = None) -> dict[int, Any]:
    """Position → what a reader of the tile sees of each shape; all in tile units with y down."""
    west, _, east, north = TILE.mercator_bounds
    unit = (east - west) / 4096
    metres = shapely.transform(np.array(shapes, object), lambda xy: xy * [unit, -unit] + [west, north])
    features = gpd.GeoDataFrame({"n": range(len(shapes))}, geometry=metres, crs=3857)
    body = encoder.encode_mvt(features, Target(tile=TILE), kernel=kernel).body
    if not body:
        return {}
    layer = mapbox_vector_tile.decode(body, default_options={"y_coord_down": True})["udf"]
    return {each["properties"]["n"]: shapely.geometry.shape(each["geometry"]) for each in layer["features"]}


def assert_sound(shape: Any) -> None:
    """Valid as a whole; rings that turn as they should (MVT 4.3.3.3), without repeated points."""
    assert shape.is_valid, shapely.is_valid_reason(shape)
    for polygon in shapely.get_parts(shape):
        for position, ring in enumerate(shapely.get_rings(polygon)):
            points = shapely.get_coordinates(ring)
            assert (points[1:] != points[:-1]).any(axis=1).all()
            area = sum(x * v - u * y for (x, y), (u, v) in pairwise(points))
            assert (area > 0) == (position == 0)


def assert_alike(drawn: Any, shape: Any) -> None:
    """They differ by a part of a unit along the outline."""
    truth = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    outline = shapely.clip_by_rect(truth.boundary, *WHOLE).length
    difference = shapely.symmetric_difference(drawn, truth.intersection(shapely.box(*WHOLE)))
    assert difference.area < 0.6 * (outline + 100)


def distances(points: Any, outline: Any) -> Any:
    """How far the points are from a line."""
    corners = shapely.get_coordinates(outline)
    sides = shapely.linestrings(np.stack([corners[:-1], corners[1:]], axis=1))
    return shapely.STRtree(sides).query_nearest(shapely.points(points), return_distance=True, all_matches=False)[1]


def star(random: Random, size: float, middle: Any) -> Any:
    """Spikes around a point."""
    angles = np.sort(random.uniform(0, 2 * np.pi, random.integers(3, 40)))
    radii = size * (1 - random.random() * random.random(len(angles)))
    return shapely.Polygon(middle + np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]))


def bow_tie(random: Random, size: float, middle: Any) -> Any:
    """A ring that crosses itself."""
    return shapely.Polygon(middle + random.uniform(-size, size, (4, 2)))


def sliver(random: Random, size: float, middle: Any) -> Any:
    """A river, narrower than a unit in places."""
    there = np.linspace(middle, middle + random.uniform(-size, size, 2), random.integers(2, 30))
    width = 10 ** random.uniform(-2, 0.5)
    back = there[::-1] + random.normal(0, width, there.shape)
    return shapely.Polygon(np.concatenate([there + random.normal(0, width, there.shape), back]))


def coast(random: Random, size: float, middle: Any) -> Any:
    """Thousands of points, far more than units."""
    count = int(random.integers(100, 4000))
    waves = np.arange(1, count // 2 + 2) ** -random.uniform(0.7, 1.5)
    noise = np.fft.irfft(waves * np.exp(1j * random.uniform(0, 2 * np.pi, len(waves))), count)
    radii = size * (1 + 0.5 * noise / np.abs(noise).max())
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return shapely.Polygon(middle + np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]))


def touching_holes(random: Random, size: float, middle: Any) -> Any:
    """Holes with a corner on the outer ring."""
    shell = shapely.get_coordinates(star(random, size, middle))
    corners = shell[random.integers(0, len(shell), 3)]
    holes = [np.array([corner, *(corner + (middle - corner) * random.uniform(0.1, 0.9, (2, 2)))]) for corner in corners]
    return shapely.Polygon(shell, holes)


def cheese(random: Random, size: float, middle: Any) -> Any:
    """Holes beside, over, and across one another."""
    points = shapely.points(middle + random.uniform(-size, size, (random.integers(1, 40), 2)))
    holes = shapely.buffer(points, size * random.uniform(0.01, 0.2, len(points)), quad_segs=3)
    return shapely.box(*(middle - size), *(middle + size)) - shapely.union_all(holes)


def islands(random: Random, size: float, middle: Any) -> Any:
    """Many parts, that rounding may bring together."""
    places = middle + random.normal(0, size, (random.integers(2, 20), 2))
    return shapely.make_valid(
        shapely.MultiPolygon([star(random, size * random.uniform(0.1, 1), place) for place in places]),
        method="structure",
    )


MAKERS: list[Callable[[Random, float, Any], Any]] = [star, bow_tie, sliver, coast, touching_holes, cheese, islands]


@pytest.mark.parametrize("maker", MAKERS)
def test_what_is_drawn_is_valid_and_where_it_was(maker: Callable[[Random, float, Any], Any]) -> None:
    """Of all sizes and all over the tile and its edges: no outline is broken by rounding, cutting, or thinning."""
    random = np.random.default_rng(7)
    sizes = 10 ** random.uniform(-0.3, 3.7, 150)
    shapes = [maker(random, size, random.uniform(-300, 4400, 2)) for size in sizes]

    drawn = draw(shapes)

    assert len(drawn) > 50
    for number, shape in drawn.items():
        assert_sound(shape)
        assert_alike(shape, shapes[number])
    assert draw(shapes, encoder.NUMPY) == drawn


COORDINATES = st.integers(-400, 400).map(lambda number: number / 4 + 2000)
RINGS = st.lists(st.tuples(COORDINATES, COORDINATES), min_size=3, max_size=12)


@settings(max_examples=150, deadline=None)
@given(rings=st.lists(RINGS, min_size=1, max_size=3), scale=st.sampled_from([0.02, 0.1, 1, 30]))
def test_whatever_comes_is_drawn_valid(rings: list[Any], scale: float) -> None:
    """Any rings at all, as one polygon with holes and as polygons of one feature, by both kernels alike."""
    middle = np.array([2000, 2000])
    scaled = [(np.array(ring) - middle) * scale + middle for ring in rings]
    shapes = [shapely.Polygon(scaled[0], scaled[1:]), shapely.MultiPolygon([shapely.Polygon(ring) for ring in scaled])]

    drawn = [draw(shapes, kernel) for kernel in KERNELS]

    assert drawn[0] == drawn[1]
    for shape in drawn[0].values():
        assert_sound(shape)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 1 << 20), size=st.floats(0.1, 5000))
def test_the_area_in_a_frame_is_told_without_cutting(seed: int, size: float) -> None:
    """It is what shapely's intersection has, for polygons with holes and of many parts."""
    random = np.random.default_rng(seed)
    made = [make(random, size, random.uniform(-300, 4400, 2)) for make in (star, cheese, islands, coast)]
    shapes = shapely.make_valid(np.array(made), method="structure")

    areas = covered_area(shapes, WHOLE)

    assert areas == pytest.approx(shapely.area(shapely.intersection(shapes, shapely.box(*WHOLE))), rel=1e-9, abs=1e-3)


def test_a_ring_that_crosses_itself_beyond_the_edge_does_not_flood_the_tile() -> None:
    """GEOS cuts such a ring wrongly, and says nothing; both of its triangles are drawn, and nothing else."""
    shape = shapely.Polygon([(4000, 1000), (6000, 3000), (6000, 1000), (4000, 3000)])

    drawn = draw([shape, shapely.box(10, 10, 20, 20)])

    assert_sound(drawn[0])
    assert_alike(drawn[0], shape)


def test_parts_that_rounding_brings_together_are_one() -> None:
    """Two islands at the same units are drawn once; others of the same feature stay as they are."""
    parts = [shapely.box(10.2, 10, 20.4, 20), shapely.box(20.45, 10, 30, 20), shapely.box(100, 100, 110, 110)]

    (drawn,) = draw([shapely.MultiPolygon(parts)]).values()

    assert sorted(part.bounds for part in drawn.geoms) == [(10, 10, 30, 20), (100, 100, 110, 110)]


def test_mending_that_breaks_something_else_is_mended() -> None:
    """Where two of these triangles cross, the new corner is rounded onto the third one."""
    triangles = "((7 0, 5 4, 8 0, 7 0)), ((7 5, 4 4, 2 7, 7 5)), ((8 2, 1 5, 6 3, 8 2))"

    (drawn,) = draw([shapely.from_wkt(f"MULTIPOLYGON ({triangles})")]).values()

    assert_sound(drawn)


def test_spikes_and_points_on_straight_lines_are_dropped() -> None:
    """They are not drawn, so they are not sent: a square keeps its corners, and nothing else."""
    ring = [
        (10, 10),
        (20, 10),
        (20, 10.2),
        (30, 10),
        (30, 20),
        (30, 60),
        (30.3, 20),
        (30, 30),
        (20, 30),
        (10, 30),
        (10, 20),
    ]

    (drawn,) = draw([shapely.Polygon(ring)]).values()

    assert drawn.normalize() == shapely.box(10, 10, 30, 30).normalize()
    assert shapely.get_num_coordinates(drawn) == 5


def test_a_line_that_turns_back_does_so_on_the_tile() -> None:
    """Only points that are passed straight on are dropped from lines; the dead end is a part of the way."""
    way = shapely.LineString([(10, 10), (20, 10), (20, 10), (40, 10), (30, 10), (30, 30)])

    (drawn,) = draw([way]).values()

    assert list(drawn.coords) == [(10, 10), (40, 10), (30, 10), (30, 30)]


def test_crowded_outlines_lose_points_but_not_their_shape() -> None:
    """Of a coastline with far more points than pixels a few per cent are left; no place is off by two units."""
    random = np.random.default_rng(3)
    angles = np.linspace(0, 2 * np.pi, 50_001)
    radii = 1000 + sum(500 / n * np.cos(n * angles + random.uniform(0, 6)) for n in range(1, 60))
    island = shapely.Polygon(2048 + 0.5 * np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]))

    drawn = draw([island, island.exterior])

    for shape in (drawn[0].exterior, drawn[1]):
        corners = shapely.get_coordinates(shape)
        assert len(corners) < 50_000 / 20
        assert distances(corners, island.exterior).max() < np.sqrt(0.5) + 1e-6
        assert distances(shapely.get_coordinates(island), shape).max() < 1 + np.sqrt(0.5) + 1e-6
    assert drawn[0].area == pytest.approx(island.area, rel=1e-3)


def test_outlines_that_are_not_crowded_keep_every_corner() -> None:
    """A house keeps its bay window, though it is a unit deep, and a round tower all of its points."""
    house = shapely.Polygon([(0, 0), (40, 0), (40, 30), (25, 30), (25, 31), (15, 31), (15, 30), (0, 30)])
    tower = shapely.Point(100, 100).buffer(30, quad_segs=4)

    drawn = draw([house, tower])

    assert [shapely.get_num_coordinates(drawn[n]) for n in (0, 1)] == [9, 17]


def test_what_is_narrow_is_not_simplified_away() -> None:
    """A river of one unit, with a point at each unit, would be a line; it stays, and is a few points long."""
    there = np.column_stack([np.arange(100, 400), np.full(300, 100)])
    back = np.column_stack([np.arange(399, 99, -1), np.full(300, 101)])

    (drawn,) = draw([shapely.Polygon(np.concatenate([there, back]))]).values()

    assert drawn.normalize() == shapely.box(100, 100, 399, 101).normalize()


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_tile_of_specks_is_empty(kernel: encoder.Kernel) -> None:
    """Where nothing is left, no feature of no points is."""
    speck = shapely.box(10, 10, 10.3, 10.3)
    specks = [speck, speck - shapely.box(10.1, 10.1, 10.2, 10.2), speck.exterior, shapely.MultiPolygon([speck])]

    assert [draw([each], kernel) for each in specks] == [{}] * 4
    assert list(draw([*specks, shapely.box(20, 20, 30, 30)], kernel)) == [4]


def test_a_path_made_to_be_slow_is_the_same_for_both_kernels() -> None:
    """The teeth of this comb are split off one by one, hundreds deep; at some depth both kernels keep what is left."""
    number = np.arange(280)
    teeth = np.column_stack([number // 2, (140 - number // 2) * (1 - number % 2)])
    crowd = np.full((4000, 2), (140, 0))
    comb = shapely.LineString(np.concatenate([teeth, crowd]))

    slow, fast = (draw([comb], kernel) for kernel in KERNELS)

    assert slow == fast
    assert shapely.get_num_coordinates(slow[0]) == 281


def test_a_part_that_is_empty_is_none() -> None:
    """Some programs write multipolygons and multilines with empty parts."""
    whole = ["MULTIPOLYGON (((10 10, 20 10, 20 20, 10 10)))", "MULTILINESTRING ((10 10, 20 20))"]
    gaps = ["MULTIPOLYGON (EMPTY, ((10 10, 20 10, 20 20, 10 10)), EMPTY)", "MULTILINESTRING ((10 10, 20 20), EMPTY)"]

    assert draw(shapely.from_wkt(gaps)) == draw(shapely.from_wkt(whole))
