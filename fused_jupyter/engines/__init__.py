"""Where one run happens. `execute` is the one module that calls a UDF; `LocalEngine` is the pool around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fused_jupyter.engines.local import LocalEngine

__all__ = ["WORKER_VARIABLE", "LocalEngine"]

WORKER_VARIABLE = "FUSED_JUPYTER_WORKER"
"""Set in the environment of workers, so that `fused.run` inside a UDF runs there and starts no host."""


def __getattr__(name: str) -> Any:  # the host never calls a UDF and a worker has no pool: neither loads the other
    if name == "LocalEngine":
        from fused_jupyter.engines.local import LocalEngine

        return LocalEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
