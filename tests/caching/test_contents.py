from __future__ import annotations

import datetime as dt
import decimal
import enum
import functools
import io
import math
import os
import re
import subprocess
import sys
import threading
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import rioxarray  # noqa: F401 - the accessor
import shapely
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.caching.contents import UnreadableError
from fused_jupyter.caching.reach import start_digest


def digest(value: Any) -> str:
    digester = start_digest()
    digester.add(value)
    return digester.hexdigest()


Pair = namedtuple("Pair", "a b")  # noqa: PYI024 - the old kind, whose class is made by exec


@dataclass
class Point:
    x: Any
    y: Any = 0


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def long_list(*, middle: int) -> list[np.ndarray]:
    """Its text has dots in place of the middle."""
    array = np.zeros(5000)
    array[2500] = middle
    return [array]


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": [1, 2], "b": ["x", "y"], **columns})


def whole_numbers(*, asked: bool) -> Any:
    array = pd.array([1, None], "Int64")
    return array if not asked or array.dtype else None


def places(crs: int = 4326, x: float = 0) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(x, 1)], crs=crs)


def raster(**changes: Any) -> xr.DataArray:
    return xr.DataArray(**{"data": np.eye(2), "dims": ("y", "x"), "coords": {"x": [1, 2]}, **changes})


def with_attrs(frame: pd.DataFrame, **attrs: Any) -> pd.DataFrame:
    frame.attrs.update(attrs)
    return frame


DIFFERENT = [
    None, False, True, 0, 1, 1.0, 1 + 0j, "1", b"1", "", b"", 2**70, -0.0, 0.0, math.inf, "None", bytearray(b"1"),
    [], (), {}, set(), frozenset(), [1], (1,), {1}, frozenset({1}), [1, "2"], ["1", 2], [[1], 2],
    [[1, 2]], [[], 1, 2],
    [True], [1.0], {"a": 1}, {"a": True}, {"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": {"b": 2}}, [("a", 1)], {1: "a"},
    OrderedDict(a=1), Pair(1, 2), (1, 2), Point(1), Point(1.0), Point(1, 2), Colour.RED,
    Colour.BLUE, range(3), [0, 1, 2],
    slice(1), Ellipsis, NotImplemented, int, float, Point, len, max, math.sin, re.compile("a"),
    re.compile("a", re.IGNORECASE),
    Path("a"), Path("b"), decimal.Decimal(1), decimal.Decimal("1.0"), io.BytesIO(b"1"), memoryview(b"1"),
    dt.date(2020, 1, 1), dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC),  # noqa: DTZ001
    functools.partial(int, base=2), functools.partial(int, base=3), "x".join, "y".join,
    b"1" * 100_000, b"1" * 100_001, "1" * 100_000,
    np.float64(1), np.float32(1), np.int64(1), np.bool_(True), np.str_("1"), np.datetime64("2020-01-01"),
    np.datetime64("2020-01-01", "s"), np.dtype("f8"), np.dtype("f4"),
    np.zeros(0), np.zeros((0, 2)), np.array(1), np.array([1]), np.array([1.0]), np.array([[1]]), np.array([1], ">i8"),
    np.array([1], "u8"), np.array(["1"]), np.array(["1"], object), np.array([1], object),
    np.array([True]), np.array([[1, 2]]),
    np.array([[1], [2]]), np.array([1, 2]), np.array([1], "M8[s]"), np.array([1], "M8[ns]"), np.array([1], "m8[s]"),
    np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 0]), np.array([(1, 2.0)], "i4,f4"),
    np.array([(1, 2.0)], [("a", "i4"), ("b", "f4")]), np.array([[1], None], object), np.array([[2], None], object),
    long_list(middle=1), long_list(middle=2),
    table(), table(a=[1, 3]), table(a=[1.0, 2.0]), table(b=["x", "z"]), table(c=[1, 2]),
    table().rename(columns={"a": "c"}),
    table().set_index("a"), table().iloc[:1], table().iloc[::-1], with_attrs(table(), a=1),
    table()["a"], table()["a"].rename("b"),
    table(b=pd.Categorical(["x", "y"])), table(b=pd.Categorical(["x", "y"], ordered=True)),
    table(a=pd.array([1, 2], "Int64")),
    table(a=pd.array([1, None], "Int64")), table(b=pd.Series(["x", "y"], dtype=object)),
    table(a=pd.to_datetime([1, 2])),
    table(a=pd.to_datetime([1, 2], utc=True)), table(a=[[1], [2]]), table(a=[{"b": 1}, None]),
    pd.DataFrame(), pd.Index([1, 2]),
    pd.Index([1.0, 2.0]), pd.Index([1, 2], name="a"), pd.MultiIndex.from_tuples([(1, 2)]),
    pd.Timestamp(1), pd.NA, pd.NaT,
    pd.Timedelta(1), pd.Interval(0, 1), pd.Period("2020"),
    places(), places(crs=3857), places(x=1), places().geometry, places().drop(columns="geometry"),
    shapely.Point(0, 1),
    shapely.Point(0, 1, 2), shapely.box(0, 0, 1, 1), places().rename_geometry("g"), places().crs,
    pa.table({"a": [1, 2]}), pa.table({"a": [1.0, 2.0]}), pa.table({"a": [1, None]}), pa.table({"b": [1, 2]}),
    pa.table({"a": [1, 2]}).replace_schema_metadata({"k": "v"}), pa.array([1, 2]), pa.chunked_array([[1, 2]]),
    pa.record_batch({"a": [1, 2]}), pa.schema([("a", "i4")]), pa.scalar(1),
    pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]}), pl.Series("a", [1]), pl.DataFrame({"a": [1]}).lazy(),
    raster(), raster(data=np.ones((2, 2))), raster(dims=("x", "y")), raster(coords={"x": [1, 3]}), raster(coords={}),
    raster(name="n"), raster(attrs={"a": 1}), raster().to_dataset(name="n"), raster().to_dataset(name="m"),
    raster().to_dataset(name="n").assign_attrs(a=1), raster().variable,
    raster().to_dataset(name="x_").set_coords("x_"),
]  # fmt: skip
"""No two of these are the same, though many print alike, compare equal, or have the same bytes."""


