# The functions are UDFs as users write them.
# ruff: noqa: ANN201, ANN202, T201
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
    WorkerLostError,
)
from fused_jupyter.runtime import current
from fused_jupyter.udfs import parse

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


def test_arguments_may_come_as_a_mapping() -> None:
    """They win over those by keyword; the UDF itself may be named."""
    assert fused.run(udf=add, a=1, b=2, parameters={"b": 5}) == 6
    assert fused.run(udf="add", parameters={"a": 1}) == 2


def test_what_is_no_udf_is_refused() -> None:
    """It says how to make one."""
    for wrong in (None, 7, print):
        with pytest.raises(ArgumentError, match="need a UDF, or the name of one"):
            fused.run(wrong)  # type: ignore[arg-type]


def test_options_yield_to_parameters_of_the_same_name() -> None:
    """What the UDF asks for by a name is its own; the rest keep their meaning."""

    @fused.udf
    def busy(type: str, engine: int = 1, x: int = 0, cache: bool = True, udf: str = "", parameters: str = ""):  # noqa: A002
        return type, engine, x, cache, udf, parameters

    assert fused.run(busy, type="bus", engine=6, x=3, cache=False, max_retry=1) == ("bus", 6, 3, False, "", "")  # type: ignore[arg-type]
    assert busy("tram", udf="u", parameters="p", cache_max_age="0") == ("tram", 1, 0, True, "u", "p")
    assert fused.run(busy, parameters={"type": "a", "udf": "b"}) == ("a", 1, 0, True, "b", "")


def test_options_of_a_cloud_change_nothing() -> None:
    """A machine of one's own has no other sizes; what no engine is called is a mistake."""
    for engine in ("local", "remote", "realtime", None):
        assert fused.run(add, a=1, engine=engine, instance_type="m5.large", disk_size_gb=10, sync=True) == 2  # type: ignore[arg-type]
    for wrong, says in (
        ({"engine": "moon"}, "engine: got 'moon', need local or remote or realtime"),
        ({"type": "vector"}, "type: got 'vector', need tile or file"),
        ({"max_retry": -1}, "max_retry: got -1"),
        ({"cache": False, "cache_max_age": "1h"}, "cache_max_age: got '1h' with cache=False"),
    ):
        with pytest.raises(ArgumentError, match=says):
            fused.run(add, a=1, **wrong)  # type: ignore[arg-type]


def test_type_says_what_x_y_z_are() -> None:
    """Numbers for a file; a tile otherwise, which then needs all three."""
    assert fused.run(indices, x=1, y=2, z=3, type="file") == (1, 2, 3, 0)
    assert fused.run(indices, x=1, y=2, z=3, type="tile") == (1, 2, 3, 0)
    assert fused.run(where, x=1, y=2, z=3, type="tile") == (3, 1, 2)
    with pytest.raises(ArgumentError, match="x: the UDF has no such parameter"):
        fused.run(where, x=1, y=2, z=3, type="file")
    with pytest.raises(ArgumentError, match="a tile needs x, y and z; got x=None"):
        fused.run(where, type="tile")


def test_one_index_may_be_a_parameter() -> None:
    """Also of a UDF that takes whatever comes."""

    @fused.udf
    def square(x: float):
        return x * x

    @fused.udf
    def anything(**given):  # noqa: ANN003
        return given

    assert square(3) == fused.run(square, x=3) == 9
    assert fused.run(anything, x=3, q="a") == {"x": "3", "q": "a"}


def test_unknown_arguments_may_be_left_out() -> None:
    """If one says so."""
    assert fused.run(add, a=1, zzz=3, _ignore_unknown_arguments=True) == 2
    with pytest.raises(ArgumentError, match="zzz"):
        fused.run(add, a=1, zzz=3)


def test_output_may_be_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    """It is shown unless one says otherwise, that of UDFs in UDFs too, in the order of writing."""

    @fused.udf
    def outer(verbose_inside: bool = True):
        @fused.udf
        def inner(n: int):
            import os

            print("inner", n)
            os.write(1, b"descriptor\n")

        for n in range(2):
            print("outer", n)
            fused.run(inner, n=n, verbose=verbose_inside)

    fused.run(outer)
    assert capsys.readouterr().out == "outer 0\ninner 0\ndescriptor\nouter 1\ninner 1\ndescriptor\n"
    fused.run(outer, verbose_inside=False)
    assert capsys.readouterr().out == "outer 0\nouter 1\n"
    fused.run(outer, verbose=False)
    assert capsys.readouterr().out == ""


def test_lost_runs_may_be_tried_again(tmp_path: Path) -> None:
    """A UDF that raised would raise again."""

    @fused.udf
    def unlucky(folder: str, how: str):
        import os
        from pathlib import Path

        tries = len([*Path(folder).iterdir()])
        (Path(folder) / str(tries)).touch()
        if tries < 2:
            os._exit(1) if how == "exit" else 1 / 0
        return tries

    for name, how, retries, error in (
        ("a", "exit", 2, None), ("b", "exit", 1, WorkerLostError), ("c", "raise", 5, UdfRuntimeError),
    ):  # fmt: skip
        folder = tmp_path / name
        folder.mkdir()
        if error is None:
            assert fused.run(unlucky, folder=str(folder), how=how, max_retry=retries) == 2
        else:
            with pytest.raises(error):
                fused.run(unlucky, folder=str(folder), how=how, max_retry=retries)
    assert len([*(tmp_path / "c").iterdir()]) == 1


def test_arguments_are_looked_at_before_any_code_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The cell's own imports and constants may take their time."""
    udf = fused.Udf(parse("print('top')\ndef f(n: int): pass"))

    for wrong in ({}, {"n": 1, "m": 2}):
        with pytest.raises(ArgumentError):
            udf(**wrong)

    assert capsys.readouterr().out == ""


def test_result_may_be_kept() -> None:
    """As long as the caller says."""

    @fused.udf
    def now():
        import time

        return time.time()

    assert fused.run(now, cache_max_age="1h") == fused.run(now, cache_max_age=3600)
    assert now() != now()
    assert len({fused.run(now, cache_max_age="1h", cache=True), fused.run(now, cache=False)}) == 2
    assert fused.run(now, cache=False, cache_max_age=0) != fused.run(now, cache=False, cache_max_age="0s")
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
