"""`--use` and the kernel engine, in a real shell with a real host and workers."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import fused_jupyter
from fused_jupyter.errors import UdfDefinitionError, UdfRuntimeError
from fused_jupyter.runtime import KernelRuntime, current


def _runtime() -> KernelRuntime:
    runtime = current()
    assert isinstance(runtime, KernelRuntime)
    return runtime


# -- variables that travel


def test_variables_go_to_the_workers_as_they_are(notebook: Any) -> None:
    """Until the cell runs again; what a call does to them stays in the call."""
    notebook.run("import numpy as np\nweights = np.arange(5.0)\nnames = ['a']")
    body = "names.append('b')\n    weights[0] += 1\n    return weights.sum(), names"
    cell = f"%%fused_udf risk --use weights,names\ndef f():\n    {body}"

    first = notebook.run(cell)
    before = notebook.run("[risk() for _ in range(3)]")
    notebook.run("weights[4] = 100")
    unchanged = notebook.run("risk()")
    second = notebook.run(cell)

    assert before == [(11.0, ["a", "b"])] * 3
    assert unchanged == before[0]
    assert notebook.run("risk()") == (107.0, ["a", "b"])
    assert notebook.run("names") == ["a"]
    assert first.digest != second.digest
    assert first() == (11.0, ["a", "b"])  # the old object keeps giving what it gave


def test_class_of_the_notebook_travels(notebook: Any) -> None:
    """With the functions and constants that it uses."""
    notebook.run(
        "RATE = 3\ndef rate(n): return n * RATE\n"
        "class Model:\n    def predict(self, n): return rate(n)\nmodel = Model()"
    )

    notebook.run("%%fused_udf --use model\ndef f(n: int): return model.predict(n)")

    assert notebook.run("f(n=5)") == 15


def test_result_of_one_value_does_not_answer_for_another(notebook: Any) -> None:
    """Though the code is the same."""
    cell = "%%fused_udf kept --use n --cache-max-age 1h\ndef f(): return n"
    values = []
    for n in (1, 2, 1):
        notebook.run(f"n = {n}")
        notebook.run(cell)
        values.append(notebook.run("kept()"))

    assert values == [1, 2, 1]


def test_decorator_may_use_variables_too(notebook: Any) -> None:
    """In a cell of its own kind, and in any other."""
    notebook.run("table = [1, 2, 3]\nother = 4")

    notebook.run("%%fused_udf --use other\n@fused.udf(use=('table',))\ndef f(): return sum(table) + other")
    notebook.run("@fused.udf(use='table')\ndef g(): return len(table)")

    assert notebook.run("f(), g()") == (10, 3)


MISTAKES = [
    ("--use tabel", "the notebook has no variable 'tabel'; did you mean table?"),
    ("--use nowhere", "the notebook has no variable 'nowhere'; run the cell that makes it first"),
    ("--use lock", "'lock' is a _thread.lock, which cannot travel to a worker"),
    ("--use n", "f has a parameter 'n', which hides the variable"),
]


@pytest.mark.parametrize(("option", "says"), MISTAKES)
def test_variable_that_cannot_be_used_leaves_all_as_it_was(notebook: Any, option: str, says: str) -> None:
    """It says what is wrong with which."""
    notebook.run("import threading\ntable, n, lock = [1], 1, threading.Lock()")

    with pytest.raises(UdfDefinitionError, match=says):
        notebook.run(f"%%fused_udf {option}\ndef f(n: int = 1): return 1")

    assert current().registry.all() == ()  # type: ignore[union-attr]


def test_error_without_use_says_what_to_do(notebook: Any) -> None:
    """The most usual mistake."""
    notebook.run("model = 5")
    notebook.run("%%fused_udf\ndef f(): return model")

    with pytest.raises(UdfRuntimeError) as caught:
        notebook.run("f()")

    assert str(caught.value) == (
        "NameError: 'model' exists in the notebook but not in the UDF. Bring it in with --use model, load it inside, "
        'or set engine="kernel"'
    )


def test_saving_says_that_data_stays(notebook: Any, tmp_path: Path) -> None:
    """The code is written all the same."""
    notebook.run("table = [1]")
    udf = notebook.run("%%fused_udf saved --use table\ndef f(): return table")

    with pytest.warns(UserWarning, match=r"saved uses variables of the notebook \(table\), and only its code is saved"):
        udf.to_directory(tmp_path / "saved")
    with pytest.warns(UserWarning, match="only its code is saved"):
        udf.to_file(tmp_path / "saved.zip")

    loaded = fused_jupyter.load(tmp_path / "saved")
    assert loaded.definition.uses == {}


def test_card_shows_what_it_has_of_the_notebook(notebook: Any) -> None:
    """Shortly."""
    notebook.run("table = [1]")

    used = notebook.run("%%fused_udf --use table\ndef f(): return table")._repr_html_()
    near = notebook.run("%%fused_udf --engine kernel\ndef f(): return table")._repr_html_()
    plain = notebook.run("%%fused_udf\ndef f(): return 1")._repr_html_()

    assert "uses table as of now: run the cell again when they change" in used
    assert "runs in the kernel and sees its variables" in near
    assert "kernel and sees" not in used + plain


def test_values_go_with_the_runtime(notebook: Any) -> None:
    """Nothing is left on the disk."""
    notebook.run("table = [1]")
    notebook.run("%%fused_udf --use table\ndef f(): return table")
    directory = Path(_runtime().variables.directory)
    assert len(list(directory.iterdir())) > 1

    notebook.run("%reload_ext fused_jupyter")

    assert not directory.exists()


# -- UDFs in the kernel


def test_kernel_engine_sees_the_notebook(notebook: Any) -> None:
    """By the magic, by the decorator, and for one call; the other engines of Fused are workers."""
    notebook.run("import os\nhere, table = os.getpid(), [1]")
    notebook.run("%%fused_udf --engine kernel\ndef near():\n    table.append(2)\n    return os.getpid(), len(table)")
    notebook.run("@fused.udf(engine='kernel')\ndef decorated(): return os.getpid()")
    notebook.run("%%fused_udf\ndef far():\n    import os\n    return os.getpid()")
    notebook.run(
        "%%fused_udf --engine local\n"
        "@fused.udf(engine='kernel')\ndef overruled():\n    import os\n    return os.getpid()"
    )
    here = os.getpid()

    assert notebook.run("near(), near()") == ((here, 2), (here, 3))
    assert (
        notebook.run("decorated(), fused.run(far, engine='kernel'), fused.run('far', engine='kernel')") == (here,) * 3
    )
    assert here not in notebook.run(
        "[far(), overruled(), fused.run(far, engine='local'), fused.run(far, engine='remote')]"
    )
    assert notebook.run("fused.run(decorated, engine='kernel')") == here
    with pytest.raises(UdfRuntimeError, match="'os' exists in the notebook but not in the UDF"):
        notebook.run("fused.run(decorated, engine='realtime')")


def test_kernel_call_tells_all_that_a_run_tells(notebook: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Output as it comes and in the result, the error with its line, the time of each line."""
    notebook.run("import time")
    notebook.run(
        "%%fused_udf --engine kernel\ndef near(n: int):\n    print('near', n)\n    time.sleep(0.05)\n    return 1 / n"
    )

    result = notebook.run("fused.run_result(near, n=1)")
    failed = notebook.run("fused.run_result(near, n=0, verbose=False)")
    profile = notebook.run("near.profile(n=2)")

    assert (result.data, result.stdout, result.error) == (1.0, "near 1\n", None)
    assert result.seconds >= 0.05
    assert (failed.stdout, failed.error.line) == ("near 0\n", 5)
    assert profile.data == 0.5
    assert max(profile.lines, key=profile.lines.get) == 4
    assert capsys.readouterr().out.count("near 1\n") == 1


