"""Saved UDFs with their versions, collections and tokens: one file, `library.sqlite3`, in the data directory."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import EllipsisType
from typing import Any

from fused_jupyter.errors import (
    ArgumentError,
    FusedError,
    ShareError,
    UdfExistsError,
    UnknownTokenError,
    UnknownUdfError,
)
from fused_jupyter.storage import library_tokens, library_udfs
from fused_jupyter.storage.database import Database
from fused_jupyter.storage.saved import DEFAULT_COLLECTION, Collection, SavedUdf, Token
from fused_jupyter.udfs import UdfDefinition, renamed
from fused_jupyter.wire import Limits

_FILE = "library.sqlite3"
"""Twin: server_ext/standing.py."""
_STAMP = "udfs.stamp"

_COLLECTION = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_.-]([A-Za-z0-9_. -]{0,62}[A-Za-z0-9_.-])?")

_NO_LIMITS = Limits()


class Library:
    r"""The saved UDFs of one user, for all threads of all processes.

    It costs nothing to make one. Each method is one short transaction; a fork of this process may use it too.

    Args:
        directory: the data directory, made with the first thing that is saved.

    >>> import tempfile
    >>> from fused_jupyter.udfs import parse
    >>> library = Library(Path(tempfile.mkdtemp()) / "data")
    >>> library.save(parse("def double(n: int = 2):\n    return 2 * n")).version
    1
    >>> library.find("double").definition.signature
    'double(n: int = 2)'
    """

    def __init__(self, directory: Path) -> None:
        self._directory = Path(os.path.expanduser(directory))  # noqa: PTH111 - a Path raises where there is no home
        self._database = Database(self._directory / _FILE)

    def __repr__(self) -> str:
        return f"Library({str(self._directory)!r})"

    @property
    def exists(self) -> bool:
        """Whether anything was ever saved."""
        return self._database.exists

    @property
    def stamp(self) -> Path:
        """A file that gets another time of change whenever a UDF does; to be asked for before one is read.

        Results of UDFs that load others by name depend on it. Where it is not as it should be, after a crash or when
        an older copy of the library was put back, it is mended first.
        """
        path = self._directory / _STAMP
        with contextlib.suppress(FusedError):
            if self.exists:
                with self._database.reading() as connection:
                    wanted = _stamp_of(connection)
                if wanted != _mtime_ns(path):
                    self._set_stamp()
        return path

    def changes(self) -> int:
        """A number that is another one after each change, whichever process made it. Costs microseconds.

        Raises:
            FusedError: the file is damaged or somebody else's.
        """
        return self._database.changes()

    # -- UDFs

    def save(
        self,
        definition: UdfDefinition,
        *,
        collection: str = DEFAULT_COLLECTION,
        overwrite: bool = False,
        udf_id: str | None = None,
        create_collection: bool = False,
    ) -> SavedUdf:
        """Save a UDF; one that is there gets a new version, unless it is the very same.

        Args:
            definition: the UDF.
            collection: name or id.
            overwrite: whether it may become a version of what is there.
            udf_id: what is there may be replaced if it is this one.
            create_collection: whether to make the collection if there is none of that name.

        Raises:
            UdfExistsError: there is one of that name already.
            UnknownUdfError: there is no such collection.
            UdfDefinitionError: its name cannot stand in a URL.
            ArgumentError: JSON cannot hold its metadata, or the name of the new collection cannot be one.
        """
        renamed(definition, definition.name)
        pieces = library_udfs.pieces_of(definition)
        with self._changing() as connection:
            if create_collection and not _row_of_collection(connection, collection):
                _insert_collection(connection, collection)
            place = _collection(connection, collection)
            there = library_udfs.find(connection, place.id, definition.name)
            if there is None:
                return library_udfs.insert(connection, place.id, definition.name, pieces)
            if not overwrite and there.id != udf_id:
                raise UdfExistsError(
                    f"{there.name} is saved already in the collection {place.name!r} (version {there.version}); "
                    "overwrite=True makes this its next version, and keeps the old ones",
                    udf=there.name,
                )
            return library_udfs.add_version(connection, there, pieces)

    def find(self, name: str, *, collection: str = DEFAULT_COLLECTION) -> SavedUdf:
        """The newest version of a UDF.

        Args:
            name: its name.
            collection: name or id.

        Raises:
            UnknownUdfError: there is none; says what is near.
        """
        with self._database.reading() as connection:
            place = _collection(connection, collection)
            found = library_udfs.find(connection, place.id, name)
            if found is None:
                raise UnknownUdfError(_missing(connection, name, place), udf=name)
            return found

    def by_id(self, udf_id: str) -> SavedUdf:
        """The newest version of a UDF.

        Raises:
            UnknownUdfError: there is none of that id.
        """
        with self._database.reading() as connection:
            return _by_id(connection, udf_id)

    def udfs(
        self, *, collection: str | None = None, limit: int | None = None, skip: int = 0, by: str = "name"
    ) -> list[SavedUdf]:
        """The newest version of each.

        Args:
            collection: only those in it, by its name or id.
            limit: how many; None is all.
            skip: how many to pass over.
            by: their order: `name`, `slug`, which is the same, `id`, or `time`, the latest first.

        Raises:
            UnknownUdfError: there is no such collection.
            ArgumentError: an unknown order.
        """
        with self._database.reading() as connection:
            place = None if collection is None else _collection(connection, collection).id
            return library_udfs.all_of(connection, place, limit=limit, skip=skip, by=by)

    def versions(self, udf_id: str) -> list[SavedUdf]:
        """All versions of a UDF, the oldest first.

        Raises:
            UnknownUdfError: there is none of that id.
        """
        with self._database.reading() as connection:
            _by_id(connection, udf_id)
            return library_udfs.versions(connection, udf_id)

    def restore(self, udf_id: str, version: int) -> SavedUdf:
        """Make an old version the newest again, as a new version; the ones between are kept.

        Raises:
            UnknownUdfError: there is no such UDF or version.
        """
        with self._changing() as connection:
            there = _by_id(connection, udf_id)
            old = next((each for each in library_udfs.versions(connection, udf_id) if each.version == version), None)
            if old is None:
                raise UnknownUdfError(
                    f"{there.name} has no version {version!r}, it has 1 to {there.version}", udf=there.name
                )
            return library_udfs.add_version(connection, there, library_udfs.pieces_of(old.definition))

    def delete(self, udf_id: str) -> SavedUdf:
        """Delete a UDF with all its versions and tokens; gives what it was.

        Raises:
            UnknownUdfError: there is none of that id.
        """
        with self._changing() as connection:
            there = _by_id(connection, udf_id)
            library_udfs.delete(connection, udf_id)
            return there

    # -- collections

    def collections(self) -> list[Collection]:
        """All, by name; `default` is always among them."""
        with self._database.reading() as connection:
            return _collections(connection)

    def collection(self, name_or_id: str) -> Collection:
        """One of them.

        Raises:
            UnknownUdfError: there is none; says which there are.
        """
        with self._database.reading() as connection:
            return _collection(connection, name_or_id)

    def create_collection(self, name: str) -> Collection:
        """A new one.

        Raises:
            UdfExistsError: there is one of that name.
            ArgumentError: that cannot be a name.
        """
        with self._database.writing() as connection:
            return _insert_collection(connection, name)

    def rename_collection(self, name_or_id: str, name: str) -> Collection:
        """The same collection under another name; its tokens still open it.

        Raises:
            UnknownUdfError: there is none.
            UdfExistsError: there is another one of the new name.
            ArgumentError: that cannot be a name, or it is the one that is always there.
        """
        with self._changing() as connection:
            place = _changeable(connection, name_or_id)
            if name != place.name:
                _check_new_name(connection, name)
                connection.execute("UPDATE collections SET name = ? WHERE id = ?", (name, place.id))
            return _collection(connection, place.id)

    def delete_collection(self, name_or_id: str) -> Collection:
        """Delete an empty collection with its tokens; gives what it was.

        Raises:
            UnknownUdfError: there is none.
            UdfExistsError: UDFs are in it.
            ArgumentError: it is the one that is always there.
        """
        with self._database.writing() as connection:
            place = _changeable(connection, name_or_id)
            if names := library_udfs.names(connection, place.id):
                raise UdfExistsError(
                    f"the collection {place.name!r} holds {', '.join(names[:10])}"
                    f"{' and more' if len(names) > 10 else ''}; delete these first"
                )
            connection.execute("DELETE FROM collections WHERE id = ?", (place.id,))
            return place

    # -- tokens

    def create_token(
        self,
        *,
        udf_id: str | None = None,
        collection: str | None = None,
        limits: Limits = _NO_LIMITS,
        metadata: Mapping[str, Any] | None = None,
        public_read: bool = False,
        access_scope: str | None = None,
        client_id: str | None = None,
    ) -> tuple[str, Token]:
        """A new token of a UDF or of a collection.

        Args:
            udf_id: the UDF that it opens, in the version that is the newest then.
            collection: the collection that it opens, by its name or id, with all that is in it then.
            limits: what it allows.
            metadata: what is kept with it, as JSON.
            public_read: kept for the official client, as the next two.
            access_scope: text.
            client_id: text.

        Returns:
            Its secret, which is kept nowhere, and what is known of it.

        Raises:
            ArgumentError: not exactly one of UDF and collection; or values that cannot be kept.
            UnknownUdfError: there is no such UDF or collection.
        """
        if (udf_id is None) == (collection is None):
            raise ArgumentError("a token opens either one UDF or one collection: give udf_id or collection")
        values = {
            "limits": limits,
            "metadata": metadata,
            "public_read": public_read,
            "access_scope": access_scope,
            "client_id": client_id,
        }
        with self._database.writing() as connection:
            if udf_id is not None:
                return library_tokens.insert(connection, "udf_id", _by_id(connection, udf_id).id, values)
            assert collection is not None
            place = _collection(connection, collection)
            return library_tokens.insert(connection, "collection_id", place.id, values)

    def token(self, token: str) -> Token:
        """What is known of a token, also of one that is closed.

        Args:
            token: its secret, its id, or its SHA-256.

        Raises:
            UnknownTokenError: there is none.
        """
        with self._database.reading() as connection:
            return _token(connection, token)

    def opened_by(self, share: str) -> Token:
        """The token of this SHA-256, if it opens anything now.

        Raises:
            ShareError: it does not; whether it is unknown, closed or expired is not told.
        """
        with self._database.reading() as connection:
            found = library_tokens.of_share(connection, share)
        if found is None or not library_tokens.is_open(found):
            raise ShareError(library_tokens.NOTHING)
        return found

    def tokens(
        self, *, udf_id: str | None = None, collection: str | None = None, limit: int | None = None, skip: int = 0
    ) -> list[Token]:
        """Tokens, the oldest first.

        Args:
            udf_id: only those that open this one UDF.
            collection: only those that open this whole collection, by its name or id.
            limit: how many; None is all.
            skip: how many to pass over.

        Raises:
            UnknownUdfError: there is no such collection.
        """
        with self._database.reading() as connection:
            place = None if collection is None else _collection(connection, collection).id
            return library_tokens.all_of(connection, udf_id=udf_id, collection_id=place, limit=limit, skip=skip)

    def update_token(
        self,
        token: str,
        *,
        enabled: bool | EllipsisType = ...,
        limits: Limits | EllipsisType = ...,
        metadata: Mapping[str, Any] | EllipsisType | None = ...,
        client_id: str | EllipsisType | None = ...,
        public_read: bool | EllipsisType = ...,
        access_scope: str | EllipsisType | None = ...,
    ) -> Token:
        """Change a token; what is not given stays as it is.

        Args:
            token: its secret or its id.
            enabled: whether it opens anything.
            limits: what it allows.
            metadata: what is kept with it, as JSON.
            client_id: text, as `access_scope`.
            public_read: whether.
            access_scope: kept for the official client.

        Raises:
            UnknownTokenError: there is none.
            ArgumentError: values that cannot be kept.
        """
        values = {
            "enabled": enabled,
            "limits": limits,
            "metadata": metadata,
            "client_id": client_id,
            "public_read": public_read,
            "access_scope": access_scope,
        }
        changes = {name: value for name, value in values.items() if value is not ...}
        with self._database.writing() as connection:
            found = _token(connection, token)
            library_tokens.update(connection, found.id, changes)
            return _token(connection, found.id)

    def delete_token(self, token: str) -> Token:
        """Close a token for ever; gives what it was.

        Raises:
            UnknownTokenError: there is none.
        """
        with self._database.writing() as connection:
            found = _token(connection, token)
            library_tokens.delete(connection, found.id)
            return found

    def snapshot(self) -> tuple[list[SavedUdf], list[Token]]:
        """The newest version of each UDF, and all tokens, at one moment."""
        with self._database.reading() as connection:
            return library_udfs.all_of(connection), library_tokens.all_of(connection)

    # -- inside

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction after which the stamp is another one, if anything changed."""
        with self._database.writing() as connection:
            before = connection.total_changes
            yield connection
            is_changed = connection.total_changes != before
            if is_changed:
                # Whole microseconds: not every file system keeps more.
                now = time.time_ns() // 1000 * 1000
                connection.execute("UPDATE stamps SET mtime_ns = max(mtime_ns + 1000, ?)", (now,))
        if is_changed:
            # After the commit: who reads the old version in between depends on the old stamp.
            self._set_stamp()

    def _set_stamp(self) -> None:
        # While nobody else writes, so that the stamp is that of the last commit. What cannot be done now is done when
        # somebody asks for the stamp; the change itself is safe.
        path = self._directory / _STAMP
        with contextlib.suppress(OSError, FusedError), self._database.writing() as connection:
            if (wanted := _stamp_of(connection)) is not None:
                path.touch(mode=0o600)
                os.utime(path, ns=(wanted, wanted))


