"""From the cell to the browser and back: run, edit, mistakes, busy cells, interrupts."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from real_jupyter import JupyterServer, Kernel, eventually


def test_a_cell_is_an_endpoint(server: JupyterServer, kernel: Kernel) -> None:
    """Run the cell, open the address that it shows."""
    shown = kernel.define("def answer(n: int = 42):\n    return n").values[0]
    url = kernel.execute("print(answer.file_url('json', n=7))").check().text.strip()

    assert "answer(n: int = 42)" in shown["text/plain"]
    assert server.get(url).json() == 7
    assert kernel.execute("answer(n=8)").check().values[0]["text/plain"] == "8"


def test_an_edited_cell_answers_at_once(server: JupyterServer, kernel: Kernel) -> None:
    """The next request runs the new code, in a worker that was there before."""
    kernel.define("def edited(n: int = 0):\n    import os\n    return ['old', os.getpid()]")
    assert server.get("fused/run/file/edited.json").json()[0] == "old"
    before = kernel.wait_for_status(lambda status: status["workers"]["busy"] == 0)["worker_pids"]

    kernel.define("def edited(n: int = 0):\n    import os\n    return ['new', os.getpid()]")
    version, pid = server.get("fused/run/file/edited.json").json()

    assert version == "new"
    assert pid in before
    assert set(before) <= set(kernel.status()["worker_pids"])


def test_an_edited_helper_counts_as_an_edit(server: JupyterServer, kernel: Kernel, tmp_path: Path) -> None:
    """The code beside the function and in header files is part of the version."""
    header = tmp_path / "helper_of_whole.py"
    cell = "import helper_of_whole\nSUFFIX = '!'\n@fused.udf\ndef helped():\n    return helper_of_whole.word() + SUFFIX"
    header.write_text("def word():\n    return 'old'\n")
    kernel.define(cell, options=f"--header {header}")
    assert server.get("fused/run/file/helped.json").json() == "old!"

    header.write_text("def word():\n    return 'new'\n")
    kernel.define(cell, options=f"--header {header}")

    assert server.get("fused/run/file/helped.json").json() == "new!"


@pytest.mark.parametrize(
    "mistake",
    [
        "def steady(:\n    return 2",
        "def steady():\n    return 2\ndef other():\n    return 3\n",
        "x = 2",
        "@fused.udf(name='not a name')\ndef steady():\n    return 2",
        "",
    ],
)
def test_a_mistake_in_the_cell_leaves_the_old_version(mistake: str, server: JupyterServer, kernel: Kernel) -> None:
    """The cell says what is wrong; the address goes on answering."""
    kernel.define("def steady():\n    return 1")

    result = kernel.execute(f"%%fused_udf\n{mistake}\n")

    assert result.error is not None or not mistake
    assert server.get("fused/run/file/steady.json").json() == 1


def test_an_error_of_the_udf_shows_its_line(server: JupyterServer, kernel: Kernel) -> None:
    """In the cell as over HTTP; nothing else is hurt."""
    kernel.define("def fails(n: int = 0):\n    values = []\n    return values[n]")

    error = kernel.execute("fails()").error

    assert error is not None
    assert error["ename"] == "UdfRuntimeError"
    assert "IndexError" in error["evalue"]
    assert any("return values[n]" in line for line in error["traceback"])
    assert server.get("fused/run/file/fails").json()["line"] == 4
    assert server.get("fused/run/file/echo").status == 200


BUSY_CELLS = {
    "sleeping": "import time; time.sleep(2.5)",
    "spinning": "import time; _end = time.time() + 2.5\nwhile time.time() < _end: pass",
    "holding the GIL": "sum(range(150_000_000))",
}


@pytest.mark.parametrize("what", BUSY_CELLS)
def test_tiles_answer_while_a_cell_is_busy(what: str, server: JupyterServer, kernel: Kernel, tmp_path: Path) -> None:
    """All of them come before the cell ends, whatever it does."""
    kernel.define("def live(x: int, y: int, z: int, salt: str = ''):\n    return [z, x, y]")
    marker = tmp_path / "started"
    cell = kernel.start(f"open({str(marker)!r}, 'w').close()\n{BUSY_CELLS[what]}\nimport time; print(time.time())")
    eventually(marker.exists)

    with ThreadPoolExecutor(4) as pool:
        addresses = [f"fused/run/tiles/live/3/{x}/{y}.json?salt={what[0]}" for x in range(4) for y in range(2)]
        answers = list(pool.map(server.get, addresses))
    answered = time.time()

    ended = float(kernel.result(cell).check().text)
    assert [answer.json() for answer in answers] == [[3, x, y] for x in range(4) for y in range(2)]
    assert answered < ended


def test_an_interrupt_stops_the_cell_and_no_tile(server: JupyterServer, kernel: Kernel, tmp_path: Path) -> None:
    """Ctrl-C is for the cell."""
    go = tmp_path / "go"
    kernel.define(
        f"""
        def waits(n: int = 0):
            import os, time
            while not os.path.exists({str(go)!r}):
                time.sleep(0.02)
            return "done"
        """
    )
    cell = kernel.start("import time; print('started', flush=True); time.sleep(60)")
    kernel.wait_for_text(cell, "started")

    with ThreadPoolExecutor() as pool:
        tiles = [pool.submit(server.get, f"fused/run/tiles/waits/0/0/0.json?n={n}") for n in range(2)]
        kernel.wait_for_status(lambda status: status["workers"]["busy"] == 2)
        kernel.interrupt()
        error = kernel.result(cell).error
        go.touch()
        answers = [tile.result().json() for tile in tiles]

    assert error is not None
    assert error["ename"] == "KeyboardInterrupt"
    assert answers == ["done", "done"]


def test_an_interrupt_stops_the_udf_that_the_cell_waits_for(kernel: Kernel) -> None:
    """Its worker is gone and another one takes over; the next cell runs."""
    kernel.define("def endless():\n    import os\n    print('pid', os.getpid(), 'end')\n    while True:\n        pass")
    before = kernel.status()["cancelled"]
    cell = kernel.start("fused.run(endless)")
    pid = int(kernel.wait_for_text(cell, "end").text.split()[1])
    assert pid in kernel.status()["worker_pids"]

    kernel.interrupt()

    error = kernel.result(cell).error
    assert error is not None
    assert error["ename"] == "KeyboardInterrupt"
    status = kernel.wait_for_status(lambda status: status["workers"]["busy"] == 0)
    assert status["cancelled"] == before + 1
    assert pid not in status["worker_pids"]
    assert kernel.execute("echo(n=5)").check().values[0]["text/plain"] == "{'n': 5}"


def test_prints_appear_in_the_cell_while_the_udf_runs(kernel: Kernel, tmp_path: Path) -> None:
    """Stdout and stderr, as they come; the order of each is kept."""
    go = tmp_path / "go"
    kernel.define(
        f"""
        def noisy():
            import os, sys, time
            print("one")
            print("warned", file=sys.stderr)
            while not os.path.exists({str(go)!r}):
                time.sleep(0.02)
            print("two")
            return 3
        """
    )
    cell = kernel.start("noisy()")

    early = kernel.wait_for_text(cell, "one")
    kernel.wait_for_text(cell, "warned")
    assert "two" not in early.text
    assert not early.has_ended
    go.touch()

    result = kernel.result(cell).check()
    assert result.text.index("one") < result.text.index("two")
    assert result.values[0]["text/plain"] == "3"


def test_an_old_object_keeps_its_code(server: JupyterServer, kernel: Kernel) -> None:
    """What a cell made stays what it was; the name means the newest."""
    kernel.define("def moving():\n    return 'old'")
    kernel.execute("kept = moving").check()
    kernel.define("def moving():\n    return 'new'")

    assert kernel.execute("kept(), moving(), fused.run('moving')").check().values[0]["text/plain"] == (
        "('old', 'new', 'new')"
    )
