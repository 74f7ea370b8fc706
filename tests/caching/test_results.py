from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.caching import Entry, ResultCache
from fused_jupyter.errors import ArgumentError

FOREVER = 1e9


def entry(body: bytes = b"body", *, age: float = 0.0, meta: bytes = b"{}") -> Entry:
    return Entry(created=time.time() - age, meta=meta, body=body)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(directory: Path) -> ResultCache:
    return ResultCache(directory, memory_size=1000, disk_size=10_000)


def files(directory: Path) -> list[Path]:
    return [path for path in directory.glob("results/*/*") if path.is_file()]


def test_result_is_found_after_a_restart(cache: ResultCache, directory: Path) -> None:
    """Memory is empty then, the disk is not."""
    wanted = entry(b"picture", meta=b'{"a":1}')
    cache.write("key", wanted)

    again = ResultCache(directory, memory_size=1000, disk_size=10_000)

    assert again.in_memory("key", max_age=FOREVER) is None
    assert again.on_disk("key", max_age=FOREVER) == wanted
    assert again.in_memory("key", max_age=FOREVER) == wanted


def test_unknown_key_is_a_miss(cache: ResultCache) -> None:
    """In memory and on disk."""
    assert cache.in_memory("key", max_age=FOREVER) is None
    assert cache.on_disk("key", max_age=FOREVER) is None


def test_age_is_tested_when_it_is_read(cache: ResultCache) -> None:
    """One result is young enough for one caller and too old for another."""
    old = entry(age=60)
    cache.remember("key", old)
    cache.write("key", old)

    assert cache.in_memory("key", max_age=30) is None
    assert cache.on_disk("key", max_age=30) is None
    assert cache.in_memory("key", max_age=90) == old
    assert cache.on_disk("key", max_age=90) == old


def test_result_from_the_future_is_young(cache: ResultCache) -> None:
    """A clock that was set back makes no age negative."""
    assert entry(age=-3600).age == 0.0


def test_memory_keeps_what_was_used_last(cache: ResultCache) -> None:
    """And stays within its bytes."""
    for name in "abcd":
        cache.remember(name, entry(bytes(238)))
    cache.in_memory("a", max_age=FOREVER)

    cache.remember("e", entry(bytes(238)))

    assert [name for name in "abcde" if cache.in_memory(name, max_age=FOREVER)] == ["a", "c", "d", "e"]


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 400)), max_size=40))
def test_memory_never_exceeds_its_size(tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[str, int]]) -> None:
    """Whatever comes in, also the same key again in another size."""
    cache = ResultCache(tmp_path_factory.getbasetemp() / "memory", memory_size=1000, disk_size=0)

    for key, size in puts:
        cache.remember(key, entry(bytes(size)))

    held = sum(len(kept.meta) + len(kept.body) for kept in cache._memory.values())
    assert held == cache._memory_used <= 1000


def test_result_too_large_for_memory_pushes_nothing_out(cache: ResultCache) -> None:
    """It is kept on disk only, and the older one of its key is forgotten."""
    cache.remember("small", entry(b"x"))
    cache.remember("key", entry(b"old"))

    cache.remember("key", entry(bytes(900)))

    assert cache.in_memory("small", max_age=FOREVER) is not None
    assert cache.in_memory("key", max_age=FOREVER) is None


def test_newer_result_replaces_the_older(cache: ResultCache) -> None:
    """In memory and on disk."""
    for body in (b"old", b"new"):
        cache.remember("key", entry(body))
        cache.write("key", entry(body))

    assert cache.in_memory("key", max_age=FOREVER).body == b"new"
    assert cache.on_disk("key", max_age=FOREVER).body == b"new"


