"""Whether processes have ended, for the tests."""

from __future__ import annotations

from collections.abc import Iterable

import psutil


def still_running(processes: Iterable[psutil.Process], *, seconds: float = 2.0) -> list[psutil.Process]:
    """Those that run on after so many seconds; not those that have ended and wait for init to take note."""
    _, left = psutil.wait_procs(list(processes), timeout=seconds)
    return [process for process in left if _runs(process)]


def command_of(process: psutil.Process) -> str:
    """Its command line; empty where it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # or a zombie
        return ""


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
