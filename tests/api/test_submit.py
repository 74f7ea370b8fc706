from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest

import fused_jupyter as fused
from fused_jupyter.errors import ArgumentError, CancelledRunError, UdfRuntimeError


@pytest.fixture(scope="module")
def udf() -> fused.Udf:
    return fused.load("""
def power(base: int, exponent: int = 2, wait: float = 0, as_table: bool = False):
    import time
    import pandas as pd
    time.sleep(wait)
    if base < 0:
        raise ValueError("negative")
    print("base", base)
    value = base ** exponent
    return pd.DataFrame({"value": [value, -value]}) if as_table else value
""")


def test_arguments_are_values_dicts_or_rows(udf: fused.Udf) -> None:
    """Each run gets its own, and those that are the same for all."""
    table = pd.DataFrame({"base": [2, 3], "exponent": [3, 1]})

    assert udf.map([2, 3]).results() == [4, 9]
    assert udf.map(range(3), exponent=1).results() == [0, 1, 2]
    assert udf.map([{"base": 2}, {"base": 3, "exponent": 3}]).results() == [4, 27]
    assert udf.map(table).results() == [8, 3]
    assert udf.map(table.base).results() == [4, 9]


def test_results_come_as_one_table(udf: fused.Udf) -> None:
    """Values in a column; tables below each other, with the arguments as the first levels of the index."""
    values = fused.submit(udf, [2, 3])
    pd.testing.assert_frame_equal(
        values, pd.DataFrame({"result": [4, 9]}, index=pd.Index([2, 3], name="base")), check_index_type=False
    )

    tables = udf.map([{"base": 2}, {"base": 3}], as_table=True)
    flat = tables.df().reset_index()
    assert flat.columns.tolist() == ["base", "level_1", "value"]
    assert flat[["base", "value"]].to_numpy().tolist() == [
        [2, 4], [2, -4], [3, 9], [3, -9],
    ]  # fmt: skip
    assert tables.df(drop_index=True).index.names[0] == "arg_pos"
    assert [len(each) for each in tables.collect(flatten=False).result] == [2, 2]


def test_lists_may_be_arguments_and_geometries_results() -> None:
    """As of bounds; rows stay a GeoDataFrame with its CRS, and a run that gave None has none."""
    boxes = fused.load("""
def boxes(bounds: list, keep: bool = True):
    import geopandas as gpd, shapely
    return gpd.GeoDataFrame(geometry=[shapely.box(*bounds)], crs=4326) if keep else None
""")

    found = boxes.map(
        [{"bounds": [0, 0, 1, 1]}, {"bounds": [0, 0, 2, 2]}, {"bounds": [0, 0, 3, 3], "keep": False}]
    ).df()

    assert isinstance(found, gpd.GeoDataFrame)
    assert found.geometry.bounds.maxx.tolist() == [1, 2]
    assert found.crs.to_epsg() == 4326
    assert found.reset_index().bounds.iloc[0].tolist()[2:] == [1, 1]


def test_failures_are_known_by_their_arguments(udf: fused.Udf) -> None:
    """The first is raised where results are wanted, unless it is to be ignored; it ran once, as it would fail again."""
    pool = udf.map([1, -1, 2]).wait()

    assert (pool.status(), pool.any_failed(), pool.all_succeeded()) == ({"success": 2, "error": 1}, True, False)
    assert list(pool.errors()) == [1]
    with pytest.raises(UdfRuntimeError, match="negative"):
        pool.df()
    assert [type(each) for each in pool.results(return_exceptions=True)] == [int, UdfRuntimeError, int]
    assert pool.df(ignore_exceptions=True).result.tolist() == [1, 4]
    assert fused.submit(udf, [1, -1], ignore_exceptions=True).result.tolist() == [1]
    told = pool.logs_df()
    assert told.status.tolist() == ["success", "error", "success"]
    assert told.logs.tolist()[0] == "base 1\n"
    with pytest.raises(UdfRuntimeError, match="negative"):
        fused.submit(udf, [1, -1])


def test_debug_mode_runs_the_first_one_here(udf: fused.Udf) -> None:
    """And gives what it returned; errors come as from `fused.run`."""
    assert fused.submit(udf, [3, -1], debug_mode=True) == 9
    assert udf.map([3, -1], debug_mode=True) == 9


