"""What a host is told at its start: one line of JSON on its stdin, as argv and environ can be read by others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SAVED = "saved"
"""In place of a kernel's id, that of the host of saved UDFs."""

MODULE = "fused_jupyter.runtime.host"
"""What `python -m` starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """What a kernel, or the server, tells its host at the start."""

    kernel_id: str
    kernel_pid: int
    """The process whose child the host is, and which it does not outlive."""
    secret: str
    lane: int = -1
    """Descriptor of the socket over which leased workers go; negative where none are lent."""
    runtime_directory: str
    options: dict[str, Any]

    @property
    def is_of_saved(self) -> bool:
        """Whether it is the server's, for saved UDFs, and no kernel's."""
        return self.kernel_id == SAVED
