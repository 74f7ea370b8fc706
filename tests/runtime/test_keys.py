from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.runtime.keys import Keys, digest_of, with_digest
from fused_jupyter.udfs import UdfDefinition, coerce
from fused_jupyter.wire import Run

Define = Callable[..., UdfDefinition]

SOURCE = """
def f(bounds=None, n: int = 1, x: float = 0.0, word: str = "", yes: bool = False, free=None, maybe: int | None = None):
    return n
"""


@pytest.fixture(scope="module")
def udf(definition: Define) -> UdfDefinition:
    return definition(SOURCE)


def key(udf: UdfDefinition, **parameters: Any) -> str:
    return Keys().of(udf, Run(id=1, udf=udf.name, parameters=parameters))


# -- over HTTP


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": "4"}, {"n": 4}),
        ({"n": "4"}, {"n": " 04"}),
        ({"x": "4"}, {"x": "4.0"}),
        ({"x": "4"}, {"x": 4}),
        ({"x": "1e3"}, {"x": "1000"}),
        ({"yes": "true"}, {"yes": True}),
        ({"yes": "1"}, {"yes": "yes"}),
        ({"n": "1", "x": "2"}, {"x": "2", "n": "1"}),
    ],
    ids=str,
)
def test_spellings_of_one_value_are_one_result(udf: UdfDefinition, one: Any, other: Any) -> None:
    """The annotation says what the UDF gets; and order says nothing."""
    assert key(udf, **one) == key(udf, **other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"free": "1"}, {"free": 1}),
        ({"free": "1"}, {"free": "1.0"}),
        ({"free": 1}, {"free": 1.0}),
        ({"free": 1}, {"free": True}),
        ({"free": [1]}, {"free": "[1]"}),
        ({"free": {"a": 1, "b": 2}}, {"free": {"b": 2, "a": 1}}),
        ({"word": "1"}, {"word": "1.0"}),
        ({"word": ""}, {}),
        ({"n": "1"}, {}),
        ({"n": "4"}, {"n": "5"}),
        ({"n": "4"}, {"x": "4"}),
        ({"x": "inf"}, {"x": "-inf"}),
        ({"x": "0.0"}, {"x": "-0.0"}),
        ({"x": "nan"}, {"x": None}),
        ({"maybe": "null"}, {"maybe": "1"}),
        ({"unknown": "1"}, {"unknown": 1}),
    ],
    ids=str,
)
def test_what_a_udf_could_tell_apart_is_two_results(udf: UdfDefinition, one: Any, other: Any) -> None:
    """A parameter without a plain annotation sees the text itself."""
    assert key(udf, **one) != key(udf, **other)


VALUES = st.one_of(
    st.text(max_size=6),
    st.integers(-(2**53), 2**53),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["1", "1.0", "01", "true", "yes", "on", "", " 1", "1_0", "inf", "nan", "-0", "null"]),
)


@given(name=st.sampled_from(["n", "x", "word", "yes"]), one=VALUES, other=VALUES)
def test_one_key_is_one_argument(udf: UdfDefinition, name: str, one: Any, other: Any) -> None:
    """Whatever comes: where two requests share a key, the UDF gets the same, or both are the same error."""
    if key(udf, **{name: one}) != key(udf, **{name: other}):
        return
    kind = {"n": int, "x": float, "word": str, "yes": bool}[name]

    def typed(value: Any) -> Any:
        try:
            return repr(coerce(value, kind, parameter=name))
        except ValueError:
            return "misfit", json.dumps(value)

    assert typed(one) == typed(other)


def test_code_that_redefines_a_name_decides_itself(definition: Define) -> None:
    """`int` may be anything there."""
    udf = definition("int = str\ndef f(n: int): return n")

    assert key(udf, n="1") != key(udf, n="01")


@pytest.mark.parametrize(
    "change",
    [
        {"tile": (1, 0, 0)},
        {"extension": "png"},
        {"format": "png"},
        {"dtype_out_raster": "png"},
        {"dtype_out_vector": "png"},
        {"accept": "text/csv"},
        {"returns": "object"},
    ],
    ids=str,
)
def test_all_that_an_answer_depends_on_is_in_its_key(udf: UdfDefinition, change: dict[str, Any]) -> None:
    """The same arguments as another tile, in another format, as an object."""
    run = Run(id=1, udf="f", parameters={"n": "1"})

    assert Keys().of(udf, run) != Keys().of(udf, replace(run, **change))


