"""Where one run happens. `execute` is the one place where a UDF is called; `LocalEngine` is the pool around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fused_jupyter.engines.execute import execute
    from fused_jupyter.engines.local import LocalEngine

__all__ = ["WORKER_VARIABLE", "LocalEngine", "execute"]

WORKER_VARIABLE = "FUSED_JUPYTER_WORKER"
"""Set in the environment of workers, so that `fused.run` inside a UDF runs there and starts no host."""

_HOMES = {"LocalEngine": "fused_jupyter.engines.local", "execute": "fused_jupyter.engines.execute"}


def __getattr__(name: str) -> Any:  # the host never calls a UDF and a worker has no pool: neither loads the other
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
