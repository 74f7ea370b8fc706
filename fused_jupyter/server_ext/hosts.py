"""Which host answers: finds announcements, keeps one connection to each host, and mirrors what each has."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import functools
import math
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from fused_jupyter.errors import AccessError, FusedError, HostLostError, ProtocolError, ShareError, UnknownUdfError
from fused_jupyter.server_ext.recent import RecentAnswers
from fused_jupyter.server_ext.standing import StandingHost
from fused_jupyter.wire import (
    Announcement,
    Ask,
    Client,
    DeleteResults,
    Describe,
    Described,
    DescribeShare,
    Heard,
    Message,
    Noted,
    Published,
    Reply,
    Run,
    connect,
    cut,
)
from fused_jupyter.wire.announcement import announcements, is_running
from fused_jupyter.wire.host_settings import SAVED

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_ACTIVITY_SECONDS = 10.0
_COUNT_SECONDS = 1.0
_PATIENCE_SECONDS = 2.0
_RETRY_SECONDS = 1.0
_REMEMBERED = 200
_OPENED_SECONDS = 2.0
_MOST_OPENED = 10_000
_RECENT_BYTES = 64 << 20


@dataclass(slots=True, eq=False)
class Host:
    """A host that this server is connected to."""

    announcement: Announcement
    client: Client
    udfs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`UdfSummary` by name."""
    shares: frozenset[str] = frozenset()
    answered: Counter[str] = field(default_factory=Counter)
    """Requests that the host has not heard of yet, by digest."""
    served_at: float = 0.0
    changed_at: float = 0.0
    """The newest registration."""
    epoch: int = 0
    """What it said last of answers that were given before."""

    @property
    def kernel_id(self) -> str:
        """The kernel whose UDFs it runs."""
        return self.announcement.kernel_id

    def learn(self, message: Published | Described) -> None:
        """Take over what the host says it has.

        Raises:
            ProtocolError: no host of ours says such things.
        """
        try:
            if isinstance(message, Described):
                self.udfs.clear()
            for udf in message.udfs:
                registered_at = float(udf["registered_at"])
                self.udfs[str(udf["name"])] = {**udf, "registered_at": registered_at}
                self.changed_at = max(self.changed_at, registered_at)
            self.shares = frozenset(message.shares)
            self.epoch = message.epoch
        except (KeyError, TypeError, ValueError) as exc:
            raise ProtocolError(f"the host of kernel {self.kernel_id} does not describe its UDFs as expected") from exc

    def note_answered(self, digest: str) -> None:
        """This server had kept an answer; the host hears of it within a second, as it counts all."""
        if not self.answered:
            asyncio.get_running_loop().call_later(_COUNT_SECONDS, self._tell_answered)
        self.answered[digest] += 1

    def _tell_answered(self) -> None:
        answered, self.answered = self.answered, Counter()
        self.client.tell(Noted(answered=answered))

    def hear(self, news: Published) -> None:
        """`learn`, and tell the host that it is done."""
        self.learn(news)
        self.client.tell(Heard(id=self.client.next_number(), serial=news.serial))