def test_ctrl_c_reaches_the_udf(notebook: Any) -> None:
    """As in any cell."""
    notebook.run("import time")
    notebook.run("%%fused_udf --engine kernel\ndef near():\n    while True: time.sleep(0.01)")
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()

    with pytest.raises(KeyboardInterrupt):
        notebook["near"]()

    assert notebook.run("%%fused_udf --engine kernel --run\ndef fine(): return 1") == 1


def test_many_may_be_awaited_and_the_loop_goes_on(notebook: Any) -> None:
    """They run one after the other in a thread."""
    notebook.run("import threading, time")
    udf = notebook.run(
        "%%fused_udf --engine kernel\n"
        "def near(n: int):\n    time.sleep(0.05)\n    return n, threading.current_thread().name"
    )

    async def main() -> tuple[list[Any], int]:
        turns = 0
        task = asyncio.gather(*(fused_jupyter.run_async(udf, n=n) for n in range(4)))
        while not task.done():
            turns += 1
            await asyncio.sleep(0.005)
        return await task, turns

    values, turns = asyncio.run(main())

    assert values == [(n, "fused-kernel-engine") for n in range(4)]
    assert turns > 10


def test_result_in_the_kernel_is_kept_where_an_age_is_said(notebook: Any) -> None:
    """By the call, or by the UDF; objects travel then as from a worker."""
    notebook.run("seen = []")
    notebook.run("%%fused_udf --engine kernel\ndef near(n: int = 1):\n    seen.append(n)\n    return len(seen)")

    assert notebook.run("near(), near()") == (1, 2)
    assert notebook.run("[fused.run(near, n=5, cache_max_age='1h') for _ in range(3)]") == [3, 3, 3]
    assert asyncio.run(fused_jupyter.run_async(notebook["near"], n=5, cache_max_age="1h")) == 3
    assert notebook.run("fused.run_result(near, n=5, cache_max_age='1h').cached") is True


def test_udf_in_the_kernel_may_run_others_in_workers(notebook: Any) -> None:
    """And itself be called by one that runs in the kernel."""
    notebook.run("%%fused_udf\ndef far(n: int):\n    import os\n    return n, os.getpid()")
    notebook.run("%%fused_udf --engine kernel\ndef inner(n: int): return far(n=n)")
    notebook.run("%%fused_udf --engine kernel\ndef outer(n: int): return inner(n=n + 1)")

    value, pid = notebook.run("outer(n=1)")

    assert value == 2
    assert pid != os.getpid()


def test_kernel_engine_costs_little(notebook: Any) -> None:
    """A call is no process away."""
    udf = notebook.run("%%fused_udf --engine kernel\ndef near(): return 1")
    udf()
    started = time.perf_counter()
    for _ in range(100):
        udf()

    assert (time.perf_counter() - started) / 100 < 0.01