def test_runs_go_on_side_by_side(udf: fused.Udf) -> None:
    """On two workers: while the first sleeps the others are done."""
    pool = udf.map([{"base": 1, "wait": 20}, {"base": 2}, {"base": 3}])
    until = time.monotonic() + 15
    while len(pool.success()) < 2 and time.monotonic() < until:
        time.sleep(0.02)

    assert sorted(pool.results_now().values()) == [4, 9]
    assert [job.number for job in pool.running()] == [0]
    started = time.monotonic()
    pool.cancel(wait=True)
    assert time.monotonic() - started < 10
    assert (pool.status(), pool[0].status()) == ({"cancelled": 1, "success": 2}, "cancelled")
    with pytest.raises(CancelledRunError):
        pool.results()


def test_cancelled_pool_can_be_run_again(udf: fused.Udf, tmp_path: Path) -> None:
    """Only what has no result."""
    gate = fused.load("def gate(path: str):\n    return open(path).read()\n")
    pool = gate.map([str(tmp_path / "a")], max_retry=0).wait()
    assert pool.any_failed()

    (tmp_path / "a").write_text("there")

    assert pool.retry().results() == ["there"]


def test_max_workers_is_how_many_run(udf: fused.Udf) -> None:
    """At most as many as there are workers here, whatever code for the cloud asks for."""
    assert udf.map([1], max_workers=1).max_workers == 1
    assert udf.map([1], max_workers=64, engine="remote", instance_type="small").max_workers == 2
    with pytest.raises(ArgumentError, match="max_workers: got 0"):
        udf.map([1], max_workers=0)


def test_udf_maps_others_inside_and_in_a_running_loop() -> None:
    """Nested two deep, and where an event loop runs already: no patch is needed."""
    outer = fused.load("""
import asyncio

@fused.udf
def outer():
    @fused.udf
    def middle(n: int):
        @fused.udf
        def inner(n: int):
            return n * 10
        return sum(inner.map([n, n + 1]).results())
    async def main():
        return fused.submit(middle, [1, 2], max_workers=8, engine="local").result.tolist()
    return asyncio.run(main())
""")
    assert outer() == [30, 50]

    async def main() -> Any:
        return (await fused.load("def f(n: int): return n + 1\n").map_async([1, 2])).results()

    assert asyncio.run(main()) == [2, 3]


def test_plain_function_and_name_are_udfs(udf: fused.Udf) -> None:
    """A function becomes one, under no name."""

    def treble(n: int) -> int:
        return 3 * n

    udf.register("power_of")
    assert fused.submit(treble, [1, 2]).result.tolist() == [3, 6]
    assert fused.submit("power_of", [3], collect=False, wait_on_results=True).result.tolist() == [9]


@pytest.mark.parametrize(
    ("arguments", "says"), [([], "empty"), ("abc", "got a str"), (5, "got a int"), ({"base": 1}, "got a dict")]
)
def test_what_is_no_list_of_arguments_is_refused(udf: fused.Udf, arguments: Any, says: str) -> None:
    """Before anything runs."""
    with pytest.raises(ArgumentError, match=f"arg_list: .*{says}"):
        udf.map(arguments)


def test_map_without_arguments_is_a_map() -> None:
    """Its parameters go by keyword, a list of runs by position."""
    where = fused.load("def where(bounds: fused.types.Bounds = None, n: int = 1):\n    return n\n")

    assert isinstance(where.map(n=2), fused.FusedMap)
    assert isinstance(where.map([None]), fused.JobPool)
    with pytest.raises(ArgumentError, match="takes one list"):
        where.map([1], [2])


def test_pool_shows_itself(udf: fused.Udf, capsys: pytest.CaptureFixture[str]) -> None:
    """As text, as a table, and line by line."""
    pool = udf.map([1, -2])
    pool.tail()

    printed = capsys.readouterr().out
    assert "power 0 {'base': 1}: success" in printed
    assert "power 1 {'base': -2}: error: ValueError: negative" in printed
    assert "1 success" in repr(pool)
    assert "<td>error</td><td>1</td>" in pool._repr_html_()
    slow = udf.map([{"base": 1, "wait": 5}])
    with pytest.raises(TimeoutError, match="1 of 1 runs are not over"):
        slow.tail(timeout=0.1)
    slow.cancel(wait=True)
