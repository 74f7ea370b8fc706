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
    from fused_jupyter.api.chunks import get_chunk_from_table, get_chunks_metadata
    from fused_jupyter.api.decorator import udf
    from fused_jupyter.api.environment import set_env
    from fused_jupyter.api.files import download, file_path
    from fused_jupyter.api.load import load, load_async
    from fused_jupyter.api.options import options
    from fused_jupyter.api.pool import Job, JobPool
    from fused_jupyter.api.profile import Profile
    from fused_jupyter.api.result import RunResult
    from fused_jupyter.api.results import CachedResult, CacheInfo, cache_info, clear_cache, list_cache
    from fused_jupyter.api.run import run, run_async, run_result
    from fused_jupyter.api.runs import ActiveRun, cancel, runs
    from fused_jupyter.api.secrets import secrets, user_secrets
    from fused_jupyter.api.submit import submit
    from fused_jupyter.api.tokens import UdfAccessToken, UdfAccessTokenList
    from fused_jupyter.api.udf import Udf
    from fused_jupyter.magics import load_ipython_extension as load_ipython_extension
    from fused_jupyter.magics import unload_ipython_extension as unload_ipython_extension
    from fused_jupyter.official import h3 as h3
    from fused_jupyter.official import libraries as utils  # noqa: F401 - what `fused.utils` is
    from fused_jupyter.official import models as models
    from fused_jupyter.official import warnings as warnings
    from fused_jupyter.server_ext import _jupyter_server_extension_points as _jupyter_server_extension_points
    from fused_jupyter.settings import Options
    from fused_jupyter.udfs.controls import Control
    from fused_jupyter.widgets import (
        FeatureLayer,
        FileLayer,
        FusedMap,
        ImageLayer,
        MapComparison,
        TileLayer,
        compare,
        sync,
        unsync,
    )

__all__ = [
    "ActiveRun",
    "CacheInfo",
    "CachedResult",
    "Control",
    "FeatureLayer",
    "FileLayer",
    "FusedMap",
    "ImageLayer",
    "Job",
    "JobPool",
    "MapComparison",
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
    "compare",
    "context",
    "core",
    "download",
    "errors",
    "file_path",
    "get_chunk_from_table",
    "get_chunks_metadata",
    "list_cache",
    "load",
    "load_async",
    "options",
    "run",
    "run_async",
    "run_result",
    "runs",
    "secrets",
    "set_env",
    "submit",
    "sync",
    "types",
    "udf",
    "unsync",
    "user_secrets",
]

_HOMES = {
    "ActiveRun": "fused_jupyter.api.runs",
    "CacheInfo": "fused_jupyter.api.results",
    "CachedResult": "fused_jupyter.api.results",
    "Control": "fused_jupyter.udfs.controls",
    "FeatureLayer": "fused_jupyter.widgets",
    "FileLayer": "fused_jupyter.widgets",
    "FusedMap": "fused_jupyter.widgets",
    "ImageLayer": "fused_jupyter.widgets",
    "Job": "fused_jupyter.api.pool",
    "JobPool": "fused_jupyter.api.pool",
    "MapComparison": "fused_jupyter.widgets",
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
    "compare": "fused_jupyter.widgets",
    "download": "fused_jupyter.api.files",
    "file_path": "fused_jupyter.api.files",
    "get_chunk_from_table": "fused_jupyter.api.chunks",
    "get_chunks_metadata": "fused_jupyter.api.chunks",
    "list_cache": "fused_jupyter.api.results",
    "load": "fused_jupyter.api.load",
    "load_async": "fused_jupyter.api.load",
    "load_ipython_extension": "fused_jupyter.magics",
    "options": "fused_jupyter.api.options",
    "run": "fused_jupyter.api.run",
    "run_async": "fused_jupyter.api.run",
    "run_result": "fused_jupyter.api.run",
    "runs": "fused_jupyter.api.runs",
    "secrets": "fused_jupyter.api.secrets",
    "set_env": "fused_jupyter.api.environment",
    "submit": "fused_jupyter.api.submit",
    "sync": "fused_jupyter.widgets",
    "udf": "fused_jupyter.api.decorator",
    "unsync": "fused_jupyter.widgets",
    "unload_ipython_extension": "fused_jupyter.magics",
    "user_secrets": "fused_jupyter.api.secrets",
}
_MODULES = {
    **{name: f"fused_jupyter.{name}" for name in ("api", "context", "core", "errors", "types")},
    **{name: f"fused_jupyter.official.{name}" for name in ("h3", "models", "warnings")},
    "_optional_deps": "fused_jupyter.official.optional_deps",
    "utils": "fused_jupyter.official.libraries",
}


def __getattr__(name: str) -> Any:  # whatever the name stands for
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _HOMES:
        # By its name, as in this whole function: layers below import this package, and none of those above it.
        if (of_the_cloud := importlib.import_module("fused_jupyter.api.cloud").of_fused(name)) is not None:
            return of_the_cloud
        raise AttributeError(f"module 'fused_jupyter' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
