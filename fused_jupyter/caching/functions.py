"""Functions whose values are kept: what `@fused.cache` makes.

A hit takes no lock. A miss takes one, so that equal calls in all threads, tasks and processes run once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Self

from fused_jupyter.caching.kept import Kept, KeptValues
from fused_jupyter.caching.reach import add_function, start_digest
from fused_jupyter.caching.turns import State, Turn
from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs import parse_max_age

Value = Any  # of the user's: arguments and results
Function = Callable[..., Value]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.025
"""Seconds between two looks at an equal call; each pause is twice the one before."""

_running: ContextVar[frozenset[str]] = ContextVar("running", default=frozenset())
"""The keys that this thread or task is making: a function that calls itself alike must not wait for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How the values of a function are kept."""

    max_age: int = 48 * 3600
    """Seconds; 0 keeps nothing."""
    folder: str = "any"
    storage: str = "auto"
    """Accepted and without effect: there is one place, on the local disk."""
    lock_timeout: float = 120
    """Seconds to wait for an equal call."""
    is_reset: bool = False
    """Whether only a value will do that is made from now on."""
    exclude: frozenset[str] = frozenset()
    """Parameters that the key leaves out."""
    is_verbose: bool = False

    def changed(self, keywords: Mapping[str, Value]) -> Policy:
        """With what was said by keyword; None says nothing.

        Raises:
            ArgumentError: a value does not fit.
        """
        said = {name: value for name, value in keywords.items() if value is not None}
        return replace(self, **{_KEYWORDS[name][0]: _KEYWORDS[name][1](value) for name, value in said.items()})


def cached(function: Function, policy: Policy, values: Callable[[], KeptValues]) -> Function:
    """The function, which answers from files where it can.

    Args:
        function: a plain or an async one.
        policy: how its values are kept; what a call says by keyword comes first.
        values: gives the files, when the first call comes.

    Raises:
        ArgumentError: it is a generator, or the policy names a parameter that it does not have.
    """
    if isinstance(function, staticmethod | classmethod):
        return type(function)(cached(function.__func__, policy, values))
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ArgumentError(
            f"@fused.cache: {function.__qualname__} is a generator, whose values can be had only once; return a list"
        )
    calls = _Calls(function, policy, values)

    @functools.wraps(function)
    def wrapper(*args: Value, **kwargs: Value) -> Value:
        with calls.begin(args, kwargs) as call:
            while (pause := call.wait()) is not None:
                time.sleep(pause)
            if call.kept is not None:
                return call.kept.value
            value = function(*args, **kwargs)
            call.keep(value)
            return value

    @functools.wraps(function)
    async def async_wrapper(*args: Value, **kwargs: Value) -> Value:
        with calls.begin(args, kwargs) as call:
            while (pause := call.wait()) is not None:  # noqa: ASYNC110 - processes have no event
                await asyncio.sleep(pause)
            if call.kept is not None:
                return call.kept.value
            value = await function(*args, **kwargs)
            await asyncio.to_thread(call.keep, value)
            return value

    return async_wrapper if inspect.iscoroutinefunction(function) else wrapper


class _Calls:
    """What all calls of one function share."""

    def __init__(self, function: Function, policy: Policy, values: Callable[[], KeptValues]) -> None:
        self._function = function
        self._policy = policy
        self._values = values
        self._name = getattr(function, "__qualname__", type(function).__qualname__).rpartition("<locals>.")[2]
        self._signature = _signature(function)
        parameters = self._signature.parameters
        self._rest = next((one.name for one in parameters.values() if one.kind is one.VAR_KEYWORD), None)
        self._check_exclude(policy.exclude)
        # A parameter of the function's own is the function's; so is an older name that its **kwargs may take.
        self._keywords = _KEYWORDS.keys() - parameters.keys() - (set() if self._rest is None else _OLDER)
        self._takes_id = _CACHE_ID not in parameters

    def begin(self, args: tuple[Value, ...], kwargs: dict[str, Value]) -> _Call | _PlainCall:
        """One call. Keywords that say how it is kept are taken out of `kwargs`."""
        cache_id = kwargs.pop(_CACHE_ID, None) if self._takes_id else None
        policy = self._policy
        if not self._keywords.isdisjoint(kwargs):
            policy = policy.changed({name: kwargs.pop(name) for name in self._keywords & kwargs.keys()})
            self._check_exclude(policy.exclude)
        if policy.max_age == 0:
            return _PlainCall()
        try:
            arguments = self._arguments(args, kwargs, policy.exclude)
        except TypeError:  # they do not fit the signature; the function itself says it best
            return _PlainCall()
        try:
            key = self._key(arguments, cache_id)
            call = _Call(policy, self._values(), key, self._name)
        except ArgumentError:
            raise
        except Exception as exc:  # noqa: BLE001 - of the user's own objects; of a directory that cannot be made
            warnings.warn(f"{self._name}() is not cached: {_reason(exc, arguments)}", stacklevel=3)
            return _PlainCall()
        return _PlainCall() if key in _running.get() else call

    def _check_exclude(self, exclude: frozenset[str]) -> None:
        parameters = self._signature.parameters
        if self._rest is None and (unknown := exclude - parameters.keys()):
            raise ArgumentError(
                f"cache_key_exclude: {self._name} has no parameter {', '.join(sorted(unknown))}; "
                f"it has {', '.join(parameters) or 'none'}"
            )

    def _arguments(
        self, args: tuple[Value, ...], kwargs: Mapping[str, Value], exclude: frozenset[str]
    ) -> dict[str, Value]:
        """By parameter, however they were passed, with the defaults."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = bound.arguments
        if self._rest is not None:
            rest = arguments[self._rest]
            arguments[self._rest] = {name: rest[name] for name in sorted(rest) if name not in exclude}
        return {name: value for name, value in arguments.items() if name not in exclude} if exclude else arguments

    def _key(self, arguments: dict[str, Value], cache_id: Value) -> str:
        digest = start_digest()
        digest.put(b"fused.cache 1", _PYTHON)
        add_function(digest, self._function)
        digest.add(cache_id)
        digest.add(arguments)
        return digest.hexdigest()


