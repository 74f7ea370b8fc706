"""What the processes of a Jupyter server hold, and the bounds within which that may grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from processes import command_of

MEGABYTE = 1_000_000

BOUNDS: dict[str, tuple[int, str]] = {
    "server descriptors": (16, "connections of eight clients, some of which are just being closed"),
    "kernel descriptors": (24, "leased workers, four descriptors each, and shared memory"),
    "host descriptors": (24, "one worker more than before, or a new template"),
    "template descriptors": (2, "nothing stays open there"),
    "worker descriptors": (4, "of the one that has most"),
    "server memory": (64 + 40, "MB: 64 of answers that it may keep, and what Python does not give back"),
    "kernel memory": (60, "MB: 20 in each, of IPython and of what this test notes there"),
    "host memory": (60 + 40, "MB: three times 20 of results that they may keep, as set for this test"),
    "template memory": (60, "MB: modules that were learnt"),
    "worker memory": (300, "MB: all of them together, modules that UDFs import"),
    "temporary files": (0, "every file has an owner that lives"),
    "drafts": (15, "of values whose worker was killed while it wrote; they go after an hour"),
    "strays": (0, "what UDFs started ends with them"),
}
"""Growth from the end of the warm-up to the end, in sum over all kernels; then why it may be that much."""

SETTINGS = {"FUSED_CACHE_MEMORY": str(20 * MEGABYTE), "FUSED_WORKERS": "2", "FUSED_SPARE_WORKERS": "1"}
MOST_WORKERS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """One look, while nobody asks for anything."""

    seconds: float
    """Since the start."""
    processes: Mapping[str, int]
    """By role."""
    descriptors: Mapping[str, int]
    """In sum by role; of workers the most that one has."""
    memory: Mapping[str, float]
    """PSS in MB, in sum by role."""
    temporary: tuple[str, ...]
    drafts: int
    logs: int
    """Bytes of the largest log."""

    def numbers(self) -> dict[str, float]:
        """What `BOUNDS` is about."""
        return {
            **{f"{role} descriptors": count for role, count in self.descriptors.items()},
            **{f"{role} memory": size for role, size in self.memory.items()},
            "temporary files": len(self.temporary),
            "drafts": self.drafts,
            "strays": self.processes.get("stray", 0),
        }

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


def take(server: int, *, workers: Collection[int], home: Path, seconds: float) -> Census:
    """Look at a server and all that descends from it.

    Args:
        server: its process.
        workers: those that the hosts know of.
        home: with its `tmp`, `cache` and `runtime`.
        seconds: since the start.
    """
    counts: Counter[str] = Counter()
    descriptors: Counter[str] = Counter()
    memory: dict[str, float] = {}
    for process, role in _family(psutil.Process(server), workers):
        try:
            opened, size = process.num_fds(), _pss(process.pid)
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            continue
        counts[role] += 1
        descriptors[role] = max(descriptors[role], opened) if role == "worker" else descriptors[role] + opened
        memory[role] = memory.get(role, 0.0) + size
    drafts = [path for kind in ("results/*", "functions/*/*") for path in home.glob(f"cache/{kind}/*.tmp")]
    logs = [path.stat().st_size for path in home.glob("runtime/fused-*.log")]
    return Census(
        seconds=seconds,
        processes=dict(counts),
        descriptors=dict(descriptors),
        memory={role: round(size, 1) for role, size in memory.items()},
        temporary=tuple(sorted(str(path.relative_to(home)) for path in home.glob("tmp/**/*"))),
        drafts=len(drafts),
        logs=max(logs, default=0),
    )


def excesses(before: Census, after: Census) -> list[str]:
    """What has grown beyond its bound."""
    old, new = before.numbers(), after.numbers()
    found = [
        f"{what}: {old.get(what, 0):g} became {new[what]:g}, at most {bound:g} more are allowed"
        for what, (bound, _) in BOUNDS.items()
        if new.get(what, 0) - old.get(what, 0) > bound
    ]
    kernels = after.processes.get("kernel", 0)
    most = {"host": kernels, "template": 2 * kernels, "worker": MOST_WORKERS * kernels}
    found += [
        f"{after.processes[role]} processes of kind {role}, at most {allowed} are allowed"
        for role, allowed in most.items()
        if after.processes.get(role, 0) > allowed
    ]
    if after.logs > 2.1 * MEGABYTE:
        found.append(f"a log has {after.logs:,} bytes")
    if set(after.temporary) - set(before.temporary):
        found.append(f"new temporary files: {sorted(set(after.temporary) - set(before.temporary))}")
    return found


def _family(server: psutil.Process, workers: Collection[int]) -> list[tuple[psutil.Process, str]]:
    """Each process and its role."""
    roles = {server.pid: "server"}
    processes = [server, *server.children(recursive=True)]  # parents come first
    for process in processes[1:]:
        try:
            is_worker = process.pid in workers
            roles[process.pid] = "worker" if is_worker else _role(command_of(process), roles.get(process.ppid(), ""))
        except psutil.NoSuchProcess:
            continue
    return [(process, roles[process.pid]) for process in processes if process.pid in roles]


def _role(command: str, parent: str) -> str:
    if parent == "server" and "ipykernel" in command:
        return "kernel"
    if parent == "kernel" and "fused_jupyter.runtime.host" in command:
        return "host"
    # One that has learnt more modules is a child of the first one.
    is_template = parent in {"host", "template"} and "fused_jupyter.engines.template" in command
    return "template" if is_template else "stray"


def _pss(pid: int) -> float:
    """Its share of memory, in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / MEGABYTE
