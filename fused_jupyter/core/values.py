"""Kept values and JSON, by the names of the official client."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fused_jupyter.api.cache import cache
from fused_jupyter.udfs import plain

Returned = TypeVar("Returned")


def cache_call(func: Callable[..., Returned], *args: Any, **kwargs: Any) -> Returned:
    """What a function gives, kept as by `@fused.cache`.

    Args:
        func: the function.
        *args: its arguments.
        **kwargs: its arguments, and the keywords of `fused.cache`.

    >>> def add(a, b):
    ...     return a + b
    >>> cache_call(add, 1, b=2)
    3
    """
    return cache(func)(*args, **kwargs)


async def cache_call_async(func: Callable[..., Awaitable[Returned]], *args: Any, **kwargs: Any) -> Returned:
    """The same for an `async` function."""
    return await cache(func)(*args, **kwargs)


def fused_json_default_handler(value: Any) -> Any:
    """A value as JSON has it, for `json.dumps(…, default=…)`.

    Raises:
        TypeError: JSON has nothing like it.

    >>> import datetime
    >>> json.dumps({"at": datetime.date(2026, 1, 2), "of": {1}}, default=fused_json_default_handler)
    '{"at": "2026-01-02", "of": [1]}'
    """
    return plain(value)


class FusedJSONEncoder(json.JSONEncoder):
    """The same for `json.dumps(…, cls=…)`."""

    def default(self, o: Any) -> Any:
        """A value as JSON has it."""
        return fused_json_default_handler(o)
