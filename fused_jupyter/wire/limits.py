"""What whoever has a token may do with it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from fused_jupyter.errors import ArgumentError

_DEEPEST = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What whoever has a token may do with it; None leaves it open.

    Raises:
        ArgumentError: a value of the wrong kind or out of range.

    >>> Limits(zooms=(0, 14), rate=20.0).zooms
    (0, 14)
    """

    parameters: tuple[str, ...] | None = None
    """The arguments that may come; the others keep their defaults."""
    formats: tuple[str, ...] | None = None
    """The formats that may be asked for, as their extensions."""
    zooms: tuple[int, int] | None = None
    """The lowest and the highest zoom of tiles."""
    rate: float | None = None
    """Requests per second, on average; twice as many may come at once."""
    concurrency: int | None = None
    """Runs at one time."""
    cache: bool = True
    """Whether results are kept for it, and kept ones are given."""
    show_errors: bool = False
    """Whether it sees what the UDF prints, and its tracebacks."""
    expires: float | None = None
    """Seconds since the epoch, from when on it opens nothing."""

    def __post_init__(self) -> None:
        for name in ("parameters", "formats", "zooms"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        for is_wrong, what in (
            (not _are_texts(self.parameters), f'parameters={self.parameters!r}: names are wanted, as ("min_mag",)'),
            (not _are_texts(self.formats), f'formats={self.formats!r}: extensions are wanted, as ("png", "csv")'),
            (not _are_zooms(self.zooms), f"zooms={self.zooms!r}: the lowest and highest are wanted, as (0, 14)"),
            (not _is_positive(self.rate), f"rate={self.rate!r}: requests per second are wanted, as 20"),
            (not _is_count(self.concurrency), f"concurrency={self.concurrency!r}: a number of runs is wanted, as 2"),
            (not isinstance(self.cache, bool), f"cache={self.cache!r}: True or False is wanted"),
            (not isinstance(self.show_errors, bool), f"show_errors={self.show_errors!r}: True or False is wanted"),
            (not _is_time(self.expires), f"expires={self.expires!r}: seconds since the epoch are wanted"),
        ):
            if is_wrong:
                raise ArgumentError(what)

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires is not None and time.time() >= self.expires

    def to_json(self) -> dict[str, Any]:
        """What says more than the default does."""
        return {name: value for name, value in asdict(self).items() if value != _DEFAULTS[name]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `to_json` wrote; what a newer version added is passed over."""
        return cls(**{name: value for name, value in values.items() if name in _DEFAULTS})


_DEFAULTS = {each.name: each.default for each in fields(Limits)}


def _are_texts(values: object) -> bool:
    return values is None or (isinstance(values, tuple) and all(isinstance(value, str) for value in values))


def _are_zooms(values: object) -> bool:
    if values is None:
        return True
    if not isinstance(values, tuple) or len(values) != 2 or not all(type(value) is int for value in values):
        return False
    return bool(0 <= values[0] <= values[1] <= _DEEPEST)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_positive(value: object) -> bool:
    return value is None or (_is_number(value) and value > 0)  # type: ignore[operator]  # it is a number


def _is_count(value: object) -> bool:
    return value is None or (type(value) is int and value > 0)


def _is_time(value: object) -> bool:
    return value is None or (_is_number(value) and not math.isnan(value))  # type: ignore[arg-type]  # it is a number
