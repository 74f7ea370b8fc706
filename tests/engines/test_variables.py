from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fused_jupyter.engines import LocalEngine, variables
from fused_jupyter.engines.execute import call
from fused_jupyter.errors import UdfDefinitionError, UdfMemoryError, UdfRuntimeError
from fused_jupyter.runtime.variables import Variables, remove_left_variables
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition, parse, using
from fused_jupyter.wire import Failure, Run


class Model:
    """A model of somebody's, with parameters of all kinds."""

    def __init__(self) -> None:
        self.weights = np.arange(6.0)
        self.names = ["a", "b"]


@dataclass
class Kind:
    """A kind of value, what a call may do to it, and how one sees it."""

    make: Callable[[], Any]
    changes: tuple[str, ...]
    seen: Callable[[Any], Any] = field(default=lambda value: value)


def _frame() -> pd.DataFrame:
    return pd.DataFrame({
        "n": np.arange(3000.0),
        "text": pd.Series([f"t{n}" for n in range(3000)], dtype=object),
        "str": pd.Series([f"s{n}" for n in range(3000)], dtype="str"),
        "day": pd.date_range("2020-01-01", periods=3000, tz="UTC"),
        "kind": pd.Categorical(["a", "b", "c"] * 1000),
        "whole": pd.array([1, 2, None] * 1000, dtype="Int64"),
    })  # fmt: skip


def _places() -> gpd.GeoDataFrame:
    points = shapely.points(np.arange(3000.0), np.arange(3000.0) % 50)
    return gpd.GeoDataFrame({"n": np.arange(3000)}, geometry=shapely.buffer(points, 0.5), crs=4326)


def _grid() -> xr.Dataset:
    values = np.arange(120_000.0).reshape(300, 400)
    return xr.Dataset({"v": (("y", "x"), values)}, coords={"y": np.arange(300.0)}, attrs={"of": ["a"]})


KINDS = {
    "array": Kind(
        lambda: np.arange(100_000.0),
        ("v[0] = 9", "v[:] += 1", "v.sort()", "v.shape = (10, -1)", "v.fill(2)"),
        lambda value: (value.shape, value.tobytes(), value.flags.writeable),
    ),
    "small array": Kind(lambda: np.arange(10), ("v[0] = 9",), lambda value: value.tobytes()),
    "array of objects": Kind(lambda: np.array(["a", 1, None] * 1000, dtype=object), ("v[0] = 9",), list),
    "array of lists": Kind(
        lambda: np.array([[n] for n in range(2000)] + [None], dtype=object), ("v[0].append(1)",), list
    ),
    "table": Kind(
        _frame,
        (
            "v.loc[0, 'n'] = 9",
            "v['n'] = 0",
            "v['n'].values.flags.writeable and v['n'].values.fill(1)",
            "v['new'] = 1",
            "v['text'].array[0] = 'x'",
            "v['str'].array[0] = 'x'",
            "v['kind'].array[0] = 'c'",
            "v['whole'].array[0] = 7",
            "v.iloc[0] = v.iloc[1]",
            "del v['n']",
            "v.attrs['a'] = 1",
            "v.index.name = 'x'",
            "v.loc[9999] = v.iloc[0]",
        ),
        lambda value: (value.to_csv(), dict(value.attrs), value.index.name),
    ),
    "column": Kind(lambda: pd.Series(range(3000)), ("v[0] = 9", "v.array[0] = 9"), lambda value: value.to_list()),
    "places": Kind(
        _places,
        (
            "v.loc[0, 'geometry'] = None",
            "v.geometry.values[0] = None",
            "v['n'] = 0",
            "v.set_crs(3857, allow_override=True, inplace=True)",
            "v.sindex",
            "del v['n']",
            "v.geometry = v.geometry.array[::-1]",
        ),
        lambda value: (value.to_wkt().to_csv(), value.crs, value.has_sindex),
    ),
    "grid": Kind(
        _grid,
        (
            "v['v'][0, 0] = 9",
            "v['v'].values[:] = 0",
            "v.attrs['of'].append('b')",
            "v['w'] = 1",
            "v.coords['y'] = v['y'] + 1",
        ),
        lambda value: (value.to_dict(), value.v.to_numpy().tobytes()),
    ),
    "dict": Kind(lambda: {"a": [1, {"b": 2}], "c": {1}}, ("v['a'][1]['b'] = 3", "v.clear()", "v['c'].add(2)")),
    "list": Kind(lambda: [[1], 2], ("v[0].append(3)", "v.pop()")),
    "model": Kind(
        Model,
        ("v.weights[0] = 9", "v.names.append('c')", "v.more = 1"),
        lambda value: (value.weights.tobytes(), tuple(value.names), sorted(vars(value))),
    ),
    "bytes": Kind(lambda: bytearray(b"abc" * 200_000), ("v[0] = 9",), bytes),
}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Variables]:
    made = Variables(tmp_path)
    yield made
    made.close()


