"""`@fused.cache`: what a hit costs against the least that one could do, and a key against pandas' own hashes.

The peer of a hit is an ordinary pickle of the same value, read by the path that one knows already; the official client
keeps such files. The peer of a key is `hash_pandas_object`, by which the official client tells DataFrames apart; it is
no digest: two tables with one hash can be made.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from measuring import Case, Work, is_quick, report

from fused_jupyter.caching.functions import Policy, cached
from fused_jupyter.caching.kept import KeptValues
from fused_jupyter.caching.reach import start_digest

LIMIT = 3


def main() -> None:
    rounds = 7 if is_quick(__doc__.partition("\n")[0]) else 31
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        values = KeptValues(folder / "cache", size=2_000_000_000)
        report(cases(folder, partial(cached, policy=Policy(), values=lambda: values)), rounds=rounds)
        costs(partial(cached, policy=Policy(), values=lambda: values))


def cases(folder: Path, keep: Callable[..., Any]) -> Iterator[Case]:
    """The value of a kept function is asked for again; or the key of a table is made."""
    for name, target, value in (
        ("hit, 30 bytes", 0.1, b"a value of thirty bytes or so."),
        ("hit, array of 10 MB", 1, np.random.default_rng(1).random(1_250_000)),
        ("hit, array of 100 MB", 3, np.random.default_rng(1).random(12_500_000)),
        ("hit, DataFrame of 10 MB", 1, table(125_000)),
    ):
        yield Case(name=name, target=target, ours=ours(name, keep, value), theirs=plain_pickle(folder / name, value))
    for name, target, frame in (
        ("key of a DataFrame, 10 MB of numbers", 0.6, table(125_000)),
        ("key of a DataFrame, numbers and text", 1.5, table(50_000).assign(text=[f"n{i}" for i in range(50_000)])),
    ):
        yield Case(name=name, target=target, ours=partial(digest, frame), theirs=partial(pandas_hash, frame))


def table(rows: int) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(1).random((rows, 10))).rename(columns=str)


def ours(name: str, keep: Callable[..., Any], value: Any) -> Work:
    def identity(name: str, value: Any) -> Any:
        del name
        return value

    make = keep(identity, policy=Policy(exclude=frozenset({"value"})))
    make(name, value)
    return lambda: make(name, None)


def plain_pickle(path: Path, value: Any) -> Work:
    path.write_bytes(pickle.dumps(value))

    def work() -> Any:
        with path.open("rb") as file:
            return pickle.load(file)

    return work


def digest(frame: pd.DataFrame) -> str:
    digester = start_digest()
    digester.add(frame)
    return digester.hexdigest()


def pandas_hash(frame: pd.DataFrame) -> Any:
    return pd.util.hash_pandas_object(frame)


def costs(keep: Callable[..., Any]) -> None:
    """Microseconds of trivial calls by the clock, as there is no peer in the same process."""

    def helper(number: int) -> int:
        return number + LIMIT

    trivial = keep(lambda number: number)
    usual = keep(lambda path, number=2: pd.DataFrame({"a": [helper(number)], "b": [path]}))
    trivial(0)
    usual("a")
    numbers = iter(range(1, 10**9))
    for name, work in (
        ("hit, trivial function", partial(trivial, 0)),
        ("hit, function with a helper, a small DataFrame", partial(usual, "a")),
        ("miss, trivial function", lambda: trivial(next(numbers))),
    ):
        samples = []
        for _ in range(2000):
            start = perf_counter()
            work()
            samples.append(perf_counter() - start)
        print(f"{name:52}{median(samples) * 1e6:9.1f} µs")


if __name__ == "__main__":
    main()
