"""Restart, kill -9: what is left, and what is said meanwhile."""

from __future__ import annotations

import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
from processes import still_running
from real_jupyter import Answer, JupyterServer, Kernel, eventually

from fused_jupyter.wire import Announcement

BURNING = """
def burning():
    import subprocess
    subprocess.Popen(["sleep", "600"])
    while True:
        pass
"""


def processes_of(kernel: Kernel) -> list[psutil.Process]:
    """Host, template, workers, and what UDFs have started."""
    host = psutil.Process(kernel.status()["pid"])
    return [host, *host.children(recursive=True)]


def start_burning(kernel: Kernel, server: JupyterServer, pool: ThreadPoolExecutor) -> Future[Answer]:
    """A worker that spins and has a child process of its own."""
    kernel.define(BURNING)
    request = pool.submit(server.get, f"fused/run/file/burning?kernel={kernel.id}")
    kernel.wait_for_status(lambda status: status["workers"]["busy"] == 1)
    host = psutil.Process(kernel.status()["pid"])
    eventually(lambda: "sleep" in {process.name() for process in host.children(recursive=True)})
    return request


def test_after_a_restart_the_old_address_waits_for_its_cell(server: JupyterServer, mortal: Kernel) -> None:
    """503 with Retry-After until the cell is run again, then the answer; no process of the old kernel is left."""
    url = mortal.execute("print(mortal_echo.file_url('json', n=6))").check().text.strip()
    assert server.get(url).json() == {"n": 6}
    old = processes_of(mortal)

    mortal.restart()

    assert not still_running(old)
    answer = server.get(url)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    mortal.define("def other():\n    return 1")
    assert server.get(url).status == 404
    mortal.define("def mortal_echo(n: int = 1):\n    return {'n': n}")
    assert server.get(url).json() == {"n": 6}


def test_kill_9_of_the_kernel_leaves_no_process(server: JupyterServer, mortal: Kernel) -> None:
    """Host, template, busy worker and what the UDF started are gone; who waited is told at once to come again."""
    pid = mortal.pid()
    with ThreadPoolExecutor() as pool:
        request = start_burning(mortal, server, pool)
        ours = processes_of(mortal)
        assert len(ours) > 4

        os.kill(pid, signal.SIGKILL)

        assert not still_running(ours)
        answer = request.result()
    assert answer.status == 503
    assert answer.json()["type"] == "HostLostError"
    assert "Retry-After" in answer.headers
    assert server.get(f"fused/run/file/mortal_echo?kernel={mortal.id}").status == 503


def test_kill_9_of_the_host_costs_the_calls_in_it_only(server: JupyterServer, mortal: Kernel) -> None:
    """Nothing of it is left, its file is reaped, and the kernel starts another one by itself."""
    with ThreadPoolExecutor() as pool:
        request = start_burning(mortal, server, pool)
        host, *others = processes_of(mortal)

        host.kill()

        assert not still_running(others)
        assert request.result().status == 503
    assert mortal.execute("mortal_echo(n=3)").check().values[0]["text/plain"] == "{'n': 3}"
    assert server.get(f"fused/run/file/mortal_echo.json?kernel={mortal.id}&n=4").json() == {"n": 4}


def test_a_host_that_is_killed_is_replaced_without_the_notebook(server: JupyterServer, mortal: Kernel) -> None:
    """Maps, and those with a token, are told to wait, never that there is nothing; then they go on."""
    code = "from fused_jupyter.runtime import current; print(current().grant('mortal_echo'))"
    token = mortal.execute(code).check().text.strip()
    addresses = [f"fused/run/file/mortal_echo.json?kernel={mortal.id}", f"fused/{token}/run/tiles/0/0/0.json"]
    assert [server.get(address).json() for address in addresses] == [{"n": 1}] * 2

    psutil.Process(mortal.status()["pid"]).kill()

    seen: list[set[int]] = [set(), set()]
    for address, statuses in zip(addresses, seen, strict=True):
        eventually(lambda address=address, statuses=statuses: ask(server, address, statuses) == 200)
    assert seen[0] | seen[1] == {200, 503}


def ask(server: JupyterServer, address: str, statuses: set[int]) -> int:
    status = server.get(address).status
    statuses.add(status)
    return status


def test_the_end_of_a_kernel_leaves_nothing(server: JupyterServer) -> None:
    """Shut down in the ordinary way: no process, no announcement, no socket."""
    with server.running_kernel() as kernel:
        kernel.define("def short_lived():\n    return 1")
        assert server.get("fused/run/file/short_lived").status == 200
        ours = processes_of(kernel)
        announcement = Announcement.read(kernel.announcement_path)
        assert Path(announcement.address).exists()

    assert not still_running(ours)
    assert not kernel.announcement_path.exists()
    assert not Path(announcement.address).parent.exists()


def test_kill_9_of_the_server_leaves_a_host_only_with_its_kernel() -> None:
    """Kernels end by Jupyter's own rule when their server dies; our processes follow their kernel, not longer."""
    with JupyterServer() as server:
        kernel = server.kernel()
        kernel.define("def echo(n: int = 1):\n    return n")
        assert server.get("fused/run/file/echo.json").json() == 1
        process = psutil.Process(kernel.pid())
        ours = processes_of(kernel)

        server.process.kill()
        server.process.wait()

        if still_running([process], seconds=10):
            assert ours[0].is_running()
            process.kill()
        assert not still_running(ours)
        kernel.client.stop_channels()


def test_another_kernel_notices_nothing(server: JupyterServer, kernel: Kernel, mortal: Kernel) -> None:
    """Kernels do not know each other."""
    before = kernel.status()

    os.kill(mortal.pid(), signal.SIGKILL)

    assert server.get(f"fused/run/file/echo.json?n=12&kernel={kernel.id}", timeout=5).json() == {"n": 12}
    after = kernel.status()
    assert after["pid"] == before["pid"]
    assert set(before["worker_pids"]) <= set(after["worker_pids"])