def test_different_values_have_different_digests() -> None:
    """All of them, each against each other."""
    seen: dict[str, Any] = {}
    for value in DIFFERENT:
        key = digest(value)
        assert key not in seen, f"{seen[key]!r} and {value!r}"
        seen[key] = value


def shuffled(count: int) -> set[str]:
    return {str(number) for number in sorted(range(count), key=lambda number: -number)}


def several_blocks() -> pd.DataFrame:
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    frame["b"] = [3.0, 4.0]
    return frame


def with_accessor(value: xr.DataArray) -> xr.DataArray:
    """Xarray keeps it with the array."""
    _ = value.rio.crs
    return value


def looked_at(value: pd.DataFrame) -> pd.DataFrame:
    """Pandas remembers some of what it was asked for."""
    for name in value:
        _ = (
            value[name].array.dtype,
            value[name].isna(),
            value.index.is_unique,
            value.dtypes,
            value.columns.get_loc(name),
        )
    return value


SAME = {
    "equal lists, one list twice": ([[1, None], [1, None]], [[1, None]] * 2),
    "sets": (shuffled(100), {str(number) for number in range(100)}),
    "memory order": (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
    "view": (np.arange(0, 10, 2), np.arange(10)[::2]),
    "blocks": (several_blocks(), pd.DataFrame(np.array([[1.0, 3.0], [2.0, 4.0]]), columns=["a", "b"])),
    "looked at": (table(c=pd.Categorical(["x", "y"])), looked_at(table(c=pd.Categorical(["x", "y"])))),
    "looked at, places": (places(), looked_at(places())),
    "looked at, array": (whole_numbers(asked=False), whole_numbers(asked=True)),
    "arrow slice": (pa.table({"a": [2, 3], "b": ["y", "z"]}), pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]})[1:]),
    "arrow chunks": (pa.table({"a": [1, 2]}), pa.concat_tables([pa.table({"a": [1]}), pa.table({"a": [2]})])),
    "polars": (pl.DataFrame({"a": [1, 2]}), pl.DataFrame({"a": [1, 2]}).sort("a")),
    "xarray, accessor used": (raster(), with_accessor(raster())),
    "interned text": (sys.intern("a b"), "".join(letter for letter in "a b")),
}