def _with(kept: Variables, source: str, **values: Any) -> UdfDefinition:
    return using(parse(source), kept.keep(values), directory=kept.directory)


CASES = [(kind, change) for kind, row in KINDS.items() for change in row.changes]


@pytest.mark.parametrize(("kind", "change"), CASES)
def test_what_a_call_does_to_a_value_the_next_one_does_not_see(kept: Variables, kind: str, change: str) -> None:
    """Every call gets the value as it was when the cell ran; the notebook's own stays what it is too."""
    row = KINDS[kind]
    value = row.make()
    changes = _with(kept, f"def f():\n    {change}\n    return v", v=value)
    looks = _with(kept, "def g():\n    return v", v=value)

    before = row.seen(call(looks, {}).value)
    call(changes, {})
    call(changes, {})

    assert row.seen(call(looks, {}).value) == before == row.seen(row.make())
    assert row.seen(value) == before


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3) | st.tuples(inner)
    ),
)


@given(values)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_plain_data_arrives_as_it_is(kept: Variables, value: Any) -> None:
    """With its types; equal values are one file."""
    definition = _with(kept, "def f(): return v", v=value)

    assert repr(call(definition, {}).value) == repr(value)
    assert kept.keep({"again": value})["again"] == definition.uses["v"]


def test_another_value_is_another_version(kept: Variables) -> None:
    """So no old result answers for it; another name for it is one too, another directory is not."""
    source = "def f(): return 1"
    one, other = _with(kept, source, v=1), _with(kept, source, v=2)

    assert len({parse(source).digest, one.digest, other.digest, _with(kept, source, w=1).digest}) == 4
    assert using(one, one.uses, directory="/elsewhere").digest == one.digest


def test_name_of_the_cell_wins(kept: Variables) -> None:
    """What it defines itself it means."""
    assert call(_with(kept, "v = 5\ndef f(): return v", v=1), {}).value == 5


def test_parameter_that_hides_a_variable_is_refused(kept: Variables) -> None:
    """It would never be seen."""
    with pytest.raises(UdfDefinitionError, match="parameter 'v', which hides the variable"):
        _with(kept, "def f(v): return v", v=1)


# -- what is shared


