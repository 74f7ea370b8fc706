"""What workers have imported before they start: given by the settings, and learnt from what UDFs import.

A worker tells which installed modules a run was the first to import. The host has a copy of the template import them
in the background, notes what could be imported, and lets that copy make the workers from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import json
import os
import re
import signal
import site
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fused_jupyter.errors import FusedError

_MOST = 200
"""Modules that are remembered; of those that are too many the oldest go."""
_LONGEST_FILE = 100_000
_LONGEST_NOTE = 60_000
"""Bytes: less than a pipe holds, so that a worker never waits."""
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_NEVER = frozenset({"cupy", "grpc", "jax", "jaxlib", "jpype", "polars", "pycuda", "pyspark", "ray", "tensorflow"})
"""Packages that start threads or devices of their own, which do not survive a fork."""

_QUIET_SECONDS = 2.0
"""How long nothing new has to come before the host learns: UDFs import one after the other."""
_LOADING_SECONDS = 60.0
_ATTEMPTS = 5


def load(names: Iterable[str]) -> None:
    """Import modules; a package that does not import here fails in the UDF that needs it."""
    for name in names:
        with contextlib.suppress(Exception, SystemExit):
            importlib.import_module(name)


# -- in a worker


class Noticed:
    """Notices which installed modules the runs of a worker are the first to import.

    Args:
        pipe: leads to the host; takes one line of JSON for each run that imported something.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._inode = os.fstat(pipe).st_ino
        os.set_blocking(pipe, False)
        self._known = set(sys.modules)
        self._count = len(sys.modules)

    def tell(self) -> None:
        """After a run; costs nothing where it imported nothing."""
        if len(sys.modules) == self._count:
            return
        fresh = [name for name in tuple(sys.modules) if name not in self._known]
        self._known.update(fresh)
        self._count = len(sys.modules)
        # Python moves a module to the end when its import is done, so the last one has brought most others along.
        names = [name for name in reversed(fresh) if is_installed(name)]
        line = json.dumps(names).encode() + b"\n"
        with contextlib.suppress(OSError):  # a UDF may have closed the pipe, and have its own file under the number
            if names and len(line) < _LONGEST_NOTE and os.fstat(self._pipe).st_ino == self._inode:
                os.write(self._pipe, line)


def is_installed(name: str) -> bool:
    """Whether a loaded module may be loaded ahead: part of Python or of an installed package, not the user's own file.

    Those of a project that is installed in editable form are the user's own: they change while workers live.
    """
    spec = getattr(sys.modules.get(name), "__spec__", None)
    origin = getattr(spec, "origin", None)
    return (
        isinstance(origin, str)
        and getattr(spec, "name", None) == name
        and _NAME.fullmatch(name) is not None
        and name.partition(".")[0] not in _NEVER
        and origin.startswith(_INSTALLED)
    )


