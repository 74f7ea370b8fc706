"""One range of values for all tiles of a layer: the first tile with values settles it, the others are drawn with it.

A range taken from each tile would show its edges; one fixed for all data would show elevations as one colour. So the
encoder proposes the range of its own tile, and whoever comes first wins. It is kept as long as results are, for a
browser keeps tiles that were drawn with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from typing import Any, Final, Protocol

import orjson

from fused_jupyter.caching import Entry
from fused_jupyter.wire import Run

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


class Domains:
    """The ranges by layer, in memory over the disk."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._domains: OrderedDict[str, Domain] = OrderedDict()

    async def get(self, layer: str, *, max_age: int) -> Domain | None:
        """The layer's range, None where no tile has settled it."""
        if (known := self._domains.get(layer)) is not None:
            self._domains.move_to_end(layer)
            return known
        entry = await asyncio.to_thread(self._records.on_disk, layer, max_age=max_age) if max_age > 0 else None
        if entry is None:
            return self._domains.get(layer)  # settled while the disk was looked at
        low, high = orjson.loads(entry.body)
        return self._remember(layer, (low, high))

    async def settle(self, layer: str, proposed: Domain, *, max_age: int) -> Domain:
        """The layer's range: the proposed one, unless another tile was faster."""
        if (settled := self._remember(layer, proposed)) == proposed and max_age > 0:
            entry = Entry(created=time.time(), meta=b"{}", body=orjson.dumps(settled))
            await asyncio.to_thread(self._records.write, layer, entry)
        return settled

    def _remember(self, layer: str, domain: Domain) -> Domain:
        settled = self._domains.setdefault(layer, domain)
        while len(self._domains) > _MOST_LAYERS:
            self._domains.popitem(last=False)
        return settled


def layer_key(digest: str, run: Run) -> str:
    """What all tiles of a layer share: the code and the arguments."""
    parts: list[Any] = ["domain", digest, run.parameters]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()
