"""What tokens open, and how much of it: the live ones of a kernel, and those of saved UDFs."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from fused_jupyter.errors import ArgumentError, FormatError, RateError, ShareError, TileError
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Limits, Run

NOTHING = "this token opens nothing here"
"""Of tokens that are unknown, revoked, expired or of something else: which of these is not told."""

_MOST_PACES = 10_000


class Saved(Protocol):
    """The saved UDFs and their tokens."""

    def named(self, name: str) -> UdfDefinition | None:
        """What a name means."""
        ...

    def opened(self, share: str, udf: str) -> tuple[UdfDefinition, Limits]:
        """What a token opens."""
        ...

    def describe(self, share: str) -> Mapping[str, Any]:
        """All that a token opens."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a token opens, by name or, where it was saved, as it is."""

    limits: Limits
    name: str = ""
    definition: UdfDefinition | None = None


class Shares:
    """The tokens of one host, by the SHA-256 of each.

    Args:
        saved: those that are kept on disk.
    """

    def __init__(self, saved: Saved | None = None) -> None:
        self._saved = saved
        self._live: dict[str, tuple[str, Limits]] = {}
        self._paces: OrderedDict[str, _Pace] = OrderedDict()

    @property
    def live(self) -> tuple[str, ...]:
        """Those that the kernel has given."""
        return tuple(self._live)

    def grant(self, share: str, udf: str, limits: Limits) -> None:
        """Open a UDF for whoever has the token of this SHA-256."""
        self._live[share] = udf, limits

    def revoke(self, share: str) -> None:
        """Close it again."""
        self._live.pop(share, None)

    def open(self, share: str, udf: str) -> Opened:
        """What a token opens.

        Raises:
            ShareError: nothing.
        """
        if (live := self._live.get(share)) is not None:
            name, limits = live
            if limits.is_expired:
                raise ShareError(NOTHING)
            return Opened(name=name, limits=limits)
        if self._saved is None:
            raise ShareError(NOTHING)
        definition, limits = self._saved.opened(share, udf)
        return Opened(name=definition.name, definition=definition, limits=limits)

    def describe(self, share: str) -> Mapping[str, Any]:
        """`kind`, `limits`, `metadata`, and the `definitions` that are saved or the `name` of the live one.

        Raises:
            ShareError: it opens nothing.
        """
        if share in self._live:
            opened = self.open(share, "")
            return {"kind": "udf", "name": opened.name, "limits": opened.limits, "metadata": None}
        if self._saved is None:
            raise ShareError(NOTHING)
        return self._saved.describe(share)

    def note(self, share: str, limits: Limits) -> None:
        """Count a request.

        Raises:
            RateError: there were too many in the last seconds.
        """
        if limits.rate is None:
            return
        pace = self._paces.get(share)
        if pace is None or pace.rate != limits.rate:
            pace = self._paces[share] = _Pace(limits.rate)
        self._paces.move_to_end(share)
        while len(self._paces) > _MOST_PACES:
            self._paces.popitem(last=False)
        pace.take()


class _Pace:
    """A bucket of requests, which fills at its rate."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._most = max(1.0, 2 * rate)
        self._left = self._most
        self._seen = time.monotonic()

    def take(self) -> None:
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._seen) * self.rate)
        self._seen = now
        if self._left < 1:
            wait = (1 - self._left) / self.rate
            message = f"this token allows {self.rate:g} requests per second; come again in {wait:.1f} s"
            raise RateError(message, retry_after=max(1, round(wait + 0.5)))
        self._left -= 1


def within(limits: Limits, run: Run) -> Run:
    """A run as a token allows it.

    Raises:
        ArgumentError: an argument that may not come.
        FormatError: a format that may not be asked for.
        TileError: a zoom outside.
    """
    if limits.parameters is not None and (extra := sorted((run.parameters or {}).keys() - set(limits.parameters))):
        allowed = ", ".join(limits.parameters) or "none"
        raise ArgumentError(f"this token does not allow the argument {extra[0]!r}; it allows {allowed}")
    if limits.zooms is not None and run.tile is not None and not limits.zooms[0] <= run.tile[0] <= limits.zooms[1]:
        lowest, highest = limits.zooms
        raise TileError(f"zoom {run.tile[0]}: this token allows the zooms {lowest} to {highest}")
    if limits.formats is not None:
        run = _in_formats(limits.formats, run)
    if not limits.cache:
        run = replace(run, cache_max_age="0")
    return replace(run, slots=limits.concurrency or 0)


def _in_formats(allowed: tuple[str, ...], run: Run) -> Run:
    # An extension counts before all else, and then `format=` is not looked at.
    said = (run.extension,) if run.extension else (run.format, run.dtype_out_raster, run.dtype_out_vector)
    asked = [part.strip().lower() for text in said for part in (text or "").split(",") if part.strip()]
    kept = [name for name in asked or allowed if name in allowed]
    if not kept:
        refused = f"the format {asked[0]!r}" if asked else "any format"
        raise FormatError(f"this token does not allow {refused}; it allows {', '.join(allowed) or 'none'}")
    if run.extension:
        return run
    return replace(run, format=",".join(kept), dtype_out_raster=None, dtype_out_vector=None, accept=None)
