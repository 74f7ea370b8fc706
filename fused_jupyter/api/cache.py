"""`fused.cache`: a function that runs once for each set of arguments."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, overload

from fused_jupyter.errors import ArgumentError
from fused_jupyter.settings import Options

if TYPE_CHECKING:
    from fused_jupyter.caching.kept import KeptValues

Returned = TypeVar("Returned")


class Keywords(TypedDict, total=False):
    """What can be said of how values are kept, at the decorator and at each call."""

    cache_max_age: str | int | None
    cache_folder_path: str | os.PathLike[str] | None
    concurrent_lock_timeout: str | int | None
    cache_reset: bool | None
    cache_storage: str | None
    cache_key_exclude: Iterable[str] | None
    cache_verbose: bool | None
    path: str | os.PathLike[str] | None
    storage: str | None
    reset: bool | None
    verbose: bool | None


@overload
def cache(func: Callable[..., Returned], **keywords: Unpack[Keywords]) -> Callable[..., Returned]: ...
@overload
def cache(
    func: None = None, **keywords: Unpack[Keywords]
) -> Callable[[Callable[..., Returned]], Callable[..., Returned]]: ...
def cache(
    func: Callable[..., Any] | None = None,
    *,
    cache_max_age: str | int | None = None,
    cache_folder_path: str | os.PathLike[str] | None = None,
    concurrent_lock_timeout: str | int | None = None,
    cache_reset: bool | None = None,
    cache_storage: str | None = None,
    cache_key_exclude: Iterable[str] | None = None,
    cache_verbose: bool | None = None,
    path: str | os.PathLike[str] | None = None,
    storage: str | None = None,
    reset: bool | None = None,
    verbose: bool | None = None,
) -> Any:
    """Keep what a function gives, and give it again to equal calls: in this process, in others, and tomorrow.

    Works on plain, nested and async functions and on methods, as `@fused.cache`, `@fused.cache(...)` and
    `fused.cache(function, ...)(...)`. Each keyword can be said at a call, too, and holds for that call; what is a
    parameter of the function goes to the function. A call also takes `_cache_id`: anything that belongs to the key.

    Two calls are equal where the function, what it reaches and its arguments are. That is the code, not its comments;
    its closure and defaults; the global constants, helpers and header modules that it reads, and what these read in
    turn; and the content of the arguments, however they are passed. `1`, `1.0` and `"1"` differ. A call that raised is
    not kept; equal calls that were waiting for it raise the same.

    Args:
        func: the function.
        cache_max_age: how old a value may be: seconds, `10s`, `5m`, `48h`, `7d`; 48 hours if nothing is said; 0 keeps
            nothing.
        cache_folder_path: a folder of the cache for these values; of a path or an address of a bucket the name is kept.
        concurrent_lock_timeout: how long to wait for an equal call before running as well; 120 seconds if nothing is
            said.
        cache_reset: whether to run whatever is kept, and keep the new value. At a call, that call only.
        cache_storage: `auto`, `local` or `mount`; all mean the cache directory.
        cache_key_exclude: parameters that do not change the value, such as a connection.
        cache_verbose: whether to print a line when a value was kept.
        path: the older name of `cache_folder_path`.
        storage: the older name of `cache_storage`.
        reset: the older name of `cache_reset`.
        verbose: the older name of `cache_verbose`.

    Returns:
        The function with a cache; or, without `func`, what makes it.

    Raises:
        ArgumentError: a keyword does not fit, or the function is a generator.

    >>> @cache
    ... def double(n):
    ...     print("runs")
    ...     return 2 * n
    >>> double(21, cache_reset=True)
    runs
    42
    >>> double(n=21)
    42
    """
    from fused_jupyter.caching.functions import Policy, cached  # milliseconds, for those who use it

    said: Keywords = {
        "cache_max_age": cache_max_age,
        "cache_folder_path": cache_folder_path,
        "concurrent_lock_timeout": concurrent_lock_timeout,
        "cache_reset": cache_reset,
        "cache_storage": cache_storage,
        "cache_key_exclude": cache_key_exclude,
        "cache_verbose": cache_verbose,
        "path": path,
        "storage": storage,
        "reset": reset,
        "verbose": verbose,
    }
    policy = Policy().changed(said)
    if func is None:
        return functools.partial(cached, policy=policy, values=kept_values)
    if not callable(func):
        raise ArgumentError(
            f"@fused.cache: got {func!r}, need a function; options go by keyword, e.g. cache_max_age='1h'"
        )
    return cached(func, policy, kept_values)


@functools.cache
def kept_values() -> KeptValues:
    """The files of this process's user; made by the first call, as importing must touch no disk."""
    from fused_jupyter.caching.kept import KeptValues

    options = Options.from_environment()
    return KeptValues(Path(options.cache_directory), size=options.cache_size)
