from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import json
import pathlib
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypedDict, Union
from uuid import UUID

import geopandas
import mercantile
import numpy as np
import numpy.typing as npt
import pandas as pd
import pydantic
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

import fused_jupyter as fused
from fused_jupyter import _alias
from fused_jupyter.engines import WORKER_VARIABLE
from fused_jupyter.engines.arguments import ALL_COERCERS
from fused_jupyter.engines.execute import call
from fused_jupyter.errors import ArgumentError
from fused_jupyter.runtime import _runtime
from fused_jupyter.tiles import Tile
from fused_jupyter.udfs import Coercion, UdfDefinition, coerce, with_default_parameters
from fused_jupyter.udfs.coercion import _choices, _Fitting

Define = Callable[..., UdfDefinition]


class Color(enum.Enum):
    RED = "red"
    TWO = 2


@dataclasses.dataclass
class Point:
    x: int
    names: list[str]
    at: date | None = None


class Pair(NamedTuple):
    a: int
    b: str = "x"


class Keys(TypedDict):
    a: int


class Model(pydantic.BaseModel):
    n: int


ANNOTATIONS: list[Any] = [
    int, float, bool, str, bytes, bytearray, complex, Decimal, UUID, pathlib.Path,
    datetime, date, time, timedelta, pd.Timestamp, pd.Timedelta, np.datetime64, np.timedelta64,
    np.int8, np.uint64, np.float16, np.complex128, np.bool_, np.str_, np.number,
    list, list[int], list[bool], list[date], list[list[int]], typing.List[str],  # noqa: UP006
    tuple, tuple[int, str], tuple[float, ...], set[int], frozenset[UUID], Sequence[Color], collections.deque[int],
    dict, dict[str, float], dict[int, list[bool]], Mapping[str, date], collections.OrderedDict,
    Color, Literal["a", 1, None], Literal["1"], list[Literal["auto", 3]], Point, list[Point], Pair, Keys, Model,  # noqa: PYI061 - as users write it
    int | None, Union[int, str], dict | str, list[int] | int | None, float | bool,
    np.ndarray, npt.NDArray[np.int8], pd.DataFrame, pd.Series,
    geopandas.GeoDataFrame, geopandas.GeoSeries, shapely.Point, shapely.LineString, shapely.Polygon,
    shapely.MultiPoint, shapely.MultiLineString, shapely.MultiPolygon, shapely.GeometryCollection, shapely.LinearRing,
    shapely.Geometry, shapely.geometry.base.BaseGeometry, list[shapely.Point], mercantile.Tile,
    fused.types.Bounds, fused.types.Bbox, fused.types.Tile, fused.types.TileXYZ, fused.types.TileGDF,
    fused.types.ViewportGDF,
]  # fmt: skip


def fit(value: Any, annotation: Any) -> Any:
    return coerce(value, annotation, parameter="p", coercers=ALL_COERCERS)


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=str)
def test_example_in_the_error_fits(annotation: Any) -> None:
    """Who copies it from the message has no second error."""
    example = _Fitting(ALL_COERCERS).example_text(annotation)

    fit(example, annotation)


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=str)
def test_error_shows_the_example(annotation: Any) -> None:
    """Whatever did not fit."""

    class Nothing:
        def __str__(self) -> str:
            raise TypeError

    with pytest.raises(ArgumentError) as caught:
        fit(Nothing(), annotation)

    assert _Fitting(ALL_COERCERS).example_text(next(_choices(annotation))) in caught.value.message


def test_every_entry_of_the_table_is_asked_for() -> None:
    """A new type has its line above."""
    asked = {json.dumps(str(typing.get_origin(annotation) or annotation)) for annotation in ANNOTATIONS}
    exact = {key for key, entry in ALL_COERCERS.items() if isinstance(entry, Coercion) and not isinstance(key, str)}
    abstract = {key for key in exact if key.__module__ == "collections.abc"} | {set, typing.Tuple}  # noqa: UP006

    missing = {key for key in exact - abstract if json.dumps(str(key)) not in asked}

    assert missing <= {frozenset, collections.deque}


