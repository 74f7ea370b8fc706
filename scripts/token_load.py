"""Fifty strangers with tokens, as fast as they can, beside the owner's open map. `make load`.

The owner pans over a map of tiles that cost a run and tiles that are kept, first alone, then while the strangers ask
for tiles and files with tokens of a kernel and of saved UDFs; in turns, so that what else the machine does falls on
both alike. Every answer is looked at. Strangers may be refused, with 429 or 503, a reason and a time to come again; the
owner may not.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
import json
import multiprocessing
import os
import random
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from real_jupyter import JupyterServer, Kernel

IN_FLIGHT = 6
"""Connections that a browser opens to one server."""
VIEW = 12
"""Tiles of one view; a third of them was seen before."""
PAUSE = 0.3
"""Seconds for which the user looks before the map is moved again."""
ROUNDS = 4
"""Times that alone and beside the others take turns."""
TIMES = 2.0
"""How much longer a tile of the owner's may take beside the others, by the medians."""
PNG = b"\x89PNG\r\n"
_TIMED = re.compile(r"(\w+);dur=([\d.]+)")
REFUSALS = {429: {"RateError"}, 503: {"BusyError"}}
ENOUGH = 20
"""Failures after which no more are needed."""

WORK = """
    import time
    until = time.thread_time() + 0.015
    while time.thread_time() < until:
        pass
"""
CELLS = [
    f"""@fused.udf
def owners(bounds: fused.types.Bounds = None):
    import numpy as np{WORK}
    return np.full((3, 256, 256), 128, "uint8")
""",
    f"""@fused.udf
def picture(bounds: fused.types.Bounds = None):
    import numpy as np{WORK}
    return np.full((3, 256, 256), 64, "uint8")
""",
    f"""@fused.udf
def numbers(n: int = 0):{WORK}
    return {{"n": n}}
""",
]
TOKENS = """
import json
from fused_jupyter.runtime import current
from fused_jupyter.wire import Limits
for udf in (picture, numbers):
    udf.to_fused(collection_name="load", create_collection=True, overwrite=True)
stored = lambda name, **limits: fused.api.create_udf_access_token(f"load/{name}", **limits).token
print(json.dumps({
    "live picture": current().grant("picture"),
    "live picture, few": current().grant("picture", Limits(rate=2.0)),
    "live numbers": current().grant("numbers"),
    "saved picture": stored("picture"),
    "saved picture, one at a time": stored("picture", concurrency=1),
    "saved numbers": stored("numbers"),
    "collection, picture": fused.api.create_collection_access_token("load").token + "/picture",
}))
"""


@dataclass(slots=True)
class Seen:
    """What one of the two sides met."""

    answers: Counter[str] = field(default_factory=Counter)
    """By kind and status."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """Of those that succeeded, by kind."""
    failures: list[str] = field(default_factory=list)

    def note(self, kind: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self.answers[f"{kind} {status}"] += 1
        if status == 200:
            self.seconds.setdefault(kind, []).append(seconds)

    def add(self, other: Seen) -> None:
        """Take over what another one has seen."""
        self.answers.update(other.answers)
        self.failures += other.failures
        for kind, seconds in other.seconds.items():
            self.seconds.setdefault(kind, []).extend(seconds)


# -- the owner


class OwnersMap:
    """A map that is panned: each view has tiles that nobody has seen and tiles that it had before."""

    def __init__(self, server: JupyterServer, kernel: Kernel, *, seed: int) -> None:
        self._rng = random.Random(f"{seed}/owner")
        self._root = f"{server.root}fused/run/tiles/owners/"
        self._query = f".png?kernel={kernel.id}"
        self._headers = {"Authorization": f"token {server.token}", "X-Fused-Client": "the map"}
        self._known: list[str] = []
        self.views = 0

    async def pan(self, seconds: float) -> Seen:
        """Use it for so long."""
        seen = Seen()
        connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
        async with aiohttp.ClientSession(connector=connector, headers=self._headers) as session:
            until = time.monotonic() + seconds
            while time.monotonic() < until and len(seen.failures) < ENOUGH:
                started = time.monotonic()
                await self._look(session, seen)
                seen.note("view", 200, time.monotonic() - started)
                await asyncio.sleep(PAUSE)
        return seen

    async def _look(self, session: aiohttp.ClientSession, seen: Seen) -> None:
        self.views += 1
        new = [f"12/{self._rng.randrange(4096)}/{self._rng.randrange(4096)}" for _ in range(VIEW * 2 // 3)]
        old = self._rng.sample(self._known, min(VIEW // 3, len(self._known)))
        wanted = [("new tile", place) for place in new] + [("known tile", place) for place in old]
        self._rng.shuffle(wanted)
        browser = asyncio.Semaphore(IN_FLIGHT)
        await asyncio.gather(*(self._draw(session, seen, browser, *each) for each in wanted))
        self._known = [*self._known, *new][-200:]

    async def _draw(
        self, session: aiohttp.ClientSession, seen: Seen, browser: asyncio.Semaphore, kind: str, place: str
    ) -> None:
        async with browser:
            started = time.monotonic()
            try:
                async with session.get(self._root + place + self._query) as response:
                    body = await response.read()
            except (aiohttp.ClientError, TimeoutError) as exc:
                seen.failures.append(f"owner, {kind}: {type(exc).__name__}: {exc}")
                return
            whole = time.monotonic() - started
            seen.note(kind, response.status, whole)
            timed = {name: float(ms) / 1000 for name, ms in _TIMED.findall(response.headers.get("Server-Timing", ""))}
            if kind == "new tile" and timed:
                for part, took in timed.items():
                    seen.note(f"  {part}", 200, took)
                seen.note("  way", 200, whole - sum(timed.values()))
            if response.status != 200 or not body.startswith(PNG):
                seen.failures.append(f"owner, {kind}: {response.status} {body[:300]!r}")


# -- the strangers, in a process of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Strangers:
    """What they know, and how many they are."""

    root: str
    tokens: Mapping[str, str]
    count: int
    seed: int


class Head(Protocol):
    """Of an answer."""

    @property
    def status(self) -> int:
        """As HTTP has it."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name."""
        ...


