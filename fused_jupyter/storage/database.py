"""One SQLite file for many threads and processes: short transactions, and what forks, copies and crashes do to them.

A rollback journal, not a write-ahead log, whose shared memory no network file system has; home directories are on such.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from fused_jupyter.errors import AccessError, ArgumentError, BusyError, FusedError
from fused_jupyter.storage.schema import SCHEMA, SCHEMA_VERSION

_PATIENCE = 10.0
"""Seconds for which a transaction waits while another process writes."""

_Place = tuple[int, int, int]
"""The process, and the device and inode of the file."""


class Database:
    """Transactions in one file, for all threads of all processes of one user.

    Args:
        path: the file; it is made with the first thing that is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._work = _Link(path, patience=_PATIENCE)
        self._watch = _Link(path, patience=0.0)  # its own: a look must not wait for a transaction
        self._ready: _Place | None = None
        self._seen: tuple[_Place, int] | None = None
        self._changes = 0

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        return os.path.exists(self.path)  # noqa: PTH110 - for each look

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One state of it all; where there is no file, that of an empty one.

        Raises:
            FusedError: the file is busy, damaged, of a newer version or somebody else's.
        """
        if not self.exists:
            memory = sqlite3.connect(":memory:", isolation_level=None)
            with contextlib.closing(memory) as empty, _explained(self.path):
                _lay_out(empty)
                yield empty
            return
        with self._transaction("BEGIN", create=False) as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Changes that happen together or, if the block raises, not at all; nobody else writes meanwhile.

        Raises:
            FusedError: the file is busy, damaged, read-only, of a newer version or somebody else's.
        """
        with self._transaction("BEGIN IMMEDIATE", create=True) as connection:
            yield connection

    def changes(self) -> int:
        """A number that is another one after each commit, whoever made it. Costs microseconds.

        Raises:
            FusedError: the file is damaged or somebody else's.
        """
        with self._watch.lock:
            seen = self._state()
            if seen != self._seen:
                self._seen = seen
                self._changes += 1
            return self._changes

    def _state(self) -> tuple[_Place, int] | None:
        if not self.exists:
            return None
        try:
            with _explained(self.path):
                connection, place = self._watch.connection(create=False)
                return place, connection.execute("PRAGMA data_version").fetchone()[0]
        except BusyError:  # a commit is under way, and not there yet
            return self._seen

    @contextlib.contextmanager
    def _transaction(self, begin: str, *, create: bool) -> Iterator[sqlite3.Connection]:
        with self._work.lock, _explained(self.path):
            connection, place = self._work.connection(create=create)
            if place != self._ready:
                _prepare(connection, self.path)
                self._ready = place
            try:
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            except BaseException:  # Ctrl-C too: nothing stays half written
                connection.rollback()
                raise


