"""Where a worker's DuckDB is told of extensions that are here."""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from fused_jupyter.engines.duckdb_offline.calls import _fused_function, _fused_method
from fused_jupyter.engines.duckdb_offline.h3_functions import give_macros, has_functions
from fused_jupyter.engines.duckdb_offline.statements import prepared

_NAME = "duckdb"
_TAKE_SQL = ("execute", "sql", "query", "from_query")
_GIVE_CONNECTIONS = ("cursor", "duplicate")
_SEE_ALL_FRAMES = "SET python_scan_all_frames=true"
"""A UDF's DataFrames are tables by their names, also from behind our functions. DuckDB 1.1 and newer."""


def install() -> None:
    """From now on; where DuckDB is imported already, at once. A second time does nothing."""
    module = sys.modules.get(_NAME)
    if module is not None:
        _change(module)
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Waits for the import of DuckDB."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != _NAME:
            return None
        with contextlib.suppress(ValueError):  # another thread is here
            sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _change(module)

    def __getattr__(self, name: str) -> Any:  # what importlib.resources and inspect ask of a loader
        return getattr(self._loader, name)


def _change(duckdb: Any) -> None:
    connection = getattr(duckdb, "DuckDBPyConnection", None)
    if connection is None or hasattr(connection, "_fused_execute"):
        return
    execute = connection._fused_execute = connection.execute  # noqa: SLF001 - ours
    try:
        with duckdb.connect() as trial:
            execute(trial, _SEE_ALL_FRAMES)
    except Exception:  # noqa: BLE001 - an older DuckDB: better no stand-in than tables that are not found
        return
    default = duckdb.default_connection
    duckdb.connect = _connecting(duckdb.connect, execute)
    for name in _TAKE_SQL:
        if hasattr(connection, name):
            setattr(connection, name, _fused_method(getattr(connection, name), _prepare_call))
        if hasattr(duckdb, name):
            setattr(duckdb, name, _fused_function(getattr(duckdb, name), _prepare_call, default))
    for name in _GIVE_CONNECTIONS:
        setattr(connection, name, _connecting(getattr(connection, name), execute))
    execute(default(), _SEE_ALL_FRAMES)


def _prepare_call(connection: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments of a call with its SQL prepared, which comes first or as `query`."""
    if arguments:
        return (prepared(connection, arguments[0]), *arguments[1:])
    if "query" in keywords:
        keywords["query"] = prepared(connection, keywords["query"])
    return arguments


def _connecting(original: Callable[..., Any], execute: Callable[..., Any]) -> Callable[..., Any]:
    """What gives a connection: a new one, or one more to the same database, where settings and macros are missing."""

    @functools.wraps(original)
    def connect(*args: Any, **keywords: Any) -> Any:
        connection = original(*args, **keywords)
        execute(connection, _SEE_ALL_FRAMES)
        if has_functions(connection):
            give_macros(connection)
        return connection

    return connect