def _installed_directories() -> tuple[str, ...]:
    here = sysconfig.get_paths()
    directories = [here[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    directories += [*site.getsitepackages(), site.getusersitepackages(), str(Path(__file__).parents[1])]
    return tuple(directory.rstrip(os.sep) + os.sep for directory in directories)


_INSTALLED = _installed_directories()


# -- in the template


def grow(names: Sequence[str], report: Callable[[bytes, int], None]) -> None:
    """Import what was learnt, one module after the other, and tell of each what became of it.

    Reports `I` before a module, and then `L` if it was loaded by that, `N` if it was there already, `E` if it cannot
    be imported. Where it did what a process must not do that forks later, the report is `U`, and this process is of no
    use any more.
    """
    # The notebook's directory is on the path too, and a file in it may have the name of an installed module.
    path, sys.path[:] = (
        sys.path[:],
        [each for each in sys.path if (each + os.sep).startswith(_INSTALLED) or _is_zip(each)],
    )
    try:
        for index, name in enumerate(names):
            before = _habits()
            report(b"I", index)
            if name in sys.modules:
                report(b"N", index)
                continue
            try:
                importlib.import_module(name)
            except (Exception, SystemExit):  # noqa: BLE001 - whatever its code raises
                report(b"E", index)
                continue
            report(b"L" if _habits() == before else b"U", index)
    finally:
        sys.path[:] = path


def _is_zip(path: str) -> bool:
    return path.endswith(".zip")


def _habits() -> tuple[Any, ...]:
    """What a module must not change by being imported: threads of Python, children, how signals are taken."""
    try:
        has_children = os.waitpid(-1, os.WNOHANG) is not None
    except ChildProcessError:
        has_children = False
    handlers = [signal.getsignal(number) for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)]
    return threading.active_count(), has_children, handlers


# -- in the host


class Notes:
    """What a worker says of its imports, on the host's side.

    Args:
        pipe: its reading end.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._rest = b""
        self.is_open = True
        """Whether more may come."""
        os.set_blocking(pipe, False)

    def fileno(self) -> int:
        """The pipe, for an event loop."""
        return self._pipe

    def close(self) -> None:
        """Hang up."""
        os.close(self._pipe)

    def read(self) -> list[str]:
        """The modules of all lines that are complete; a long one comes in pieces."""
        try:
            data = os.read(self._pipe, _LONGEST_NOTE)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        self.is_open = bool(data)
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:_LONGEST_NOTE]
        names: list[str] = []
        for line in lines:
            with contextlib.suppress(ValueError):  # a UDF wrote into it
                said = json.loads(line)
                names += said if isinstance(said, list) else ()
        return names


@dataclass(slots=True)
class Learnt:
    """What is known of modules, as the file of an environment keeps it."""

    modules: list[str] = field(default_factory=list)
    """Those that are worth an import ahead, the oldest first; what they bring along is not among them."""
    refused: list[str] = field(default_factory=list)
    """Those that cannot be imported ahead."""

    @classmethod
    def read(cls, path: Path) -> Learnt:
        """What the file says; nothing where it says nothing sensible."""
        try:
            if path.stat().st_size > _LONGEST_FILE:
                return cls()
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls(_names(values["modules"]), _names(values["refused"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, path: Path) -> None:
        """Replace the file at once; where that is not possible, the next host learns again."""
        text = json.dumps({"modules": self.modules[-_MOST:], "refused": self.refused[-_MOST:]}, indent=1)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix="preload-", suffix=".tmp")
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(draft, path)  # noqa: PTH105 - one system call


def learnt_path(directory: Path) -> Path:
    """The file for this Python and its packages; kernels of other environments have theirs beside it."""
    text = f"{sys.prefix} {sys.version}"
    return directory / f"preload-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}.json"


class Grown(Protocol):
    """A copy of the template that imports what was learnt."""

    loaded: set[str]
    """Modules that had to be imported."""
    failed: set[str]
    loading: str | None
    """The module that it imports now, or that was its end."""

    async def until_ready(self) -> bool:
        """Wait for its imports; False where one of them ended it."""
        ...

    def close(self) -> None:
        """End it."""


class Learner:
    """Keeps the list, and has templates grown from it.

    Args:
        path: where the list is kept between hosts.
        grow: makes a copy of the template that imports these modules.
        adopt: takes such a copy into use.
    """

    def __init__(
        self,
        path: Path,
        *,
        grow: Callable[[Sequence[str]], Awaitable[Grown]],
        adopt: Callable[[Any], Awaitable[None]],
    ) -> None:
        self._path = path
        self._grow = grow
        self._adopt = adopt
        self._learnt = Learnt.read(path)
        self._fresh: dict[str, None] = {}
        self._deaths = 0
        self._task: asyncio.Task[None] | None = None
        self._is_due = False
        """Whether something came while it was at work."""
        self._is_closed = False

    def start(self) -> None:
        """Load what earlier hosts learnt, in the background."""
        if self._learnt.modules:
            self._begin(0.0)

    def start_again(self) -> None:
        """What had loaded it all has died."""
        self._deaths += 1
        if self._deaths < _ATTEMPTS:  # else it is a module that was learnt, perhaps, which kills it
            self._begin(_QUIET_SECONDS)

    def hear(self, names: Iterable[str]) -> None:
        """A worker imported these modules; those that brought others along come first."""
        known = {*self._learnt.modules, *self._learnt.refused, *self._fresh}
        fresh = [name for name in _names(names) if name not in known]
        if fresh:
            self._fresh.update(dict.fromkeys(fresh))
            self._begin(_QUIET_SECONDS)

    async def close(self) -> None:
        """Learn no more."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _begin(self, seconds: float) -> None:
        if self._task is not None and not self._task.done():
            self._is_due = True
        elif not self._is_closed:
            self._is_due = False
            self._task = asyncio.create_task(self._learn(seconds))

    async def _learn(self, seconds: float) -> None:
        for _ in range(_ATTEMPTS):
            await asyncio.sleep(seconds)
            seconds = _QUIET_SECONDS
            with contextlib.suppress(FusedError, EOFError, OSError):  # the template died, or the engine is being closed
                await self._learn_now()
                break
        if self._fresh or self._is_due:
            self._task = None
            self._begin(_QUIET_SECONDS)

    async def _learn_now(self) -> None:
        fresh, self._fresh = list(self._fresh), {}
        try:
            await self._learn_these(fresh)
        except BaseException:  # the next attempt has them too
            self._fresh = dict.fromkeys(fresh) | self._fresh
            raise

    async def _learn_these(self, fresh: list[str]) -> None:
        known = await asyncio.to_thread(Learnt.read, self._path)  # other hosts learn too
        names = list(dict.fromkeys((*self._learnt.modules, *known.modules, *fresh)))
        refused = list(dict.fromkeys((*self._learnt.refused, *known.refused)))
        grown = await self._first_that_lives([name for name in names if name not in refused], refused)
        if grown is not None:
            kept = [name for name in names if name in grown.loaded]
            self._learnt = Learnt(kept[-_MOST:], [*refused, *sorted(grown.failed)][-_MOST:])
            await asyncio.to_thread(self._learnt.write, self._path)
            await self._adopt(grown)

    async def _first_that_lives(self, names: list[str], refused: list[str]) -> Grown | None:
        for _ in range(_ATTEMPTS):
            grown = await self._grow(names)
            if await _has_loaded(grown):
                return grown
            grown.close()
            if grown.loading is None:
                return None
            names.remove(grown.loading)
            refused.append(grown.loading)
        return None


async def _has_loaded(grown: Grown) -> bool:
    """Whether it can make workers; False also where one module takes too long."""
    before = ""
    while grown.loading != before:
        before = grown.loading or ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOADING_SECONDS):
                return await grown.until_ready()
    return False


def _names(values: Any) -> list[str]:  # whatever a file or a worker says
    return [value for value in values if isinstance(value, str) and len(value) < 200 and _NAME.fullmatch(value)]
