from __future__ import annotations

import fcntl
import os
import shutil
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


def entry(body: bytes = b"body", *, age: float = 0.0, meta: bytes = b"{}", about: bytes = b"") -> Entry:
    return Entry(created=time.time() - age, meta=meta, body=body, about=about)


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
    cache.write("key", entry(b"some bytes", meta=b'{"m":1}', about=b"{}"))
    (path,) = files(directory)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    else:
        bit = data.draw(st.integers(0, len(content) * 8 - 1))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)

    assert cache.on_disk("key", max_age=FOREVER) is None


@pytest.mark.parametrize("size", [0, 100, 70_000, 3_000_000])
def test_result_of_any_size_comes_back_whole(directory: Path, size: int) -> None:
    """Small ones are read at once, large ones part by part."""
    cache = ResultCache(directory, memory_size=0, disk_size=10**8)
    wanted = entry(os.urandom(size), meta=b"m" * (size // 2), about=b'{"udf":"f"}')

    cache.write("key", wanted)

    assert cache.on_disk("key", max_age=FOREVER) == wanted


def test_directory_in_place_of_a_file_is_a_miss(cache: ResultCache, directory: Path) -> None:
    """Whatever somebody did there, it costs the cache only."""
    (directory / "results" / "ke" / "key").mkdir(parents=True)

    cache.write("key", entry())

    assert cache.on_disk("key", max_age=FOREVER) is None


def test_shorter_result_replaces_a_longer_one(cache: ResultCache, directory: Path) -> None:
    """In the same file, of which nothing is left over."""
    cache.write("key", entry(bytes(4000)))
    cache.write("key", entry(b"short"))

    assert cache.on_disk("key", max_age=FOREVER).body == b"short"
    assert [path.name for path in files(directory)] == ["key"]


def test_result_that_another_process_writes_is_left_to_it(cache: ResultCache, directory: Path) -> None:
    """Two who write into one file at once would leave a mixture."""
    cache.write("key", entry(b"theirs"))
    with files(directory)[0].open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        cache.write("key", entry(b"ours"))

    assert cache.on_disk("key", max_age=FOREVER).body == b"theirs"


def test_file_system_without_locks_keeps_results(cache: ResultCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksum has to do there."""

    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)

    cache.write("key", entry(b"body"))

    assert cache.on_disk("key", max_age=FOREVER).body == b"body"


@pytest.mark.parametrize("call", ["open", "writev"])
def test_full_or_read_only_disk_costs_only_the_cache(
    cache: ResultCache, directory: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The result itself is on its way already."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        cache.write("key", entry())

    assert cache.on_disk("key", max_age=FOREVER) is None


def test_half_written_file_is_none(cache: ResultCache, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is almost full takes the beginning, and says so."""
    whole = os.writev
    with monkeypatch.context() as patch:
        patch.setattr(os, "writev", lambda file, pieces: whole(file, pieces[:1]))
        cache.write("key", entry())

    assert files(directory) == []


@pytest.mark.parametrize("left", [b"", b"FUSEDR2", b"half"], ids=["nothing", "the beginning", "all but the end"])
def test_what_a_killed_writer_left_goes_when_it_is_found(cache: ResultCache, directory: Path, left: bytes) -> None:
    """And the next result has its place."""
    cache.write("key", entry())
    [path] = files(directory)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] if left == b"half" else left)

    assert cache.on_disk("key", max_age=FOREVER) is None
    assert files(directory) == []
    cache.write("key", entry())
    assert cache.on_disk("key", max_age=FOREVER) is not None


def test_what_is_just_being_written_is_left_alone(cache: ResultCache, directory: Path) -> None:
    """Its writer has the lock; who reads meanwhile has a miss."""
    cache.write("key", entry())
    [path] = files(directory)
    whole = path.read_bytes()
    with path.open("r+b") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        writer.truncate(40)
        assert cache.on_disk("key", max_age=FOREVER) is None
        writer.seek(0)
        writer.write(whole)

    assert cache.on_disk("key", max_age=FOREVER) is not None


def test_cache_that_was_thrown_away_is_made_again(cache: ResultCache, directory: Path) -> None:
    """`rm -r` is a way to clear it, while hosts run."""
    cache.write("key", entry(b"old"))
    shutil.rmtree(directory)

    cache.write("key", entry(b"new"))

    assert cache.on_disk("key", max_age=FOREVER).body == b"new"


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


def test_eviction_takes_locks_of_dead_processes(cache: ResultCache) -> None:
    """Not those of what may still run."""
    old, new = Path(cache.turn("old")), Path(cache.turn("new"))
    for path, age in ((old, 7200), (new, 0)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)

    cache.evict()

    assert not old.exists()
    assert new.exists()


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


# -- looking through it


def test_list_shows_what_lies_on_disk(cache: ResultCache, directory: Path) -> None:
    """What it is about, how old and how large; strangers and what is cut off are no entries."""
    cache.write("a-key", entry(b"12345", about=b"one", age=60))
    cache.write("b-key", entry(b"1", about=b"two"))
    for name, content in (("stranger", b"anything at all"), ("cut", b"FUSEDR2\n")):
        (directory / "results" / "a-" / name).write_bytes(content)

    listed = {each.key: (each.about, each.size) for each in cache.listed()}

    assert listed == {"a-key": (b"one", 10), "b-key": (b"two", 6)}
    assert [time.time() - each.created for each in cache.listed() if each.key == "a-key"] == [pytest.approx(60, abs=5)]


def test_deletion_takes_what_matches_from_memory_and_disk(cache: ResultCache) -> None:
    """An entry that is in both places counts once."""
    for key, about in (("a-key", b"one"), ("b-key", b"two")):
        cache.remember(key, entry(about=about))
        cache.write(key, entry(about=about))
    cache.remember("c-key", entry(about=b"one"))

    assert cache.delete(lambda about: about == b"one") == {"a-key": b"one", "c-key": b"one"}

    assert [key for key in ("a-key", "b-key", "c-key") if cache.in_memory(key, max_age=FOREVER)] == ["b-key"]
    assert [each.key for each in cache.listed()] == ["b-key"]
    assert cache.in_use == (1, entry(about=b"two").size)


def test_what_was_asked_for_before_a_deletion_is_not_kept_after(cache: ResultCache) -> None:
    """It may have read the data that the user wants to be rid of."""
    asked = cache.generation
    cache.delete(lambda _: True)

    cache.remember("key", entry(), generation=asked)
    cache.write("key", entry(), generation=asked)

    assert cache.in_memory("key", max_age=FOREVER) is None
    assert cache.on_disk("key", max_age=FOREVER) is None


def test_deletion_by_another_process_empties_memory(cache: ResultCache, directory: Path) -> None:
    """It is noticed at the next look; one's own is no news."""
    other = ResultCache(directory, memory_size=1000, disk_size=10_000)
    cache.remember("key", entry())
    assert not cache.note_deletions()

    other.delete(lambda _: True)

    assert cache.note_deletions()
    assert cache.in_memory("key", max_age=FOREVER) is None
    assert not cache.note_deletions()
    assert not other.note_deletions()


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


KILLED = """
import sys, time
from pathlib import Path
from fused_jupyter.caching import Entry, ResultCache
cache = ResultCache(Path(sys.argv[1]), memory_size=0, disk_size=10**9)
print("ready", flush=True)
for turn in range(10**9):
    cache.write(f"{turn % 7}-key", Entry(created=time.time(), meta=b"%d" % turn, body=b"%d" % (turn % 10) * 300_000))
"""


def test_killed_writers_leave_no_wrong_result(directory: Path) -> None:
    """What they were at is a miss, and can be written again."""
    cache = ResultCache(directory, memory_size=0, disk_size=10**9)
    for pause in (0.0, 0.003, 0.011, 0.02):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(directory)], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(pause)
        process.kill()
        process.communicate()

        for path in files(directory):
            found = cache.on_disk(path.name, max_age=FOREVER)
            assert found is None or found.body == b"%d" % (int(found.meta) % 10) * 300_000
    for path in files(directory):
        cache.write(path.name, entry())
        assert cache.on_disk(path.name, max_age=FOREVER) is not None
