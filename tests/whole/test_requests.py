"""What many requests cost, and one that nobody waits for any more."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from real_jupyter import JupyterServer, Kernel


def open_request(server: JupyterServer, path: str) -> socket.socket:
    """A GET that was sent, and whose answer nobody reads yet."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    lines = [
        f"GET {server.base_url}{path} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"Authorization: token {server.token}",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def waiting_udf(kernel: Kernel, name: str, go: Path) -> None:
    """A UDF that ends when a file appears."""
    kernel.define(
        f"""
        def {name}(n: int = 0):
            import os, time
            while not os.path.exists({str(go)!r}):
                time.sleep(0.02)
            return n
        """
    )


def test_equal_requests_at_once_run_once(server: JupyterServer, kernel: Kernel, tmp_path: Path) -> None:
    """Eight browsers that ask for one tile at the same time cost one run."""
    waiting_udf(kernel, "once", tmp_path / "go")
    before = kernel.status()

    with ThreadPoolExecutor(8) as pool:
        tiles = [pool.submit(server.get, "fused/run/tiles/once/1/0/1.json?n=3") for _ in range(8)]
        kernel.wait_for_status(lambda status: status["joined"] == before["joined"] + 7)
        (tmp_path / "go").touch()
        answers = [tile.result() for tile in tiles]

    assert [answer.json() for answer in answers] == [3] * 8
    assert len({answer.headers["ETag"] for answer in answers}) == 1
    assert kernel.status()["runs"] == before["runs"] + 1


def test_a_closed_connection_stops_its_run(server: JupyterServer, kernel: Kernel, tmp_path: Path) -> None:
    """The map was panned away: the worker is free for the tiles that are looked at."""
    waiting_udf(kernel, "abandoned", tmp_path / "never")
    before = kernel.status()
    connection = open_request(server, "fused/run/tiles/abandoned/0/0/0.json")
    busy = kernel.wait_for_status(lambda status: status["workers"]["busy"] == 1)

    connection.close()

    after = kernel.wait_for_status(lambda status: status["workers"]["busy"] == 0)
    assert after["cancelled"] == before["cancelled"] + 1
    assert len(set(busy["worker_pids"]) - set(after["worker_pids"])) == 1
    assert server.get("fused/run/file/echo.json?n=2").json() == {"n": 2}


def test_a_closed_connection_drops_what_waits(server: JupyterServer, kernel: Kernel, tmp_path: Path) -> None:
    """Tiles that wait for a worker leave the line, and never run."""
    waiting_udf(kernel, "queued", tmp_path / "go")
    slots = int(kernel.execute("from fused_jupyter.runtime import current; print(current().options.workers)").text)
    running = [open_request(server, f"fused/run/tiles/queued/0/0/0.json?n={n}") for n in range(slots)]
    before = kernel.wait_for_status(lambda status: status["workers"]["busy"] == slots)
    waiting = [open_request(server, f"fused/run/tiles/queued/0/0/0.json?n={n}") for n in range(slots, slots + 4)]
    kernel.wait_for_status(lambda status: status["workers"]["waiting"] == 4)

    for connection in waiting:
        connection.close()
    after = kernel.wait_for_status(lambda status: status["workers"]["waiting"] == 0)
    for connection in running:
        connection.close()

    last = kernel.wait_for_status(lambda status: status["workers"]["busy"] == 0)
    assert (after["workers"]["busy"], after["runs"], last["runs"]) == (slots, before["runs"], before["runs"])


def test_one_of_two_who_wait_may_leave(server: JupyterServer, kernel: Kernel, tmp_path: Path) -> None:
    """The run goes on for the other."""
    waiting_udf(kernel, "left", tmp_path / "go")
    before = kernel.status()
    leaver = open_request(server, "fused/run/file/left.json?n=9")
    kernel.wait_for_status(lambda status: status["workers"]["busy"] == 1)

    with ThreadPoolExecutor() as pool:
        stayer = pool.submit(server.get, "fused/run/file/left.json?n=9")
        kernel.wait_for_status(lambda status: status["joined"] == before["joined"] + 1)
        leaver.close()
        assert server.get("fused/run/file/echo").status == 200
        (tmp_path / "go").touch()
        answer = stayer.result()

    assert answer.json() == 9
    assert kernel.status()["cancelled"] == before["cancelled"]


def test_a_cached_answer_needs_no_worker(server: JupyterServer, kernel: Kernel, tmp_path: Path) -> None:
    """All workers are busy; what is known is answered all the same."""
    waiting_udf(kernel, "occupying", tmp_path / "go")
    assert server.get("fused/run/file/echo.json?n=81").json() == {"n": 81}

    with ThreadPoolExecutor(8) as pool:
        files = [pool.submit(server.get, f"fused/run/file/occupying.json?n={n}") for n in range(4)]
        kernel.wait_for_status(lambda status: status["workers"]["waiting"] > 0)
        cached = server.get("fused/run/file/echo.json?n=81")
        is_still_waiting = kernel.status()["workers"]["waiting"] > 0
        (tmp_path / "go").touch()
        answers = [file.result().json() for file in files]

    assert cached.headers["x-fused-cached"] == "1"
    assert is_still_waiting
    assert answers == [0, 1, 2, 3]
