"""`fused.run` and `fused.run_async` in the cells of a real kernel: loops, output, and the stop button."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from processes import still_running
from real_jupyter import JupyterServer, Kernel, eventually


@pytest.fixture(scope="module")
def notebook(server: JupyterServer) -> Iterator[Kernel]:
    """A kernel with two workers, and a UDF that waits for a file if it is told to."""
    with server.running_kernel() as kernel:
        kernel.execute("import os; os.environ['FUSED_WORKERS'] = '2'").check()
        kernel.define(
            """
            @fused.udf
            def patient(n: int = 0, gate: str = "", trace: str = ""):
                import os, time
                from pathlib import Path
                if trace:
                    (Path(trace) / str(os.getpid())).touch()
                print("patient", n)
                while gate and not os.path.exists(gate):
                    time.sleep(0.005)
                return n
            """
        )
        kernel.execute("import asyncio, sys\nimport fused_jupyter as fused\npatient()").check()
        yield kernel


def test_cells_await_many_runs_at_once(notebook: Kernel) -> None:
    """In the loop that the notebook has, with no patch to asyncio; what is printed appears in the cell."""
    cell = """
    values = await asyncio.gather(*(fused.run_async(patient, n=n) for n in range(50)))
    more = await fused.run(patient, n=50, sync=False)
    print(sum(values) + more, [name for name in sys.modules if "nest_asyncio" in name])
    """
    result = notebook.execute(cell).check()

    *printed, total = sorted(result.text.splitlines())[::-1]
    assert total == "1275 []"
    assert sorted(printed) == sorted(f"patient {n}" for n in range(51))


def test_task_goes_on_beside_other_cells(notebook: Kernel, tmp_path: Path) -> None:
    """A cell starts it, another one runs meanwhile, a third one has the answer."""
    gate = tmp_path / "gate"
    notebook.execute(f"task = asyncio.create_task(fused.run_async(patient, n=7, gate={str(gate)!r}))").check()
    notebook.wait_for_status(lambda status: status["workers"]["busy"] == 1)

    assert notebook.execute("print(task.done(), patient(n=3))").check().text.splitlines()[-1] == "False 3"
    gate.touch()

    assert notebook.execute("print(await task)").check().text.splitlines()[-1] == "7"


CALLS = {
    "run": "patient(n=1, gate={gate!r}, trace={trace!r})",
    "run by way of the host": "fused.run(patient, n=1, gate={gate!r}, trace={trace!r}, cache_max_age='1h')",
    "run_async": "await fused.run_async(patient, n=1, gate={gate!r}, trace={trace!r})",
    "many": "await asyncio.gather(*(fused.run_async(patient, n=n, gate={gate!r}, trace={trace!r}) for n in range(9)))",
}


@pytest.mark.parametrize("call", CALLS)
def test_stop_button_ends_what_runs(call: str, notebook: Kernel, tmp_path: Path) -> None:
    """The worker is gone with the cell, and the next cell finds everything in order."""
    cell = notebook.start(CALLS[call].format(gate=str(tmp_path / "gate"), trace=str(tmp_path)))
    eventually(lambda: any(tmp_path.iterdir()))
    notebook.wait_for_status(lambda status: status["workers"]["busy"] == (2 if call == "many" else 1))
    workers = [psutil.Process(int(path.name)) for path in tmp_path.iterdir()]

    notebook.interrupt()

    error = notebook.result(cell, timeout=10).error
    assert error is not None
    assert error["ename"] in {"KeyboardInterrupt", "CancelledError"}
    assert not still_running(workers)
    assert notebook.execute("print(patient(n=5))").check().text.splitlines()[-1] == "5"
    status = notebook.wait_for_status(lambda status: status["workers"]["waiting"] == 0)
    assert {psutil.Process(pid).is_running() for pid in status["worker_pids"]} == {True}


@pytest.mark.parametrize("call", CALLS)
def test_stop_button_ends_what_waits(call: str, notebook: Kernel, server: JupyterServer, tmp_path: Path) -> None:
    """It leaves the queue and never runs; those that it waited for are not harmed."""
    gate, trace = tmp_path / "gate", tmp_path / "trace"
    trace.mkdir()
    path = f"fused/run/file/patient.json?kernel={notebook.id}&gate={gate}&trace={tmp_path}"
    with ThreadPoolExecutor() as pool:
        holders = [pool.submit(server.get, f"{path}&n={n}") for n in (100, 101)]
        try:
            notebook.wait_for_status(lambda status: status["workers"]["busy"] == 2)
            cell = notebook.start(CALLS[call].format(gate=str(gate), trace=str(trace)))
            notebook.wait_for_status(lambda status: status["workers"]["waiting"] >= 1)

            notebook.interrupt()

            error = notebook.result(cell, timeout=10).error
            assert error is not None
            assert error["ename"] in {"KeyboardInterrupt", "CancelledError"}
            notebook.wait_for_status(lambda status: status["workers"]["waiting"] == 0)
        finally:
            gate.touch()
        assert [holder.result().json() for holder in holders] == [100, 101]
    assert notebook.execute("print(patient(n=6))").check().text.splitlines()[-1] == "6"
    assert not [*trace.iterdir()]