def test_code_and_variables_are_in_the_key(definition: Define, udf: UdfDefinition) -> None:
    """Another version, other variables: another result, and another range for tiles."""
    run, chosen = Run(id=1, udf="f", parameters={}), ["one"]
    keys = Keys(lambda: chosen[0])
    before = keys.of(udf, run), keys.layer(udf, run)
    assert Keys().of(definition("def f(): return 2"), run) != Keys().of(udf, run)

    chosen[0] = "other"

    assert not {keys.of(udf, run), keys.layer(udf, run)} & set(before)


def test_layer_is_the_same_for_all_tiles(udf: UdfDefinition) -> None:
    """And for all formats, but not for other arguments."""
    run = Run(id=1, udf="f", parameters={"n": "1"}, tile=(1, 0, 0))
    layer = Keys().layer(udf, run)

    assert layer == Keys().layer(udf, replace(run, tile=(1, 0, 1), extension="png"))
    assert layer != Keys().layer(udf, replace(run, parameters={"n": "2"}))


# -- from Python


def frame() -> pd.DataFrame:
    return pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})


SAME: dict[str, Callable[[], tuple[Any, Any]]] = {
    "array of another layout": lambda: (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
    "frame made of blocks or columns": lambda: (frame(), pd.concat([frame()[["a"]], frame()[["b"]]], axis=1)),
    "frame that was looked at": lambda: (frame(), _looked_at(frame())),
    "places": lambda: (
        gpd.GeoSeries([shapely.Point(1, 2)], crs=4326),
        gpd.GeoSeries.from_wkt(["POINT (1 2)"], crs=4326),
    ),
    "arrow in pieces": lambda: (
        pa.table({"a": [1, 2]}),
        pa.concat_tables([pa.table({"a": [1]}), pa.table({"a": [2]})]),
    ),
    "xarray": lambda: (xr.DataArray(np.ones(3), dims="x"), xr.DataArray(np.ones(3), dims="x").copy()),
}


def _looked_at(frame: pd.DataFrame) -> pd.DataFrame:
    """pandas remembers what it finds."""
    frame["a"], frame.index.is_unique, frame["b"].is_monotonic_increasing
    return frame


@pytest.mark.parametrize("name", SAME)
def test_equal_content_is_one_result(name: str) -> None:
    """However it lies in memory, and whatever pickle would make of it."""
    one, other = SAME[name]()

    assert digest_of({"data": one}) == digest_of({"data": other}) != ""


DIFFERENT: list[tuple[Any, Any]] = [
    (1, "1"),
    (1, 1.0),
    (1, True),
    ([1, 2], (1, 2)),
    (np.arange(3), np.arange(3).astype("int32")),
    (np.arange(5000), np.where(np.arange(5000) == 2500, -1, np.arange(5000))),
    ([np.arange(5000)], [np.where(np.arange(5000) == 2500, -1, np.arange(5000))]),
    (frame(), frame().rename(columns={"a": "c"})),
    (frame(), frame().set_index("a")),
    (gpd.GeoSeries([shapely.Point(1, 2)], crs=4326), gpd.GeoSeries([shapely.Point(1, 2)], crs=3857)),
    (pa.table({"a": [1]}), pa.table({"a": [2]})),
    (xr.DataArray(np.ones(3), dims="x"), xr.DataArray(np.ones(3), dims="y")),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=lambda value: type(value).__name__)
def test_other_content_is_another_result(one: Any, other: Any) -> None:
    """Types count, and every element."""
    assert digest_of({"data": one}) != digest_of({"data": other})


def test_content_survives_a_journey() -> None:
    """What was pickled and came back is the same; order of keywords does not count."""
    arguments = {"table": frame(), "array": np.arange(4), "n": 1}
    back = pickle.loads(pickle.dumps(dict(reversed(arguments.items()))))

    assert digest_of(arguments) == digest_of(back)


class Refusing:
    def __reduce__(self) -> Any:
        raise RuntimeError("no")


def test_what_cannot_be_read_has_no_key(udf: UdfDefinition) -> None:
    """Then nothing is kept, rather than something wrong."""
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    for value in (Refusing(), nested):
        assert digest_of({"data": value}) == ""
    run = with_digest(Run(id=1, udf="f"), {"data": Refusing()})

    assert (run.arguments_digest, Keys().of(udf, run)) == ("", "")
    while nested:  # else Python ends in the depth
        nested = nested[0]


def test_arguments_are_described_shortly() -> None:
    """For lists: a table of a million rows is one word."""
    arguments = {"n": 1, "word": "x" * 1000, "data": np.zeros((1000, 1000)), **{f"a{n}": n for n in range(50)}}

    text = with_digest(Run(id=1), arguments).arguments_text

    assert text.startswith("n=1, word='xxx")
    assert "shape (1000, 1000)" in text
    assert len(text) < 500
