from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
import xarray as xr
from geopandas.testing import assert_geodataframe_equal
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.caching import folders, kept
from fused_jupyter.caching.kept import KeptValues, TooLargeError
from fused_jupyter.errors import ArgumentError

EVER = 0.0
LARGE = np.random.default_rng(1).random(200_000)
"""Large enough to be mapped."""


@pytest.fixture
def values(tmp_path: Path) -> KeptValues:
    return KeptValues(tmp_path / "cache", size=10_000_000)


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.glob("cache/functions/*/*/*") if path.is_file())


def again(values: KeptValues, value: Any) -> Any:
    values.write("any", "key", value)
    found = values.read("any", "key", oldest=EVER)
    assert found is not None
    return found.value


def test_plain_value_comes_back(values: KeptValues) -> None:
    """With the time when it was kept."""
    before = time.time()
    values.write("any", "key", {"a": (1, None, "ä")})

    found = values.read("any", "key", oldest=EVER)

    assert found is not None
    assert found.value == {"a": (1, None, "ä")}
    assert before <= found.created <= time.time()


@pytest.mark.parametrize("length", [0, 1, 1000, 200_000])
def test_arrays_and_tables_come_back(values: KeptValues, length: int) -> None:
    """Small ones are read, large ones mapped; libraries of theirs compare."""
    array = np.arange(length, dtype="f8")
    frame = pd.DataFrame({"a": array, "b": array.astype("i4"), "c": [f"n{number % 7}" for number in range(length)]})
    places = geopandas.GeoDataFrame(frame.head(500), geometry=shapely.points(array[:500], 1.0), crs=3857)

    np.testing.assert_array_equal(again(values, array), array)
    pd.testing.assert_frame_equal(again(values, frame), frame)
    assert_geodataframe_equal(again(values, places), places)
    assert again(values, pa.table({"a": array})).equals(pa.table({"a": array}))
    xr.testing.assert_identical(again(values, xr.DataArray(array, dims="x")), xr.DataArray(array, dims="x"))


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_buffers_lie_where_the_index_says(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    """Of any number and length, and each on its boundary."""
    values = KeptValues(tmp_path_factory.getbasetemp() / "buffers", size=10**7)
    arrays = [np.frombuffer(content, "u1") for content in contents]

    found = again(values, arrays)

    assert [array.tobytes() for array in found] == contents


@pytest.mark.parametrize("value", [np.zeros(10), LARGE], ids=["read", "mapped"])
def test_what_a_reader_writes_stays_with_it(values: KeptValues, value: np.ndarray) -> None:
    """Each hit is an object of its own, and may be changed."""
    values.write("any", "key", value)
    one, other = (values.read("any", "key", oldest=EVER) for _ in range(2))
    assert one is not None
    assert other is not None

    one.value[:] = -1

    np.testing.assert_array_equal(other.value, value)
    np.testing.assert_array_equal(again(values, value), value)


def test_mapped_value_outlives_its_file(values: KeptValues, tmp_path: Path) -> None:
    """Newer values and eviction take nothing away from who has it."""
    found = again(values, LARGE)

    values.write("any", "key", LARGE + 1)
    for path in files(tmp_path):
        path.unlink()

    np.testing.assert_array_equal(found, LARGE)


def test_age_is_tested_when_it_is_read(values: KeptValues) -> None:
    """One value is young enough for one caller and too old for another."""
    values.write("any", "key", 1)

    assert values.read("any", "key", oldest=time.time() - 60) is not None
    assert values.read("any", "key", oldest=time.time() + 60) is None


def test_unknown_key_and_other_folder_are_misses(values: KeptValues) -> None:
    """Folders are apart."""
    values.write("any", "key", 1)

    assert values.read("any", "other", oldest=EVER) is None
    assert values.read("mine", "key", oldest=EVER) is None


@given(data=st.data())
def test_damaged_file_is_a_miss(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Cut short or with one bit turned, wherever it is; read or mapped."""
    directory = tmp_path_factory.mktemp("damaged")
    values = KeptValues(directory / "cache", size=10**8)
    values.write("any", "key", data.draw(st.sampled_from([{"a": np.arange(5)}, {"a": LARGE}])))
    (path,) = files(directory)
    content = bytearray(path.read_bytes())

    if data.draw(st.booleans()):
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    else:
        bit = data.draw(st.integers(0, len(content) * 8 - 1))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)

    assert values.read("any", "key", oldest=EVER) is None


class Vanishing:
    """A class that another version of a UDF does not have."""


def test_value_of_a_class_that_is_gone_is_a_miss(values: KeptValues, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was whole, but nobody can rebuild it."""
    module = sys.modules[Vanishing.__module__] = sys.modules[__name__]
    values.write("any", "key", Vanishing())
    monkeypatch.delattr(module, "Vanishing")

    assert values.read("any", "key", oldest=EVER) is None


def test_value_that_cannot_be_pickled_leaves_nothing(values: KeptValues, tmp_path: Path) -> None:
    """The caller hears why."""
    with pytest.raises(TypeError, match="cannot pickle"):
        values.write("any", "key", threading.Lock())

    assert files(tmp_path) == []


def test_value_larger_than_all_may_be_is_refused(tmp_path: Path) -> None:
    """It would push all others out, and itself."""
    values = KeptValues(tmp_path / "cache", size=1000)

    with pytest.raises(TooLargeError, match="FUSED_CACHE_SIZE is 1,000"):
        values.write("any", "key", LARGE)


def test_writing_much_evicts_by_itself(tmp_path: Path) -> None:
    """Nobody has to call it, though each object wrote little."""
    for number in range(60):
        values = KeptValues(tmp_path / "cache", size=1_000_000)
        values.write("any", f"{number:02}", np.zeros(10_000))

    assert sum(path.stat().st_size for path in files(tmp_path)) <= 1_100_000
    assert values.read("any", "59", oldest=EVER) is not None


def test_reading_keeps_a_value_from_eviction(tmp_path: Path) -> None:
    """What was used longest ago goes first."""
    values = KeptValues(tmp_path / "cache", size=10**7)
    for number in range(10):
        values.write("any", f"{number}", np.zeros(10_000))
    for used, path in enumerate(files(tmp_path)):
        os.utime(path, (used, used))
    values.read("any", "0", oldest=EVER)

    KeptValues(tmp_path / "cache", size=400_000).evict()

    assert [path.name for path in files(tmp_path)] == ["0", "7", "8", "9"]


def test_eviction_takes_locks_of_the_dead(values: KeptValues, tmp_path: Path) -> None:
    """They hold nothing, but there may be many."""
    for name, age in (("old", 7200), ("new", 0)):
        path = Path(values.turn(name))
        path.write_bytes(b"")
        os.utime(path, (time.time() - age,) * 2)

    values.evict()

    assert [path.stem for path in (tmp_path / "cache" / "turns").iterdir()] == ["new"]


@pytest.mark.parametrize("call", ["open", "replace", "mkdir"])
def test_full_or_read_only_disk_costs_only_the_cache(
    values: KeptValues, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: str
) -> None:
    """The value itself is on its way already, and no draft stays."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, call, refuse)

    values.write("any", "key", 1)

    monkeypatch.undo()
    assert values.read("any", "key", oldest=EVER) is None
    assert files(tmp_path) == []


def test_cache_that_was_thrown_away_is_made_again(values: KeptValues, tmp_path: Path) -> None:
    """Users do that while kernels run; it is as private as before."""
    import shutil

    values.write("any", "key", 1)
    shutil.rmtree(tmp_path / "cache")
    before = os.umask(0)
    try:
        values.write("any", "key", 2)
    finally:
        os.umask(before)

    found = values.read("any", "key", oldest=EVER)
    assert found is not None
    assert found.value == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.glob("cache/*"))


def test_directory_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    """What lies there is unpickled."""
    (tmp_path / "cache" / "functions").mkdir(parents=True)
    (tmp_path / "cache" / "functions").chmod(0o777)

    with pytest.raises(ArgumentError, match="chmod go-w"):
        KeptValues(tmp_path / "cache", size=1000)


def test_network_file_system_warns_and_is_read_not_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapped file that another machine deletes would take the process along."""
    for module in (kept, folders):
        monkeypatch.setattr(module, "network_file_system", lambda _: "nfs4")
    with pytest.warns(UserWarning, match=r"network file system \(nfs4\).*FUSED_CACHE_DIRECTORY"):
        values = KeptValues(tmp_path / "cache", size=10**7)
    monkeypatch.setattr(kept, "mmap", None)

    np.testing.assert_array_equal(again(values, LARGE), LARGE)


def test_all_values_are_counted_and_cleared(tmp_path: Path) -> None:
    """Of all folders; what is being written is none yet, and is left to its writer."""
    values = KeptValues(tmp_path / "cache", size=10**7)
    for folder in ("any", "other"):
        values.write(folder, "ab-key", b"x" * 5000)
    draft = tmp_path / "cache" / "functions" / "any" / "ab" / "ab-key.1.tmp"
    draft.write_bytes(b"half")

    count, size = values.usage()

    assert count == 2
    assert 2 * 5000 < size < 100_000
    assert values.clear() == 2
    assert values.usage() == (0, 0)
    assert draft.exists()
    assert values.read("any", "ab-key", oldest=0) is None


WRITER = """
import sys
from pathlib import Path
import numpy as np
from fused_jupyter.caching.kept import KeptValues
values = KeptValues(Path(sys.argv[1]), size=8_000_000)
seen = 0
for turn in range(120):
    number = turn % 5
    values.write("any", f"key{number}", np.full(100_000, number))
    wanted = (turn + 2) % 5
    found = values.read("any", f"key{wanted}", oldest=0)
    if found is not None:
        seen += 1
        assert (found.value == wanted).all(), "half a value was read"
print(seen)
"""


def test_many_processes_share_one_directory(tmp_path: Path) -> None:
    """Each reads whole values of the others while all write the same keys and evict."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "cache")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]

    seen = [int(process.communicate(timeout=60)[0]) for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert all(seen)


def test_writer_that_was_killed_leaves_no_half_value(tmp_path: Path) -> None:
    """Again and again, at any point; the next one writes as if nothing had been."""
    endless = WRITER.replace("range(120)", "__import__('itertools').count()")
    for delay in (0.0, 0.02, 0.05, 0.11):
        process = subprocess.Popen(
            [sys.executable, "-c", endless, str(tmp_path / "cache")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        while not files(tmp_path) and process.poll() is None:
            time.sleep(0.01)
        time.sleep(delay)
        process.kill()
        assert process.communicate()[1] == b""
        values = KeptValues(tmp_path / "cache", size=8_000_000)
        for number in range(5):
            found = values.read("any", f"key{number}", oldest=EVER)
            assert found is None or (found.value == number).all()
