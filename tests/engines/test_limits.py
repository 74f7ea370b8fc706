from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from fused_jupyter.engines import LocalEngine, limits
from fused_jupyter.engines.limits import CallLimit, MemoryWatch, ProcessMemory, descendants
from fused_jupyter.errors import UdfMemoryError

if TYPE_CHECKING:
    from conftest import Workshop

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the system does not tell")

MB = 1_000_000
PID = "def pid():\n    import os\n    return os.getpid()"

HOARD = """
    import time
    def hoard(size: int, pieces: int = 10, seconds: float = 3.0):
        held = []
        for _ in range(pieces):
            held.append(b"x" * (size // pieces))
            time.sleep(seconds / pieces)
        return len(held)
"""
"""Takes memory bit by bit, as a loop over files does."""

CHILD = "import time; held = b'x' * {size}; time.sleep(3)"


@pytest.fixture(scope="module")
def narrow(workshop: Workshop) -> Iterator[Workshop]:
    """The same workshop whose calls may have 200 MB."""
    before, workshop.options = workshop.options, replace(workshop.options, memory_limit=200 * MB)
    whole, workshop.engine = workshop.engine, LocalEngine(workshop.options)
    yield workshop
    workshop.wait(workshop.engine.close())
    workshop.engine, workshop.options = whole, before


def stopped(workshop: Workshop, source: str, **parameters: Any) -> UdfMemoryError:
    with pytest.raises(UdfMemoryError) as caught:
        workshop.run(source, parameters=parameters)
    return caught.value


def test_udf_that_takes_too_much_is_stopped_in_time(narrow: Workshop) -> None:
    """Long before it has all that it wants; it is told how much it had, how much it may have, and in which line."""
    started = time.monotonic()

    error = stopped(narrow, HOARD, size=1000 * MB)

    assert time.monotonic() - started < 3.0
    assert "a call may take 200 MB (FUSED_MEMORY_LIMIT)" in error.message
    assert "read less at once" in error.message
    assert 200 * MB < error.peak_memory < 600 * MB
    assert (error.udf, error.child_exception_class, error.status) == ("hoard", "MemoryError", 422)
    assert error.line in {6, 7}
    assert 'File "<udf hoard>"' in (error.traceback or "")


def test_too_much_memory_costs_only_its_own_call(narrow: Workshop) -> None:
    """Two innocents run on beside it, each in its own process, and the next one finds a worker."""

    async def main() -> list[Any]:
        hoard = narrow.ask(HOARD, parameters={"size": 1000 * MB})
        sleep = "import time\ndef f(n: int):\n    time.sleep(1)\n    return n"
        innocents = [narrow.ask(sleep, parameters={"n": n}) for n in range(2)]
        return [*await asyncio.gather(hoard, *innocents, return_exceptions=True), await narrow.ask(PID)]

    error, *innocents, pid = narrow.wait(main())

    assert isinstance(error, UdfMemoryError)
    assert innocents == [0, 1]
    assert pid in narrow.engine.pids


def test_memory_of_what_a_udf_starts_is_the_udfs(narrow: Workshop) -> None:
    """Also where the child has a session of its own; it is gone afterwards."""
    source = f"""
        import subprocess, sys
        def f():
            child = subprocess.Popen([sys.executable, "-c", {CHILD.format(size=400 * MB)!r}], start_new_session=True)
            print(child.pid)
            child.wait()
            return child.returncode
    """
    pids: list[int] = []
    with pytest.raises(UdfMemoryError) as caught:
        narrow.wait(narrow.send(source, on_text=lambda _, text: pids.append(int(text))))
    narrow.wait(asyncio.sleep(0.2))

    assert len(pids) == 1
    assert not psutil.pid_exists(pids[0]) or psutil.Process(pids[0]).status() == psutil.STATUS_ZOMBIE
    assert caught.value.peak_memory > 200 * MB


