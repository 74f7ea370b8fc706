"""Builds and connects everything else: the registry and link in the kernel, the gateway and engine in the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fused_jupyter.runtime._runtime import (
        KernelRuntime,
        WorkerRuntime,
        current,
        current_kernel,
        current_server,
        running_runtime,
        shut_down,
    )

__all__ = [
    "KernelRuntime",
    "WorkerRuntime",
    "current",
    "current_kernel",
    "current_server",
    "running_runtime",
    "shut_down",
]


def __getattr__(name: str) -> Any:  # the host imports this package too and has no kernel side
    if name in __all__:
        from fused_jupyter.runtime import _runtime

        return getattr(_runtime, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
