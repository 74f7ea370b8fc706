"""`fused.options`: the settings as they are now, and those that code for Fused's cloud sets."""

from __future__ import annotations

import html
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fused_jupyter.errors import ArgumentError
from fused_jupyter.settings import Options, setting

_LIVE = frozenset(
    {
        *("git_mirrors", "github_url", "github_max_age", "catalogues", "shared_udfs", "buckets"),
        *("never_import", "secrets_file", "max_recursion_factor", "files_directory", "mount_directory"),
    }
)
"""Settings that are read when they are used, so that a change of them counts at once, also in UDFs."""

_OF_THE_CLOUD: dict[str, Any] = {
    "cache_decorator_max_age": 172800,
    "cache_storage": "auto",
    "default_conflict_overwrite_choice": None,
    "default_dtype_out_raster": "npy,tiff",
    "default_dtype_out_simple": "json",
    "default_dtype_out_vector": "parquet",
    "default_run_headers": {},
    "default_send_status_email": False,
    "default_udf_run_engine": "local",
    "fused_cache_disable_stream": True,
    "gcs_filename": None,
    "gcs_secret": None,
    "h3_extract_processes": None,
    "job_id": None,
    "local_engine_cache": True,
    "logging": False,
    "max_workers": None,
    "metadata_request_timeout": 60,
    "no_login": True,
    "prompt_to_login": False,
    "pyodide_async_requests": False,
    "realtime_client_id": "local",
    "request_max_retries": 5,
    "request_retry_base_delay": 1.0,
    "request_timeout": 5,
    "row_group_batch_size": None,
    "run_timeout": None,
    "save_user_settings": False,
    "temp_directory": tempfile.gettempdir(),
    "use_process_pool_for_local_submit": False,
    "verbose_cached_functions": True,
    "verbose_udf_runs": True,
}
"""What code sets and reads; here it is kept, and but for `max_workers` it changes nothing."""


class LiveOptions:
    """Settings as attributes: those of `fused.Options`, and those of Fused's cloud.

    What UDFs look up when they run, such as `git_mirrors`, `catalogues` and `never_import`, can be set at any time and
    counts from the next run on, also in workers. The others are read once: set them before the first UDF, or as
    `FUSED_<NAME>` in the environment. What means something in Fused's cloud only is kept, so that code goes on, and
    changes nothing. `base_url` and its like are those of this kernel's own server.

    >>> options = LiveOptions()
    >>> options.workers > 0, options.default_udf_run_engine
    (True, 'local')
    >>> options.git_mirors = []
    Traceback (most recent call last):
    fused_jupyter.errors.ArgumentError: fused.options has no 'git_mirors'; did you mean git_mirrors?
    """

    def __init__(self) -> None:
        self.__dict__["_kept"] = {}
        self.__dict__["auth"] = SimpleNamespace(credentials_path=Path.home() / ".fused" / "credentials")
        self.__dict__["show"] = SimpleNamespace(open_browser=None, show_widget=None, enable_tqdm=True)

    def __getattr__(self, name: str) -> Any:  # of whichever kind it is
        if name in _OWN:
            return _mutable(setting(name))
        if name in _COMPUTED:
            return _COMPUTED[name]()
        if name in _OF_THE_CLOUD:
            return self._kept.get(name, _OF_THE_CLOUD[name])
        raise AttributeError(_unknown(name), name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            _set(name, value)
        elif name in _COMPUTED:
            raise ArgumentError(
                f"fused.options.{name} is that of this kernel's own server and cannot be set; for another place use "
                "the official client there"
            )
        elif name in _OF_THE_CLOUD:
            self._kept[name] = value
        else:
            raise ArgumentError(_unknown(name))

    def __dir__(self) -> Iterable[str]:
        return sorted({*super().__dir__(), *_OWN, *_COMPUTED, *_OF_THE_CLOUD, "auth", "show"})

    def save(self) -> None:
        """Nothing is saved.

        Raises:
            ArgumentError: always; says how settings are kept.
        """
        raise ArgumentError(
            "fused.options are not saved in a file: set FUSED_<NAME> in the environment of Jupyter, e.g. "
            "FUSED_GIT_MIRRORS=owner/name=/srv/git/name"
        )

    def __repr__(self) -> str:
        return "\n".join(f"{name} = {value!r}" for name, value in self._shown().items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(repr(value))}</td></tr>"
            for name, value in self._shown().items()
        )
        return f"<table>{rows}</table>"

    def _shown(self) -> Mapping[str, Any]:
        """Our own: those of the cloud would hide them."""
        return {name: getattr(self, name) for name in _OWN if name != "preload"}


def _set(name: str, value: Any) -> None:
    from fused_jupyter.runtime import KernelRuntime, WorkerRuntime, running_runtime

    runtime = running_runtime()
    if runtime is not None and name not in _LIVE and not isinstance(runtime, WorkerRuntime):
        raise ArgumentError(
            f"fused.options.{name} is read once, before the first UDF; set FUSED_{name.upper()} in the environment, "
            "and restart the kernel"
        )
    variable, text = f"FUSED_{name.upper()}", _text(name, value)
    Options.from_environment({variable: text})  # says what does not fit
    os.environ[variable] = text
    if isinstance(runtime, KernelRuntime):
        runtime.choose_environment({variable: text})


def _text(name: str, value: Any) -> str:
    """A setting as its variable has it."""
    if isinstance(value, Mapping):
        value = [f"{key}={each}" for key, each in value.items()]
    if isinstance(value, Sequence) and not isinstance(value, str):
        if wrong := [each for each in value if "," in str(each)]:
            raise ArgumentError(f"fused.options.{name}: got {str(wrong[0])!r}, and a comma stands between two of them")
        return ",".join(map(str, value))
    return str(value)


def _mutable(value: Any) -> Any:
    """A list of its own, as code has it; to change the list changes nothing, to set it does."""
    return list(value) if isinstance(value, tuple) else value


def _unknown(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, [*_OWN, *_COMPUTED, *_OF_THE_CLOUD], n=2)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; dir(fused.options) shows what there is"
    return f"fused.options has no {name!r}{hint}"


def _base_url() -> str:
    return server_address("fused/server/v1")


def server_address(path: str) -> str:
    """The address of a path at the Jupyter server of this kernel, also inside UDFs.

    Raises:
        NoServerError: there is none.
    """
    from fused_jupyter.runtime import current_server

    server = current_server()
    return f"{server.origin}{server.base_url}{path}" if server.origin else server.local_url + path


def _fd_prefix() -> str:
    from fused_jupyter.storage.fd import current_files

    return current_files().resolve("fd://")


_OWN = tuple(field.name for field in fields(Options))
_COMPUTED: dict[str, Callable[[], str]] = {
    "base_url": _base_url,
    "shared_udf_base_url": lambda: server_address("fused/server/v1/realtime-shared"),
    "base_web_url": lambda: server_address("fused"),
    "fd_prefix": _fd_prefix,
}

options = LiveOptions()
"""Those of this process; what they say stands in its environment."""
