"""Run ids, times, lists, metrics and health, on a real server with real kernels."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes import still_running
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from real_jupyter import Answer, JupyterServer, Kernel

from fused_jupyter.runtime import tally
from fused_jupyter.server_ext import metrics

RUN_ID = re.compile(r"[0-9a-f]{12}")


@pytest.fixture(scope="module")
def watched(server: JupyterServer) -> Iterator[Kernel]:
    """A kernel with two workers that logs every run."""
    with server.running_kernel() as kernel:
        settings = {"FUSED_WORKERS": "2", "FUSED_LOG_LEVEL": "debug"}
        kernel.execute(f"import os; os.environ.update({settings!r})").check()
        kernel.define("def counted(n: int = 1):\n    return {'n': n}")
        kernel.define("def broken(word: str = ''):\n    raise KeyError(word)")
        kernel.define("def dies():\n    import os\n    os.abort()")
        kernel.define(
            """
            def sleeps(seconds: float = 60.0):
                import os, time
                print(os.getpid(), flush=True)
                time.sleep(seconds)
                return seconds
            """
        )
        kernel.wait_for_status(lambda status: bool(status["is_ready"]))
        yield kernel


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """For requests that wait."""
    with ThreadPoolExecutor(4) as made:
        yield made


def timing(answer: Answer) -> dict[str, str]:
    """`Server-Timing`, read as the standard says: metrics with parameters."""
    metrics = (metric.split(";") for metric in answer.headers["Server-Timing"].split(", "))
    return {name: parameter.partition("=")[2].strip('"') for name, parameter in metrics}


def log_of(kernel: Kernel) -> list[str]:
    return (kernel.server.runtime_directory / f"fused-{kernel.id}.log").read_text().splitlines()


def eventually(claim: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not claim():
        time.sleep(0.02)
    return claim()


def until(kernel: Kernel, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The active runs, once they are as they should be."""
    active: list[dict[str, Any]] = kernel.wait_for_status(lambda status: holds(status["active"]))["active"]
    return active


# -- an answer says what it cost


def test_an_answer_names_its_run_and_its_times(server: JupyterServer, watched: Kernel) -> None:
    """Queue, run and encoding in milliseconds, and that nothing was kept."""
    answer = server.get("fused/run/file/sleeps.json?seconds=0.2&cache_max_age=0")

    assert RUN_ID.fullmatch(answer.headers["X-Fused-Run"])
    times = timing(answer)
    assert list(times) == ["queue", "run", "encode", "cache"]
    assert 200 <= float(times["run"]) <= answer.seconds * 1000
    assert float(times["queue"]) >= 0
    assert times["cache"] == "miss"


def test_what_is_kept_names_the_run_that_made_it(server: JupyterServer, watched: Kernel) -> None:
    """From the server's memory, and from the host's for a caller who asks in another way; it costs no time now."""
    first = server.get("fused/run/file/counted.json?n=11")
    again = server.get("fused/run/file/counted.json?n=11")
    differently = server.get("fused/run/file/counted.json?n=11&cache_max_age=80d")

    assert [timing(answer).get("cache") for answer in (first, again, differently)] == ["miss", "server", "hit-memory"]
    assert {answer.headers["X-Fused-Run"] for answer in (first, again, differently)} == {first.headers["X-Fused-Run"]}
    assert list(timing(again)) == list(timing(differently)) == ["cache"]


def test_who_asks_for_what_runs_already_gets_that_run(
    server: JupyterServer, watched: Kernel, pool: ThreadPoolExecutor
) -> None:
    """And says so."""
    address = "fused/run/file/sleeps.json?seconds=1.0&cache_max_age=0"

    answers = list(pool.map(server.get, [address] * 3))

    assert sorted(timing(answer)["cache"] for answer in answers) == ["joined", "joined", "miss"]
    assert len({answer.headers["X-Fused-Run"] for answer in answers}) == 1


def test_an_error_names_its_run(server: JupyterServer, watched: Kernel) -> None:
    """In a header, in the body, and in the logs of host and server, where one finds it by that."""
    answer = server.get("fused/run/file/broken.json?word=hush-hush")

    run_id = answer.json()["run"]
    assert answer.headers["X-Fused-Run"] == run_id
    assert RUN_ID.fullmatch(run_id)
    (line,) = [line for line in log_of(watched) if f"run={run_id}" in line]
    assert "WARNING" in line
    assert " udf=broken tile=- outcome=failed status=422 " in line
    assert " error=KeyError line=3" in line
    assert eventually(lambda: f"run={run_id} udf=broken status=422" in server.log)  # written after the answer


