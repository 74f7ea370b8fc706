# ruff: noqa: ANN001, ANN202, ANN204 - the UDFs are as users write them
from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import fused_jupyter as fused
from fused_jupyter.errors import ArgumentError


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    fused.clear_cache(functions=True)
    yield
    fused.clear_cache(functions=True)


@pytest.fixture
def counting(tmp_path: Path) -> fused.Udf:
    """A UDF that gives how often it has run."""

    @fused.udf(cache_max_age="1h")
    def counting(folder: str, n: int = 1):
        import pathlib
        import tempfile

        tempfile.mkstemp(dir=folder)
        return len(list(pathlib.Path(folder).iterdir()))

    return counting


def wait_for_entries(count: int) -> fused.CacheInfo:
    """Results are written in the background."""
    for _ in range(200):
        info = fused.cache_info()
        if info.entries == count:
            return info
        time.sleep(0.01)
    raise AssertionError(info)


# -- for how long


@pytest.mark.parametrize(
    ("said", "is_kept"),
    [
        ({}, True),
        ({"cache_max_age": "10s"}, True),
        ({"cache_max_age": "5m"}, True),
        ({"cache_max_age": "48h"}, True),
        ({"cache_max_age": "7d"}, True),
        ({"cache_max_age": 60}, True),
        ({"cache_max_age": "0"}, False),
        ({"cache_max_age": 0}, False),
        ({"cache_max_age": "0s"}, False),
        ({"cache": False}, False),
        ({"cache": True}, True),
        ({"cache": True, "cache_max_age": "1h"}, True),
    ],
    ids=str,
)
def test_call_says_how_old_a_result_may_be(
    counting: fused.Udf, tmp_path: Path, said: dict[str, object], is_kept: bool
) -> None:
    """In all forms; where it says nothing, the decorator does."""
    values = [fused.run(counting, folder=str(tmp_path), **said) for _ in range(2)]

    assert values == ([1, 1] if is_kept else [1, 2])


@pytest.mark.parametrize("age", ["1h", "30m", 3600, "3600", "1d"])
def test_decorator_says_it_in_all_forms(age: str | int) -> None:
    """And 0 there keeps nothing."""

    @fused.udf(cache_max_age=age)
    def kept(salt: str):
        return salt

    @fused.udf(cache_max_age=0)
    def not_kept(salt: str):
        return salt

    for udf, expected in ((kept, [False, True]), (not_kept, [False, False])):
        assert [fused.run_result(udf, salt=str(age)).cached for _ in range(2)] == expected


def test_age_is_tested_when_it_is_asked_for(counting: fused.Udf, tmp_path: Path) -> None:
    """One result is young enough for one call and too old for another."""
    folder = str(tmp_path)
    fused.run(counting, folder=folder)
    time.sleep(1.1)

    assert fused.run(counting, folder=folder, cache_max_age="1h") == 1
    assert fused.run(counting, folder=folder, cache_max_age="1s") == 2
    assert fused.run(counting, folder=folder) == 2


def test_age_that_says_two_things_is_refused(counting: fused.Udf) -> None:
    """`cache=False` and an age."""
    with pytest.raises(ArgumentError, match="cache=False"):
        fused.run(counting, folder="", cache=False, cache_max_age="1h")


# -- what is kept


def test_what_cannot_be_told_apart_is_run_each_time(counting: fused.Udf, tmp_path: Path) -> None:
    """Rather than given a wrong result."""

    @fused.udf(cache_max_age="1h")
    def first(folder: str, deep=None):
        import pathlib
        import tempfile

        tempfile.mkstemp(dir=folder)
        return len(list(pathlib.Path(folder).iterdir()))

    many = [[str(n)] for n in range(60_000)]  # plain, so it counts
    assert [first(str(tmp_path), many), first(str(tmp_path), many)] == [1, 1]

    class Odd(dict):  # type: ignore[type-arg]
        def __reduce__(self):
            return dict, ([("time", time.perf_counter_ns())],)

    assert [first(str(tmp_path), Odd()), first(str(tmp_path), Odd())] == [2, 3]


def test_edited_module_beside_the_notebook_is_another_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The UDF's own code is the same."""
    monkeypatch.chdir(tmp_path)
    values = []
    for number in (1, 2):
        (tmp_path / "beside_the_notebook.py").write_text(f"NUMBER = {number}\n")

        @fused.udf(cache_max_age="1h")
        def take():
            import beside_the_notebook

            return beside_the_notebook.NUMBER

        values += [(result.data, result.cached) for result in (fused.run_result(take), fused.run_result(take))]

    assert values == [(1, False), (1, True), (2, False), (2, True)]