PIECES = [
    *'[]{}(),:"-+.eE0123456789TZP/ \0é', "\ud800", "NaN", "null", "true", "1e400", "9" * 50, "POINT", "(1 2)", "inf",
    "SRID=4326;", "GEOMETRYCOLLECTION(", '"type":"Feature"', '"geometry":null', '"type":"FeatureCollection"',
    '"features":[', '"type":"Polygon"', '"coordinates":[[[0,0],[1,0],[1,1],[0,0]]]', "2024-05-01", "12:00:00", "red",
    "1,2,3,4", '"x":1', '"a":1', '"columns":["a"]', '"data":[[1]]', "T12:00Z", " days",
]  # fmt: skip
pieces = st.lists(st.sampled_from(PIECES), max_size=9)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "geometry", "coordinates", "features", "properties", "crs", "x", "y", "z", "a"]),
            inner | st.sampled_from(["Feature", "Point", "Polygon", "FeatureCollection"]),
            max_size=4,
        )
    ),
    max_leaves=10,
)
texts = st.one_of(
    st.text(max_size=20),
    pieces.map("".join),
    pieces.map(lambda found: "{" + ",".join(found) + "}"),
    pieces.map(lambda found: "[" + ",".join(found) + "]"),
    json_values.map(json.dumps),
)


@settings(max_examples=600)
@given(texts | json_values, st.sampled_from(ANNOTATIONS))
def test_garbage_gives_a_value_or_an_argument_error(value: Any, annotation: Any) -> None:
    """Any text for any annotation, never a traceback, and never a warning."""
    with contextlib.suppress(ArgumentError):
        fit(value, annotation)


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=str)
@pytest.mark.parametrize(
    "text",
    ["9" * 10_000, "[" * 50_000, '{"a":' * 50_000, "GEOMETRYCOLLECTION(" * 5_000, "1e400", "[1e400]", "-" * 10_000],
    ids=lambda text: text[:6],
)
@pytest.mark.timeout(5)
def test_huge_text_is_answered_at_once(annotation: Any, text: str) -> None:
    """A request must not stop a worker, nor end it."""
    with contextlib.suppress(ArgumentError):
        fit(text, annotation)


# -- the whole way


@pytest.fixture
def _inside_a_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(WORKER_VARIABLE, "1")
    monkeypatch.setattr(_runtime, "_current", None)
    monkeypatch.chdir(pathlib.Path.cwd())
    _alias.install()
    yield
    _alias.uninstall()


def gives(definition: UdfDefinition, *, tile: Tile | None = None, **arguments: Any) -> Any:
    return call(definition, arguments, tile=tile).value


