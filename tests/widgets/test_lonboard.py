"""The adapters to lonboard, without a page: which layer, what is in its table, and what follows the UDF."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from ipywidgets.widgets.widget import _instances
from real_jupyter import eventually

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets import bitmap_tile_layer, feature_table, vector_layer

# lonboard 0.17 asks pandas 3 by keywords that it is giving up.
pytestmark = pytest.mark.filterwarnings("ignore:The .* keyword in .*convert_dtypes:DeprecationWarning")

Values = Mapping[str, Any]

POINT, LINE, AREA = shapely.Point(5, 50), shapely.LineString([(0, 0), (1, 1)]), shapely.box(0, 0, 1, 1)
CELLS = ("85283473fffffff", "8528347bfffffff")


def frame_of(*shapes: Any, crs: int | None = 4326, **columns: Any) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"n": range(len(shapes)), **columns}, geometry=[*shapes], crs=crs)


def points(count: int) -> gpd.GeoDataFrame:
    return frame_of(*(shapely.Point(n, n) for n in range(count)))


class Source:
    """A UDF whose result a test sets."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.asked: list[Values] = []

    async def read(self, params: Values) -> Any:
        self.asked.append(dict(params))
        return feature_table(self.value, udf="quakes")

    def layer(self, **kw: Any) -> Any:
        table = feature_table(self.value, udf="quakes")
        assert table is not None
        return vector_layer("quakes", table, read=self.read, params={}, check=accept, **kw)


def accept(_: Values) -> None:
    """Any parameters will do."""


def rows(layer: Any) -> int:
    return int(layer.table.num_rows)


def places(layer: Any) -> list[tuple[float, float]]:
    return [tuple(place) for place in layer.table["geometry"].combine_chunks().to_pylist()]


# -- tiles


def test_tiles_follow_the_udf(registry: Any) -> None:
    """A new version of the UDF gives a new URL, which is what makes lonboard fetch again."""
    layer = tiles(lambda _: f"http://h/{{z}}/{{x}}/{{y}}.png?v={registry.get('quakes').digest}", opacity=0.5)
    assert layer.data == "http://h/{z}/{x}/{y}.png?v=1"
    assert (layer.tile_size, layer.opacity) == (256, 0.5)

    registry.register("quakes", digest="2")
    registry.register("other", digest="9")

    assert layer.data == "http://h/{z}/{x}/{y}.png?v=2"


def test_tiles_follow_their_parameters(registry: Any) -> None:
    """Another dict is another URL."""
    layer = tiles(lambda params: f"http://h/{{z}}/{{x}}/{{y}}.png?{params}")

    layer.params = {"level": 3}

    assert layer.data == "http://h/{z}/{x}/{y}.png?{'level': 3}"


def test_wrong_parameters_are_refused_where_they_are_set(registry: Any) -> None:
    """The layer keeps what it had: lonboard itself would show nothing and say nothing."""

    def refuse(params: Values) -> None:
        if "level" not in params:
            raise ArgumentError(f"no {params}")

    layer = bitmap_tile_layer("quakes", url=str, params={"level": 1}, check=refuse)

    with pytest.raises(ArgumentError, match="no {'levle': 3}"):
        layer.params = {"levle": 3}

    assert (layer.params, layer.data) == ({"level": 1}, "{'level': 1}")


@pytest.mark.parametrize("make", [lambda: tiles(str), lambda: Source(points(2)).layer()], ids=["tiles", "features"])
def test_a_closed_layer_is_collected(registry: Any, make: Callable[[], Any]) -> None:
    """The registry keeps no layer alive."""
    layer = make()
    reference = weakref.ref(layer)

    layer.close()
    del layer
    gc.collect()

    assert reference() is None
    assert registry.listeners == []


def tiles(url: Callable[[Values], str], **kw: Any) -> Any:
    return bitmap_tile_layer("quakes", url=url, params={}, check=accept, **kw)


# -- features: which layer


@pytest.mark.parametrize(
    ("value", "layer"),
    [
        (frame_of(POINT), "ScatterplotLayer"),
        (frame_of(POINT, shapely.MultiPoint([POINT])), "ScatterplotLayer"),
        (gpd.GeoSeries([LINE]), "PathLayer"),
        (frame_of(LINE, shapely.MultiLineString([LINE])), "PathLayer"),
        (frame_of(AREA, shapely.MultiPolygon([AREA])), "PolygonLayer"),
        (AREA, "PolygonLayer"),
        (pd.DataFrame({"hex": CELLS}), "H3HexagonLayer"),
        (pd.DataFrame({"h3": [int(cell, 16) for cell in CELLS]}), "H3HexagonLayer"),
        (pd.DataFrame({"lat": [50.0], "lng": [5.0]}), "ScatterplotLayer"),
        (frame_of(AREA).to_arrow(), "PolygonLayer"),
    ],
)
def test_the_layer_fits_the_geometry(registry: Any, value: Any, layer: str) -> None:
    """Points, lines, areas and cells each have one."""
    import lonboard

    assert isinstance(Source(value).layer(), getattr(lonboard, layer))


@pytest.mark.parametrize("value", [pd.DataFrame({"a": [1]}), np.zeros((3, 8, 8)), {"a": 1}, None])
def test_what_lies_nowhere_is_no_table_of_features(value: Any) -> None:
    """Tables without places, rasters and plain data are not for these layers."""
    assert feature_table(value, udf="quakes") is None


def test_a_layer_has_all_columns_and_places_in_degrees(registry: Any) -> None:
    """Whatever the CRS was; lonboard shows the columns in its tooltip."""
    metric = frame_of(POINT, name=["Ana"]).to_crs(3857)

    layer = Source(metric).layer()

    assert layer.table.column_names == ["n", "name", "geometry"]
    assert places(layer)[0] == pytest.approx((5, 50))


