from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from fused_jupyter.settings import Options
from fused_jupyter.settings._machine import allowed_memory

V1 = "9:name=systemd:/\n8:pids:/\n4:memory:/job/step\n0::/\n"
V2 = "0::/user.slice/jupyter.scope\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A directory with the files of the system; none is there yet."""
    return tmp_path


def allowed(machine: Path, membership: str, **limits: str) -> int:
    """With control groups as given: `a__b` is the group /a/b, the value what its file says."""
    (machine / "membership").write_text(membership)
    name = "memory.limit_in_bytes" if membership is V1 else "memory.max"
    root = machine / "memory" if membership is V1 else machine
    for group, text in limits.items():
        path = root.joinpath(*group.strip("_").split("__"))
        path.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return allowed_memory(machine, machine / "membership")


def test_without_control_groups_the_machine_is_the_limit(machine: Path) -> None:
    """psutil reads it elsewhere."""
    assert allowed_memory(machine, machine / "nothing") == psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("membership", "limits", "wanted"),
    [
        (V1, {"job__step": "5000\n", "job": "9223372036854771712\n"}, 5000),
        (V1, {"job__step": "9223372036854771712\n", "job": "4000\n"}, 4000),
        (V1, {"_": "3000\n"}, 3000),
        (V2, {"user.slice__jupyter.scope": "7000\n", "user.slice": "max\n"}, 7000),
        (V2, {"user.slice__jupyter.scope": "max\n", "user.slice": "6000\n"}, 6000),
        (V2, {"_": "2000\n"}, 2000),
    ],
)
def test_tightest_control_group_is_the_limit(
    machine: Path, membership: str, limits: dict[str, str], wanted: int
) -> None:
    """Of both versions; its own, one above it, or the root that a container sees."""
    assert allowed(machine, membership, **limits) == wanted


def test_groups_of_other_kinds_are_passed_over(machine: Path) -> None:
    """A limit of processes is none of memory; garbage is none at all."""
    (machine / "pids").mkdir()
    (machine / "pids" / "memory.limit_in_bytes").write_text("7")

    assert allowed(machine, V1, job__step="many\n") == psutil.virtual_memory().total


def test_call_may_take_most_of_the_machine_by_default() -> None:
    """The rest is for the notebook and the system."""
    assert Options().memory_limit == allowed_memory() * 4 // 5
