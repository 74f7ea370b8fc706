"""Downloads: each file once, whatever asks for it, and whole or not at all.

A target has a lock, so that one process fetches and the others wait. What comes goes into a draft beside the target,
which is renamed when it is whole. A draft whose source says which content it has is kept when the connection breaks or
the process dies, and the next try goes on from there. A record says what lies in a place and where it came from.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from filelock import FileLock

from fused_jupyter.errors import DownloadError
from fused_jupyter.storage.addresses import identity, scheme, shown
from fused_jupyter.storage.fd import current_files
from fused_jupyter.storage.sources import Answer, LocalFile, Source, SourceError, Version

TRIES = 4
"""How often a source may fail without anything new having come."""
FIRST_WAIT = 0.5
"""Seconds, at most, before the second try; each further wait is twice as long."""

Tell = Callable[[int, int | None], None]
"""Gets the bytes that are there, and how many there will be."""


def source_of(url: str) -> Source:
    """The source that an address means; a path is a file of this machine.

    Raises:
        DownloadError: nothing is known of such addresses.
    """
    kind = scheme(url)
    if kind not in _SOURCES:
        known = ", ".join(f"{name}://" for name in _SOURCES if name)
        raise DownloadError(f"{shown(url)}: got an address with {kind}://, need {known} or a path")
    return _SOURCES[kind](url)


def download(url: str, target: Path, *, records: Path, tell: Tell) -> None:
    """Have the file of an address in a place: from there if it came from that address, else fetched.

    Args:
        url: the address.
        target: where it goes.
        records: a directory for what is known of downloads; only its user may write there.
        tell: told of what comes.

    Raises:
        DownloadError: it cannot be had. What was in the place before is still there.
    """
    record = _Record(records, target)
    origin = _origin(url)
    if record.tells(origin):
        return
    if scheme(url) in _LOCAL and Path(origin) == target and target.is_file():
        return  # it lies there already
    source = source_of(url)
    asked = time.time()
    _make_directories(target, records)
    with FileLock(record.lock):
        if record.tells(origin):  # by whoever had the lock
            return
        record.raise_failure(origin, since=asked)
        try:
            _Fetch(source, url=url, target=target, record=record, tell=tell).run(origin)
        except DownloadError as exc:
            record.write_failure(origin, exc)
            raise


class _Record:
    """What is known of one place: what lies there, what a draft of it is of, and why the last try failed."""

    def __init__(self, records: Path, target: Path) -> None:
        name = hashlib.sha256(os.fsencode(target)).hexdigest()[:32]
        self._target = target
        self._kept, self._begun, self._failed = (records / f"{name}.{kind}" for kind in ("kept", "draft", "failed"))
        self.lock = str(records / f"{name}.lock")
        # Beside the target, since only there renaming is sure to be one step; hidden, as users list their directories.
        self.draft = target.with_name(f".fused-{name[:16]}.part")

    def tells(self, origin: str) -> bool:
        """Whether the file there is that of the address, as far as its length can tell."""
        kept = _read(self._kept)
        if kept.get("origin") != _mark(origin):
            return False
        with contextlib.suppress(OSError):
            return self._target.stat().st_size == kept.get("size")
        return False

    def keep(self, origin: str, version: Version, *, url: str) -> None:
        """Put the draft into its place."""
        self._kept.unlink(missing_ok=True)  # before the rename: no record ever tells of another file
        size = self.draft.stat().st_size
        self.draft.replace(self._target)
        about = {"origin": _mark(origin), "url": shown(url), "etag": version.etag, "modified": version.modified}
        _write(self._kept, {**about, "size": size, "at": time.time()})
        self._begun.unlink(missing_ok=True)
        self._failed.unlink(missing_ok=True)

    def begin(self, origin: str, version: Version) -> None:
        """Say what the draft will be of."""
        _write(self._begun, {"origin": _mark(origin), **asdict(version)})

    def begun(self, origin: str) -> tuple[int, Version]:
        """How much of the draft is there, and of what; 0 where going on with it would make no sense."""
        begun = _read(self._begun)
        try:
            version = Version(**{name: begun[name] for name in ("size", "etag", "modified")})
            length = self.draft.stat().st_size
        except (OSError, KeyError):
            return 0, Version()
        is_of_it = begun.get("origin") == _mark(origin) and version.is_known and length <= (version.size or length)
        return (length, version) if is_of_it else (0, Version())

    def forget_draft(self) -> None:
        """Throw away what came."""
        self.draft.unlink(missing_ok=True)
        self._begun.unlink(missing_ok=True)

    def write_failure(self, origin: str, exc: DownloadError) -> None:
        with contextlib.suppress(OSError):
            _write(self._failed, {"origin": _mark(origin), "message": exc.message, "at": time.time()})

    def raise_failure(self, origin: str, *, since: float) -> None:
        """Those who waited for a try that failed get its error: a map asks for the same file thirty times at once."""
        failed = _read(self._failed)
        if failed.get("origin") == _mark(origin) and failed.get("at", 0.0) >= since:
            raise DownloadError(str(failed.get("message")))


class _Fetch:
    """One file on its way."""

    def __init__(self, source: Source, *, url: str, target: Path, record: _Record, tell: Tell) -> None:
        self._source = source
        self._url = url
        self._target = target
        self._record = record
        self._tell = tell

    def run(self, origin: str) -> None:
        """Try, until it is there or there is no hope.

        Raises:
            DownloadError: there is none.
        """
        try:
            version = self._fetched(origin)
            self._record.keep(origin, version, url=self._url)
        except DownloadError:
            raise
        except OSError as exc:
            self._record.forget_draft()  # of a full disk, too
            raise self._local(exc) from exc
        finally:
            if not self._record.begun(origin)[0]:  # nobody could go on with it
                self._record.forget_draft()

    def _fetched(self, origin: str) -> Version:
        furthest, failures = self._record.begun(origin)[0], 0
        while True:
            try:
                return self._try(origin)
            except SourceError as exc:
                if exc.is_changed:
                    self._record.forget_draft()
                length, _ = self._record.begun(origin)
                failures = 0 if length > furthest else failures + 1
                furthest = max(furthest, length)
                if failures >= TRIES:
                    raise self._given_up(exc, length) from exc
                self._wait(failures, exc)

    def _try(self, origin: str) -> Version:
        offset, version = self._record.begun(origin)
        if offset and offset == version.size:  # only the renaming was missing
            return version
        with self._source.open(offset, version) as answer:
            if answer.offset and not _fit(version, answer.version):
                raise SourceError("the file has changed meanwhile", is_changed=True)
            if not answer.offset:
                self._begin(origin, answer.version)
            return self._receive(answer)

    def _begin(self, origin: str, version: Version) -> None:
        self._record.forget_draft()
        free = shutil.disk_usage(self._target.parent).free
        if version.size is not None and version.size > free:
            raise OSError(errno.ENOSPC, f"{version.size:,} bytes are needed, {free:,} are free")
        if version.is_known:
            self._record.begin(origin, version)

    def _receive(self, answer: Answer) -> Version:
        size, length = answer.version.size, answer.offset
        with self._record.draft.open("r+b" if answer.offset else "wb") as file:
            file.seek(answer.offset)
            for piece in answer.pieces:
                file.write(piece)
                length += len(piece)
                self._tell(length, size)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())  # a file that is renamed before it is written would be empty after a power cut
        if size is not None and length != size:
            raise SourceError(f"got {length:,} bytes, and {size:,} were announced", is_changed=length > size)
        return answer.version

    def _wait(self, failures: int, exc: SourceError) -> None:
        # By chance, so that many who were cut off at once do not come back at once.
        seconds = FIRST_WAIT * 2 ** max(failures - 1, 0) * random.uniform(0.5, 1.0)  # noqa: S311 - a die
        time.sleep(seconds if exc.retry_after is None else exc.retry_after)

    def _given_up(self, exc: SourceError, length: int) -> DownloadError:
        rest = f"; {length:,} bytes are kept, and the next try goes on there" if length else "; try again later"
        return DownloadError(f"{shown(self._url)}: {exc} ({TRIES} tries){rest}")

    def _local(self, exc: OSError) -> DownloadError:
        why = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "your quota is used up"}.get(exc.errno or 0, "")
        return DownloadError(
            f"{self._target} cannot be written: {why or exc.strerror}" + (f" ({exc.strerror})" if why else "")
        )


def _fit(one: Version, other: Version) -> bool:
    """Whether both can be of one content; not every server heeds If-Range."""
    pairs = ((one.size, other.size), (one.etag, other.etag), (one.modified, other.modified))
    return all(not a or not b or a == b for a, b in pairs)


def _origin(url: str) -> str:
    """What two addresses of one file have in common."""
    return str(_path(url)) if scheme(url) in _LOCAL else identity(url)


def _path(url: str) -> Path:
    if scheme(url) == "fd":
        return current_files().place(url).path
    path = unquote(urlsplit(url).path) if scheme(url) else os.path.expanduser(url)  # noqa: PTH111 - a Path raises where there is no such user
    return Path(os.path.abspath(path))  # noqa: PTH100 - links stay as they are


def _web(url: str) -> Source:
    from fused_jupyter.storage.web import WebFile

    return WebFile(url)


def _bucket(url: str) -> Source:
    if (path := current_files().stands_for(url)) is not None:
        return LocalFile(path)
    from fused_jupyter.storage.buckets import BucketObject

    return BucketObject(url)


def _file(url: str) -> Source:
    return LocalFile(_path(url))


_SOURCES: dict[str, Callable[[str], Source]] = {
    "https": _web,
    "http": _web,
    "s3": _bucket,
    "gs": _bucket,
    "fd": _file,
    "file": _file,
    "": _file,
}
_LOCAL = frozenset({"", "file", "fd"})
"""Schemes of files of this machine."""


def _make_directories(target: Path, records: Path) -> None:
    try:
        records.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise DownloadError(f"{target.parent} cannot be made: {exc.strerror}; choose another file_path") from exc
    if target.is_dir():
        raise DownloadError(f"{target} is a directory; choose another file_path, or remove it")


def _mark(origin: str) -> str:
    """The address as records have it: they may lie around longer than what it opens."""
    return hashlib.sha256(origin.encode(errors="surrogatepass")).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, about: dict[str, Any]) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.write_bytes(orjson.dumps(about))
    draft.replace(path)
