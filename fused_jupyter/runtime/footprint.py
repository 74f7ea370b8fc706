"""How much memory the host and everything below it takes."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from fused_jupyter.engines.limits import descendants

_PROC = Path("/proc")


def footprint(workers: Collection[int]) -> dict[str, int]:
    """Bytes of memory by kind of process: `host`, `workers`, and `others`, the template and what UDFs started.

    What processes share is divided among them (PSS), so that the sum is what the machine gives. Reading takes
    milliseconds for each process: not for an event loop. Zeros where the system does not tell.

    Args:
        workers: the processes that are workers.
    """
    here = os.getpid()
    kinds = {here: "host", **dict.fromkeys(workers, "workers")}
    sizes = dict.fromkeys(("host", "workers", "others"), 0)
    for pid in {here, *workers, *descendants({here})[here]}:
        sizes[kinds.get(pid, "others")] += proportional_memory(pid)
    return sizes


def proportional_memory(pid: int) -> int:
    """Bytes of memory of a process, its share of what it shares; 0 where it ended or the system does not tell."""
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