class _Link:
    """One connection in each process, for the thread that holds `lock`.

    SQLite must not take a connection across a fork, nor fork in the middle of a transaction: the child would believe
    that it has the locks of its parent. So a fork waits for the transaction, and the child connects anew. Likewise
    when another file was put in place of the one that is open.
    """

    def __init__(self, path: Path, *, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._place: _Place | None = None
        self._connection: sqlite3.Connection | None = None
        self._close = weakref.finalize(self, lambda: None)
        self._inherited: list[object] = []
        self.lock = threading.RLock()
        _mind_forks(self)

    def connection(self, *, create: bool) -> tuple[sqlite3.Connection, _Place]:
        """The connection, and what it leads to.

        Raises:
            OSError: there is no file, and none is to be made.
            AccessError: it is somebody else's.
            sqlite3.Error: it cannot be opened.
        """
        try:
            place = _place(self._path)
        except (FileNotFoundError, NotADirectoryError):
            if not create:
                raise
            place = None
        if self._connection is None or place is None or place != self._place:
            self._close()
            self._connection = _connect(self._path, patience=self._patience, create=create)
            self._close = weakref.finalize(self, self._connection.close)
            self._place = _place(self._path)
        assert self._place is not None
        return self._connection, self._place

    def forget(self) -> None:
        """Start anew in a child process. What the parent opened stays open here: to close it would free its locks."""
        self._close.detach()
        self._inherited.append(self._connection)
        self._connection = None
        self.lock = threading.RLock()


def _mind_forks(link: _Link) -> None:
    known = weakref.ref(link)

    def before() -> None:
        if (link := known()) is not None:
            link.lock.acquire()

    def in_parent() -> None:
        if (link := known()) is not None:
            link.lock.release()

    def in_child() -> None:
        if (link := known()) is not None:
            link.forget()

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def _place(path: Path) -> _Place:
    status = os.stat(path)  # noqa: PTH116 - for each look
    return os.getpid(), status.st_dev, status.st_ino


def _connect(path: Path, *, patience: float, create: bool) -> sqlite3.Connection:
    address = f"file:{quote(str(path))}?mode=rw"
    with contextlib.ExitStack() as stack:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_there = path.exists()
        if is_there:
            _make_private(path)
        _check_directory(path.parent)
        if create and not is_there:
            # SQLite makes the file with the mode of that one. To make it ourselves would mean to close it again, and
            # that frees the locks which another thread may have on it by now.
            pattern = stack.enter_context(tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-"))
            address += f"c&modeof={quote(pattern.name)}"
        connection = sqlite3.connect(
            address, uri=True, timeout=patience, isolation_level=None, check_same_thread=False, cached_statements=64
        )
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _check_directory(directory: Path) -> None:
    """See that nobody else can put another library there."""
    status = directory.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o002:
        raise AccessError(
            f"FUSED_DATA_DIRECTORY: others can write to {directory}, and so change what saved UDFs do; choose a "
            "private one, or chmod go-w it"
        )
    if status.st_mode & 0o020:  # many systems make directories so, with a group of each user's own
        directory.chmod(stat.S_IMODE(status.st_mode) & ~0o020)


def _make_private(path: Path) -> None:
    """See that nobody else can read it; a copy that was put back may have any mode."""
    status = path.stat()
    if status.st_uid != os.getuid():
        raise AccessError(
            f"{path} belongs to another user (uid {status.st_uid}), who decides what saved UDFs do; set "
            "FUSED_DATA_DIRECTORY to a directory of your own"
        )
    if status.st_mode & 0o077:
        path.chmod(0o600)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Lay out a new file, and turn away from one of a newer version."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise FusedError(
            f"{path} was written by a newer fused_jupyter (version {version} of its form, this one knows "
            f"{SCHEMA_VERSION}); upgrade this one: pip install -U fused-jupyter"
        )
    if version == 0:
        _lay_out(connection)
    connection.execute("PRAGMA journal_mode = DELETE")  # others may have chosen a write-ahead log, and that lasts


def _lay_out(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:  # else another process was faster
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:  # as above
        connection.rollback()
        raise


_BUSY = "another process has been writing to it for {patience:g} s; try again"
_DAMAGED = "it is damaged or no library of UDFs; move it away, or put a copy in its place"
_UNWRITABLE = "it cannot be written to; see its mode, and that of its directory"
_NO_ROOM = "the disk is full or broken: {error}"

_FAULTS: dict[int, tuple[type[FusedError], str]] = {
    5: (BusyError, _BUSY),
    6: (BusyError, _BUSY),
    3: (FusedError, _UNWRITABLE),
    8: (FusedError, _UNWRITABLE),
    14: (FusedError, _UNWRITABLE),
    10: (FusedError, _NO_ROOM),
    13: (FusedError, _NO_ROOM),
    11: (FusedError, _DAMAGED),
    26: (FusedError, _DAMAGED),
}
"""By the lower byte of SQLite's result code: https://sqlite.org/rescode.html"""


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Errors of SQLite in words that help."""
    try:
        yield
    except sqlite3.Error as exc:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        kind, text = _FAULTS.get(code, (FusedError, "{error}"))
        raise kind(f"the library of saved UDFs {path}: {text.format(error=exc, patience=_PATIENCE)}") from exc
    except FusedError:  # some are OSErrors too
        raise
    except OSError as exc:
        raise FusedError(f"the library of saved UDFs {path}: {_UNWRITABLE}: {exc}") from exc
    except UnicodeEncodeError as exc:
        raise ArgumentError(
            f"half a character in {exc.object!r}: no text in the library of saved UDFs has that"
        ) from exc