def test_long_arrays_are_rebuilt_once(kept: Variables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Geometries above all: a call gets a list of its own of the same ones."""
    definition = _with(kept, "def f(): return v", v=_places())
    first = call(definition, {}).value
    rebuilt: list[str] = []
    monkeypatch.setattr(variables, "_rebuilt", _counting(variables._rebuilt, rebuilt))

    second = call(definition, {}).value

    assert first.geometry.iloc[0] is second.geometry.iloc[0]
    assert len(rebuilt) == 1


def _counting(function: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    def counted(directory: str, digest: str) -> Any:
        calls.append(digest)
        return function(directory, digest)

    return counted


def test_old_parts_go_when_there_are_too_many(kept: Variables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those used last stay; one alone stays however large it is."""
    parts = variables._Parts()
    monkeypatch.setattr(variables, "_MOST_PARTS", 100_000)
    arrays = [np.array([f"{n} {i}" for n in range(5000)], dtype=object) for i in range(4)]
    for array in arrays:
        kept.keep({"v": array})
    digests = [part for each in kept._parts.values() for part in each]

    for digest in digests:
        assert parts.get(kept.directory, digest)[0].startswith("0 ")

    assert len(digests) == 4
    assert len(parts._kept) < 3
    assert list(parts._kept)[-1].endswith(digests[-1])


PROBE = """
import sys, json
sys.path[:0] = {path}
from fused_jupyter.engines.execute import call
from fused_jupyter.udfs import UdfDefinition
definition = UdfDefinition.from_json(json.loads(sys.argv[1]))
import numpy
def own():
    import re
    text = open('/proc/self/smaps_rollup').read()
    return {{name: int(re.search(name + r':\\s+(\\d+)', text)[1]) * 1024 for name in ('Pss', 'Private_Dirty', 'Rss')}}
before = own()
keep = call(definition, {{}}).value
total = call(definition, {{}}).value[0].sum()
after = own()
print(json.dumps([after[name] - before[name] for name in before] + [total]), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc says it")
def test_processes_share_one_array(kept: Variables) -> None:
    """100 MB in four processes cost none of them memory of its own, as long as it only reads."""
    definition = _with(kept, "def f():\n    v.sum()\n    return v, 1", v=np.ones(12_500_000))
    probe = [sys.executable, "-c", PROBE.format(path=sys.path), json.dumps(definition.to_json())]
    processes = [subprocess.Popen(probe, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)]
    try:
        growths = [json.loads(process.stdout.readline()) for process in processes]  # type: ignore[union-attr]
    finally:
        for process in processes:
            process.communicate()

    for _, private, _, total in growths:
        assert total == 12_500_000
        assert private < 10_000_000
    assert max(resident for _, _, resident, _ in growths) > 90_000_000
    assert min(pss for pss, *_ in growths) < 60_000_000


# -- what cannot travel, and what is gone


@pytest.mark.parametrize("value", [(n for n in ()), threading.Lock()], ids=lambda v: type(v).__name__)
def test_value_that_cannot_be_pickled_is_refused(kept: Variables, value: Any) -> None:
    """With its class, and what to do."""
    with pytest.raises(
        UdfDefinitionError, match=rf"'v' is a [\w.]+\.{type(value).__name__}, which cannot travel .*engine=\"kernel\""
    ):
        kept.keep({"v": value})

    assert not any(path.suffix == ".tmp" for path in Path(kept.directory or ".").glob("*.tmp"))


OF_MAIN = """
import sys
sys.path[:0] = {path}
import json
from pathlib import Path
from fused_jupyter.runtime.variables import Variables
from fused_jupyter.udfs import parse, using
FACTOR = 3
def times(n): return n * FACTOR
class Doubles:
    def __init__(self): self.n = 2
    def predict(self, n): return times(n) * self.n
kept = Variables(Path(sys.argv[1]))
source = "def f(): return [model.predict(5), triple(1)]"
hashes = kept.keep({{"model": Doubles(), "triple": lambda n: times(n)}})
definition = using(parse(source), hashes, directory=kept.directory)
print(json.dumps(definition.to_json()), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], UdfDefinition]]:
    """A process with variables, and a UDF that uses them."""
    source = OF_MAIN.format(path=sys.path)
    command = [sys.executable, "-c", source, str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    yield process, UdfDefinition.from_json(json.loads(process.stdout.readline()))
    process.kill()
    process.communicate()


def test_classes_and_functions_of_the_notebook_travel(owner: tuple[Any, UdfDefinition]) -> None:
    """Those of `__main__`, which no other process can import, with what they use of it."""
    assert call(owner[1], {}).value == [30, 3]


def test_what_a_killed_kernel_left_is_removed(
    owner: tuple[Any, UdfDefinition], tmp_path: Path, kept: Variables
) -> None:
    """By whoever looks next; what a living one has stays."""
    process, definition = owner
    kept.keep({"v": 1})
    remove_left_variables(tmp_path)
    assert call(definition, {}).value == [30, 3]

    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    remove_left_variables(tmp_path)

    assert not Path(definition.uses_from).exists()
    assert Path(kept.directory).exists()
    with pytest.raises(UdfRuntimeError, match="no longer kept .*; run its cell again"):
        call(definition, {})


def test_values_of_replaced_versions_go_when_they_are_many(kept: Variables, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first; those in use and parts of them stay."""
    monkeypatch.setattr("fused_jupyter.runtime.variables._RETIRED", 550_000)
    texts = np.array([f"t{n}" for n in range(2000)], dtype=object)
    versions = [_with(kept, "def f(): return int(v[0].sum())", v=(np.full(30_000, float(n)), texts)) for n in range(6)]

    kept.retire([versions[0], versions[5]])

    assert call(versions[0], {}).value == 0
    assert [call(version, {}).value for version in versions[3:]] == [90_000, 120_000, 150_000]
    for version in versions[1:3]:
        with pytest.raises(UdfRuntimeError, match="no longer kept"):
            call(version, {})


def test_closing_removes_all(tmp_path: Path) -> None:
    """Nothing of it is left; a private directory it was."""
    kept = Variables(tmp_path)
    kept.keep({"v": 1})
    directory = Path(kept.directory)
    assert directory.stat().st_mode & 0o777 == 0o700

    kept.close()

    assert list((tmp_path / "variables").iterdir()) == []
    assert not directory.exists()


def test_directory_that_somebody_removed_is_made_again(kept: Variables) -> None:
    """As those who tidy up temporary files do."""
    first = _with(kept, "def f(): return v", v=1)
    shutil.rmtree(first.uses_from)

    assert call(_with(kept, "def f(): return v", v=1), {}).value == 1


def test_damaged_or_foreign_file_is_not_unpickled(kept: Variables) -> None:
    """It is no value of ours."""
    definition, other = _with(kept, "def f(): return v", v=[1]), _with(kept, "def f(): return v", v=[2])
    path = Path(definition.uses_from) / definition.uses["v"]
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    (Path(other.uses_from) / other.uses["v"]).chmod(0o666)

    with pytest.raises(UdfRuntimeError, match="is damaged"):
        call(definition, {})
    with pytest.raises(UdfRuntimeError, match="others can write to"):
        call(other, {})


def test_value_that_cannot_be_rebuilt_says_what_to_do(kept: Variables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its class is not there, or raises."""
    definition = _with(kept, "def f(): return v", v=Model())
    monkeypatch.delattr(sys.modules[Model.__module__], "Model")

    with pytest.raises(
        UdfRuntimeError, match="the notebook's 'v' cannot be rebuilt in the process of the UDF: Attr"
    ) as caught:
        call(definition, {})

    assert caught.value.child_exception_class == "AttributeError"


def test_full_disk_is_said(kept: Variables, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the size, and no draft left."""
    kept.keep({"v": 1})

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UdfDefinitionError, match=r"the 8\.0 MB of 'v' cannot be written to .*No space left"):
        kept.keep({"v": np.zeros(1_000_000)})

    assert not list(Path(kept.directory).glob("*.tmp"))


def test_constants_of_tables_are_fixed() -> None:
    """What is shared between calls can be changed by none of them."""
    from fused_jupyter.runtime.variables import _is_fixed

    fixed = [
        1,
        "a",
        b"b",
        None,
        1.5,
        True,
        dt.datetime.now(tz=dt.UTC),
        pd.Timestamp(0),
        pd.NaT,
        pd.NA,
        shapely.Point(0, 0),
    ]
    loose: list[Any] = [[], {}, set(), bytearray(), np.zeros(1), Model(), object()]

    assert all(_is_fixed(type(value)) for value in fixed)
    assert not any(_is_fixed(type(value)) for value in loose)


def test_use_costs_little(kept: Variables) -> None:
    """A mapped array and a table of 100 columns, in each call."""
    definition = _with(kept, "def f(): return v.size", v=np.zeros(12_500_000))
    call(definition, {})
    started = time.perf_counter()
    for _ in range(20):
        call(definition, {})

    assert (time.perf_counter() - started) / 20 < 0.02


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited there only")
def test_mapped_values_are_not_taken_for_memory_of_the_call(kept: Variables) -> None:
    """In a real worker, which may take 200 MB and is given 2.4 GB under six names; what it makes itself counts."""
    (value,) = kept.keep({"v": np.ones(50_000_000)}).values()
    source = "def f(n: int):\n    import numpy\n    numpy.ones(n)\n    return v.sum()"
    definition = using(parse(source), dict.fromkeys("uvwxyz", value), directory=kept.directory)
    options = Options(
        workers=1, spare_workers=0, memory_limit=200_000_000, learn_preload=False,
        preload=("numpy", "fused_jupyter.formats", "fused_jupyter.engines.worker", "fused_jupyter.api"),
    )  # fmt: skip

    async def main() -> None:
        engine = LocalEngine(options)

        async def ask(n: int) -> bytes:
            run = Run(id=n, udf="f", digest=definition.digest, parameters={"n": str(n)})
            answer, body = await engine.run(definition, run)
            if isinstance(answer, Failure):
                raise answer.to_error()
            return body

        try:
            assert await ask(1) == b"50000000.0"
            with pytest.raises(UdfMemoryError, match=r"may take 200 MB"):
                await ask(100_000_000)
            assert await ask(2) == b"50000000.0"
        finally:
            await engine.close()

    asyncio.run(main())
