"""Against guessing: every token that opens nothing gets the same answer at the same time, and soon without a look."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from fused_jupyter.errors import ShareError

T = TypeVar("T")

NOTHING = "this token opens nothing here"
"""Of everything that a token does not open, so that nobody learns what there is."""

_SECONDS = 60.0
_STEP_SECONDS = 0.1
_MOST_CLIENTS = 2_000
_MOST_TOKENS = 10_000


class Guard:
    """Counts wrong tokens by where they come from.

    Who tried too many is answered without a look, but for tokens that have opened something before: those of others
    behind the same address go on. A map whose kernel ended asks again and again with one token: that is one.

    Args:
        misses: how many wrong tokens a minute an address may try; 0 lets it try any number.
        clock: seconds that only grow.
    """

    def __init__(self, misses: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = misses
        self._clock = clock
        self._tried: OrderedDict[str, OrderedDict[str, float]] = OrderedDict()
        """By address, the wrong tokens that it tried, and when it did so last."""
        self._good: OrderedDict[str, None] = OrderedDict()

    @contextlib.asynccontextmanager
    async def watch(self, address: str, share: str) -> AsyncIterator[None]:
        """See what becomes of a request with a token.

        Args:
            address: where it comes from.
            share: SHA-256 of the token.

        Raises:
            ShareError: it opens nothing. It is always this one error, and it comes at the next full step of time.
        """
        started, client = self._clock(), _network(address)
        try:
            self._admit(client, share)
            yield
        except ShareError as exc:
            if exc.child_exception_class is not None:
                raise  # of another token, that the UDF itself tried
            self._note_miss(client, share)
            # How long the look took tells whether there is, or was, such a token.
            await asyncio.sleep(_STEP_SECONDS - (self._clock() - started) % _STEP_SECONDS)
            raise ShareError(NOTHING) from None
        self._note_good(share)

    def _admit(self, client: str, share: str) -> None:
        tried = self._tried.get(client, OrderedDict[str, float]())
        is_closed = 0 < self._most <= len(tried) and next(iter(tried.values())) > self._clock() - _SECONDS
        if is_closed and share not in self._good:
            raise ShareError(NOTHING)

    def _note_miss(self, client: str, share: str) -> None:
        if self._most > 0:
            tried = self._tried.setdefault(client, OrderedDict())
            tried[share] = self._clock()
            _keep(tried, share, self._most)  # if the oldest of so many is young, they were too many
            _keep(self._tried, client, _MOST_CLIENTS)

    def _note_good(self, share: str) -> None:
        self._good[share] = None
        _keep(self._good, share, _MOST_TOKENS)


def _keep(newest: OrderedDict[str, T], key: str, most: int) -> None:
    newest.move_to_end(key)
    while len(newest) > most:
        newest.popitem(last=False)


def _network(address: str) -> str:
    """An IPv4 address, or the half of an IPv6 address that one user gets; of that the other half is free to choose.

    >>> _network("192.0.2.1"), _network("2001:db8:1:2:3:4:5:6")
    ('192.0.2.1', '2001:db8:1:2::/64')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket has none
        return address
    return address if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