def ask(strangers: Strangers, round_: int, seconds: float) -> Seen:
    """All of them, for so long."""
    return asyncio.run(_ask(strangers, round_, seconds))


async def _ask(strangers: Strangers, round_: int, seconds: float) -> Seen:
    seen = Seen()
    until = time.monotonic() + seconds
    connector = aiohttp.TCPConnector(limit=strangers.count)
    async with aiohttp.ClientSession(connector=connector) as session:
        rngs = [random.Random(f"{strangers.seed}/{round_}/{number}") for number in range(strangers.count)]
        await asyncio.gather(*(_keep_asking(session, strangers, rng, seen, until) for rng in rngs))
    return seen


async def _keep_asking(
    session: aiohttp.ClientSession, strangers: Strangers, rng: random.Random, seen: Seen, until: float
) -> None:
    while time.monotonic() < until and len(seen.failures) < ENOUGH:
        name = rng.choice(list(strangers.tokens))
        is_kept, number = rng.random() < 0.5, rng.randrange(1 << 20)
        kind = f"{name}, {'kept' if is_kept else 'new'}"
        number = number % 8 if is_kept else number
        started = time.monotonic()
        try:
            async with session.get(_address(strangers, name, number)) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as exc:
            seen.failures.append(f"{kind}: {type(exc).__name__}: {exc}")
            continue
        seen.note(kind, response.status, time.monotonic() - started)
        if wrong := wrong_in(response, body, name, number):
            seen.failures.append(f"{kind}: {wrong}")


def _address(strangers: Strangers, name: str, number: int) -> str:
    token = f"{strangers.root}fused/{strangers.tokens[name]}"
    return (
        f"{token}/run/tiles/11/{number % 2048}/{number // 2048}.png"
        if "picture" in name
        else f"{token}.json?n={number}"
    )


def wrong_in(response: Head, body: bytes, name: str, number: int) -> str:
    """What is wrong with an answer; empty where nothing is."""
    if response.status == 200:
        is_right = body.startswith(PNG) if "picture" in name else json.loads(body) == {"n": number}
        return "" if is_right else f"another answer than asked for: {body[:200]!r}"
    if response.status not in REFUSALS:
        return f"{response.status} {body[:300]!r}"
    said = json.loads(body)
    is_stated = said.get("type") in REFUSALS[response.status] and int(response.headers.get("Retry-After", "0")) >= 1
    return "" if is_stated and said.get("error") else f"refused without a reason or a time: {body[:300]!r}"


# -- the whole


