"""What Prometheus is told, named by its conventions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from fused_jupyter._version import __version__

BUCKETS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "60.0", "120.0", "+Inf")  # fmt: skip  # noqa: E501
"""Upper bounds of the buckets in which hosts count runs. Twin: runtime/tally.py."""

_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "fused_build_info": ("Version of the server extension", ("version",)),
    "fused_host_up": ("Whether the host of a kernel answers", ("kernel",)),
    "fused_host_ready": ("Whether a call to the host would start at once", ("kernel",)),
    "fused_host_uptime_seconds": ("Time since the host started", ("kernel",)),
    "fused_workers": ("Worker processes by what they do", ("kernel", "state")),
    "fused_queue_length": ("Calls that wait for a worker", ("kernel",)),
    "fused_memory_bytes": ("Memory of the host, its workers, and the others below it", ("kernel", "process")),
    "fused_active_runs": ("Runs that wait or go on", ("kernel", "state")),
}
_COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "fused_runs_total": ("Runs by what came of them", ("kernel", "udf", "outcome")),
    "fused_cache_hits_total": ("Requests that cost no run", ("kernel", "udf", "source")),
    "fused_requests_total": ("Requests that the server answered", ("route", "status")),
}
_HISTOGRAM = ("fused_run_seconds", "How long UDFs ran, encoding not counted", ("kernel", "udf"))

Sample = tuple[str, tuple[str, ...], float]


class Metrics:
    """All metrics at one moment; prometheus_client writes them down.

    Args:
        requests: answers of this server by route and status.
    """

    def __init__(self, requests: Mapping[tuple[str, int], int]) -> None:
        self._families: dict[str, Metric] = {
            **{name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in _GAUGES.items()},
            **{name: CounterMetricFamily(name, text, labels=labels) for name, (text, labels) in _COUNTERS.items()},
        }
        name, text, labels = _HISTOGRAM
        self._run_seconds = HistogramMetricFamily(name, text, labels=labels)
        self._add(("fused_build_info", (__version__,), 1))
        for (route, status), count in sorted(requests.items()):
            self._add(("fused_requests_total", (route, str(status)), count))

    def add_host(self, kernel: str, status: Mapping[str, Any] | None) -> None:
        """Add what a host said of itself; one that said nothing, or nonsense, is down."""
        try:
            samples = [] if status is None else list(_samples(kernel, status))
            histograms = [] if status is None else list(_histograms(status))
        except (AttributeError, KeyError, TypeError, ValueError):  # a host of another version
            samples, histograms, status = [], [], None
        self._add(("fused_host_up", (kernel,), status is not None))
        for sample in samples:
            self._add(sample)
        for udf, buckets, total in histograms:
            self._run_seconds.add_metric([kernel, udf], buckets=buckets, sum_value=total)

    def collect(self) -> Iterator[Metric]:
        """Each family."""
        yield from self._families.values()
        yield self._run_seconds

    def _add(self, sample: Sample) -> None:
        name, labels, value = sample
        family = self._families[name]
        assert isinstance(family, (GaugeMetricFamily, CounterMetricFamily))
        family.add_metric(labels, float(value))


def _samples(kernel: str, status: Mapping[str, Any]) -> Iterator[Sample]:
    load = status["workers"]
    yield "fused_host_ready", (kernel,), float(status["is_ready"])
    yield "fused_host_uptime_seconds", (kernel,), float(status["uptime"])
    for state in ("idle", "busy"):
        yield "fused_workers", (kernel, state), float(load[state])
    yield "fused_queue_length", (kernel,), float(load["waiting"])
    for process, size in status["memory"].items():
        yield "fused_memory_bytes", (kernel, str(process)), float(size)
    for state in ("waiting", "running"):
        count = sum(run["state"] == state for run in status["active"])
        yield "fused_active_runs", (kernel, state), float(count)
    for udf, tally in status["udfs"].items():
        for outcome, count in tally["outcomes"].items():
            yield "fused_runs_total", (kernel, str(udf), str(outcome)), float(count)
        for source, count in tally["hits"].items():
            yield "fused_cache_hits_total", (kernel, str(udf), str(source)), float(count)


def _histograms(status: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, float]], float]]:
    """UDF, cumulative buckets, sum."""
    for udf, tally in status["udfs"].items():
        total, buckets = 0.0, []
        for bound, count in zip(BUCKETS, tally["buckets"], strict=True):
            total += float(count)
            buckets.append((bound, total))
        yield str(udf), buckets, float(tally["total_seconds"])
