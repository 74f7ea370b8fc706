"""What the kernel tells its host at the start; apart from the host, of which the kernel needs no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """What the kernel tells its host at the start."""

    kernel_id: str
    kernel_pid: int
    secret: str
    lane: int
    """Descriptor of the socket over which leased workers go."""
    runtime_directory: str
    options: dict[str, Any]
