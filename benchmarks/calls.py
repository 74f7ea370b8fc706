"""`fused.run` against a direct call and against ProcessPoolExecutor; workers and memory of the local engine.

    python benchmarks/calls.py [--quick]

The sides take turns in blocks of 20 calls, so that all meet the same machine and each runs as in somebody's loop.
Medians of wall time count, as a call waits for others more than it computes. For 256 kB there is a second line: there
the sides take turns call by call, so that each call finds the caches full of the others' code.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import psutil

import fused_jupyter as fused
from fused_jupyter.engines.process import Template
from fused_jupyter.engines.template import TemplateSettings
from fused_jupyter.runtime import current_kernel
from fused_jupyter.settings import Options
from fused_jupyter.udfs import parse
from fused_jupyter.wire import Reply, Run

SIZES = {"trivial": 1, "256 kB": 256 * 1024, "4 MB": 4 << 20}
SOURCE = "def make(n: int):\n    import numpy as np\n    return np.full(n, 1, 'uint8')\n"


def make(n: int) -> np.ndarray:
    """What the UDF does, for the others."""
    return np.full(n, 1, "uint8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the calls")
    share = 5 if parser.parse_args().quick else 1
    round_trips(600 // share)
    many_calls(10_000 // share)
    memory()
    asyncio.run(workers(10 // share + 1))


def round_trips(count: int) -> None:
    """One array from a worker, by size."""
    udf = fused.load(SOURCE)
    print(
        f"{'one call':<12}{'direct':>9}{'ours':>9}{'executor':>10}   ms, medians; executor: ProcessPoolExecutor, fork"
    )
    with ProcessPoolExecutor(2) as pool:
        for name, size in SIZES.items():
            sides: dict[str, Callable[[int], Any]] = {
                "direct": make,
                "ours": lambda n: fused.run(udf, n=n),
                "executor": lambda n: pool.submit(make, n).result(),
            }
            direct, ours, executor = alternate(name, sides, size, count if size < 1 << 20 else count // 4)
            if name == "256 kB":
                say("over a direct call, ms", ours - direct, 1.0)
            if size > 1:
                say("of the executor's time", ours / executor, 0.5 if size < 1 << 20 else 0.4)
            if name == "256 kB":
                _, ours, executor = alternate("by turns", sides, size, count, block=1)
                print(f"  of the executor's time, call by call in turn: {ours / executor:.2f}")


def alternate(
    name: str, sides: dict[str, Callable[[int], Any]], size: int, count: int, *, block: int = 20
) -> list[float]:
    """Median milliseconds of each side."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for call in sides.values():
        for _ in range(10):
            call(size)
    for _ in range(count // block):
        for side, call in sides.items():
            for _ in range(block):
                started = time.perf_counter()
                result = call(size)
                times[side].append((time.perf_counter() - started) * 1000)
                assert len(result) == size
    medians = [statistics.median(each) for each in times.values()]
    direct, ours, executor = medians
    print(f"{name:<12}{direct:>9.3f}{ours:>9.3f}{executor:>10.3f}   p95 ours {percentile(times['ours']):.3f}")
    return medians


def many_calls(count: int) -> None:
    """Calls that do nothing, one after the other and from four threads."""
    udf = fused.load("def nothing(n: int):\n    return n\n")
    fused.run(udf, n=0)
    started = time.perf_counter()
    for n in range(count):
        fused.run(udf, n=n)
    say(f"{count} trivial calls in a row, ms each", (time.perf_counter() - started) / count * 1000, 0.3)
    with ThreadPoolExecutor(4) as threads:
        started = time.perf_counter()
        assert list(threads.map(lambda n: fused.run(udf, n=n), range(count))) == list(range(count))
    say(f"{count} trivial calls by 4 threads, ms each", (time.perf_counter() - started) / count * 1000, 0.3)


def memory() -> None:
    """Of host, template and two idle workers, with the whole geo stack; of shared pages each has its part."""
    time.sleep(2)  # leases end
    host = psutil.Process(current_kernel().link.pid)
    (template,) = host.children()
    size, base, *workers = [
        process.memory_full_info().pss / 1e6 for process in (host, template, *template.children(recursive=True))
    ]
    largest = sorted(workers)[-2:]
    each = ", ".join(f"{part:.0f}" for part in (size, base, *largest))
    say(f"PSS of host, template, two workers ({each}), MB", sum((size, base, *largest)), 300)
    print(f"  with all {len(workers)} workers, spare ones among them: {size + base + sum(workers):.0f} MB")


async def workers(count: int) -> None:
    """How long a new worker takes to its first answer: from the template, and as a fresh process."""
    forked = await first_answers(TemplateSettings(preload=Options().preload), count * 5)
    spawned = await first_answers(TemplateSettings(preload=Options().preload, spawn=True), count)
    print(f"a new worker from the template: {forked:.1f} ms; a fresh process with the same modules: {spawned:.0f} ms")
    say("of the fresh process's time", forked / spawned, 1 / 50)


async def first_answers(settings: TemplateSettings, count: int) -> float:
    """Median milliseconds."""
    template, nothing = Template(settings), parse("def nothing():\n    return 1\n")
    run = Run(id=1, udf="nothing", digest=nothing.digest, returns="object", parameters={})
    times = []
    try:
        (await template.fork()).kill()
        for _ in range(count):
            started = time.perf_counter()
            worker = await template.fork()
            answer, _ = await worker.run(nothing, run, b"", on_text=lambda *_: None)
            times.append((time.perf_counter() - started) * 1000)
            assert isinstance(answer, Reply)
            worker.kill()
    finally:
        template.close()
    return statistics.median(times)


def percentile(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


def say(name: str, value: float, target: float) -> None:
    print(f"  {name:<52}{value:>8.3f}   target <= {target:<6.3g} {'met' if value <= target else 'MISSED'}", flush=True)


if __name__ == "__main__":
    main()