def test_rows_without_geometry_are_left_out(registry: Any) -> None:
    """lonboard would refuse the table."""
    layer = Source(frame_of(None, POINT, shapely.Point())).layer()

    assert layer.table["n"].to_pylist() == [1]


def test_cells_are_drawn_by_number_and_shown_as_text(registry: Any) -> None:
    """Browsers round integers of 64 bits; what is no cell has no hexagon."""
    numbers = [int(cell, 16) for cell in CELLS]

    layer = Source(pd.DataFrame({"hex": [*numbers, 0], "n": [1, 2, 3]})).layer()

    assert layer.get_hexagon.to_pylist() == numbers
    assert (layer.table["hex"].to_pylist(), layer.table["n"].to_pylist()) == ([*CELLS], [1, 2])


def test_mixed_geometries_are_told_how_to_be_drawn() -> None:
    """One layer of lonboard draws one kind; the message is code that works."""
    mixed = frame_of(POINT, AREA)

    with pytest.raises(ArgumentError) as error:
        feature_table(mixed, udf="quakes")

    code = 'lonboard.Map([quakes.to_lonboard(geometry="polygon"), quakes.to_lonboard(geometry="point")])'
    assert code in str(error.value)
    chosen = feature_table(mixed, udf="quakes", geometry="polygon")
    assert chosen is not None
    assert [*chosen.frame.geometry] == [AREA]


@pytest.mark.parametrize(
    ("value", "geometry", "message"),
    [
        (frame_of(shapely.GeometryCollection([POINT])), None, r"explode\(\)"),
        (frame_of(POINT), "points", "need one of point, line, polygon"),
    ],
)
def test_what_lonboard_cannot_draw_is_said(value: Any, geometry: str | None, message: str) -> None:
    """With what to do instead."""
    with pytest.raises(ArgumentError, match=message):
        feature_table(value, udf="quakes", geometry=geometry)


def test_an_empty_result_makes_no_layer(registry: Any) -> None:
    """Nothing says whether it would be points or areas."""
    with pytest.raises(ArgumentError, match="quakes: the result has no rows"):
        Source(points(0)).layer()


# -- features: how they follow


def test_features_follow_the_udf(registry: Any) -> None:
    """A new version is read, and its table takes the place of the old one, with another number of rows."""
    source = Source(points(2))
    layer = source.layer()

    source.value = points(5)
    registry.register("quakes", digest="2")

    eventually(lambda: rows(layer) == 5)
    assert places(layer)[4] == (4, 4)


def test_features_follow_their_parameters(registry: Any) -> None:
    """The UDF is asked with the new ones."""
    source = Source(points(2))
    layer = source.layer()

    source.value = points(1)
    layer.params = {"least": 3}

    eventually(lambda: rows(layer) == 1)
    assert source.asked == [{"least": 3}]


def test_functions_of_the_table_are_asked_again(registry: Any) -> None:
    """What was given as a value stays."""
    source = Source(points(2))
    layer = source.layer(get_radius=lambda frame: frame.n.to_numpy() + 1, get_line_color=[1, 2, 3])
    assert layer.get_radius.to_pylist() == [1, 2]

    source.value = points(3)
    layer.params = {"more": True}

    eventually(lambda: rows(layer) == 3)
    assert layer.get_radius.to_pylist() == [1, 2, 3]
    assert layer.get_line_color == [1, 2, 3]


def test_cells_follow_too(registry: Any) -> None:
    """The cells of a table are an array beside it, which has to fit."""
    source = Source(pd.DataFrame({"hex": CELLS}))
    layer = source.layer()

    source.value = pd.DataFrame({"hex": CELLS[:1]})
    registry.register("quakes", digest="2")

    eventually(lambda: rows(layer) == 1)
    assert layer.get_hexagon.to_pylist() == [int(CELLS[0], 16)]


def test_a_new_table_makes_no_widgets(registry: Any) -> None:
    """A slider may bring hundreds of tables."""
    source = Source(points(2))
    layer = source.layer()
    before = {*_instances}

    source.value = points(3)
    layer.params = {"a": 1}
    eventually(lambda: rows(layer) == 3)

    eventually(lambda: {*_instances} == before)


def test_an_empty_result_hides_the_layer_until_there_are_rows(registry: Any) -> None:
    """lonboard takes no empty table; what the user hid stays hidden."""
    source = Source(points(2))
    layer, hidden = source.layer(), source.layer(visible=False)

    source.value = points(0)
    registry.register("quakes", digest="2")
    eventually(lambda: not layer.visible)
    source.value = points(3)
    registry.register("quakes", digest="3")

    eventually(lambda: layer.visible and rows(layer) == rows(hidden) == 3)
    assert not hidden.visible


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        (frame_of(AREA), {}, "quakes gives polygons now, and this layer draws points"),
        (points(3), {"get_radius": np.ones(2)}, "get_radius was given for 2 rows, and now there are 3"),
    ],
    ids=["other geometry", "other length"],
)
def test_what_does_not_fit_stays_out(
    registry: Any, caplog: pytest.LogCaptureFixture, value: Any, options: Values, message: str
) -> None:
    """The layer keeps its table, and the error is told; the next table is drawn again."""
    source = Source(points(2))
    layer = source.layer(**options)

    source.value = value
    layer.params = {"a": 1}

    eventually(lambda: message in caplog.text)
    assert rows(layer) == 2
    source.value = points(2).iloc[::-1]
    layer.params = {"a": 2}
    eventually(lambda: places(layer)[0] == (1, 1))