class Hosts:
    """All hosts of this server's kernels.

    Args:
        directory: where hosts announce themselves.
        is_served: whether this server answers for the kernel of an announcement.
        has_kernel: whether this server runs a kernel of that id.
        on_served: called now and then with the id of a kernel whose UDFs are asked for.
        standing: starts the host of saved UDFs.
    """

    def __init__(
        self,
        directory: Path,
        *,
        is_served: Callable[[Announcement], bool],
        has_kernel: Callable[[str], bool],
        on_served: Callable[[str], None] = lambda _: None,
        standing: StandingHost | None = None,
    ) -> None:
        self._directory = directory
        self._is_served = is_served
        self._has_kernel = has_kernel
        self._on_served = on_served
        self._hosts: dict[str, Host] = {}
        self._departed: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._fallen: dict[str, Host] = {}
        """Hosts that died before their kernels, which replace them."""
        self._refused: dict[str, ProtocolError | AccessError] = {}
        self._silent: dict[str, float] = {}
        """Hosts that did not answer, and when to try them again."""
        self._scanned_mtime = -1.0
        self._scanned_at = 0.0
        self._scanning = asyncio.Lock()
        self._recent = RecentAnswers(_RECENT_BYTES)
        self._watchers: set[asyncio.Task[None]] = set()
        self._standing = standing
        self._saved: Host | None = None
        """The host of saved UDFs, while it runs."""
        self._asked = 0
        """Requests that it has not answered yet."""
        self._opened: OrderedDict[str, float] = OrderedDict()
        """Tokens that it has, and since when it is known."""
        if standing is not None:
            standing.in_use = lambda: self._asked > 0

    def __len__(self) -> int:
        return len(self._hosts)

    async def find(self, udf: str, kernel: str | None) -> Host:
        """The host that answers for a UDF: the pinned kernel's, else the one with the newest registration.

        Raises:
            UnknownUdfError: no kernel has it.
            HostLostError: the kernel that had it is gone or restarting.
            ProtocolError: the kernel has another version of this package.
        """
        if not _NAME.fullmatch(udf):
            raise UnknownUdfError(f"{udf!r} cannot name a UDF: letters, digits and _, not starting with a digit")
        if kernel == SAVED:
            return await self._saved_one(udf)
        if kernel is not None:
            return await self._pinned(kernel, udf)
        await self._scan_if_changed()
        host = self._newest(udf)
        if host is None:
            await self._look_again()
            host = self._newest(udf)
        if host is not None:
            return host
        with contextlib.suppress(UnknownUdfError):
            return await self._saved_one(udf)
        if any(udf in names for names in self._departed.values()):
            message = f"the kernel that had {udf!r} is gone or restarting; run its cell again"
            raise HostLostError(message, udf=udf, retry_after=1)
        raise self._unknown(udf, self._alive())

    async def find_share(self, share: str) -> Host:
        """The host that a token is for.

        Raises:
            ShareError: none; expired, revoked and wrong are not told apart.
            HostLostError: it died, and its kernel starts another one.
        """
        await self._scan_if_changed()
        for look_again in (True, False):
            for host in self._alive():
                if share in host.shares:
                    return host
            if look_again and self._saved is not None and self._saved.client.is_open and await self._opens(share):
                return self._saved
            if look_again:
                await self._look_again()
        if self._has_saved and await self._opens(share):
            return await self.standing()
        for host in self._fallen.values():
            if share in host.shares and is_running(host.announcement.kernel_pid, 0.0):
                raise HostLostError("what this token opens is just starting again", retry_after=1)
        raise ShareError("this token opens nothing here")

    async def describe_share(self, share: str) -> dict[str, Any]:
        """What a token opens: `kind`, `udfs` (a `UdfSummary` each), `limits`.

        Raises:
            ShareError: nothing.
        """
        host = await self.find_share(share)
        described: dict[str, Any] = await self._json(host, DescribeShare(id=host.client.next_number(), share=share))
        return described

    async def standing(self) -> Host:
        """The host of saved UDFs, which is started if need be.

        Raises:
            HostLostError: it does not start.
        """
        if self._standing is None:
            raise HostLostError("this server serves no saved UDFs")
        news: list[Published] = []
        learn: list[Callable[[Published], None]] = [news.append]

        def on_event(message: Message) -> None:
            if isinstance(message, Published):
                learn[0](message)

        announcement, client, is_new = await self._standing.connected(on_event)
        if is_new or self._saved is None or self._saved.client is not client:
            self._saved = host = Host(announcement, client)
            learn[0] = functools.partial(self._hear_of_saved, host)
            for message in news:
                host.hear(message)
            await self._ask(host)
        return self._saved

    async def ask_saved(self, what: str, arguments: Mapping[str, Any]) -> Any:  # as JSON has it
        """Have the host of saved UDFs do something for their owner; see runtime/desks.

        Raises:
            FusedError: the one that it answered with.
        """
        host = await self.standing()
        return await self._json(host, Ask(id=host.client.next_number(), what=what, arguments=arguments))

    async def delete_saved_results(self, udf: str) -> int:
        """Delete what is kept of a saved UDF; gives how many results there were.

        Raises:
            FusedError: the host cannot be asked.
        """
        host = await self.standing()
        return int(await self._json(host, DeleteResults(id=host.client.next_number(), udf=udf)))

    async def all(self) -> list[Host]:
        """Every host that can be asked now; that of saved UDFs comes last, and is started if there are any."""
        if self._has_saved:
            await self.standing()
        return await self.running()

    async def running(self) -> list[Host]:
        """Every host that runs; that of saved UDFs may run code that was posted, also with nothing saved."""
        await self._look_again()
        if self._saved is None or not self._saved.client.is_open:
            return list(self._alive())
        await self._ask(self._saved)
        return [*self._alive(), self._saved]

    async def has(self, kernel: str) -> bool:
        """Whether a kernel's host can be asked now."""
        return await self._host_of(kernel) is not None

    async def run(self, host: Host, run: Run) -> tuple[Reply, bytes]:
        """Have a host answer a request.

        Raises:
            FusedError: the one that it answered with.
        """
        now = time.monotonic()
        if now - host.served_at > _ACTIVITY_SECONDS:
            host.served_at = now
            self._on_served(host.kernel_id)
        wanted = run
        if run.digest is None and run.udf in host.udfs:
            # What the name means now: the host lets no cell end before this server has heard of it.
            wanted = replace(run, digest=host.udfs[run.udf]["digest"])
        # The same code may be registered again with another max-age; kept results may be deleted.
        state = f"{host.kernel_id} {host.changed_at} {host.epoch}"
        # What a token allows only the host knows, and it counts how often it is used.
        # And a saved UDF may be saved anew by somebody who tells nobody.
        is_kept_here = not run.share and (host is not self._saved or run.digest is not None)
        known = self._recent.get(state, wanted) if is_kept_here else None
        if known is not None:
            host.note_answered(known[0].digest)
            return cut(run, *known)
        # By its name, if that is all that was asked for: where this server had no time to hear of an edit, the host
        # knows better what it means.
        with self._waiting_for(host):
            reply, body = await host.client.reply_to(run)
        if is_kept_here:
            self._recent.put(state, wanted, reply, body)
        # A host of an older version sends the whole.
        return (reply, body) if reply.length is not None else cut(run, reply, body)

    async def close(self) -> None:
        """Hang up on all."""
        for host in tuple(self._hosts.values()):
            await host.client.close()
        self._hosts.clear()
        if self._standing is not None:
            await self._standing.close()

    # -- saved UDFs

    @property
    def _has_saved(self) -> bool:
        return self._standing is not None and self._standing.has_library

    def _hear_of_saved(self, host: Host, news: Published) -> None:
        """Its news say only that there are some, as saved UDFs may be gone."""
        host.hear(news)
        task = asyncio.create_task(self._ask(host))
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def _saved_one(self, udf: str) -> Host:
        if not self._has_saved:
            raise self._unknown(udf, self._alive())
        host = await self.standing()
        if udf not in host.udfs:
            await self._describe(host)
        if udf not in host.udfs:
            raise self._unknown(udf, [*self._alive(), host])
        return host

    async def _opens(self, share: str) -> bool:
        """Whether it is the token of a saved UDF or collection; what is asked for next says it for sure."""
        host, now = await self.standing(), time.monotonic()
        if now - self._opened.get(share, -math.inf) < _OPENED_SECONDS:
            return True
        try:
            await self._json(host, DescribeShare(id=host.client.next_number(), share=share))
        except ShareError:
            return False
        self._opened[share] = now
        self._opened.move_to_end(share)
        while len(self._opened) > _MOST_OPENED:
            self._opened.popitem(last=False)
        return True

    async def _json(self, host: Host, message: Message) -> Any:  # as JSON has it
        with self._waiting_for(host):
            _, body = await host.client.reply_to(message)
        return orjson.loads(body)

    @contextlib.contextmanager
    def _waiting_for(self, host: Host) -> Iterator[None]:
        is_saved = host is self._saved
        self._asked += is_saved
        try:
            yield
        finally:
            self._asked -= is_saved

    # -- looking up

    async def _pinned(self, kernel: str, udf: str) -> Host:
        host = await self._host_of(kernel)
        if host is None:
            raise self._absent(kernel, udf)
        if udf not in host.udfs:
            await self._ask(host)
        if udf not in host.udfs:
            raise self._unknown(udf, [host])
        return host

    async def _host_of(self, kernel: str) -> Host | None:
        for look_again in (True, False):
            host = self._hosts.get(kernel)
            if host is not None and host.client.is_open:
                return host
            if look_again:
                await self._scan_if_changed(force=True)
        return None

    def _newest(self, udf: str) -> Host | None:
        having = [host for host in self._alive() if udf in host.udfs]
        return max(having, key=lambda host: float(host.udfs[udf]["registered_at"]), default=None)

    def _alive(self) -> Iterator[Host]:
        return (host for host in self._hosts.values() if host.client.is_open)

    def _absent(self, kernel: str, udf: str) -> FusedError:
        if kernel in self._refused:
            return self._refused[kernel].with_traceback(None)
        if kernel in self._departed or kernel in self._silent or self._has_kernel(kernel):
            message = "the kernel of this URL is gone or restarting; run its cells again"
            return HostLostError(message, udf=udf, retry_after=1)
        return UnknownUdfError(f"no running kernel {kernel!r} has UDFs here", udf=udf)

    def _unknown(self, udf: str, hosts: Iterable[Host]) -> FusedError:
        known = sorted({name for host in hosts for name in host.udfs})
        if not known and self._refused:
            return next(iter(self._refused.values())).with_traceback(None)
        near = difflib.get_close_matches(udf, known, n=2)
        there = f"there are {', '.join(known[:10])}" if known else "no running kernel has one; run a %%fused_udf cell"
        hint = f"did you mean {' or '.join(near)}?" if near else there
        return UnknownUdfError(f"no UDF is called {udf!r}; {hint}", udf=udf)

    async def _look_again(self) -> None:
        """Find what was announced or registered this very moment."""
        await self._scan_if_changed(force=True)
        await asyncio.gather(*(self._ask(host) for host in tuple(self._alive())))

    async def _ask(self, host: Host) -> None:
        """What a host has now; its earlier news have been read by the time it answers.

        One that is stuck or talks nonsense keeps what it had, and nobody waiting.
        """
        with contextlib.suppress(FusedError):
            await self._describe(host)

    async def _describe(self, host: Host) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                answer, _ = await host.client.call(Describe(id=host.client.next_number()))
        except TimeoutError as exc:
            raise HostLostError(f"the host of kernel {host.kernel_id} does not answer", retry_after=1) from exc
        if isinstance(answer, Described):
            host.learn(answer)

    # -- finding

    async def _scan_if_changed(self, *, force: bool = False) -> None:
        """Look into the runtime directory if it changed; its time is too coarse for changes just after a look."""
        try:
            mtime = self._directory.stat().st_mtime
        except FileNotFoundError:
            return
        is_settled = mtime == self._scanned_mtime and mtime < self._scanned_at - 0.05
        is_under_way = mtime == self._scanned_mtime and self._scanning.locked()
        is_due = any(again < time.monotonic() for again in self._silent.values())
        if not force and (is_under_way or (is_settled and not is_due)):
            return  # who does not find what they look for looks again
        async with self._scanning:
            self._scanned_at, self._scanned_mtime = time.time(), mtime
            await self._scan()

    async def _scan(self) -> None:
        self._refused.clear()
        self._silent = {kernel: again for kernel, again in self._silent.items() if again > time.monotonic()}
        found: list[Announcement] = []
        for path, announcement in announcements(self._directory):
            known = self._hosts.get(announcement.kernel_id)
            if known is not None and known.client.is_open and known.announcement == announcement:
                continue
            if announcement.kernel_id in self._silent or not self._is_served(announcement):
                continue
            if announcement.is_alive:
                found.append(announcement)
                continue
            self._note_departed(announcement.kernel_id, known)
            with contextlib.suppress(OSError):
                path.unlink()  # left behind by a host that was killed
        await asyncio.gather(*(self._connect(announcement) for announcement in found))

    async def _connect(self, announcement: Announcement) -> None:
        news: list[Published] = []
        learn: Callable[[Published], None] = news.append

        def on_event(message: Message) -> None:
            if isinstance(message, Published):
                learn(message)

        try:
            client = await connect(announcement, role="server", on_event=on_event, timeout=_PATIENCE_SECONDS)
        except HostLostError:  # it is just ending, or the machine is too busy for it to answer in time
            self._silent[announcement.kernel_id] = time.monotonic() + _RETRY_SECONDS
            return
        except (ProtocolError, AccessError) as exc:
            self._refused[announcement.kernel_id] = exc
            return
        host = Host(announcement, client)
        learn = host.hear
        for message in news:
            learn(message)
        self._hosts[announcement.kernel_id] = host
        self._departed.pop(announcement.kernel_id, None)
        self._fallen.pop(announcement.kernel_id, None)
        watcher = asyncio.create_task(self._watch(host))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        await self._ask(host)

    async def _watch(self, host: Host) -> None:
        """Notice at once when a host hangs up."""
        await host.client.wait_closed()
        if self._hosts.get(host.kernel_id) is host:
            del self._hosts[host.kernel_id]
            self._note_departed(host.kernel_id, host)

    def _note_departed(self, kernel_id: str, host: Host | None) -> None:
        self._departed[kernel_id] = frozenset(host.udfs) if host else frozenset()
        if host is not None:
            self._fallen[kernel_id] = host
        for each in [each for each, one in self._fallen.items() if not is_running(one.announcement.kernel_pid, 0.0)]:
            del self._fallen[each]
        while len(self._departed) > _REMEMBERED:
            self._departed.popitem(last=False)
