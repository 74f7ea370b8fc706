"""What becomes of posted runs when something goes wrong around them; the client itself is in tests/official."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from real_jupyter import Answer, JupyterServer, eventually

RUN = "fused/server/v1/realtime/local/api/v1/run/udf"
SLEEP = "def udf(seconds: float = 0.0):\n    import time\n    time.sleep(seconds)\n    return seconds"


@pytest.fixture(scope="module")
def narrow() -> Iterator[JupyterServer]:
    """A server with one worker and little patience."""
    settings = {"FUSED_WORKERS": "1", "FUSED_QUEUE_TIMEOUT": "0.3", "FUSED_RESPONSE_LIMIT": "1000000"}
    with JupyterServer(environment=settings) as server:
        assert post(server, RUN).status == 200  # the host runs, so that the times below are those of runs
        yield server


def post(
    server: JupyterServer, path: str, code: str = SLEEP, *, run_id: str | None = None, **parameters: Any
) -> Answer:
    udf = {"name": "udf", "code": code, "parameters": parameters}
    body = {"step_config": json.dumps({"type": "udf", "udf": udf}), "format": "json", "cache": False}
    headers = {"Fused-Run-Id": run_id} if run_id else {}
    return server.request("POST", path, body=json.dumps(body).encode(), headers=headers)


def start(server: JupyterServer, **parameters: Any) -> str:
    """The id of a run that goes on."""
    run_id = str(uuid.uuid4())
    answer = post(server, f"{RUN}/start", run_id=run_id, **parameters)
    assert answer.status == 202
    return run_id


def finished(server: JupyterServer, run_id: str) -> Answer:
    """What a run gave, asked for as the client does it."""
    while (answer := server.get(f"{RUN}/get/{run_id}")).status == 202:
        pass  # each took seconds
    return answer


def told(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.headers["x-fused-metadata"])
    return found


def saved_host(server: JupyterServer) -> psutil.Process:
    """The process that runs saved UDFs and posted code."""
    children = psutil.Process(server.process.pid).children()
    return next(child for child in children if any("standing" in word or "host" in word for word in child.cmdline()))


def test_start_that_finds_no_worker_can_be_sent_again(narrow: JupyterServer) -> None:
    """503, as no run began: the client tries again by itself, with the same id, and then it runs."""
    busy = start(narrow, seconds=6.0)
    run_id = str(uuid.uuid4())

    refused = post(narrow, f"{RUN}/start", run_id=run_id)
    first = finished(narrow, busy)
    again = post(narrow, f"{RUN}/start", run_id=run_id)

    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert "x-fused-metadata" not in refused.headers
    assert first.json() == 6.0
    assert (again.status, again.json()) == (200, 0.0)


def test_stopped_run_is_an_error_of_the_udf(narrow: JupyterServer) -> None:
    """Who waits for it is told, by a status that is not tried again."""
    run_id = start(narrow, seconds=60.0)
    (run,) = (run for run in narrow.get("fused/runs").json()["runs"] if run["udf"] == "udf")

    assert narrow.request("DELETE", f"fused/runs/{run['run_id']}").status == 202
    answer = finished(narrow, run_id)

    assert answer.status == 422
    assert told(answer)["exception_class"] == "CancelledRunError"
    assert "stopped" in answer.json()["detail"]


def test_run_whose_host_died_is_an_error_and_the_next_one_runs(narrow: JupyterServer) -> None:
    """The host comes back with the next request."""
    run_id = start(narrow, seconds=60.0)

    os.kill(saved_host(narrow).pid, signal.SIGKILL)
    answer = finished(narrow, run_id)
    after = post(narrow, RUN)

    assert answer.status == 422
    assert told(answer)["exception_class"] == "HostLostError"
    assert (after.status, after.json()) == (200, 0.0)


def test_who_hangs_up_stops_a_run_that_is_not_asked_after(narrow: JupyterServer) -> None:
    """The worker is free for others."""
    thread = threading.Thread(target=lambda: post_and_leave(narrow), daemon=True)
    thread.start()
    thread.join()

    eventually(lambda: post(narrow, RUN).status == 200, timeout=30)


def post_and_leave(server: JupyterServer) -> None:
    udf = {"name": "udf", "code": SLEEP, "parameters": {"seconds": 60.0}}
    body = json.dumps({"step_config": json.dumps({"type": "udf", "udf": udf}), "cache": False}).encode()
    with pytest.raises(TimeoutError):
        server.request("POST", RUN, body=body, timeout=1)


def test_result_that_is_too_long_is_an_error(narrow: JupyterServer) -> None:
    """Of the kind that the client knows for results."""
    answer = post(narrow, f"{RUN}/start", "def udf():\n    return 'a' * 2_000_000")

    assert answer.status == 422
    assert told(answer)["error_type"] == "serialization_error"


def test_many_starts_at_once_are_as_many_runs(narrow: JupyterServer) -> None:
    """Each gets its own result, whatever comes first."""
    results: dict[int, Any] = {}

    def run(n: int) -> None:
        results[n] = post(narrow, f"{RUN}/start", "def udf(n: int):\n    return n", run_id=f"many-{n}", n=n).json()

    threads = [threading.Thread(target=run, args=[n]) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == {n: n for n in range(20)}


@pytest.mark.parametrize("run_id", ["a b", "../x", "a" * 101, "ü"])
def test_id_that_no_address_can_hold_is_refused(run_id: str, narrow: JupyterServer) -> None:
    """It could not be asked after."""
    answer = post(narrow, f"{RUN}/start", run_id=run_id.encode().decode("latin-1"))

    assert answer.status == 422
    assert "Fused-Run-Id" in answer.json()["detail"]


def test_body_that_is_too_long_is_refused(narrow: JupyterServer) -> None:
    """It says what to do instead."""
    answer = post(narrow, RUN, "def udf(text: str):\n    return len(text)", text="a" * 4_000_000)

    assert answer.status == 422
    assert "pass a file's address" in answer.json()["detail"]


def test_table_of_a_megabyte_may_be_an_argument(narrow: JupyterServer) -> None:
    """Clients send tables as text."""
    answer = post(narrow, RUN, "def udf(text: str):\n    return len(text)", text="a" * 3_000_000)

    assert (answer.status, answer.json()) == (200, 3_000_000)


def test_answer_comes_soon(narrow: JupyterServer) -> None:
    """What polling and posted code cost beside the run is little; far more would be a wait somewhere."""
    post(narrow, f"{RUN}/start")
    begun = time.perf_counter()
    for _ in range(20):
        assert post(narrow, f"{RUN}/start").status == 200

    assert (time.perf_counter() - begun) / 20 < 0.2