def test_a_refused_argument_has_no_run_of_its_own(server: JupyterServer, watched: Kernel) -> None:
    """What never came to a host is no run."""
    answer = server.get("fused/run/file/nobody_has_this.json")

    assert "X-Fused-Run" not in answer.headers
    assert "run" not in answer.json()


def test_each_run_has_a_line_that_a_program_can_read(server: JupyterServer, watched: Kernel) -> None:
    """With the tile, at the level that was asked for."""
    answer = server.get("fused/run/tiles/counted/3/4/2.json?cache_max_age=0")

    (line,) = [line for line in log_of(watched) if f"run={answer.headers['X-Fused-Run']}" in line]
    fields = dict(word.split("=") for word in line.split("DEBUG ")[1].split())
    assert list(fields) == [
        *("run", "udf", "tile", "outcome", "status", "queue_ms", "run_ms", "encode_ms", "client"),
    ]
    assert (fields["udf"], fields["tile"], fields["outcome"], fields["status"]) == ("counted", "3/4/2", "ok", "200")
    assert float(fields["run_ms"]) < answer.seconds * 1000


def test_no_argument_and_no_token_is_in_a_log(server: JupyterServer, watched: Kernel) -> None:
    """Whatever went wrong, at every level."""
    made = watched.execute("from fused_jupyter.runtime import current\nprint(current().grant('broken'))").check()
    token = made.text.strip()
    server.get("fused/run/file/broken.json?word=hush-hush-1")
    server.get(f"fused/{token}/run/tiles/0/0/0.json?word=hush-hush-2")
    server.get("fused/run/file/sleeps.json?seconds=hush-hush-3")

    text = "\n".join(log_of(watched))
    assert text.count("udf=broken") >= 2
    assert "hush" not in text
    assert token not in text + server.log
    assert server.token not in text


# -- what runs, and stopping it


def test_runs_are_listed_and_stopped(server: JupyterServer, watched: Kernel, pool: ThreadPoolExecutor) -> None:
    """Everybody who waits for one is told; its process is gone, and the others never notice."""
    address = "fused/run/file/sleeps.json?seconds=61"
    waiting = [pool.submit(server.get, address) for _ in range(2)]
    (run,) = until(watched, lambda runs: [run["state"] for run in runs] == ["running"])
    run_id = run["run_id"]
    innocent = pool.submit(server.get, "fused/run/file/sleeps.json?seconds=1.5&cache_max_age=0")
    until(watched, lambda runs: [run["state"] for run in runs] == ["running"] * 2)
    workers = watched.status()["worker_pids"]

    listed = server.get("fused/runs").json()["runs"]
    shown = server.get(f"fused/runs/{run_id}").json()
    stopped = server.request("DELETE", f"fused/runs/{run_id}")

    assert run_id == listed[0]["run_id"]
    assert (stopped.status, stopped.json()) == (202, {"run": run_id, "stopping": True})
    assert (shown["udf"], shown["kernel"], shown["state"]) == ("sleeps", watched.id, "running")
    for answer in (each.result() for each in waiting):
        assert answer.status == 499
        assert (answer.json()["type"], answer.json()["run"]) == ("CancelledRunError", run_id)
    assert innocent.result().status == 200
    assert len(set(workers) - set(watched.status()["worker_pids"])) == 1
    assert [line for line in log_of(watched) if f"run={run_id}" in line and "outcome=cancelled status=499" in line]
    assert server.get("fused/run/file/counted.json?n=21").status == 200


