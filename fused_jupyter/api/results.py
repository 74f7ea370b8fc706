"""`fused.cache_info`, `fused.list_cache`, `fused.clear_cache`: what is kept of the runs, and an end to it."""

from __future__ import annotations

import html
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fused_jupyter.api.cache import kept_values
from fused_jupyter.api.figures import amount, duration
from fused_jupyter.runtime import current_kernel
from fused_jupyter.wire import DeleteResults, DescribeResults, ListResults

_SHOWN = 20
"""Rows in what a notebook shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedUdf:
    """What is kept of one UDF, in all its versions, by all kernels; and how much that helped since this host began."""

    udf: str
    entries: int
    bytes: int
    hits: int
    """Requests that were answered with it."""
    joined: int
    """Requests that waited for an equal one."""
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """The state of the caches; a notebook shows it as a table."""

    directory: str
    entries: int
    """Results on disk."""
    bytes: int
    bytes_limit: int
    """`FUSED_CACHE_SIZE`: at this size, what was used longest ago makes room."""
    memory_entries: int
    """Results in the memory of this kernel's host."""
    memory_bytes: int
    memory_limit: int
    """`FUSED_CACHE_MEMORY`."""
    hits: int
    """Requests since the host began that were answered from the cache."""
    misses: int
    """Requests that looked for a result and found none."""
    joined: int
    """Requests that waited for an equal one."""
    function_entries: int
    """Values of `@fused.cache` on disk."""
    function_bytes: int
    udfs: tuple[CachedUdf, ...] = field(repr=False)
    """The largest first."""

    def _repr_html_(self) -> str:
        facts = [
            f"{self.entries} results, {amount(self.bytes)} of {amount(self.bytes_limit)}",
            f"in memory {amount(self.memory_bytes)} of {amount(self.memory_limit)}",
            f"{self.hits} hits, {self.misses} misses, {self.joined} joined",
            f"{self.function_entries} values of functions, {amount(self.function_bytes)}",
        ]
        rows = [(row.udf, row.entries, amount(row.bytes), row.hits, row.joined, row.runs) for row in self.udfs]
        said = f"<div>{html.escape(' · '.join(facts))}</div><div><code>{html.escape(self.directory)}</code></div>"
        return said + _table(("UDF", "results", "size", "hits", "joined", "runs"), rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedResult:
    """One kept result."""

    udf: str
    digest: str
    """The version that ran."""
    arguments: str
    """As text, shortened."""
    tile: tuple[int, int, int] | None
    """(z, x, y); None where it ran as a file."""
    format: str
    """What was asked for: an extension, a media type, `object` for a Python call; empty where nothing was."""
    bytes: int
    created: float
    """Seconds since the epoch."""

    @property
    def age(self) -> float:
        """Seconds since it was made."""
        return max(0.0, time.time() - self.created)


class CachedResults(tuple[CachedResult, ...]):
    """Kept results; a notebook shows the first of them as a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        rows = [
            (
                row.udf,
                row.arguments,
                "" if row.tile is None else "/".join(map(str, row.tile)),
                row.format,
                amount(row.bytes),
                duration(row.age),
            )
            for row in self[:_SHOWN]
        ]
        rest = f"<div>and {len(self) - _SHOWN} more</div>" if len(self) > _SHOWN else ""
        return _table(("UDF", "arguments", "tile", "format", "size", "age"), rows) + rest


def cache_info() -> CacheInfo:
    """How much is kept, where, and how much it helped.

    All kernels of a user share the files; what counts requests is of this kernel's host alone.

    >>> from fused_jupyter import udf
    >>> @udf(cache_max_age="1h")
    ... def double(n: int = 2):
    ...     return 2 * n
    >>> before = cache_info().hits
    >>> double(n=21), double(n=21)
    (42, 42)
    >>> cache_info().hits - before
    1
    """
    said = current_kernel().ask(lambda number: DescribeResults(id=number))
    udfs = [CachedUdf(udf=name, **row) for name, row in said.pop("udfs").items()]
    count, size = kept_values().usage()
    return CacheInfo(
        udfs=tuple(sorted(udfs, key=lambda row: row.bytes, reverse=True)),
        entries=sum(row.entries for row in udfs),
        bytes=sum(row.bytes for row in udfs),
        hits=sum(row.hits for row in udfs),
        joined=sum(row.joined for row in udfs),
        function_entries=count,
        function_bytes=size,
        **said,
    )


def list_cache(udf: Any = None, *, limit: int = 1000) -> CachedResults:
    """The results that are kept, the newest first.

    Args:
        udf: a UDF or its name, for its results alone, of all its versions.
        limit: how many at most.

    >>> from fused_jupyter import udf
    >>> @udf(cache_max_age="1h")
    ... def triple(n: int = 2):
    ...     return 3 * n
    >>> triple(n=14)
    42
    >>> [(kept.udf, kept.arguments) for kept in list_cache(triple)]
    [('triple', 'n=14')]
    """
    found = current_kernel().ask(lambda number: ListResults(id=number, udf=_name(udf), limit=limit))
    return CachedResults(_cached(values) for values in found)


def clear_cache(*, functions: bool = False) -> int:
    """Delete all results of all UDFs, also those that other kernels of yours made; `Udf.delete_cache` those of one.

    A run that goes on now is not kept. Browsers keep what they got from addresses with a version until they reload.

    Args:
        functions: also the values of `@fused.cache`.

    Returns:
        How many there were.
    """
    count = delete_results(None)
    return count + kept_values().clear() if functions else count


def delete_results(udf: str | None) -> int:
    """Delete the results of a UDF by its name, or all; gives how many there were."""
    count: int = current_kernel().ask(lambda number: DeleteResults(id=number, udf=udf))
    return count


def _name(udf: Any) -> str | None:
    return udf if udf is None or isinstance(udf, str) else udf.name


def _cached(values: Mapping[str, Any]) -> CachedResult:
    return CachedResult(
        udf=values["udf"],
        digest=values["digest"],
        arguments=values["arguments"],
        tile=None if values["tile"] is None else tuple(values["tile"]),
        format=values["format"],
        bytes=values["bytes"],
        created=values["created"],
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th style='text-align:left'>{name}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{html.escape(str(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return f"<table style='font-size:12px'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