@pytest.mark.usefixtures("_inside_a_worker")
class TestCall:
    """From the arguments of a request to those of the function."""

    def test_unannotated_argument_stays_what_it_is(self, definition: Define) -> None:
        """Text from a URL; an object from Python."""
        udf = definition("def f(n, a, b): return a, b")
        frame = pd.DataFrame({"a": [1]})

        assert gives(udf, n=1, a="1", b="[1]") == ("1", "[1]")
        assert gives(udf, n=1, a=frame, b=True)[1] is True
        assert gives(udf, n=1, a=frame, b=True)[0] is frame

    def test_more_arguments_are_text(self, definition: Define) -> None:
        """As in Fused, wherever they come from; None stays None."""
        udf = definition("def f(n: int = 0, **rest): return rest")

        value = gives(udf, n=1, a="x", b=1, c=True, d=[1, "a"], e=None, f=date(2024, 5, 1), g=shapely.Point(1, 2))

        assert value == {
            "a": "x", "b": "1", "c": "true", "d": '[1, "a"]', "e": None, "f": "2024-05-01", "g": "POINT (1 2)",
        }  # fmt: skip

    def test_more_arguments_have_their_annotation(self, definition: Define) -> None:
        """Each of them."""
        udf = definition("def f(**rest: int | None): return rest")

        assert gives(udf, a="1", b=2, c=None) == {"a": 1, "b": 2, "c": None}
        with pytest.raises(ArgumentError, match="b: got 'x', need a whole number") as caught:
            gives(udf, a="1", b="x")
        assert caught.value.parameter == "b"

    def test_repeated_argument_is_a_list(self, definition: Define) -> None:
        """As the server hands over `?n=1&n=2`; given once it is a list too."""
        udf = definition("def f(k, n: list[int], *, tag: str | list[str] = ''): return n, tag")

        assert gives(udf, k=0, n=["1", "2"], tag=["a", "b"]) == ([1, 2], ["a", "b"])
        assert gives(udf, k=0, n="1", tag="a") == ([1], "a")

    def test_default_parameters_stand_in(self, definition: Define) -> None:
        """Where nothing is given; coerced as an argument is, and over the one in the signature."""
        udf = with_default_parameters(
            definition("def f(k, n: int, day: 'date' = None): return n, day"), {"n": "7", "day": date(2024, 5, 1)}
        )

        assert gives(udf, k=0) == (7, date(2024, 5, 1))
        assert gives(udf, k=0, n="8", day=None) == (8, None)

    def test_tile_wins_over_a_default(self, definition: Define) -> None:
        """It is where the map looks."""
        udf = definition("def f(bounds: list): return bounds")

        value = gives(with_default_parameters(udf, {"bounds": [1, 2, 3, 4]}), tile=Tile(0, 0, 0))

        assert value == list(Tile(0, 0, 0).bounds)
        assert gives(with_default_parameters(udf, {"bounds": [1, 2, 3, 4]})) == [1, 2, 3, 4]

    def test_tile_fills_in_its_area_and_its_numbers(self, definition: Define) -> None:
        """Where the UDF asks for both."""
        udf = definition("def f(bounds: fused.types.Bounds, z: int, x: int, y: int): return bounds[0], z, x, y")

        assert gives(udf, tile=Tile(1, 1, 0)) == (0.0, 1, 1, 0)

    @pytest.mark.parametrize(
        ("signature", "kind"),
        [
            ("*, bounds: fused.types.Bounds", "Bounds"),
            ("bounds: list[float] | None = None", "list"),
            ("bounds: 'Optional[List[float]]' = None", "list"),
            ("bounds: typing.Sequence[float]", "list"),
            ("bounds: np.ndarray", "ndarray"),
            ("bounds: str", "str"),
            ("bounds: str | None = None", "str"),
            ("bounds: dict", "dict"),
            ("bounds: gpd.GeoDataFrame", "GeoDataFrame"),
            ("bounds: gpd.GeoSeries", "GeoSeries"),
            ("bounds: pd.DataFrame", "GeoDataFrame"),
            ("bounds: shapely.Polygon", "Polygon"),
            ("bounds: mercantile.Tile", "Tile"),
            ("bounds: Any", "GeoDataFrame"),
            ("bounds: None", "GeoDataFrame"),
            ("bounds: 'NoSuchThing'", "GeoDataFrame"),
            ("bounds", "GeoDataFrame"),
            ("aoi: gpd.GeoDataFrame", "GeoDataFrame"),
        ],
    )
    def test_tile_takes_the_form_of_any_annotation(self, definition: Define, signature: str, kind: str) -> None:
        """And where it says nothing to us, that of a GeoDataFrame."""
        name = signature.removeprefix("*, ").partition(":")[0]

        value = gives(definition(f"import typing\ndef f({signature}): return {name}", name="f"), tile=Tile(1, 1, 0))

        assert type(value).__name__ == kind

    def test_frame_of_the_caller_stays_whole(self, definition: Define) -> None:
        """It is not cut down to its rectangle: the UDF asked for features."""
        udf = definition("def f(bounds: gpd.GeoDataFrame): return bounds")
        frame = geopandas.GeoDataFrame({"n": [1, 2]}, geometry=[shapely.Point(1, 2), shapely.Point(3, 4)], crs=3857)

        assert gives(udf, bounds=frame) is frame
        assert gives(udf, bounds=frame.to_crs(4326).to_json())["n"].tolist() == [1, 2]

    def test_text_of_the_caller_stays_as_it_is(self, definition: Define) -> None:
        """The UDF reads it itself."""
        udf = definition("def f(bounds: str): return bounds")

        assert gives(udf, bounds="-180,-10,-65,70") == "-180,-10,-65,70"
        assert gives(udf, bounds="Paris") == "Paris"
        assert gives(udf, bounds=[1, 2, 3, 4]) == "1.0,2.0,3.0,4.0"
