"""What this machine allows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def allowed_memory(groups: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes of memory that this process and its children may use: of the machine, or what its control groups leave.

    Knows both versions of control groups, so the limits of containers, systemd, Slurm and JupyterHub's spawners.

    Args:
        groups: where the control groups are mounted.
        membership: the file that says to which of them this process belongs.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _limit_files(groups, membership):
        with contextlib.suppress(OSError, ValueError):  # not there, or "max"
            limits.append(int(path.read_text(encoding="ascii")))
    return min(limits)


def _limit_files(groups: Path, membership: Path) -> Iterator[Path]:
    """Of each group and all above it: any of them may be the tightest. A container sees its own as the root."""
    with contextlib.suppress(OSError):
        for line in membership.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root, name = (groups / "memory", "memory.limit_in_bytes") if controllers else (groups, "memory.max")
            group = Path(path.lstrip("/"))
            for each in (group, *group.parents):
                yield root / each / name