async def run(server: JupyterServer, kernel: Kernel, strangers: Strangers, *, seconds: float) -> dict[str, Any]:
    """The owner alone and beside the strangers, in turns; gives all numbers."""
    map_, loop = OwnersMap(server, kernel, seed=strangers.seed), asyncio.get_running_loop()
    alone, beside, others = Seen(), Seen(), Seen()
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        for warm_up in (map_.pan(1.0), loop.run_in_executor(pool, ask, strangers, -1, 1.0)):
            for_both = await warm_up
            others.failures += for_both.failures
        for round_ in range(ROUNDS):
            alone.add(await map_.pan(seconds / ROUNDS / 2))
            asked = loop.run_in_executor(pool, ask, strangers, round_, seconds / ROUNDS)
            beside.add(await map_.pan(seconds / ROUNDS))
            others.add(await asked)
    return report_of(alone, beside, others, seconds=seconds, strangers=strangers)


def report_of(alone: Seen, beside: Seen, others: Seen, *, seconds: float, strangers: Strangers) -> dict[str, Any]:
    """All numbers, for people and programs."""
    owner = {
        kind: {"alone_ms": _median(alone.seconds[kind]), "beside_ms": _median(beside.seconds.get(kind, []))}
        for kind in sorted(alone.seconds)
    }
    tiles = [[*seen.seconds.get("new tile", ()), *seen.seconds.get("known tile", ())] for seen in (alone, beside)]
    owner["tile"] = {"alone_ms": _median(tiles[0]), "beside_ms": _median(tiles[1])}
    ratio = owner["tile"]["beside_ms"] / owner["tile"]["alone_ms"]
    return {
        "seed": strangers.seed,
        "seconds": seconds,
        "clients": strangers.count,
        "processors": os.cpu_count(),
        "owner": {kind: {**ms, "times": round(ms["beside_ms"] / ms["alone_ms"], 2)} for kind, ms in owner.items()},
        "owners_tiles": [len(each) for each in tiles],
        "tokens": dict(sorted(others.answers.items())),
        "tokens_ms": {kind: _median(times) for kind, times in sorted(others.seconds.items())},
        "tokens_per_second": round(others.answers.total() / seconds, 1),
        "times": round(ratio, 2),
        "is_fast": ratio < TIMES,
        "failures": [*alone.failures, *beside.failures, *others.failures],
    }


def show(report: Mapping[str, Any]) -> None:
    """The main numbers."""
    print(f"\n{'the owner':16}{'alone ms':>10}{'beside ms':>11}{'times':>7}")
    for kind, numbers in report["owner"].items():
        print(f"{kind:16}{numbers['alone_ms']:>10.1f}{numbers['beside_ms']:>11.1f}{numbers['times']:>7.2f}")
    print(f"\n{'with a token':40}{'answers':>9}{'p50 ms':>9}")
    for kind, count in report["tokens"].items():
        median = report["tokens_ms"].get(kind.rpartition(" ")[0]) if kind.endswith(" 200") else None
        print(f"{kind:40}{count:>9,}{'' if median is None else f'{median:>9.1f}'}")
    print(
        f"{report['tokens_per_second']:.0f} a second, {report['processors']} processors, "
        f"{len(report['failures'])} failures; the owner's tiles took {report['times']:.2f} times as long"
    )
    for text in report["failures"][:ENOUGH]:
        print(f"  WRONG: {text}")
    if not report["is_fast"]:
        print(f"TOO SLOW: less than {TIMES:g} times is wanted")


def _median(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1000, 1) if seconds else float("nan")


@contextlib.contextmanager
def started() -> Iterator[tuple[JupyterServer, Kernel, dict[str, str]]]:
    """A server, a kernel with the UDFs, and tokens by what they open."""
    with JupyterServer() as server, server.running_kernel() as kernel:
        for cell in CELLS:
            kernel.define(cell)
        yield server, kernel, json.loads(kernel.execute(TOKENS).check().text)


def main() -> int:
    """Run it; 0 if all was well, 1 if an answer was wrong, 2 if the owner's map became too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="beside the strangers; half as long alone")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--report", type=Path, help="a file for all numbers, as JSON")
    given = parser.parse_args()
    print(f"{given.clients} clients with tokens, {given.seconds:g} s, seed {given.seed}", flush=True)
    with started() as (server, kernel, tokens):
        strangers = Strangers(root=server.root, tokens=tokens, count=given.clients, seed=given.seed)
        report = asyncio.run(run(server, kernel, strangers, seconds=given.seconds))
        if "Traceback" in server.log:
            report["failures"].append("the server's log has a traceback:\n" + server.log[-3000:])
    show(report)
    if given.report is not None:
        given.report.write_text(json.dumps(report, indent=1))
    return 1 if report["failures"] else 0 if report["is_fast"] else 2


if __name__ == "__main__":
    sys.exit(main())
