from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from processes import still_running

OWNER = """
import asyncio, sys
from fused_jupyter.engines import LocalEngine
from fused_jupyter.settings import Options
from fused_jupyter.udfs import parse
from fused_jupyter.wire import Run

SPIN = "def spin():\\n    while True: pass"
CHILD = "import subprocess\\ndef child(): subprocess.run(['sleep', '300'])"

async def main():
    engine = LocalEngine(Options(workers=2, preload=("fused_jupyter.engines.worker",)))
    engine.start()
    for n, source in enumerate((SPIN, CHILD)):
        udf = parse(source)
        asyncio.create_task(engine.run(udf, Run(id=n, digest=udf.digest, parameters={})))
    while engine.load["busy"] < 2 or not engine.load["idle"]:
        await asyncio.sleep(0.02)
    print("ready", flush=True)
    await asyncio.sleep(300)

asyncio.run(main())
"""


LOADING = """
import asyncio
from fused_jupyter.engines import LocalEngine
from fused_jupyter.settings import Options

async def main():
    LocalEngine(Options(preload=("takes_its_time",))).start()
    print("ready", flush=True)
    await asyncio.sleep(300)

asyncio.run(main())
"""


@contextlib.contextmanager
def owner(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with an engine, once it says that it is ready."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("victim", ["owner", "template"])
def test_killed_owner_leaves_no_process(victim: str) -> None:
    """Within 2 s: no template, no idle worker, none that spins, no child of a UDF."""
    with owner(OWNER) as process:
        family = wait_for(process.pid, lambda family: any(one.name() == "sleep" for one in family))
        if victim == "template":
            next(one for one in family if one.ppid() == process.pid).kill()
            time.sleep(0.3)

    assert not still_running(family)


def test_owner_killed_while_the_template_loads_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The template has no loop yet in which it would notice."""
    (tmp_path / "takes_its_time.py").write_text("import time; time.sleep(300)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with owner(LOADING) as process:
        family = wait_for(process.pid, lambda family: len(family) == 1)
        time.sleep(1.0)

    assert not still_running(family)


def wait_for(pid: int, is_complete: Callable[[list[psutil.Process]], bool]) -> list[psutil.Process]:
    """All descendants of a process."""
    deadline = time.monotonic() + 10
    while not is_complete(family := psutil.Process(pid).children(recursive=True)):
        assert time.monotonic() < deadline, family
        time.sleep(0.05)
    return family