def _stamp_of(connection: sqlite3.Connection) -> int | None:
    """What the stamp should have; None while there was never a UDF."""
    wanted: int = connection.execute("SELECT mtime_ns FROM stamps").fetchone()[0]
    return wanted or None


def _mtime_ns(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _by_id(connection: sqlite3.Connection, udf_id: str) -> SavedUdf:
    found = library_udfs.by_id(connection, udf_id)
    if found is None:
        raise UnknownUdfError(f"there is no saved UDF with the id {udf_id!r}; it may have been deleted")
    return found


def _missing(connection: sqlite3.Connection, name: str, place: Collection) -> str:
    """What to say where there is no UDF of that name."""
    names = library_udfs.names(connection, place.id)
    elsewhere = library_udfs.collections_with(connection, name)
    if near := difflib.get_close_matches(name, names, n=3):
        advice = f"did you mean {' or '.join(near)}?"
    elif elsewhere:
        advice = f"there is one in {' and in '.join(map(repr, elsewhere))}"
    else:
        shown = ", ".join(names[:10]) + (" and more" if len(names) > 10 else "")
        advice = f"there are {shown}" if names else "nothing is saved there yet"
    return f"no UDF {name!r} is saved in the collection {place.name!r}; {advice}"


def _token(connection: sqlite3.Connection, token: str) -> Token:
    found = library_tokens.find(connection, token)
    if found is None:
        # What came is not repeated: it may be a secret with a character too many.
        raise UnknownTokenError("there is no such token among those of saved UDFs; it may have been deleted")
    return found


# -- collections


def _collections(connection: sqlite3.Connection) -> list[Collection]:
    rows = connection.execute("SELECT id, name, created_at FROM collections ORDER BY name")
    return [Collection(id=row[0], name=row[1], created_at=row[2]) for row in rows]


def _row_of_collection(connection: sqlite3.Connection, name_or_id: str) -> Collection | None:
    known = _collections(connection)
    by_id = next((each for each in known if each.id == name_or_id), None)
    return next((each for each in known if each.name == name_or_id), by_id)


def _collection(connection: sqlite3.Connection, name_or_id: str) -> Collection:
    found = _row_of_collection(connection, name_or_id)
    if found is None:
        names = [each.name for each in _collections(connection)]
        near = difflib.get_close_matches(str(name_or_id), names, n=1)
        advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names[:10])}"
        raise UnknownUdfError(f"there is no collection {name_or_id!r}; {advice}; create_collection makes a new one")
    return found


def _changeable(connection: sqlite3.Connection, name_or_id: str) -> Collection:
    found = _collection(connection, name_or_id)
    if found.name == DEFAULT_COLLECTION:
        raise ArgumentError(
            f"the collection {DEFAULT_COLLECTION!r} is always there, it can be neither renamed nor deleted"
        )
    return found


def _check_new_name(connection: sqlite3.Connection, name: str) -> None:
    if not isinstance(name, str) or not _COLLECTION.fullmatch(name):
        raise ArgumentError(
            f"{name!r} cannot name a collection: up to 64 of the letters a to z, digits, _, -, dots, and spaces between"
        )
    if _row_of_collection(connection, name):
        raise UdfExistsError(f"there is a collection {name!r} already")


def _insert_collection(connection: sqlite3.Connection, name: str) -> Collection:
    _check_new_name(connection, name)
    made = Collection(id=str(uuid.uuid4()), name=name, created_at=time.time())
    connection.execute("INSERT INTO collections VALUES (?, ?, ?)", (made.id, made.name, made.created_at))
    return made
