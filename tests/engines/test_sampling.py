from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from fused_jupyter.engines.sampling import LineSampler
from fused_jupyter.udfs import Choices, HeaderModule, parse

if TYPE_CHECKING:
    from conftest import Workshop

SOURCE = """\
import time

def helper(n):
    total = 0
    for i in range(n):
        total += i
    return total

@fused.udf
def f(seconds: float):
    first = 1
    time.sleep(seconds)
    second = sum(range(3_000_000))
    third = helper(1_500_000)
    return first + second + third
"""
SLEEP, SUM, CALL, LOOP = 12, 13, 14, (5, 6)


def lines(workshop: Workshop, source: Any, **fields: Any) -> dict[str, dict[int, tuple[float, int]]]:
    reply, _ = workshop.wait(workshop.send(source, profile=True, **fields))
    assert reply.profile is not None
    return {module: {int(line): tuple(each) for line, each in found.items()} for module, found in reply.profile.items()}


def test_lines_that_take_time_have_it(workshop: Workshop) -> None:
    """Waiting, C code and Python code; a line that calls has the time of what it calls."""
    started = time.perf_counter()
    found = {line: seconds for line, (seconds, _) in lines(workshop, SOURCE, parameters={"seconds": 0.3})[""].items()}
    taken = time.perf_counter() - started

    loop = sum(found.get(line, 0) for line in LOOP)
    assert max(found, key=found.get) == SLEEP  # type: ignore[arg-type]
    assert found[SLEEP] == pytest.approx(0.3, rel=0.2)
    assert found[CALL] == pytest.approx(loop, rel=0.2)
    assert sum(found[line] for line in (SLEEP, SUM, CALL)) == pytest.approx(sum(found.values()) - loop, rel=0.1)
    assert sum(found.values()) - loop <= taken
    assert 11 not in found
    assert 15 not in found


def test_header_modules_and_threads_are_seen(workshop: Workshop) -> None:
    """Under the module's name; top-level code too."""
    header = HeaderModule(module_name="utils", source="import time\ndef wait():\n    time.sleep(0.15)\n")
    source = """\
import threading, time, utils
time.sleep(0.1)
def f():
    thread = threading.Thread(target=utils.wait)
    thread.start()
    thread.join()
"""
    found = lines(workshop, parse(source, Choices(headers=(header,))))

    assert found["utils"][3][0] == pytest.approx(0.15, rel=0.3)
    assert found[""][6][0] == pytest.approx(0.15, rel=0.3)
    assert found[""][2][0] == pytest.approx(0.1, rel=0.3)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
def test_memory_is_by_line_too(workshop: Workshop) -> None:
    """Where it grows, and where it is given back."""
    source = """\
import time
def f():
    held = bytearray(b"x") * 200_000_000
    time.sleep(0.05)
    del held
    time.sleep(0.05)
"""
    growth = {line: grown for line, (_, grown) in lines(workshop, source)[""].items()}

    assert sum(growth.values()) < 50_000_000
    assert growth.get(3, 0) + growth.get(4, 0) == pytest.approx(200_000_000, rel=0.1)


def test_code_that_keeps_other_threads_out_pays_for_it_itself(workshop: Workshop) -> None:
    """Operators let nobody in, and `sleep` does: without places between them it would have all the time."""
    source = """\
import time
def f(n: int):
    some = [1] * n
    more = some + some + some
    time.sleep(0.05)
    return some + more + more
"""
    reply, _ = workshop.wait(workshop.send(source, profile=True, parameters={"n": "10000000"}))
    found = {int(line): seconds for line, (seconds, _) in reply.profile[""].items()}

    assert found[5] == pytest.approx(0.05, rel=0.4)
    assert found[6] > found[4] > found[3] > 0.01
    assert sum(found.values()) == pytest.approx(reply.seconds, rel=0.1)


def test_lines_of_one_loop_are_told_apart(workshop: Workshop) -> None:
    """By what each costs, not by where Python jumps back."""
    source = """\
def f(n: int):
    some, total = list(range(100)), 0
    for i in range(n):
        total += i
        total += len(some + some + some + some)
        total += 1
    return total
"""
    found = {line: seconds for line, (seconds, _) in lines(workshop, source, parameters={"n": "150000"})[""].items()}

    assert found[5] > 3 * max(found.get(4, 0), found.get(6, 0))


def test_other_runs_are_not_watched(workshop: Workshop) -> None:
    """No thread, no other switching of threads, nothing in the answer."""
    source = "import sys, threading\ndef f(): return threading.active_count(), sys.getswitchinterval()"
    watched = workshop.wait(workshop.ask(source, profile=True))
    reply, _ = workshop.wait(workshop.send(source))

    assert watched[0] == 2
    assert workshop.run(source) == (1, sys.getswitchinterval())
    assert reply.profile is None


def test_error_ends_the_watch() -> None:
    """The thread is gone when the `with` is."""
    sampler = LineSampler("<udf f>")
    with pytest.raises(KeyError), sampler:
        raise KeyError

    assert not sampler._thread.is_alive()
    assert sampler.modules == {}