def test_what_is_shared_is_not_counted_twice(narrow: Workshop) -> None:
    """Forked children seem to have all that their parent has."""
    source = """
        import os, time
        def f():
            held = b"x" * 120_000_000
            children = []
            for _ in range(4):
                child = os.fork()
                if child == 0:
                    time.sleep(1.2)
                    os._exit(0)
                children.append(child)
            return [os.waitpid(child, 0)[1] for child in children]
    """

    assert narrow.run(source) == [0] * 4


def test_mapped_files_are_not_counted(narrow: Workshop, tmp_path: Any) -> None:
    """The system takes their pages back when it needs them."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(600 * MB)
    source = """
        import mmap, time
        def f(path: str):
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                total = sum(mapped[at] for at in range(0, len(mapped), 4096))
                time.sleep(0.8)
            return total
    """

    assert narrow.run(source, parameters={"path": str(path)}) == 0


def test_reserved_address_space_is_not_counted(narrow: Workshop) -> None:
    """Libraries reserve a gigabyte and use some of it."""
    source = """
        import mmap, time
        def f():
            with mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as reserved:
                reserved[0] = 1
                time.sleep(0.6)
                return len(reserved)
    """

    assert narrow.run(source) == 1 << 30


def test_one_gulp_is_a_memory_error_at_its_line(narrow: Workshop) -> None:
    """Before the memory is there, so the worker lives on, and the UDF could have caught it."""
    pid = narrow.run(PID)

    error = stopped(narrow, "def f():\n    a = 1\n    return len(bytearray(20_000_000_000))")
    caught = narrow.run(
        "def g():\n    try:\n        bytearray(20_000_000_000)\n    except MemoryError:\n        return 7"
    )

    assert (error.line, error.child_exception_class) == (3, "MemoryError")
    assert "one call may take 200 MB (FUSED_MEMORY_LIMIT)" in error.message
    assert caught == 7
    assert pid in narrow.engine.pids


def test_each_call_has_the_whole_limit(narrow: Workshop) -> None:
    """What an earlier one left in the process is not counted against it."""
    keep = "import builtins\ndef keep():\n    builtins.kept = b'x' * 150_000_000"
    take = (
        "import builtins, time\ndef take():\n    held = b'x' * 150_000_000\n    time.sleep(0.8)\n    return len(held)"
    )
    narrow.run(keep)

    assert narrow.run(take) == 150_000_000
    narrow.run("import builtins\ndef forget(): vars(builtins).pop('kept', None)")


def test_call_may_have_what_it_may(narrow: Workshop) -> None:
    """Up to the limit nobody stops it."""
    assert narrow.run(HOARD, parameters={"size": 150 * MB, "seconds": 0.8}) == 10


def test_all_calls_together_leave_the_machine_alive(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has most is stopped; the other has its answer."""
    monkeypatch.setattr(limits, "allowed_memory", lambda: 400 * MB)
    engine = LocalEngine(replace(workshop.options, memory_limit=300 * MB))
    whole, workshop.engine = workshop.engine, engine

    async def main() -> list[Any]:
        sizes = [280 * MB, 120 * MB]
        asked = [workshop.ask(HOARD, parameters={"size": size, "pieces": 1, "seconds": 1.5}) for size in sizes]
        results = await asyncio.gather(*asked, return_exceptions=True)
        await engine.close()
        return results

    try:
        error, other = workshop.wait(main())
    finally:
        workshop.engine = whole

    assert isinstance(error, UdfMemoryError)
    assert "together, all may take 320 MB" in error.message
    assert "FUSED_WORKERS" in error.message
    assert other == 1


def test_no_limit_is_a_choice(workshop: Workshop) -> None:
    """A UDF gets what the machine has."""
    engine = LocalEngine(replace(workshop.options, memory_limit=0))
    whole, workshop.engine = workshop.engine, engine
    try:
        unlimited = workshop.run("import resource\ndef f(): return resource.getrlimit(resource.RLIMIT_DATA)")
        taken = workshop.run(HOARD, parameters={"size": 300 * MB, "seconds": 0.6})
    finally:
        workshop.wait(engine.close())
        workshop.engine = whole

    import resource

    assert unlimited == resource.getrlimit(resource.RLIMIT_DATA)
    assert taken == 10


