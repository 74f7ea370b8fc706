"""CPU of our encoders against the usual libraries, on this machine: what the benchmarks of all formats share.

Interleaved rounds, the median of the CPU time of the whole process: wall clock says nothing on a shared machine, and
neither do two runs at different times. So only the ratios count.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import geometric_mean, median
from typing import Any

Work = Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One comparison: how many times less CPU, and how many times the bytes, we want against another library."""

    name: str
    target: float
    """CPU of theirs / CPU of ours, at least."""
    ours: Work
    theirs: Work
    bytes_target: float | None = None
    """Bytes of ours / bytes of theirs, at most; None where nobody promised anything."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a case gave: median CPU seconds of one call, and bytes ours / theirs."""

    case: Case
    ours: float
    theirs: float
    bytes_ratio: float

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours

    @property
    def is_met(self) -> bool:
        wanted = self.case.bytes_target
        return self.ratio >= self.case.target and (wanted is None or self.bytes_ratio <= wanted)


def is_quick(description: str) -> bool:
    """Reads the command line, which has one flag."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and a tenth of the features")
    return bool(parser.parse_args().quick)


def report(cases: Iterable[Case], *, rounds: int) -> list[Result]:
    """Measures case by case and prints a line for each."""
    print(f"{'':52}{'ours ms':>9}{'theirs ms':>11}{'ratio':>8}{'target':>8}{'bytes':>8}{'at most':>9}")
    results = []
    for case in cases:
        result = measure(case, rounds)
        results.append(result)
        limit = "" if case.bytes_target is None else f"{case.bytes_target:.2f}"
        numbers = f"{result.ours * 1e3:9.2f}{result.theirs * 1e3:11.2f}{result.ratio:8.2f}{case.target:8.2f}"
        verdict = "met" if result.is_met else "MISSED"
        print(f"{case.name:52}{numbers}{result.bytes_ratio:8.2f}{limit:>9}   {verdict}", flush=True)
    return results


def report_mean(results: Iterable[Result], name: str, *, target: float) -> None:
    """Prints the geometric mean of the ratios."""
    ratios = [result.ratio for result in results]
    if ratios:
        print(f"{name}, geometric mean of {len(ratios)}: {geometric_mean(ratios):.1f}, target {target:g}")


def measure(case: Case, rounds: int) -> Result:
    """Both sides in turn. What takes little is repeated: after the other side, it first has to get memory again."""
    sizes = {work: len(work()) for work in (case.ours, case.theirs)}
    repeats = {work: max(1, int(0.05 / max(cpu(work, 1), 1e-5))) for work in sizes}
    times: dict[Work, list[float]] = {case.ours: [], case.theirs: []}
    for _ in range(rounds):
        for work, samples in times.items():
            samples.append(cpu(work, repeats[work]))
    return Result(
        case=case,
        ours=median(times[case.ours]),
        theirs=median(times[case.theirs]),
        bytes_ratio=sizes[case.ours] / sizes[case.theirs],
    )


def cpu(work: Work, repeats: int) -> float:
    """CPU seconds of one call, all threads, without the garbage collector."""
    gc.collect()
    gc.disable()
    start = time.process_time()
    for _ in range(repeats):
        work()
    seconds = (time.process_time() - start) / repeats
    gc.enable()
    return seconds