@pytest.mark.parametrize("name", SAME)
def test_equal_content_has_one_digest(name: str) -> None:
    """However it came to be, and whatever was asked of it meanwhile."""
    one, other = SAME[name]

    assert digest(one) == digest(other)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@given(plain, plain)
def test_plain_values_are_as_different_as_their_text(one: Any, other: Any) -> None:
    """For these kinds, `repr` tells every difference in value, type, order and depth."""
    assert (digest(one) == digest(other)) == (repr(one) == repr(other))


@given(st.lists(st.integers(-3, 3) | st.booleans(), max_size=6), st.integers(0, 6))
def test_depth_is_seen(flat: list[int], place: int) -> None:
    """The same elements, with a bracket more."""
    deeper = [*flat[:place], flat[place:]]

    assert digest(flat) != digest(deeper)


PROGRAM = """
import enum
from fused_jupyter.caching.reach import start_digest
class Kind(enum.Enum):
    A = "a"; B = "b"
class Thing:
    names = {"p", "q", "r"}
    def __init__(self): self.kinds = {Kind.A, Kind.B, int, str, "x"}
LIMITS = frozenset({"a", "b", "c"})
def helper(value): return value in {"u", "v", "w"} or value in LIMITS or isinstance(value, (Thing, Kind))
digest = start_digest()
for value in (Thing(), helper, {"k", "l", "m"}, {int, str, float}, {Thing, Kind, helper}):
    digest.add(value)
print(digest.hexdigest())
"""


def test_digest_is_the_same_in_every_process() -> None:
    """Whatever the seed of hashes."""
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in "123"
    ]

    digests = {run.communicate(timeout=60)[0] for run in runs}

    assert len(digests) == 1
    assert len(digests.pop()) == 65


def test_value_that_holds_itself_has_an_end() -> None:
    """And its place in itself counts."""
    inner: list[Any] = [1]
    inner.append(inner)
    outer: list[Any] = [1]
    outer.append([1, outer])

    assert digest(inner) == digest(inner)
    assert digest(inner) != digest(outer)


class Node:
    def __init__(self, name: int) -> None:
        self.name = name
        self.others: list[Node] = []


def net(count: int) -> list[Node]:
    """Each is tied to each: there are more ways through it than anybody can go."""
    nodes = [Node(name) for name in range(count)]
    for node in nodes:
        node.others = [other for other in nodes if other is not node]
    return nodes


def test_net_of_objects_has_an_end() -> None:
    """And is told from another one."""
    assert digest(net(50)) == digest(net(50))
    assert digest(net(50)) != digest(net(51))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (threading.Lock, "_thread.lock"),
        (lambda: (i for i in ()), "generator"),
        (lambda: sys.stdout, "TextIOWrapper|EncodedFile"),
    ],
)
def test_value_without_readable_content_is_an_error(make: Any, kind: str) -> None:
    """Also deep inside; it says what it is."""
    with pytest.raises(UnreadableError, match=kind):
        digest({"a": [make()]})


def test_object_says_for_itself_what_counts() -> None:
    """By the protocol of dask, which lazy arrays have."""

    class Lazy:
        def __init__(self, name: str) -> None:
            self.name = name
            self.lock = threading.Lock()

        def __dask_tokenize__(self) -> str:
            return self.name

    assert digest(Lazy("a")) == digest(Lazy("a"))
    assert digest(Lazy("a")) != digest(Lazy("b"))
