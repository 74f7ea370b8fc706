"""The files of the result cache against diskcache: four processes at it, and single calls.

Each round runs both sides one after the other, so that what the machine does besides meets both. Keys are
drawn from 500, three calls in four read. diskcache gets the bytes as they are; ours adds lengths and a checksum.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from diskcache import Cache
from measuring import is_quick

from fused_jupyter.caching import Entry, ResultCache

PROCESSES, KEYS, WRITES = 4, 500, 0.25
SIZE, LARGE = 20_000, 2_000_000
TARGET = 3.0
"""Calls of ours / of diskcache, at least, with all processes."""


class Store(Protocol):
    """What both sides can do."""

    def get(self, key: str) -> Any: ...

    def set(self, key: str, value: bytes) -> None: ...


class Ours:
    """Files, without the memory before them: other processes do not share it."""

    def __init__(self, directory: Path) -> None:
        self._results = ResultCache(directory / "ours", memory_size=0, disk_size=2_000_000_000)

    def get(self, key: str) -> bytes | None:
        entry = self._results.on_disk(key, max_age=3600)
        return entry and entry.body

    def set(self, key: str, value: bytes) -> None:
        self._results.write(key, Entry(created=time.time(), meta=b"{}", body=value))


class Theirs:
    """diskcache with its own settings, but for the size."""

    def __init__(self, directory: Path) -> None:
        self._cache = Cache(str(directory / "theirs"), size_limit=2_000_000_000)

    def get(self, key: str) -> Any:
        return self._cache.get(key)

    def set(self, key: str, value: bytes) -> None:
        self._cache.set(key, value)


Kind = type[Ours | Theirs]
Rate = tuple[float, float]
"""Calls in a second, and in a second of CPU."""


def main() -> int:
    seconds, rounds = (0.5, 5) if is_quick(__doc__.partition("\n")[0]) else (2.0, 9)
    print(f"{'':44}{'ours':>12}{'diskcache':>12}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for size, label in ((SIZE, "20 kB"), (LARGE, "2 MB")):
            compare_calls(directory / label.replace(" ", ""), size, label)
        return 0 if compare_throughput(directory / "together", seconds=seconds, rounds=rounds) >= TARGET else 1


def compare_calls(directory: Path, size: int, label: str) -> None:
    """The median of single calls in one process, in milliseconds."""
    stores: tuple[Store, Store] = (Ours(directory), Theirs(directory))
    value = os.urandom(size)
    times: dict[tuple[str, int], list[float]] = {}
    for turn in range(400 if size == SIZE else 40):
        for side in sorted((0, 1), reverse=bool(turn % 2)):
            for what, work in calls(stores[side], f"key{turn % 20}", value):
                start = time.perf_counter()
                work()
                times.setdefault((what, side), []).append(time.perf_counter() - start)
    for what in ("set", "get", "miss"):
        ours, theirs = (median(times[what, side]) * 1e3 for side in (0, 1))
        print(f"{f'{what}, {label}, ms':44}{ours:12.3f}{theirs:12.3f}{theirs / ours:8.1f}")


def calls(store: Store, key: str, value: bytes) -> tuple[tuple[str, Callable[[], Any]], ...]:
    return (
        ("set", lambda: store.set(key, value)),
        ("get", lambda: store.get(key)),
        ("miss", lambda: store.get(f"{key} not there")),
    )


def compare_throughput(directory: Path, *, seconds: float, rounds: int) -> float:
    """Calls of all processes together; gives the median ratio of those in a second of CPU.

    By the clock there may be more of ours still, as diskcache waits for its locks; but on a machine that others use as
    well, the clock measures them.
    """
    found: dict[Kind, list[Rate]] = {Ours: [], Theirs: []}
    for number in range(rounds):
        for kind in ((Ours, Theirs), (Theirs, Ours))[number % 2]:
            found[kind].append(throughput(kind, directory, seconds))
    name = f"{PROCESSES} processes, {WRITES:.0%} writes of 20 kB, calls"
    ratio = 0.0
    for place, unit in enumerate(("s", "s of CPU")):
        ours, theirs = (median(rate[place] for rate in found[kind]) for kind in (Ours, Theirs))
        ratio = median(one[place] / other[place] for one, other in zip(found[Ours], found[Theirs], strict=True))
        print(f"{f'{name}/{unit}':44}{ours:12,.0f}{theirs:12,.0f}{ratio:8.1f}")
    print(f"target {TARGET:g}: {'met' if ratio >= TARGET else 'MISSED'}")
    return ratio


def throughput(kind: Kind, directory: Path, seconds: float) -> Rate:
    context = get_context("fork")
    barrier, queue = context.Barrier(PROCESSES), context.SimpleQueue()
    workers = [
        context.Process(target=work, args=(kind, directory, seconds, barrier, queue, seed)) for seed in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    counts, times = zip(*(queue.get() for _ in workers), strict=True)
    for worker in workers:
        worker.join()
    return sum(counts) / seconds, sum(counts) / sum(times)


def work(kind: Kind, directory: Path, seconds: float, barrier: Barrier, queue: Any, seed: int) -> None:
    store, dice, value = kind(directory), random.Random(seed), os.urandom(SIZE)
    barrier.wait()
    start, cpu, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < seconds:
        key = f"{dice.randrange(KEYS):04}"
        if dice.random() < WRITES:
            store.set(key, value)
        else:
            store.get(key)
        count += 1
    queue.put((count, time.process_time() - cpu))


if __name__ == "__main__":
    sys.exit(main())
