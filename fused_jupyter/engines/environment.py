"""The variables that UDFs get: what the kernel had without its secrets, a file's, and the notebook's choice."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import orjson

from fused_jupyter.engines import WORKER_VARIABLE
from fused_jupyter.errors import ArgumentError
from fused_jupyter.settings import is_secret


def check_variable(name: str, value: str) -> None:
    """Refuse what no UDF may get, and what the system cannot hold.

    Raises:
        ArgumentError: says which and why.
    """
    if not name or "=" in name or "\0" in name + value:
        raise ArgumentError(f"environment: {name!r} is no name of a variable, or its value holds a zero byte")
    if is_secret(name) or name == WORKER_VARIABLE:
        raise ArgumentError(f"environment: {name} is a secret of the server, or our own; a UDF cannot have it")


class ChosenEnvironment:
    """What the notebook chose, over what a file says; kept by the host, in memory only.

    Args:
        path: the file, one `NAME=value` a line; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._chosen: dict[str, str] = {}
        self._from_file: dict[str, str] = {}
        self._seen: tuple[int, ...] = ()
        self._effective: Mapping[str, str] = {}
        self._digest = ""

    def choose(self, variables: Mapping[str, str]) -> None:
        """Take over the notebook's variables, all of them.

        Raises:
            ArgumentError: a UDF cannot have one of them.
        """
        for name, value in variables.items():
            check_variable(name, value)
        self._chosen = dict(variables)
        self._renew()

    @property
    def effective(self) -> Mapping[str, str]:
        """All variables beyond the kernel's; the same object until something changes. Costs a look at the file."""
        self._read_again()
        return self._effective

    @property
    def digest(self) -> str:
        """What tells two environments apart; empty where nothing is chosen."""
        self._read_again()
        return self._digest

    def _read_again(self) -> None:
        try:
            status = os.stat(self._path)  # noqa: PTH116 - before each run: no Path needed
            seen: tuple[int, ...] = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            seen = ()
        if seen != self._seen:
            self._seen = seen
            self._from_file = _read(self._path) if seen else {}
            self._renew()

    def _renew(self) -> None:
        self._effective = {**self._from_file, **self._chosen}
        text = orjson.dumps(self._effective, option=orjson.OPT_SORT_KEYS)
        self._digest = hashlib.blake2b(text, digest_size=16).hexdigest() if self._effective else ""


class WorkerEnvironment:
    """`os.environ` inside a worker: as the host wants it at each run, whatever the runs before did to it."""

    def __init__(self) -> None:
        self._mapping = os.environ
        self._base = dict(os.environ)
        self._chosen: Mapping[str, str] = {}
        self._wanted: Mapping[object, object] = dict(_raw(self._mapping))

    def choose(self, variables: Mapping[str, str]) -> None:
        """Take over the chosen variables, all of them; those that are no longer among them are as they were before."""
        self.restore()
        zone = os.environ.get("TZ")
        for name in self._chosen.keys() - variables.keys():
            _set(self._mapping, name, self._base.get(name))
        for name, value in variables.items():
            _set(self._mapping, name, value)
        if os.environ.get("TZ") != zone:
            time.tzset()
        self._chosen = variables
        self._wanted = dict(_raw(self._mapping))

    def restore(self) -> None:
        """Undo what a UDF changed; costs less than 1 µs where it changed nothing."""
        if os.environ is not self._mapping:
            os.environ = self._mapping  # noqa: B003 - a UDF put something else there
        if _raw(self._mapping) == self._wanted:
            return
        wanted = {**self._base, **self._chosen}
        for name in self._mapping.keys() - wanted.keys():
            del self._mapping[name]
        for name, value in wanted.items():
            _set(self._mapping, name, value)


def _raw(mapping: os._Environ[str]) -> Mapping[object, object]:
    """The dict behind `os.environ`: to compare it decodes nothing, and takes a twentieth of the time."""
    data: Mapping[object, object] = getattr(mapping, "_data", None) or dict(mapping)
    return data


def _set(mapping: os._Environ[str], name: str, value: str | None) -> None:
    with contextlib.suppress(ValueError, OSError):  # what the system cannot hold was refused before
        if value is None:
            mapping.pop(name, None)
        elif mapping.get(name) != value:
            mapping[name] = value


def _read(path: str) -> dict[str, str]:
    """What UDFs may have of a file."""
    from dotenv import dotenv_values

    try:
        found = dotenv_values(path, encoding="utf-8")
    except (OSError, ValueError) as exc:
        print(f"{path} is not used: {exc}", file=sys.stderr, flush=True)  # noqa: T201 - stderr is the host's log
        return {}
    allowed: dict[str, str] = {}
    for name, value in found.items():
        try:
            check_variable(name, value or "")
        except ArgumentError as exc:
            print(f"{path}: {exc.message}", file=sys.stderr, flush=True)  # noqa: T201 - the host's log
        else:
            allowed[name] = value or ""
    return allowed
