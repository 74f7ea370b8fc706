# The functions are UDFs as users write them.
# ruff: noqa: ANN201, ANN202
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fused_jupyter as fused
from fused_jupyter.errors import (
    ArgumentError,
    TileError,
    UdfRuntimeError,
    UdfSerializationError,
    UnknownUdfError,
)
from fused_jupyter.runtime import current

# The text of these functions is what runs elsewhere.


@fused.udf
def add(a: int, b: int = 1):
    return a + b


@fused.udf
def where(bounds: fused.types.TileXYZ = None):
    return bounds and (bounds.z, bounds.x, bounds.y)


@fused.udf
def indices(x: int, y: int, z: int, n: int = 0):
    return x, y, z, n


@pytest.fixture(autouse=True)
def _registered() -> None:
    for udf in (add, where, indices):
        current().register(udf.definition)


def test_run_by_object_and_by_name() -> None:
    """The name means the newest registration."""
    assert fused.run(add, a=2) == 3
    assert fused.run("add", a="2", b=5) == 7


def test_unknown_name_gives_the_nearest() -> None:
    """A typing mistake is seen at a glance."""
    with pytest.raises(UnknownUdfError, match=r"did you mean add\?"):
        fused.run("ad", a=1)


def test_tile_is_the_area() -> None:
    """By x, y and z."""
    assert fused.run(where, x=4, y=5, z=3) == (3, 4, 5)
    assert fused.run(where) is None


@pytest.mark.parametrize("index", [{"x": 1}, {"x": 1, "y": 1}, {"z": 0}])
def test_half_a_tile_is_refused(index: dict[str, int]) -> None:
    """It says what came."""
    with pytest.raises(ArgumentError, match="a tile needs x, y and z"):
        fused.run(where, **index)


def test_tile_outside_the_grid_is_refused() -> None:
    """Before anything runs."""
    with pytest.raises(TileError):
        fused.run(where, x=8, y=0, z=3)


def test_own_x_y_z_are_the_udfs() -> None:
    """A UDF that asks for them gets numbers."""
    assert fused.run(indices, x=1, y=2, z=3, n=4) == (1, 2, 3, 4)
    assert indices(1, 2, z="3") == (1, 2, 3, 0)
    with pytest.raises(ArgumentError, match="y: missing"):
        fused.run(indices, x=1, z=2)


def test_error_has_line_and_class() -> None:
    """Those of the UDF."""

    @fused.udf
    def fails():
        wrong = {}
        return wrong["key"]

    with pytest.raises(UdfRuntimeError, match="KeyError: 'key'") as caught:
        fails()

    error = caught.value
    assert (error.child_exception_class, error.line, error.udf) == ("KeyError", 4, "fails")
    assert 'return wrong["key"]' in (error.source_line or "")
    assert any('return wrong["key"]' in line for line in error._render_traceback_())


def test_arrays_are_the_callers_own() -> None:
    """They may be changed."""

    @fused.udf
    def grid():
        import numpy as np

        return {"a": np.zeros((3, 3)), "b": [np.ones(2), "text", None]}

    value = grid()
    value["a"][1, 1] = 5
    value["b"][0][:] = 6

    assert value["a"].sum() == 5
    assert value["b"][0].tolist() == [6, 6]


def test_result_that_cannot_travel_is_named() -> None:
    """With what to return instead."""

    @fused.udf
    def generator():
        return (n for n in range(3))

    with pytest.raises(UdfSerializationError, match="generator.*return data"):
        generator()


def test_nested_run_runs_in_the_same_worker() -> None:
    """Calls within calls cannot starve the pool."""

    @fused.udf
    def outer(n: int):
        import os

        @fused.udf
        def inner(n: int):
            import os

            return n + 1, os.getpid()

        value, pid = fused.run(inner, n=n)
        again, _ = inner(value)
        return again, pid == os.getpid()

    assert outer(1) == (3, True)


def test_name_inside_a_udf_says_what_to_do() -> None:
    """Names belong to the notebook; a UDF that asks for one is told how to call another UDF."""

    @fused.udf
    def by_name():
        return fused.run("by_name")

    with pytest.raises(UnknownUdfError, match="define it with @fused.udf inside"):
        by_name()


def test_relative_paths_follow_the_notebook(tmp_path: Path) -> None:
    """Files beside it, wherever the worker was before; each version keeps its own."""
    values: list[Any] = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.txt").write_text(name)
        os.chdir(tmp_path / name)

        @fused.udf
        def read():
            from pathlib import Path

            return Path("data.txt").read_text()

        values.append(read())

    assert values == ["one", "two"]


def test_names_of_the_caller_are_not_seen() -> None:
    """A UDF is self-contained."""
    elsewhere = 3

    @fused.udf
    def leaky():
        return elsewhere

    with pytest.raises(UdfRuntimeError, match="NameError.*sees only its own cell"):
        leaky()


def test_result_may_be_kept() -> None:
    """As long as the caller says."""

    @fused.udf
    def now():
        import time

        return time.time()

    assert fused.run(now, cache_max_age="1h") == fused.run(now, cache_max_age=3600)
    assert now() != now()
    with pytest.raises(ArgumentError, match="2w"):
        fused.run(now, cache_max_age="2w")


SCRIPT = """
import fused_jupyter as fused

@fused.udf
def hello(name: str = "you"):
    print("working")
    return f"hello {name}"

print(hello("there"))
print(fused.run("hello"))
"""


def test_plain_python_needs_no_jupyter(tmp_path: Path) -> None:
    """A script runs UDFs, prints what they print, and ends by itself without a word."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    done = subprocess.run(
        [sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )

    assert done.stderr == ""
    assert done.stdout.split("\n") == ["working", "hello there", "working", "hello you", ""]
    assert done.returncode == 0