def test_result_that_does_not_fit_is_told_as_well(narrow: Workshop) -> None:
    """Its pickle is made beyond the UDF's own lines."""
    source = """
        class Large:
            def __reduce__(self):
                raise MemoryError
        def f(): return Large()
    """
    with pytest.raises(UdfMemoryError, match=r"the result did not fit .*200 MB \(FUSED_MEMORY_LIMIT\)"):
        narrow.run(source)


# -- the parts


def test_family_is_found_with_its_memory() -> None:
    """Children and theirs, as psutil sees them; not the process itself."""
    grandchild = "import time; held = b'x' * 50_000_000; time.sleep(60)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    with subprocess.Popen([sys.executable, "-c", child], start_new_session=True) as process:
        try:
            deadline = time.monotonic() + 20
            while sum((found := descendants([process.pid])[process.pid]).values()) < 50 * MB:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            family = psutil.Process(process.pid).children(recursive=True)
        finally:
            for each in psutil.Process(process.pid).children(recursive=True):
                each.kill()
            process.kill()

    assert set(found) == {each.pid for each in family}
    assert process.pid not in found


def test_memory_of_a_process_is_what_the_system_says() -> None:
    """And 0 of one that has ended, instead of another's."""
    with subprocess.Popen(
        [sys.executable, "-c", "held = b'x' * 80_000_000; input()"], stdin=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 20
        memory = ProcessMemory(process.pid)
        while memory.resident < 80 * MB:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        seen, told = memory.resident, psutil.Process(process.pid).memory_info().rss
        process.kill()

    assert seen == pytest.approx(told, rel=0.02)
    assert memory.resident == 0
    memory.close()
    assert memory.resident == 0


def test_watch_looks_only_while_something_runs() -> None:
    """An idle host does nothing."""

    async def main() -> list[bool]:
        looks: list[float] = []
        busy: set[Any] = {
            type("Idle", (), {"pid": os.getpid(), "memory": ProcessMemory(os.getpid()), "excess": None})()
        }
        watch = MemoryWatch(busy, limit=100_000 * MB, on_look=lambda: looks.append(time.monotonic()))
        watch.wake()
        await asyncio.sleep(0.7)
        while_busy = len(looks)
        busy.clear()
        await asyncio.sleep(0.7)
        after = len(looks)
        watch.close()
        return [2 <= while_busy <= 4, after <= while_busy]

    assert asyncio.run(main()) == [True, True]


def test_limit_of_the_system_counts_from_what_is_there() -> None:
    """In a process of its own, as it stays."""
    code = """
import resource
from fused_jupyter.engines.limits import CallLimit, RESERVE
held = bytearray(300_000_000)
CallLimit(100_000_000).renew()
soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
print(400_000_000 + RESERVE < soft < 700_000_000 + RESERVE, hard == resource.RLIM_INFINITY)
try:
    bytearray(RESERVE + 150_000_000)
except MemoryError:
    print("refused")
bytearray(60_000_000)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", "True", "refused"]


def test_limit_of_the_user_is_kept() -> None:
    """`ulimit -d` of the shell is not loosened."""
    code = """
import resource
resource.setrlimit(resource.RLIMIT_DATA, (1_500_000_000, resource.RLIM_INFINITY))
from fused_jupyter.engines.limits import CallLimit
CallLimit(10**12).renew()
print(resource.getrlimit(resource.RLIMIT_DATA)[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["1500000000"]


def test_no_limit_changes_nothing() -> None:
    """0 leaves the process as it is."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    CallLimit(0).renew()

    assert resource.getrlimit(resource.RLIMIT_DATA) == before
