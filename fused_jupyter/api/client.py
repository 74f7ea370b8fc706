"""`FusedAPI`: what the official client has as an object; here each of its methods is a function of `fused.api` too."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import IO, Any

from fused_jupyter.api import facade
from fused_jupyter.api.secrets import secrets
from fused_jupyter.errors import ArgumentError, NoServerError
from fused_jupyter.runtime import current_kernel

_ELSEWHERE = {
    **dict.fromkeys(
        ("list", "get", "download", "delete", "sign_url", "sign_url_prefix", "resolve"),
        "fused_jupyter.api.storage_files",
    ),
    **dict.fromkeys(("whoami", "access_token", "auth_scheme", "logout"), "fused_jupyter.api.credentials"),
}
"""Methods that are functions of other modules."""

_OLD_NAMES = {"_whoami": "whoami", "auth_token": "access_token"}

_JOBS = frozenset(
    {
        *("start_job", "get_jobs", "get_status", "get_logs", "tail_logs", "wait_for_job", "cancel_job"),
        *("job_get_logs", "job_print_logs", "job_tail_logs", "job_get_status", "job_cancel", "job_get_exec_time"),
        *("job_wait_for_job", "schedule_udf", "schedule_list"),
    }
)


class FusedAPI:
    """Saved UDFs, tokens, collections and files of this user, as methods.

    Args:
        base_url: only that of this user's own server; None is it.
        set_global_api: means nothing here.
        credentials_needed: means nothing here: there is no login.
        shared_udf_base_url: as `base_url`.

    Raises:
        ArgumentError: another place.

    >>> FusedAPI().get_udf_access_tokens()
    []
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        set_global_api: bool = True,
        credentials_needed: bool = True,
        shared_udf_base_url: str | None = None,
    ) -> None:
        del set_global_api, credentials_needed
        for address in (base_url, shared_udf_base_url):
            if address is not None:
                _check_own(address)

    get_udfs = staticmethod(facade.get_udfs)
    save_udf = staticmethod(facade.save_udf)
    delete_saved_udf = staticmethod(facade.delete_saved_udf)
    invalidate_cache = staticmethod(facade.invalidate_cache)
    list_collections = staticmethod(facade.list_collections)
    get_collection_by_name = staticmethod(facade.get_collection_by_name)
    get_collection_by_id = staticmethod(facade.get_collection_by_id)
    create_collection = staticmethod(facade.create_collection)
    create_udf_access_token = staticmethod(facade.create_udf_access_token)
    create_collection_access_token = staticmethod(facade.create_collection_access_token)
    get_udf_access_token = staticmethod(facade.get_udf_access_token)
    get_udf_access_tokens = staticmethod(facade.get_udf_access_tokens)
    update_udf_access_token = staticmethod(facade.update_udf_access_token)
    delete_udf_access_token = staticmethod(facade.delete_udf_access_token)

    def upload(self, path: str, data: bytes | IO[bytes]) -> None:
        """Write a file; whole or not at all.

        Args:
            path: its address, such as `fd://data/roads.parquet`. In `fused.api.upload` it comes second.
            data: what it is to hold.
        """
        from fused_jupyter.api.storage_files import upload

        upload(data, path)

    def get_secret_value(self, key: str, **_: Any) -> str:
        """A secret; `fused.secrets[key]`."""
        return secrets[key]

    def set_secret_value(self, key: str, value: str, **_: Any) -> None:
        """Keep a secret; `fused.secrets[key] = value`."""
        secrets[key] = value

    def delete_secret_value(self, key: str, **_: Any) -> None:
        """Take a secret away; `del fused.secrets[key]`."""
        del secrets[key]

    def list_secrets(self, **_: Any) -> list[str]:
        """The names of the secrets."""
        return [*secrets]

    def _health(self) -> bool:
        return True

    def __dir__(self) -> Iterable[str]:
        return sorted({*super().__dir__(), *_ELSEWHERE})

    def __getattr__(self, name: str) -> Any:  # a function of another module
        name = _OLD_NAMES.get(name, name)
        if name in _ELSEWHERE:
            return getattr(importlib.import_module(_ELSEWHERE[name]), name)
        if name in _JOBS:
            raise AttributeError(f"{name}: {NO_JOBS}", name=name, obj=self)
        raise AttributeError(f"FusedAPI has no {name!r}", name=name, obj=self)


NO_JOBS = (
    "batch jobs are not there yet; fused.run and fused.run_async run a UDF now, several of them at a time with "
    "asyncio.gather"
)


def _check_own(address: str) -> None:
    try:
        server = current_kernel().server()
    except NoServerError as exc:
        raise ArgumentError(f"base_url: got {address!r}, and {exc.message}; leave it out") from exc
    if address.rstrip("/") not in {server.url("fused/server/v1"), server.url("fused")}:
        raise ArgumentError(
            f"base_url: got {address!r}; this FusedAPI is that of {server.url('fused/server/v1')} only. For another "
            "place use the official client there: fused._env(address)"
        )
