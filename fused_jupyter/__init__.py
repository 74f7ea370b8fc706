"""Fused for Jupyter: a Python function in a notebook cell is an HTTP endpoint, a live map layer and a parallel job.

    %load_ext fused_jupyter

    %%fused_udf
    @fused.udf
    def quakes(bounds: fused.types.Bounds = None, min_mag: float = 4.0):
        ...

Everything is loaded on first use (PEP 562): importing this package imports nothing heavy, also in the Jupyter server.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fused_jupyter._version import __version__

if TYPE_CHECKING:
    from fused_jupyter import api, context, core, errors, types
    from fused_jupyter.api.cache import cache
    from fused_jupyter.api.decorator import udf
    from fused_jupyter.api.environment import set_env
    from fused_jupyter.api.files import download, file_path
    from fused_jupyter.api.load import load
    from fused_jupyter.api.profile import Profile
    from fused_jupyter.api.result import RunResult
    from fused_jupyter.api.results import CachedResult, CacheInfo, cache_info, clear_cache, list_cache
    from fused_jupyter.api.run import run, run_async, run_result
    from fused_jupyter.api.runs import ActiveRun, cancel, runs
    from fused_jupyter.api.tokens import UdfAccessToken, UdfAccessTokenList
    from fused_jupyter.api.udf import Udf
    from fused_jupyter.magics import load_ipython_extension as load_ipython_extension
    from fused_jupyter.magics import unload_ipython_extension as unload_ipython_extension
    from fused_jupyter.server_ext import _jupyter_server_extension_points as _jupyter_server_extension_points
    from fused_jupyter.settings import Options
    from fused_jupyter.widgets import FusedMap, TileLayer

__all__ = [
    "ActiveRun",
    "CacheInfo",
    "CachedResult",
    "FusedMap",
    "Options",
    "Profile",
    "RunResult",
    "TileLayer",
    "Udf",
    "UdfAccessToken",
    "UdfAccessTokenList",
    "__version__",
    "api",
    "cache",
    "cache_info",
    "cancel",
    "clear_cache",
    "context",
    "core",
    "download",
    "errors",
    "file_path",
    "list_cache",
    "load",
    "run",
    "run_async",
    "run_result",
    "runs",
    "set_env",
    "types",
    "udf",
]

_HOMES = {
    "ActiveRun": "fused_jupyter.api.runs",
    "CacheInfo": "fused_jupyter.api.results",
    "CachedResult": "fused_jupyter.api.results",
    "FusedMap": "fused_jupyter.widgets",
    "Options": "fused_jupyter.settings",
    "Profile": "fused_jupyter.api.profile",
    "RunResult": "fused_jupyter.api.result",
    "TileLayer": "fused_jupyter.widgets",
    "Udf": "fused_jupyter.api.udf",
    "UdfAccessToken": "fused_jupyter.api.tokens",
    "UdfAccessTokenList": "fused_jupyter.api.tokens",
    "_jupyter_server_extension_points": "fused_jupyter.server_ext",
    "cache": "fused_jupyter.api.cache",
    "cache_info": "fused_jupyter.api.results",
    "cancel": "fused_jupyter.api.runs",
    "clear_cache": "fused_jupyter.api.results",
    "download": "fused_jupyter.api.files",
    "file_path": "fused_jupyter.api.files",
    "list_cache": "fused_jupyter.api.results",
    "load": "fused_jupyter.api.load",
    "load_ipython_extension": "fused_jupyter.magics",
    "run": "fused_jupyter.api.run",
    "run_async": "fused_jupyter.api.run",
    "run_result": "fused_jupyter.api.run",
    "runs": "fused_jupyter.api.runs",
    "set_env": "fused_jupyter.api.environment",
    "udf": "fused_jupyter.api.decorator",
    "unload_ipython_extension": "fused_jupyter.magics",
}
_MODULES = frozenset({"api", "context", "core", "errors", "types"})


def __getattr__(name: str) -> Any:  # whatever the name stands for
    if name in _MODULES:
        return importlib.import_module(f"fused_jupyter.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'fused_jupyter' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
