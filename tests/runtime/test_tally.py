from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.runtime.tally import _RECENT, BUCKETS, Tally, percentile

OUTCOMES = st.sampled_from(["ok", "failed", "timeout", "lost", "cancelled"])
RUNS = st.lists(st.tuples(OUTCOMES, st.floats(0, 1e4)), max_size=40)


def tally_of(runs: list[tuple[str, float]]) -> Tally:
    tally = Tally()
    for outcome, seconds in runs:
        tally.add(outcome, seconds)
    return tally


@given(RUNS, RUNS)
def test_counts_of_two_processes_add_up(here: list[tuple[str, float]], there: list[tuple[str, float]]) -> None:
    """As if one had counted all of it, also after a way over the wire."""
    merged = tally_of(here)
    merged.merge(Tally.from_json(orjson.loads(orjson.dumps(tally_of(there).to_json()))))

    whole = tally_of(here + there)
    assert (merged.outcomes, merged.buckets, merged.recent) == (whole.outcomes, whole.buckets, whole.recent)
    assert abs(merged.total_seconds - whole.total_seconds) <= 1e-9 * whole.total_seconds
    assert merged.summary() == whole.summary()


@given(RUNS)
def test_every_run_is_in_the_bucket_of_its_time(runs: list[tuple[str, float]]) -> None:
    """A bound belongs to the bucket below it, as Prometheus reads them."""
    counts = tally_of(runs).buckets

    for number, bound in enumerate(BUCKETS):
        assert sum(counts[: number + 1]) == sum(seconds <= bound for _, seconds in runs)


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values: list[float], share: float) -> None:
    """And the smallest such."""
    found = percentile(values, share)

    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    smaller = [value for value in values if value < found]
    assert len(smaller) < share * len(values) + 1e-9


def test_what_was_slow_long_ago_is_forgotten() -> None:
    """An edited cell shows in the percentiles after as many runs as are kept; in the counts nothing is lost."""
    tally = tally_of([("ok", 9.0)] * 1000 + [("ok", 0.1)] * _RECENT)

    assert (tally.summary()["p50"], tally.summary()["p95"]) == (0.1, 0.1)
    assert tally.summary()["runs"] == 1000 + _RECENT
    assert len(orjson.dumps(tally.to_json())) < 4000


def test_a_run_that_never_began_has_no_time() -> None:
    """It counts as a request, and as an error if it was refused."""
    tally = Tally()
    tally.add("refused", None)
    tally.add("cancelled", None)

    assert sum(tally.buckets) == 0
    assert tally.summary() | {"p50": 0} == {
        "requests": 2, "runs": 2, "cached_share": 0.0, "errors": 1, "p50": 0, "p95": None,
    }  # fmt: skip
