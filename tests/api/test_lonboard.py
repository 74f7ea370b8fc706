"""`udf.to_lonboard()` of features: which runs it makes, and what they decide. Tiles need a server: tests/whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from real_jupyter import eventually

import fused_jupyter as fused
from fused_jupyter.errors import ArgumentError, FusedError, UdfRuntimeError
from fused_jupyter.udfs import UdfDefinition

# lonboard 0.17 asks pandas 3 by keywords that it is giving up.
pytestmark = pytest.mark.filterwarnings("ignore:The .* keyword in .*convert_dtypes:DeprecationWarning")

AREA = """
@fused.udf
def area(bounds: fused.types.Bounds{default}, margin: float = 0.0):
    import geopandas, shapely
    west, south, east, north = bounds
    box = shapely.box(west, south, east, north).buffer(margin, join_style="mitre")
    return geopandas.GeoDataFrame({{"margin": [margin]}}, geometry=[box], crs=4326)
"""
WORLD = (-180, -85.0511, 180, 85.0511)


@pytest.fixture
def area(definition: Callable[..., UdfDefinition]) -> fused.Udf:
    return fused.Udf(definition(AREA.format(default=" = None"))).register()


def bounds_of(layer: Any) -> tuple[float, float, float, float]:
    [rings] = layer.table["geometry"].combine_chunks().to_pylist()
    xs, ys = zip(*rings[0], strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def test_features_are_told_by_a_run_for_the_world(area: fused.Udf) -> None:
    """A UDF that takes bounds is run for all that there is."""
    import lonboard

    layer = area.to_lonboard()

    assert isinstance(layer, lonboard.PolygonLayer)
    assert bounds_of(layer) == pytest.approx(WORLD, abs=1e-3)


def test_bounds_say_where_it_runs(area: fused.Udf) -> None:
    """As bounds, or whatever else is an area; the options of lonboard's layer go to it."""
    layer = area.to_lonboard(bounds=(4, 50, 6, 52), margin=1, get_fill_color=[1, 2, 3], opacity=0.5)

    assert bounds_of(layer) == (3, 49, 7, 53)
    assert (layer.params, [*layer.get_fill_color], layer.opacity) == ({"margin": 1}, [1, 2, 3], 0.5)


def test_bounds_of_the_signature_win_over_the_world(definition: Callable[..., UdfDefinition]) -> None:
    """A UDF that says where its data lie is run there."""
    udf = fused.Udf(definition(AREA.format(default=" = (1, 2, 3, 4)"))).register()

    assert bounds_of(udf.to_lonboard()) == (1, 2, 3, 4)


def test_the_layer_follows_cell_and_parameters(area: fused.Udf, definition: Callable[..., UdfDefinition]) -> None:
    """Both are runs of the newest version for the same area."""
    layer = area.to_lonboard(bounds=(4, 50, 6, 52))

    layer.params = {"margin": 1}
    eventually(lambda: bounds_of(layer) == (3, 49, 7, 53))

    fused.Udf(definition(AREA.format(default=" = None").replace("bounds\n", "(0, 0, 1, 1)\n"))).register()
    eventually(lambda: bounds_of(layer) == (-1, -1, 2, 2))


def test_a_slider_stops_the_runs_that_nobody_wants(definition: Callable[..., UdfDefinition]) -> None:
    """The last value is drawn though each of the others would have taken minutes."""
    slow = """
        @fused.udf
        def slow(n: int = 0):
            import geopandas, shapely, time
            time.sleep(100 if 0 < n < 9 else 0)
            return geopandas.GeoDataFrame({"n": [n]}, geometry=[shapely.Point(n, n)], crs=4326)
    """
    layer = fused.Udf(definition(slow)).register().to_lonboard()

    for n in range(1, 10):
        layer.params = {"n": n}

    eventually(lambda: layer.table["n"].to_pylist() == [9], timeout=30)


def test_unknown_parameters_are_refused(area: fused.Udf) -> None:
    """Where they are set, with the nearest name."""
    layer = area.to_lonboard()

    with pytest.raises(ArgumentError, match="area has no parameter 'magin'; did you mean 'margin'"):
        layer.params = {"magin": 1}

    assert layer.params == {}


def test_geometry_chooses_rows(definition: Callable[..., UdfDefinition]) -> None:
    """A result of points and areas is two layers, as the error of one layer says."""
    mixed = """
        @fused.udf
        def mixed():
            import geopandas, shapely
            return geopandas.GeoSeries([shapely.Point(5, 50), shapely.box(0, 0, 1, 1)], crs=4326)
    """
    udf = fused.Udf(definition(mixed)).register()
    with pytest.raises(ArgumentError, match=r'mixed.to_lonboard\(geometry="polygon"\)'):
        udf.to_lonboard()

    layers = [udf.to_lonboard(geometry=kind) for kind in ("polygon", "point")]

    assert [type(layer).__name__ for layer in layers] == ["PolygonLayer", "ScatterplotLayer"]
    assert [layer.table.num_rows for layer in layers] == [1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "tiles"}, "kind: got 'tiles', need one of auto, raster, vector"),
        ({"colormap": "viridis"}, "area: colormap is about tiles"),
        ({"geometry": "line"}, "area: the result has no rows"),
        ({"bounds": 7}, "bounds"),
    ],
)
def test_what_does_not_fit_is_refused(area: fused.Udf, options: dict[str, Any], message: str) -> None:
    """With what would."""
    with pytest.raises(FusedError, match=message):
        area.to_lonboard(**options)


def test_no_features_where_they_were_said_to_be(definition: Callable[..., UdfDefinition]) -> None:
    """A raster is no vector."""
    udf = fused.Udf(definition("@fused.udf\ndef f():\n    import numpy\n    return numpy.zeros((4, 4))")).register()

    with pytest.raises(ArgumentError, match="f: got kind='vector', and the UDF gives no table with places"):
        udf.to_lonboard(kind="vector")


def test_a_failed_trial_says_what_it_was_for(definition: Callable[..., UdfDefinition]) -> None:
    """A UDF that cannot do the world is told how to be asked."""
    udf = fused.Udf(definition("@fused.udf\ndef f(bounds: fused.types.Bounds):\n    raise ValueError('too large')"))

    with pytest.raises(UdfRuntimeError, match=r"too large.*to_lonboard ran it.*kind='raster'"):
        udf.register().to_lonboard()
