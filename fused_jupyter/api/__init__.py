"""What `import fused` offers: the UDF that users hold, and the functions around it, which load when they are used."""

from __future__ import annotations

import builtins
import importlib
from typing import TYPE_CHECKING, Any

# At once, as submodules have their names: whoever imports one of these later must not hide the function.
from fused_jupyter.api.decorator import udf
from fused_jupyter.api.run import run
from fused_jupyter.api.udf import Udf

if TYPE_CHECKING:
    from fused_jupyter.api.client import FusedAPI
    from fused_jupyter.api.credentials import NotebookCredentials, access_token, auth_scheme, logout, whoami
    from fused_jupyter.api.facade import (
        UdfRegistry,
        create_collection,
        create_collection_access_token,
        create_udf_access_token,
        delete_saved_udf,
        delete_udf_access_token,
        get_collection_by_id,
        get_collection_by_name,
        get_udf_access_token,
        get_udf_access_tokens,
        get_udfs,
        invalidate_cache,
        list_collections,
        save_udf,
        update_udf_access_token,
    )
    from fused_jupyter.api.filesystem import FdFileSystem as FdFileSystem
    from fused_jupyter.api.storage_files import (
        ListDetails,
        delete,
        download,
        get,
        list,  # noqa: A004 - Fused's own name
        resolve,
        sign_url,
        sign_url_prefix,
        upload,
    )
    from fused_jupyter.api.tokens import UdfAccessToken, UdfAccessTokenList

__all__ = [
    "FusedAPI",
    "ListDetails",
    "NotebookCredentials",
    "Udf",
    "UdfAccessToken",
    "UdfAccessTokenList",
    "UdfRegistry",
    "access_token",
    "auth_scheme",
    "create_collection",
    "create_collection_access_token",
    "create_udf_access_token",
    "delete",
    "delete_saved_udf",
    "delete_udf_access_token",
    "download",
    "get",
    "get_collection_by_id",
    "get_collection_by_name",
    "get_udf_access_token",
    "get_udf_access_tokens",
    "get_udfs",
    "invalidate_cache",
    "list",
    "list_collections",
    "logout",
    "resolve",
    "run",
    "save_udf",
    "sign_url",
    "sign_url_prefix",
    "udf",
    "update_udf_access_token",
    "upload",
    "whoami",
]

_HOMES = {
    "FdFileSystem": "filesystem",
    "FusedAPI": "client",
    "ListDetails": "storage_files",
    "NotebookCredentials": "credentials",
    "UdfAccessToken": "tokens",
    "UdfAccessTokenList": "tokens",
    "UdfRegistry": "facade",
    "access_token": "credentials",
    "auth_scheme": "credentials",
    "create_collection": "facade",
    "create_collection_access_token": "facade",
    "create_udf_access_token": "facade",
    "delete": "storage_files",
    "delete_saved_udf": "facade",
    "delete_udf_access_token": "facade",
    "download": "storage_files",
    "get": "storage_files",
    "get_collection_by_id": "facade",
    "get_collection_by_name": "facade",
    "get_udf_access_token": "facade",
    "get_udf_access_tokens": "facade",
    "get_udfs": "facade",
    "invalidate_cache": "facade",
    "list": "storage_files",
    "list_collections": "facade",
    "logout": "credentials",
    "resolve": "storage_files",
    "save_udf": "facade",
    "sign_url": "storage_files",
    "sign_url_prefix": "storage_files",
    "update_udf_access_token": "facade",
    "upload": "storage_files",
    "whoami": "credentials",
}


def __getattr__(name: str) -> Any:  # whatever the name stands for
    if name == "api":  # the official client imports it at once, and code says `fused.api.api.FusedAPI`
        return importlib.import_module("fused_jupyter.api.api")
    if name not in _HOMES:
        from fused_jupyter.api.cloud import of_api

        if (of_the_cloud := of_api(name)) is not None:
            return of_the_cloud
        raise AttributeError(f"module 'fused_jupyter.api' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fused_jupyter.api.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> builtins.list[str]:
    return sorted(__all__)
