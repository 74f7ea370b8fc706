from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest

from fused_jupyter.errors import (
    ArgumentError,
    BusyError,
    CancelledRunError,
    FusedError,
    HostLostError,
    UdfMemoryError,
    UdfRuntimeError,
    UdfTimeoutError,
    WorkerLostError,
)
from fused_jupyter.runtime.activity import _MOST_ERRORS, _MOST_UDFS, ActiveRun, Activity
from fused_jupyter.runtime.tally import OTHERS
from fused_jupyter.wire import Failure, Reply


def ask(activity: Activity, udf: str = "f", **fields: Any) -> ActiveRun:
    return activity.ask(udf, **({"stop": lambda: None} | fields))


def outcomes(activity: Activity, udf: str = "f") -> dict[str, int]:
    counts: dict[str, int] = activity.snapshot()["udfs"][udf]["outcomes"]
    return counts


def test_ids_are_short_and_never_the_same() -> None:
    """Neither of one process nor of two."""
    ids = [ask(activity).run_id for activity in (Activity(), Activity()) for _ in range(1000)]

    assert len(set(ids)) == 2000
    assert all(len(run_id) == 12 and int(run_id, 16) >= 0 for run_id in ids)


def test_a_run_waits_then_runs_then_is_gone() -> None:
    """With times that fit."""
    activity = Activity()
    run = ask(activity, tile=(1, 0, 1), client="map-1")
    waiting = activity.snapshot()["active"]
    activity.begin(run.run_id)
    running = activity.snapshot()["active"]
    reply = activity.succeed(run, Reply(id=7, seconds=0.5))

    assert [(each["state"], each["tile"], each["client"]) for each in waiting] == [("waiting", (1, 0, 1), "map-1")]
    assert [each["state"] for each in running] == ["running"]
    assert running[0]["queue_seconds"] >= waiting[0]["queue_seconds"] > 0
    assert activity.snapshot()["active"] == []
    assert (reply.id, reply.run_id, reply.source) == (7, run.run_id, "miss")
    assert reply.queue_seconds == run.queue_seconds == running[0]["queue_seconds"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UdfRuntimeError("no"), "failed"),
        (UdfMemoryError("no"), "failed"),
        (ArgumentError("no"), "failed"),
        (UdfTimeoutError("no"), "timeout"),
        (WorkerLostError("no"), "lost"),
        (HostLostError("no"), "lost"),
        (CancelledRunError("no"), "cancelled"),
        (BusyError("no"), "refused"),
    ],
)
def test_each_end_has_its_name(error: FusedError, outcome: str) -> None:
    """Whether the engine raised or the worker said so."""
    activity = Activity()
    first, second = ask(activity), ask(activity)

    activity.lose(first, error)
    failure = activity.fail(second, Failure.of(3, error))

    assert outcomes(activity) == {outcome: 2}
    assert error.run_id == first.run_id
    assert (failure.id, failure.run_id, failure.to_error().run_id) == (3, second.run_id, second.run_id)


def test_last_errors_are_few_and_short() -> None:
    """The newest first; what somebody stopped is none."""
    activity = Activity()
    for number in range(50):
        activity.lose(ask(activity), UdfRuntimeError(f"{number} " + "x" * 10_000, line=number))
    activity.lose(ask(activity), CancelledRunError("stopped"))

    errors = activity.snapshot()["errors"]

    assert [error["line"] for error in errors] == list(range(49, 49 - _MOST_ERRORS, -1))
    assert all(len(error["message"]) <= 300 for error in errors)


def test_a_notebook_with_too_many_names_costs_no_more() -> None:
    """Those beyond the limit are counted together; none is lost."""
    activity = Activity()
    for number in range(3 * _MOST_UDFS):
        activity.hit(f"f{number}", "hit-memory")

    udfs = activity.snapshot()["udfs"]
    assert len(udfs) == _MOST_UDFS + 1
    assert udfs[OTHERS]["requests"] == 2 * _MOST_UDFS


def test_what_the_kernel_counts_is_the_hosts() -> None:
    """All of it, once, however often it reports; what runs there is listed as it was said last."""
    kernel, host = Activity(), Activity()
    done, failed, running = ask(kernel), ask(kernel), ask(kernel, "g")
    kernel.succeed(done, Reply(id=1, seconds=1.0))
    kernel.lose(failed, UdfRuntimeError("no", line=3))
    host.succeed(ask(host), Reply(id=1, seconds=3.0))

    for _ in range(3):
        host.merge(orjson.loads(orjson.dumps(kernel.take())))

    seen = host.snapshot()
    assert seen["udfs"]["f"]["outcomes"] == {"ok": 2, "failed": 1}
    assert [run["run_id"] for run in seen["active"]] == [running.run_id]
    assert [error["run_id"] for error in seen["errors"]] == [failed.run_id]
    assert host.runs_elsewhere(running.run_id)
    kernel.succeed(running, Reply(id=1))
    assert not kernel.is_quiet
    host.merge(kernel.take())
    assert kernel.is_quiet
    assert host.snapshot()["active"] == []


def test_a_run_is_stopped_once() -> None:
    """And one that is over, or nobody's, not at all."""
    activity, stopped = Activity(), []
    run = ask(activity, stop=lambda: stopped.append(1))

    assert activity.stop(run.run_id)
    assert activity.stop(run.run_id)
    assert run.is_stopped
    activity.lose(run, CancelledRunError("stopped"))
    assert not activity.stop(run.run_id)
    assert not activity.stop("0" * 12)
    assert stopped == [1]


def test_threads_lose_no_count() -> None:
    """While others look."""
    activity, over = Activity(), threading.Event()

    def work(_: int) -> None:
        for _ in range(500):
            run = ask(activity)
            activity.begin(run.run_id)
            activity.succeed(run, Reply(id=1, seconds=0.01))
            activity.hit("f", "joined")

    def look() -> None:
        while not over.is_set():
            activity.snapshot()

    looker = threading.Thread(target=look)
    looker.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    over.set()
    looker.join()

    tally = activity.snapshot()["udfs"]["f"]
    assert (tally["runs"], tally["hits"], sum(tally["buckets"])) == (2000, {"joined": 2000}, 2000)