@given(data=st.data())
def test_damaged_file_is_a_miss(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Cut short or with one bit turned, wherever it is."""
    directory = tmp_path_factory.mktemp("damaged")
    cache = ResultCache(directory, memory_size=0, disk_size=10_000)
    cache.write("key", entry(b"some bytes", meta=b'{"m":1}'))
    (path,) = files(directory)
    content = bytearray(path.read_bytes())
    created = range(8, 16)  # the one field that nothing guards: an age, which may be any

    if data.draw(st.booleans()):
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    else:
        bit = data.draw(st.integers(0, len(content) * 8 - 1).filter(lambda bit: bit // 8 not in created))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)

    assert cache.on_disk("key", max_age=FOREVER) is None


def test_directory_in_place_of_a_file_is_a_miss(cache: ResultCache, directory: Path) -> None:
    """Whatever somebody did there, it costs the cache only."""
    (directory / "results" / "ke" / "key").mkdir(parents=True)

    cache.write("key", entry())

    assert cache.on_disk("key", max_age=FOREVER) is None


def test_result_is_written_whole_or_not_at_all(cache: ResultCache, directory: Path) -> None:
    """No draft stays behind."""
    cache.write("key", entry())

    assert [path.name for path in files(directory)] == ["key"]


@pytest.mark.parametrize("call", ["write_bytes", "replace", "mkdir"])
def test_full_or_read_only_disk_costs_only_the_cache(
    cache: ResultCache, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The result itself is on its way already."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, call, refuse)

    cache.write("key", entry())

    assert cache.on_disk("key", max_age=FOREVER) is None


def test_eviction_drops_what_was_used_longest_ago(directory: Path) -> None:
    """Down to nine tenths of the limit."""
    cache = ResultCache(directory, memory_size=0, disk_size=100_000)
    for number in range(10):
        cache.write(f"{number}-key", entry(bytes(4000)))
        os.utime(directory / "results" / f"{number}-" / f"{number}-key", (number, number))
    small = ResultCache(directory, memory_size=0, disk_size=20_000)
    assert small.on_disk("0-key", max_age=FOREVER) is not None  # used now

    small.evict()

    left = sorted(path.name for path in files(directory))
    assert left == ["0-key", "7-key", "8-key", "9-key"]
    assert sum(path.stat().st_size for path in files(directory)) <= 18_000


def test_eviction_takes_drafts_of_dead_writers(cache: ResultCache, directory: Path) -> None:
    """Not those that may still be written."""
    cache.write("key", entry())
    folder = directory / "results" / "ke"
    for name, age in (("key.1.0.tmp", 7200), ("key.2.0.tmp", 0)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age,) * 2)

    cache.evict()

    assert sorted(path.name for path in files(directory)) == ["key", "key.2.0.tmp"]


def test_writing_much_evicts_by_itself(directory: Path) -> None:
    """Nobody has to call it."""
    cache = ResultCache(directory, memory_size=0, disk_size=50_000)

    for number in range(40):
        cache.write(f"{number:02}-key", entry(bytes(5000)))

    assert sum(path.stat().st_size for path in files(directory)) <= 55_000


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707])
@pytest.mark.parametrize("folder", [".", "results"])
def test_directory_that_others_can_write_to_is_refused(directory: Path, folder: str, mode: int) -> None:
    """Results may hold pickles; the message says how to close it."""
    (directory / "results").mkdir(parents=True, mode=0o700)
    directory.chmod(0o700)
    (directory / folder).chmod(mode)

    with pytest.raises(ArgumentError, match="chmod go-w"):
        ResultCache(directory, memory_size=0, disk_size=0)


def test_directories_are_made_private(directory: Path) -> None:
    """Whatever the umask."""
    before = os.umask(0)
    try:
        ResultCache(directory / "deep", memory_size=0, disk_size=10_000).write("key", entry())
    finally:
        os.umask(before)

    for path in (directory / "deep", directory / "deep" / "results", directory / "deep" / "results" / "ke"):
        assert path.stat().st_mode & 0o077 == 0, path


WRITER = """
import sys, time
from pathlib import Path
from fused_jupyter.caching import Entry, ResultCache
cache = ResultCache(Path(sys.argv[1]), memory_size=0, disk_size=300_000)
seen = 0
for turn in range(150):
    key = f"{turn % 5}-key"
    cache.write(key, Entry(created=time.time(), meta=key.encode(), body=key.encode() * 1000))
    found = cache.on_disk(f"{(turn + 2) % 5}-key", max_age=100)
    if found is not None:
        seen += 1
        assert found.body == found.meta * 1000, "half a result was read"
print(seen)
"""


def test_many_processes_share_one_directory(directory: Path) -> None:
    """Each reads whole results of the others while all write the same keys."""
    ResultCache(directory, memory_size=0, disk_size=0)
    command = [sys.executable, "-c", WRITER, str(directory)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]

    seen = [int(process.communicate(timeout=60)[0]) for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert all(seen)