def test_a_run_that_waits_is_stopped_too(server: JupyterServer, watched: Kernel, pool: ThreadPoolExecutor) -> None:
    """It costs no worker."""
    busy = [pool.submit(server.get, f"fused/run/file/sleeps.json?seconds=6{n}") for n in (2, 3)]
    until(watched, lambda runs: len(runs) == 2)
    queued = pool.submit(server.get, "fused/run/file/counted.json?n=31")
    active = until(watched, lambda runs: [run["state"] for run in runs].count("waiting") == 1)
    before = watched.status()["cancelled"]

    for run in sorted(active, key=lambda run: str(run["state"]), reverse=True):  # the one that waits first
        assert server.request("DELETE", f"fused/runs/{run['run_id']}").status == 202

    assert queued.result().status == 499
    assert {each.result().status for each in busy} == {499}
    assert watched.status()["cancelled"] == before + 2


def test_only_the_owner_stops_a_run(server: JupyterServer, watched: Kernel, pool: ThreadPoolExecutor) -> None:
    """Not a stranger, not another site's page, and not a form without Jupyter's proof."""
    waiting = pool.submit(server.get, "fused/run/file/sleeps.json?seconds=2.5&cache_max_age=0")
    (run,) = until(watched, lambda runs: len(runs) == 1)
    address, cookie = f"fused/runs/{run['run_id']}", server.login_cookie()
    own = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
    made = watched.execute("from fused_jupyter.runtime import current\nprint(current().grant('sleeps'))").check()

    assert server.request("DELETE", address, login=False).status == 403
    assert server.request("DELETE", f"fused/{made.text.strip()}/runs/{run['run_id']}", login=False).status in {403, 405}
    assert server.request("DELETE", address, headers=own, login=False).status == 403
    secret = "0123456789abcdef" * 2
    proof = {"Cookie": f"{cookie}; _xsrf={secret}", "X-XSRFToken": secret}
    other_site = {**proof, "Sec-Fetch-Site": "cross-site"}
    assert server.request("DELETE", address, headers=other_site, login=False).status == 403
    assert server.get(address).status == 200
    assert server.request("DELETE", address, headers={**own, **proof}, login=False).status == 202
    assert waiting.result().status == 499


def test_a_run_that_is_over_cannot_be_stopped(server: JupyterServer, watched: Kernel) -> None:
    """404, and it says where the others are."""
    over = server.get("fused/run/file/counted.json?n=41").headers["X-Fused-Run"]

    answer = server.request("DELETE", f"fused/runs/{over}")

    assert (answer.status, answer.json()["type"]) == (404, "UnknownRunError")
    assert "fused/runs" in answer.json()["error"]


# -- metrics


Key = tuple[str, frozenset[str]]


def key(name: str, *labels: str) -> Key:
    return name, frozenset(labels)


def samples(answer: Answer, kernel: Kernel | None = None) -> dict[Key, float]:
    """Values by name and labels, without the kernel's; of one kernel, if one is given."""
    found = {}
    for family in parse_text(answer.body.decode()):
        for sample in family.samples:
            labels = dict(sample.labels)
            if kernel is None or labels.pop("kernel", None) == kernel.id:
                found[key(sample.name, *labels.values())] = sample.value
    return found


def test_metrics_count_what_happened(server: JupyterServer, watched: Kernel) -> None:
    """Runs by what came of them, hits by where they came from, times in buckets that add up."""
    before = samples(server.get("fused/metrics"), watched)
    for address in ("counted.json?n=51", "counted.json?n=51&cache_max_age=80d", "broken.json", "dies.json"):
        server.get(f"fused/run/file/{address}")

    after = samples(server.get("fused/metrics"), watched)

    def grown(*names: str) -> float:
        return after.get(key(*names), 0.0) - before.get(key(*names), 0.0)

    assert grown("fused_runs_total", "counted", "ok") == 1
    assert grown("fused_cache_hits_total", "counted", "hit-memory") == 1
    assert grown("fused_runs_total", "broken", "failed") == 1
    assert grown("fused_runs_total", "dies", "lost") == 1
    assert grown("fused_run_seconds_count", "counted") == grown("fused_run_seconds_bucket", "counted", "+Inf") == 1
    assert grown("fused_run_seconds_sum", "counted") > 0
    counts = [after[key("fused_run_seconds_bucket", "counted", bound)] for bound in metrics.BUCKETS]
    assert counts == sorted(counts)
    assert after[key("fused_host_up")] == 1
    assert after[key("fused_memory_bytes", "host")] > 1e6

    def workers() -> float:
        now = samples(server.get("fused/metrics"), watched)
        return now[key("fused_workers", "idle")] + now[key("fused_workers", "busy")]

    assert eventually(lambda: workers() >= 2)  # another one has taken the place of the one that died


