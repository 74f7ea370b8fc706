from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# What is put back, the suite in `contract` asks of engines; this is what it cannot see.


def python(code: str, *, cwd: Path) -> str:
    """In a process of its own: signals and the event loop of this one are pytest's."""
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=cwd, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_call_that_changed_nothing_costs_microseconds(tmp_path: Path) -> None:
    """It comes after each of ten thousand calls."""
    code = """
import timeit
from fused_jupyter.engines.surroundings import Surroundings
print(min(timeit.repeat(Surroundings().restore, number=200, repeat=5)) / 200)
"""
    assert float(python(code, cwd=tmp_path)) < 200e-6


def test_directory_that_is_gone_is_no_error(tmp_path: Path) -> None:
    """At the beginning, as when a notebook's folder was removed under it; all else is put back."""
    code = """
import os, sys
os.mkdir("gone")
os.chdir("gone")
os.rmdir("../gone")
from fused_jupyter.engines.surroundings import Surroundings
surroundings = Surroundings()
sys.setrecursionlimit(5000)
surroundings.restore()
print(sys.getrecursionlimit())
"""
    assert python(code, cwd=tmp_path) == "1000\n"


def test_limit_that_cannot_be_raised_again_is_no_error(tmp_path: Path) -> None:
    """As high as it may be."""
    code = """
import os, resource
from fused_jupyter.engines.surroundings import Surroundings
surroundings = Surroundings()
soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
surroundings.restore()
assert resource.getrlimit(resource.RLIMIT_CORE) == (soft, hard)
surroundings.restore()
print("well")
"""
    assert python(code, cwd=tmp_path) == "well\n"