def test_other_variables_are_another_result() -> None:
    """Those that `fused.set_env` chose; the ones of before have their result still."""

    @fused.udf(cache_max_age="1h")
    def read():
        import os

        return os.environ.get("FLAVOUR")

    try:
        values = []
        for flavour in ("mint", "plum", "mint"):
            fused.set_env(FLAVOUR=flavour)
            result = fused.run_result(read)
            values.append((result.data, result.cached))
    finally:
        fused.set_env(FLAVOUR=None)

    assert values == [("mint", False), ("plum", False), ("mint", True)]


OTHER_KERNEL = """
import sys
import fused_jupyter as fused

@fused.udf(cache_max_age="1h")
def shared(folder: str):
    import tempfile, time, pathlib
    tempfile.mkstemp(dir=folder)
    print("runs")
    time.sleep(1.5)
    return len(list(pathlib.Path(folder).iterdir()))

if __name__ == "__main__":
    print(fused.run(shared, folder=sys.argv[1]))
"""


def test_kernels_share_what_one_of_them_makes(tmp_path: Path) -> None:
    """Two that want it at the same time run it once; both have the output."""
    script, folder = tmp_path / "other.py", tmp_path / "runs"
    script.write_text(OTHER_KERNEL)
    folder.mkdir()
    command = [sys.executable, str(script), str(folder)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ), cwd=tmp_path)
        for _ in range(2)
    ]

    printed = [process.communicate(timeout=60)[0] for process in processes]

    assert printed == ["runs\n1\n"] * 2


# -- looking at it


def test_info_counts_what_is_kept_and_what_it_helped(counting: fused.Udf, tmp_path: Path) -> None:
    """By UDF, and in all; `@fused.cache` is counted by itself."""
    before = fused.cache_info()
    for n in (1, 2, 2, 2):
        counting(str(tmp_path), n)

    @fused.cache
    def function(n: int) -> int:
        return n

    function(1)
    info = wait_for_entries(2)

    assert (info.hits - before.hits, info.misses - before.misses) == (2, 2)
    assert (info.function_entries, before.function_entries) == (1, 0)
    assert info.bytes > 0 < info.memory_bytes < info.memory_limit
    row = next(row for row in info.udfs if row.udf == "counting")
    assert (row.entries, row.bytes) == (2, info.bytes)
    assert Path(info.directory).is_dir()
    assert "entries=2" in repr(info)
    assert "2 results" in info._repr_html_()
    assert "counting" in info._repr_html_()


def test_list_shows_each_result(counting: fused.Udf, tmp_path: Path) -> None:
    """The newest first; of one UDF, of at most so many."""

    @fused.udf(cache_max_age="1h")
    def other(word: str):
        return word

    counting(str(tmp_path), 7)
    wait_for_entries(1)
    other("<b>bold</b>")
    wait_for_entries(2)

    listed = fused.list_cache()

    assert [(kept.udf, kept.format, kept.tile) for kept in listed] == [
        ("other", "object", None),
        ("counting", "object", None),
    ]
    assert listed[0].arguments == "word='<b>bold</b>'"
    assert listed[1].arguments.endswith("n=7")
    assert listed[0].digest == other.digest
    assert all(kept.bytes > 0 and 0 <= kept.age < 60 for kept in listed)
    assert fused.list_cache(counting) == fused.list_cache("counting")
    assert [kept.udf for kept in fused.list_cache("counting")] == ["counting"]
    assert len(fused.list_cache(limit=1)) == 1
    assert "&lt;b&gt;bold" in listed._repr_html_()
    assert "<b>bold" not in listed._repr_html_()


# -- an end to it


def test_deleted_results_are_made_again(counting: fused.Udf, tmp_path: Path) -> None:
    """All versions and arguments of that UDF, and no others; memory knows of it."""

    @fused.udf(cache_max_age="1h")
    def other(n: int = 1):
        return n

    folder = str(tmp_path)
    changed = counting.set_parameters({"n": 5})
    assert [counting(folder), counting(folder, 2), changed(folder), other()] == [1, 2, 3, 1]
    wait_for_entries(4)

    assert counting.delete_cache() == 3

    assert counting(folder) == 4
    assert fused.run_result(other).cached


def test_clear_takes_functions_only_where_it_is_said(counting: fused.Udf, tmp_path: Path) -> None:
    """They are another cache, and may have cost hours."""
    runs: list[int] = []

    @fused.cache(cache_key_exclude=["runs"])
    def function(runs: list[int]) -> int:
        runs.append(1)
        return 1

    function(runs)
    counting(str(tmp_path))
    wait_for_entries(1)

    assert fused.clear_cache() == 1
    function(runs)
    assert len(runs) == 1
    assert fused.clear_cache(functions=True) == 1
    function(runs)
    assert len(runs) == 2