def test_the_server_counts_what_it_answers(server: JupyterServer, watched: Kernel) -> None:
    """By route and status; what it had kept is told to the host, which counts all requests."""
    for _ in range(3):
        server.get("fused/run/file/counted.json?n=61")
    before = samples(server.get("fused/metrics"))

    server.get("fused/run/file/counted.json?n=61")
    server.get("fused/nothing/here")

    after = samples(server.get("fused/metrics"))
    for route, status in (("file", "200"), ("missing", "404"), ("metrics", "200")):
        name = key("fused_requests_total", route, status)
        assert after[name] == before.get(name, 0) + 1
    udfs = watched.wait_for_status(lambda status: status["udfs"]["counted"]["hits"].get("server", 0) >= 3)["udfs"]
    assert udfs["counted"]["requests"] == udfs["counted"]["runs"] + sum(udfs["counted"]["hits"].values())


@pytest.mark.parametrize(
    ("accept", "media_type", "parse"),
    [
        ("", "text/plain; version=0.0.4", parse_text),
        ("text/plain;version=0.0.4", "text/plain; version=0.0.4", parse_text),
        (
            "application/openmetrics-text;version=1.0.0",
            "application/openmetrics-text; version=1.0.0",
            parse_openmetrics,
        ),
        ("application/openmetrics-text;version=none", "text/plain; version=0.0.4", parse_text),
    ],
)
def test_metrics_are_written_as_prometheus_asks(
    accept: str, media_type: str, parse: Callable[[str], Any], server: JupyterServer, watched: Kernel
) -> None:
    """Each name as its conventions want it: a prefix, a unit, `_total` for what only grows, and a help text."""
    server.get("fused/run/file/counted.json?n=51")

    answer = server.get("fused/metrics", headers={"Accept": accept})

    assert answer.headers["Content-Type"].startswith(media_type)
    assert answer.headers["Cache-Control"] == "no-store"
    families = list(parse(answer.body.decode()))
    assert {family.type for family in families} == {"counter", "gauge", "histogram"}
    for family in families:
        assert family.name.startswith("fused_")
        assert family.documentation
        assert all(sample.name.endswith("_total") for sample in family.samples if family.type == "counter")


def test_server_and_host_count_in_the_same_buckets() -> None:
    """The server may not import the host's table."""
    assert tuple(float(bound) for bound in metrics.BUCKETS) == tally.BUCKETS


@pytest.mark.parametrize("status", [None, {}, {"workers": 7}, {"workers": {}, "udfs": {"f": {"buckets": [1]}}}])
def test_a_host_that_talks_nonsense_is_down(status: Any) -> None:
    """And costs nobody else's metrics."""
    made = metrics.Metrics({})
    made.add_host("k1", status)

    found = {sample.name: sample.value for family in made.collect() for sample in family.samples}
    assert found == {"fused_build_info": 1, "fused_host_up": 0}


# -- health


def test_health_is_503_while_a_host_hangs(server: JupyterServer) -> None:
    """200 with its workers before and after."""
    with server.running_kernel() as kernel:
        kernel.define("def fine(): return 1")
        host = psutil.Process(kernel.status()["pid"])
        well = server.get("fused/health")
        host.send_signal(signal.SIGSTOP)
        try:
            ill = server.get("fused/health")
        finally:
            host.send_signal(signal.SIGCONT)
        again = server.get("fused/health")

    mine = {host["kernel"]: host for host in well.json()["hosts"]}[kernel.id]
    assert (well.status, well.json()["healthy"], mine["alive"]) == (200, True, True)
    assert mine["queue"] == 0
    assert (ill.status, ill.json()["healthy"]) == (503, False)
    assert {host["kernel"]: host["alive"] for host in ill.json()["hosts"]}[kernel.id] is False
    assert again.status == 200
    assert not still_running([host])


def test_the_log_is_where_the_doctor_says(watched: Kernel) -> None:
    """One file for each kernel, for its owner only."""
    path = Path(watched.execute("print(current().link.log_path)").check().text.strip())

    assert path.read_text().splitlines() == log_of(watched)
    assert path.stat().st_mode & 0o777 == 0o600
