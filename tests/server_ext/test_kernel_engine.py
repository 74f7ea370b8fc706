"""UDFs that run in the kernel, over HTTP: through a real server, host and kernel."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from real_jupyter import JupyterServer, Kernel, eventually


@pytest.fixture(scope="module")
def near(server: JupyterServer) -> Iterator[Kernel]:
    """A kernel with UDFs that see its variables, and little patience."""
    with server.running_kernel() as kernel:
        times = {"FUSED_TILE_TIMEOUT": "5", "FUSED_FILE_TIMEOUT": "1.5", "FUSED_QUEUE_TIMEOUT": "0.5"}
        kernel.execute(f"import os; os.environ.update({times!r})").check()
        kernel.execute("threshold = 1; seen = []; opened = threading = None; import threading").check()
        for source in UDFS:
            kernel.define(source)
        yield kernel


UDFS = [
    """
    @fused.udf(engine="kernel")
    def near(n: int = 1):
        seen.append(n)
        print("near", n)
        return {"n": n, "threshold": threshold, "thread": threading.current_thread().name}
    """,
    """
    @fused.udf(engine="kernel")
    def fails(n: int = 1):
        wrong = n
        raise KeyError(wrong)
    """,
    """
    @fused.udf(engine="kernel")
    def waits(seconds: float = 2.5):
        import time
        time.sleep(seconds)
        return seconds
    """,
    """
    @fused.udf(engine="kernel", cache_max_age="1h")
    def kept(n: int = 1):
        seen.append(n)
        return {"n": n, "seen": len(seen)}
    """,
    """
    @fused.udf
    def far(n: int = 1):
        return {"n": n}
    """,
]


def test_tile_of_a_kernel_udf_sees_the_notebook_as_it_is_now(server: JupyterServer, near: Kernel) -> None:
    """Each request looks again; nothing of it is kept, and what it prints is in the answer."""
    first = server.get(f"fused/run/file/near.json?n=5&kernel={near.id}")
    near.execute("threshold = 2").check()
    second = server.get(f"fused/run/file/near.json?n=5&kernel={near.id}")

    assert [answer.json()["threshold"] for answer in (first, second)] == [1, 2]
    assert first.json()["thread"] == "fused-kernel-engine"
    assert first.headers["x-fused-cached"] == second.headers["x-fused-cached"]
    assert "near 5" in str(first.headers)


def test_output_does_not_go_into_the_cell_that_runs(server: JupyterServer, near: Kernel) -> None:
    """And the cell does not wait for the UDF, nor the UDF for the cell."""
    near.execute("seen.clear()").check()
    cell = near.start("import time\nprint('cell')\nwhile len(seen) < 3: time.sleep(0.01)\nprint('over')")
    near.wait_for_text(cell, "cell")

    answers = [server.get(f"fused/run/file/near.json?n={n}&kernel={near.id}") for n in range(3)]

    assert near.result(cell).check().text == "cell\nover\n"
    assert [answer.json()["n"] for answer in answers] == [0, 1, 2]


def test_error_of_a_kernel_udf_names_its_line(server: JupyterServer, near: Kernel) -> None:
    """As that of any other."""
    answer = server.get(f"fused/run/file/fails.json?n=7&kernel={near.id}")

    assert answer.status == 422
    assert (answer.json()["error"], answer.json()["line"]) == ("KeyError: 7", 5)


def test_run_that_takes_too_long_is_answered_and_the_next_one_is_told(server: JupyterServer, near: Kernel) -> None:
    """504 for its own caller; 503 for who waits behind it; then all goes on. Workers are not concerned."""
    with ThreadPoolExecutor() as pool:
        late = pool.submit(server.get, f"fused/run/file/waits.json?kernel={near.id}")
        time.sleep(0.5)
        behind = server.get(f"fused/run/file/near.json?kernel={near.id}")
        beside = server.get(f"fused/run/file/far.json?n=3&kernel={near.id}")
        late_answer = late.result()

    assert late_answer.status == 504
    assert "cannot be stopped there and goes on" in late_answer.json()["error"]
    assert behind.status == 503
    assert "has been at waits for" in behind.json()["error"]
    assert beside.json() == {"n": 3}
    time.sleep(1.2)
    assert server.get(f"fused/run/file/near.json?kernel={near.id}").status == 200


def test_kernel_that_holds_its_gil_costs_a_504(server: JupyterServer, near: Kernel) -> None:
    """A C call lets nobody in; afterwards the kernel answers again."""
    cell = near.start(
        "import ctypes, time; print('held', flush=True); time.sleep(0.3); ctypes.PyDLL(None).usleep(2_500_000)"
    )
    near.wait_for_text(cell, "held")
    time.sleep(0.5)

    answer = server.get(f"fused/run/file/near.json?kernel={near.id}")

    assert answer.status == 504
    near.result(cell).check()
    assert server.get(f"fused/run/file/near.json?kernel={near.id}").status == 200


def test_result_is_kept_where_an_age_is_said(server: JupyterServer, near: Kernel) -> None:
    """Then one asks for it; from Python too."""
    near.execute("seen.clear()").check()

    over_http = [server.get(f"fused/run/file/kept.json?n=9&kernel={near.id}").json() for _ in range(2)]
    in_python = near.execute("print([fused.run(kept, n=10) for _ in range(2)], fused.run(kept, n=10, cache=False))")

    assert over_http == [{"n": 9, "seen": 1}] * 2
    assert in_python.check().text == "[{'n': 10, 'seen': 2}, {'n': 10, 'seen': 2}] {'n': 10, 'seen': 3}\n"


def test_map_gets_tiles_of_a_kernel_udf(server: JupyterServer, near: Kernel) -> None:
    """Arrays of the notebook, drawn; many at a time, each answered."""
    near.execute("import numpy as np; grid = np.arange(65536, dtype='float32').reshape(256, 256)").check()
    near.define(
        """
        @fused.udf(engine="kernel")
        def drawn(bounds: fused.types.Bounds = None):
            return grid, bounds
        """
    )
    urls = [f"fused/run/tiles/drawn/3/{x}/{y}.png?kernel={near.id}" for x in range(4) for y in range(4)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(server.get, urls))

    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["Content-Type"] for answer in answers} == {"image/png"}


def test_values_of_a_killed_kernel_are_removed(server: JupyterServer) -> None:
    """By its host, before that ends too."""
    with server.running_kernel() as kernel:
        kernel.define("@fused.udf\ndef first(): return 1")
        kernel.execute("table = [1, 2]").check()
        kernel.define("@fused.udf\ndef uses(): return sum(table)", options="--use table")
        assert server.get(f"fused/run/file/uses.json?kernel={kernel.id}").json() == 3
        said = kernel.execute("from fused_jupyter.runtime import current; print(current().variables.directory)")
        directory = Path(said.check().text.strip())
        assert len(list(directory.iterdir())) == 2

        os.kill(kernel.pid(), signal.SIGKILL)

        eventually(lambda: not directory.exists())
