"""One range of values for all tiles of a layer: the first tile with values settles it, the others are drawn with it.

A range taken from each tile would show its edges; one fixed for all data would show elevations as one colour. So the
encoder proposes the range of its own tile, and whoever comes first wins. It is kept as long as results are, for a
browser keeps tiles that were drawn with it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from fused_jupyter.caching import Entry

Domain = tuple[float, float]

_MOST_LAYERS: Final = 10_000
"""Each value of each slider is a layer of its own."""


class Records(Protocol):
    """Keeps small results."""

    def on_disk(self, key: str, *, max_age: float) -> Entry | None:
        """A young enough record."""
        ...

    def write(self, key: str, entry: Entry) -> None:
        """Keep it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The tiles of a UDF with the same arguments."""

    key: str
    udf: str
    max_age: int
    """Seconds; 0 keeps nothing on disk."""

    @property
    def about(self) -> bytes:
        """What its record is deleted by."""
        return orjson.dumps({"udf": self.udf, "kind": "range"})


class Domains:
    """The ranges by layer, in memory over the disk."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._domains: OrderedDict[str, tuple[str, Domain]] = OrderedDict()
        """By key, the UDF and the range."""
        self._without: OrderedDict[str, None] = OrderedDict()
        """Layers of which the disk knew nothing: many never have a range, and each of their tiles would ask again."""

    async def get(self, layer: Layer) -> Domain | None:
        """The layer's range, None where no tile has settled it."""
        if (known := self._domains.get(layer.key)) is not None:
            self._domains.move_to_end(layer.key)
            return known[1]
        if layer.max_age <= 0 or layer.key in self._without:
            return None
        recorded = await self._recorded(layer)
        if layer.key in self._domains:
            return self._domains[layer.key][1]  # settled while the disk was looked at
        if recorded is not None:
            return self._remember(layer, recorded)
        self._without[layer.key] = None
        _drop_oldest(self._without)
        return None

    async def settle(self, layer: Layer, proposed: Domain) -> Domain:
        """The layer's range: the proposed one, unless another tile was faster."""
        if layer.key not in self._domains and layer.max_age > 0:
            proposed = await self._recorded(layer) or proposed  # another host may have settled it
        if (settled := self._remember(layer, proposed)) == proposed and layer.max_age > 0:
            entry = Entry(created=time.time(), meta=b"{}", body=orjson.dumps(settled), about=layer.about)
            await asyncio.to_thread(self._records.write, layer.key, entry)
        return settled

    def forget(self, udf: str | None) -> None:
        """Forget the ranges of a UDF, or all: they are of values that nobody wants any more."""
        self._without.clear()
        for key in [key for key, (owner, _) in self._domains.items() if udf in {None, owner}]:
            del self._domains[key]

    async def _recorded(self, layer: Layer) -> Domain | None:
        entry = await asyncio.to_thread(self._records.on_disk, layer.key, max_age=layer.max_age)
        if entry is None:
            return None
        low, high = orjson.loads(entry.body)
        return low, high

    def _remember(self, layer: Layer, domain: Domain) -> Domain:
        _, settled = self._domains.setdefault(layer.key, (layer.udf, domain))
        self._without.pop(layer.key, None)
        _drop_oldest(self._domains)
        return settled


def _drop_oldest(layers: OrderedDict[str, Any]) -> None:  # whatever is known of them
    while len(layers) > _MOST_LAYERS:
        layers.popitem(last=False)