class _PlainCall:
    """A call that neither takes a value nor leaves one."""

    kept: Final = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def wait(self) -> None:
        """Nothing to wait for."""

    def keep(self, value: Value) -> None:
        """Nobody asks for it."""


class _Call:
    """A call that may be answered by what another one left: asked with `wait`, until it says that it knows."""

    def __init__(self, policy: Policy, values: KeptValues, key: str, name: str) -> None:
        self._policy = policy
        self._values = values
        self._key = key
        self._name = name
        self._oldest = time.time() - (0 if policy.is_reset else policy.max_age)
        self._turn = Turn(values.turn(key))
        self._deadline = time.monotonic() + policy.lock_timeout
        self._pause = _FIRST_PAUSE
        self._running = _running.get()
        self.kept: Kept | None = None
        """The answer; None where the function has to run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _running.set(self._running)
        with contextlib.suppress(OSError):
            if isinstance(error, Exception):  # not Ctrl-C or a cancelled task: that says nothing of the function
                self._turn.leave(error)
        with contextlib.suppress(OSError):
            self._turn.end()

    def wait(self) -> float | None:
        """Seconds until it makes sense to ask again; None when there is an answer, or the function has to run.

        Raises:
            Exception: what the function raised in the call that this one waited for.
        """
        if self._look_up():
            return None
        try:
            state = self._turn.look()
        except OSError:  # a disk without locks, or a full one
            state = State.NOT_KEPT
        if state is State.FAILED and self._turn.error is not None:
            raise self._turn.error
        if state is State.OVER:
            return 0.0
        if state is State.TAKEN and time.monotonic() < self._deadline:
            pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
            return pause
        if state is not State.MINE or not self._look_up():  # it may have come just before the lock did
            _running.set(self._running | {self._key})
        return None

    def keep(self, value: Value) -> None:
        """Leave the value for other calls."""
        try:
            self._values.write(self._policy.folder, self._key, value)
        except Exception as exc:  # noqa: BLE001 - the user's class, which refuses to be pickled
            with contextlib.suppress(OSError):
                self._turn.leave(None)
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            warnings.warn(f"{self._name}() is not cached: its value, {kind}, cannot be kept: {exc}", stacklevel=3)

    def _look_up(self) -> bool:
        self.kept = self._values.read(self._policy.folder, self._key, oldest=self._oldest)
        if self.kept is not None and self._policy.is_verbose:
            print(f"{self._name}(): cached {max(0.0, time.time() - self.kept.created):.0f} s ago")  # noqa: T201 - asked for
        return self.kept is not None


def _signature(function: Function) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):  # written in C
        star = inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)
        return inspect.Signature([star, inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)])


def _reason(exc: Exception, arguments: Mapping[str, Value]) -> str:
    for name, value in arguments.items():
        try:
            start_digest().add(value)
        except Exception:  # noqa: BLE001 - this is the one
            hint = "if it does not change what the function gives, name it in cache_key_exclude"
            return f"the content of the argument {name!r} cannot be read ({exc}); {hint}"
    return f"{type(exc).__name__}: {exc}"


# -- the keywords


def _folder(value: Value) -> str:
    """A name for a folder, whatever it was: a path, an address of a bucket."""
    return re.sub(r"[^\w.=-]+", "_", os.fspath(value)).strip("._")[:100] or "any"


def _storage(value: Value) -> str:
    if value not in {"auto", "local", "mount"}:
        raise ArgumentError(f"cache_storage: got {value!r}, need auto, local or mount")
    return str(value)


def _lock_timeout(value: Value) -> int:
    try:
        return parse_max_age(value)
    except ArgumentError as exc:
        raise ArgumentError(f"concurrent_lock_timeout: got {value!r}, need seconds, or a text such as 30s, 2m") from exc


def _exclude(value: str | Iterable[str]) -> frozenset[str]:
    return frozenset([value] if isinstance(value, str) else value)


_KEYWORDS: Final[dict[str, tuple[str, Callable[[Value], Any]]]] = {
    "cache_max_age": ("max_age", parse_max_age),
    "cache_folder_path": ("folder", _folder),
    "concurrent_lock_timeout": ("lock_timeout", _lock_timeout),
    "cache_reset": ("is_reset", bool),
    "cache_storage": ("storage", _storage),
    "cache_key_exclude": ("exclude", _exclude),
    "cache_verbose": ("is_verbose", bool),
    "path": ("folder", _folder),
    "reset": ("is_reset", bool),
    "storage": ("storage", _storage),
    "verbose": ("is_verbose", bool),
}
"""Keyword → field, and how its value is read. The last four are the older names."""
_OLDER: Final = frozenset({"path", "reset", "storage", "verbose"})
_CACHE_ID: Final = "_cache_id"

_PYTHON: Final = str(sys.implementation.cache_tag).encode()
"""Compiled code is of one version of Python."""
