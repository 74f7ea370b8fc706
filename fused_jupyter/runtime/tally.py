"""What is counted of one UDF."""

from __future__ import annotations

import bisect
import collections
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

OTHERS = "(others)"
"""The name under which UDFs are counted together when there are too many to tell them apart."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, math.inf)
"""Upper bounds of the histogram of run seconds, the bounds themselves included."""

_RECENT = 256
"""Runs from which the percentiles are taken: the last ones, so that an edited cell shows soon."""


@dataclass(slots=True)
class Tally:
    """Requests of one UDF by what came of them."""

    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    """Runs: `ok`, `failed`, `timeout`, `lost`, `cancelled`, `refused`."""
    hits: collections.Counter[str] = field(default_factory=collections.Counter)
    """Requests that cost no run: `hit-memory`, `hit-disk`, `joined`, `server`."""
    buckets: list[int] = field(default_factory=lambda: [0] * len(BUCKETS))
    """Runs by their time, see `BUCKETS`; each is in one of them."""
    total_seconds: float = 0.0
    recent: collections.deque[float] = field(default_factory=lambda: collections.deque(maxlen=_RECENT))
    """Seconds of the last runs. Not a sample of all: what was slow an hour ago is of no use now."""

    def add(self, outcome: str, seconds: float | None) -> None:
        """A run ended; one that never began has no time."""
        self.outcomes[outcome] += 1
        if seconds is not None:
            self.buckets[bisect.bisect_left(BUCKETS, seconds)] += 1
            self.total_seconds += seconds
            self.recent.append(seconds)

    def merge(self, other: Tally) -> None:
        """Add what was counted elsewhere."""
        self.outcomes.update(other.outcomes)
        self.hits.update(other.hits)
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self.total_seconds += other.total_seconds
        self.recent.extend(other.recent)

    def copy(self) -> Tally:
        """The same counts, which change no more."""
        copied = Tally()
        copied.merge(self)
        return copied

    def summary(self) -> dict[str, Any]:
        """What a person wants to know of it.

        >>> tally = Tally()
        >>> for seconds in (0.1, 0.2, 0.3, 4.0): tally.add("ok", seconds)
        >>> tally.hits["hit-memory"] += 12
        >>> tally.summary()
        {'requests': 16, 'runs': 4, 'cached_share': 0.75, 'errors': 0, 'p50': 0.2, 'p95': 4.0}
        """
        runs, kept = self.outcomes.total(), self.hits.total()
        return {
            "requests": runs + kept,
            "runs": runs,
            "cached_share": kept / (runs + kept) if runs + kept else 0.0,
            "errors": runs - self.outcomes["ok"] - self.outcomes["cancelled"],
            "p50": percentile(self.recent, 0.5),
            "p95": percentile(self.recent, 0.95),
        }

    def to_json(self) -> dict[str, Any]:
        """All counts, for another process."""
        return {
            "outcomes": dict(self.outcomes),
            "hits": dict(self.hits),
            "buckets": self.buckets,
            "total_seconds": self.total_seconds,
            "recent": list(self.recent),
        }

    def shown(self) -> dict[str, Any]:
        """The same with the summary, without the times of single runs: for whoever looks."""
        values = self.to_json() | self.summary()
        del values["recent"]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The tally that `to_json` wrote."""
        return cls(
            outcomes=collections.Counter(values["outcomes"]),
            hits=collections.Counter(values["hits"]),
            buckets=list(values["buckets"]),
            total_seconds=values["total_seconds"],
            recent=collections.deque(values["recent"], maxlen=_RECENT),
        )


def percentile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that at least this share of them does not exceed; None of nothing.

    >>> percentile([3.0, 1.0, 2.0], 0.5), percentile([], 0.5)
    (2.0, None)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
