# ruff: noqa: ANN001, ANN202, T201 - the UDFs are as users write them
"""Eight ways in which another client gave wrong results from its cache, measured; ours has none of them."""

from __future__ import annotations

import asyncio
import linecache
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fused_jupyter as fused
from fused_jupyter.api.cache import kept_values


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[str], int]:
    """Counts: `calls("+a")` adds one to the count of `a`, `calls("a")` gives it."""
    counts: dict[str, int] = {}
    lock = threading.Lock()

    def calls(name: str) -> int:
        with lock:
            if name.startswith("+"):
                counts[name[1:]] = counts.get(name[1:], 0) + 1
            return counts.get(name.lstrip("+"), 0)

    return calls


ARRAY = np.arange(5000)
OTHER = np.where(ARRAY == 2500, -1, ARRAY)
"""They differ where a printed array has three dots."""


@pytest.mark.parametrize(("one", "other"), [([ARRAY], [OTHER]), (4, "4"), (ARRAY, OTHER), (1, True), (1, 1.0)], ids=str)
def test_1_values_that_print_alike_are_two_arguments(one: Any, other: Any) -> None:
    """Of a cached function, and of a cached run."""

    @fused.cache
    def describe(value: Any) -> str:
        return f"{type(value).__name__} {np.sum(value) if isinstance(value, (list, np.ndarray)) else value}"

    @fused.udf(cache_max_age="1h")
    def told(value=None):
        import numpy as np

        return f"{type(value).__name__} {np.sum(value) if isinstance(value, (list, np.ndarray)) else value}"

    for function in (describe, told):
        assert function(value=one) != function(value=other)
        assert function(value=one) == describe(one)


def test_2_functions_without_a_source_are_told_apart() -> None:
    """As from `exec`, or a line that an editor sent."""
    made = {}
    for number in (1, 2):
        scope: dict[str, Any] = {"fused": fused}
        exec(f"@fused.cache\ndef value(x): return x + {number}", scope)
        made[number] = scope["value"]
    linecache.clearcache()

    assert (made[1](10), made[2](10), made[1](10)) == (11, 12, 11)


def test_3_default_parameters_and_headers_are_in_the_key(tmp_path: Path) -> None:
    """A changed default, and changed code that travels along, give new values."""

    @fused.udf(cache_max_age="1h")
    def three(n: int = 3):
        return n

    assert (three(), three.set_parameters({"n": 10})(), three()) == (3, 10, 3)

    values = []
    for number in (1, 2):
        (tmp_path / "tools.py").write_text(f"NUMBER = {number}")

        @fused.udf(cache_max_age="1h", headers=[tmp_path / "tools.py"])
        def with_tools():
            import tools

            return tools.NUMBER

        values.append(with_tools())
    assert values == [1, 2]


FACTOR = 2


def helper(n: int) -> int:
    return n * FACTOR


def test_4_global_names_and_helpers_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that a helper reads."""

    @fused.cache
    def use(n: int) -> int:
        return helper(n)

    values = [use(5)]
    monkeypatch.setitem(globals(), "FACTOR", 3)
    values.append(use(5))
    monkeypatch.setitem(globals(), "helper", lambda n: n + 1)
    values.append(use(5))

    assert values == [10, 15, 6]


def test_5_reset_is_for_one_call(calls: Callable[[str], int]) -> None:
    """The calls after it are answered with the value that it made."""

    @fused.cache(cache_key_exclude=["count"])
    def stamp(n: int, count: Any = None) -> float:
        count("+stamp")
        return time.time()

    first = stamp(5, calls)
    fresh = stamp(5, calls, cache_reset=True)

    assert first != fresh
    assert [stamp(5, calls), stamp(5, calls)] == [fresh, fresh]
    assert calls("stamp") == 2


def test_6_equal_calls_are_one_entry(calls: Callable[[str], int]) -> None:
    """However the arguments are passed."""

    @fused.cache(cache_folder_path="one_entry", cache_key_exclude=["count"])
    def add(a: int, b: int, count: Any = None) -> int:
        count("+add")
        return a + b

    sums = [add(1, 2, calls), add(1, b=2, count=calls), add(a=1, b=2, count=calls), add(b=2, a=1, count=calls)]

    assert sums == [3] * 4
    assert calls("add") == 1
    folder = Path(kept_values()._directories[1]) / "one_entry"
    assert len([path for path in folder.glob("*/*") if path.is_file()]) == 1


def test_6_of_udfs_too() -> None:
    """Positional, by keyword, in any order."""

    @fused.udf(cache_max_age="1h")
    def add(a: int, b: int):
        return a + b

    assert add(1, 2) == 3
    assert [fused.run_result(add, **arguments).cached for arguments in ({"a": 1, "b": 2}, {"b": 2, "a": 1})] == [
        True
    ] * 2


def test_7_failing_calls_at_one_time_run_once(calls: Callable[[str], int]) -> None:
    """Each of the four gets the exception itself."""
    gate = threading.Event()

    @fused.cache(cache_key_exclude=["count", "gate"])
    def fail(n: int, count: Any, gate: Any) -> None:
        count("+fail")
        gate.wait(5)
        raise LookupError(f"no {n}")

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(fail, 7, calls, gate) for _ in range(4)]
        time.sleep(0.3)
        gate.set()
        errors = [future.exception() for future in futures]

    assert [(type(error), str(error)) for error in errors] == [(LookupError, "no 7")] * 4
    assert calls("fail") == 1


def test_7_failing_runs_at_one_time_run_once(tmp_path: Path) -> None:
    """Each caller gets the line, and what was printed; the next call runs again."""

    @fused.udf(cache_max_age="1h")
    def fail(folder: str):
        import pathlib
        import tempfile
        import time

        tempfile.mkstemp(dir=folder)
        print("about to")
        time.sleep(0.4)
        raise LookupError(f"{len(list(pathlib.Path(folder).iterdir()))} runs")

    async def main() -> list[Any]:
        results = [asyncio.to_thread(fused.run_result, fail, folder=str(tmp_path)) for _ in range(4)]
        return await asyncio.gather(*results)

    results = asyncio.run(main())

    assert {(result.error_message, result.stdout) for result in results} == {("LookupError: 1 runs", "about to\n")}
    assert fused.run_result(fail, folder=str(tmp_path)).error_message == "LookupError: 2 runs"


def test_8_cached_hit_has_its_output_and_says_that_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """In the cell, and in the result."""

    @fused.udf(cache_max_age="1h")
    def speak(n: int = 1):
        import sys

        print("computing")
        print("with care", file=sys.stderr)
        return n

    first, second = fused.run_result(speak), fused.run_result(speak)

    assert (first.cached, second.cached) == (False, True)
    assert (second.data, second.stdout, second.stderr) == (1, "computing\n", "with care\n")
    assert "cached" in repr(second)
    assert "cached" not in repr(first)
    assert capsys.readouterr().out == "computing\n" * 2
