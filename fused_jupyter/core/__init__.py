"""`fused.core`: functions by the names that older code has for them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fused_jupyter.api.cache import cache
    from fused_jupyter.api.chunks import get_chunk_from_table, get_chunks_metadata
    from fused_jupyter.api.files import download, file_path
    from fused_jupyter.api.files import file_path as create_path
    from fused_jupyter.core.loading import (
        import_from_github,
        load_udf_from_code,
        load_udf_from_directory,
        load_udf_from_file,
        load_udf_from_fused,
        load_udf_from_fused_async,
        load_udf_from_github,
        load_udf_from_shared_token,
        load_udf_from_zip,
    )
    from fused_jupyter.core.runs import (
        run_file,
        run_file_async,
        run_shared_file,
        run_shared_file_async,
        run_shared_tile,
        run_shared_tile_async,
        run_tile,
        run_tile_async,
    )
    from fused_jupyter.core.values import FusedJSONEncoder, cache_call, cache_call_async, fused_json_default_handler

__all__ = [
    "FusedJSONEncoder",
    "cache",
    "cache_call",
    "cache_call_async",
    "create_path",
    "download",
    "file_path",
    "fused_json_default_handler",
    "get_chunk_from_table",
    "get_chunks_metadata",
    "import_from_github",
    "load_udf_from_code",
    "load_udf_from_directory",
    "load_udf_from_file",
    "load_udf_from_fused",
    "load_udf_from_fused_async",
    "load_udf_from_github",
    "load_udf_from_shared_token",
    "load_udf_from_zip",
    "run_file",
    "run_file_async",
    "run_shared_file",
    "run_shared_file_async",
    "run_shared_tile",
    "run_shared_tile_async",
    "run_tile",
    "run_tile_async",
]

_HOMES = {
    **dict.fromkeys(
        ("FusedJSONEncoder", "cache_call", "cache_call_async", "fused_json_default_handler"),
        "fused_jupyter.core.values",
    ),
    **dict.fromkeys(("get_chunk_from_table", "get_chunks_metadata"), "fused_jupyter.api.chunks"),
    "cache": "fused_jupyter.api.cache",
    "create_path": "fused_jupyter.api.files",
    "download": "fused_jupyter.api.files",
    "file_path": "fused_jupyter.api.files",
}
_RENAMED = {"create_path": "file_path"}


def __getattr__(name: str) -> Any:  # whatever the name stands for
    if name not in __all__:
        raise AttributeError(f"module 'fused_jupyter.core' has no attribute {name!r}")
    home = _HOMES.get(name) or f"fused_jupyter.core.{'runs' if name.startswith('run') else 'loading'}"
    value = getattr(importlib.import_module(home), _RENAMED.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
