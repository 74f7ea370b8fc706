"""How deep UDFs run UDFs: they do so in one process, so one that runs itself without end would take all of it."""

from __future__ import annotations

import functools
import os
import threading
import types
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Any, Self

from fused_jupyter.errors import UdfRecursionError
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition

_VARIABLE = "FUSED_MAX_RECURSION_FACTOR"
_SHOWN = 6
"""Names at each end of a chain that is told."""


_NO_HEADERS: Mapping[str, str] = {}
_headers: ContextVar[Mapping[str, str]] = ContextVar("headers", default=_NO_HEADERS)

File = tuple[str, int, int]
"""Path, time of the last change in nanoseconds, and size, as `Reply.files` has them."""


class _Outermost:
    """The call that nobody's UDF made."""

    is_over = False

    def __init__(self) -> None:
        self.headers = _headers.get()
        self.files: dict[str, File] = {}
        """By path, what its result depends on beside its code and arguments."""


@dataclass(frozen=True, slots=True)
class _Chain:
    names: tuple[str, ...]
    """UDFs, the outermost first; each was run by the one before."""
    outermost: _Outermost
    definition: UdfDefinition | None = None
    """Of the innermost one."""


_chain: ContextVar[_Chain | None] = ContextVar("chain", default=None)


class Level:
    """One call of a UDF, one level below the call that it is made in; for a `with`.

    Args:
        udf: its name.
        definition: what runs.

    Raises:
        UdfRecursionError: it would be too deep; the message names the UDFs.
    """

    def __init__(self, udf: str, definition: UdfDefinition | None = None) -> None:
        outer = _current()
        self._is_outermost = outer is None
        if outer is None:
            self._chain = _Chain((udf,), _Outermost(), definition)
            return
        self._chain = _Chain((*outer.names, udf), outer.outermost, definition)
        limit = _limit(os.environ.get(_VARIABLE))
        if len(outer.names) > limit:
            raise UdfRecursionError(
                f"UDFs run each other more than {limit} levels deep: {_told(self._chain.names)}; end the recursion "
                f"earlier, use a plain function for it, or raise {_VARIABLE}",
                udf=udf,
                child_exception_class="RecursionError",
            )

    def __enter__(self) -> Self:
        self._before: Token[_Chain | None] = _chain.set(self._chain)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        _chain.reset(self._before)
        if self._is_outermost:
            self._chain.outermost.is_over = True

    @property
    def files(self) -> tuple[File, ...]:
        """What the results of all these calls depend on, so far."""
        return tuple(self._chain.outermost.files.values())


def running() -> UdfDefinition | None:
    """The UDF in whose call this code runs, also in threads that it started; None outside of UDFs."""
    chain = _current()
    return None if chain is None else chain.definition


def depth() -> int:
    """How many UDFs run this one, by one another; 0 for one that no UDF runs, and outside of UDFs."""
    chain = _current()
    return 0 if chain is None else len(chain.names) - 1


def headers() -> Mapping[str, str]:
    """Of the request that the running call answers, those that its UDF may see; none for a call from Python."""
    chain = _current()
    return _NO_HEADERS if chain is None else chain.outermost.headers


class Asked:
    """Headers for the calls that are made in it; for a `with`."""

    def __init__(self, headers: Mapping[str, str] | None) -> None:
        self._told = headers or _NO_HEADERS

    def __enter__(self) -> None:
        self._before = _headers.set(self._told)

    def __exit__(self, *_: object) -> None:
        _headers.reset(self._before)


def depend_on(path: str | os.PathLike[str]) -> None:
    """Let the result of the running call, and of those around it, hold only until a file changes.

    To be called before the file is read.
    """
    if (chain := _current()) is None:
        return
    name = os.fspath(path)
    chain.outermost.files.setdefault(name, state_of(name))


def state_of(path: str) -> File:
    """A file as it is now; one that is gone is a state too."""
    try:
        status = os.stat(path)  # noqa: PTH116 - before each run, for each of them
    except OSError:
        return path, 0, -1
    return path, status.st_mtime_ns, status.st_size


def follow_threads() -> None:
    """Have threads of this process know in which call they were started. For workers, which are our own.

    Python 3.14 can hand all of a context to each new thread; that would be too much, as numpy and decimal keep settings
    there. A pool's threads are older than what they are given to do, so that brings its own.
    """
    start: Callable[[threading.Thread], None] = threading.Thread.start
    submit: Callable[..., Future[Any]] = ThreadPoolExecutor.submit

    @functools.wraps(start)
    def start_in_chain(self: threading.Thread) -> None:
        self.__dict__[_ATTRIBUTE] = _current()
        start(self)

    @functools.wraps(submit)
    def submit_in_chain(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        chain = _current()
        return submit(self, fn, *args, **kwargs) if chain is None else submit(self, _inside, chain, fn, *args, **kwargs)

    threading.Thread.start = start_in_chain  # type: ignore[method-assign]
    ThreadPoolExecutor.submit = submit_in_chain  # type: ignore[method-assign, assignment]


_ATTRIBUTE = "_fused_chain"


def _inside(chain: _Chain, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    before = _chain.set(chain)
    try:
        return function(*args, **kwargs)
    finally:
        _chain.reset(before)


def _current() -> _Chain | None:
    """The calls in which this code runs; of a thread that is left from an earlier one, none."""
    chain = _chain.get() or getattr(threading.current_thread(), _ATTRIBUTE, None)
    return None if chain is None or chain.outermost.is_over else chain


@functools.lru_cache(maxsize=4)
def _limit(text: str | None) -> int:
    return Options.from_environment({} if text is None else {_VARIABLE: text}).max_recursion_factor


def _told(names: tuple[str, ...]) -> str:
    left_out = len(names) - 2 * _SHOWN
    if left_out > 1:
        names = (*names[:_SHOWN], f"({left_out} more)", *names[-_SHOWN:])
    return " → ".join(names)
