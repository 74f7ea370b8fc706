"""Saved UDFs as rows: inside of a transaction of the library."""

from __future__ import annotations

import hashlib
import sqlite3
import time
import uuid
from dataclasses import dataclass
from typing import Any

import orjson

from fused_jupyter.errors import ArgumentError
from fused_jupyter.storage.saved import SavedUdf
from fused_jupyter.udfs import UdfDefinition

_CODE = ("source", "headers")

_ORDERS = {
    "name": "udfs.name, collections.name",
    "slug": "udfs.name, collections.name",
    "id": "udfs.id",
    "time": "versions.saved_at DESC, udfs.name, collections.name",
}

_EVERY_VERSION = """
    SELECT udfs.id, udfs.name, collections.name, collections.id, versions.version, versions.saved_at, code, rest
    FROM udfs
    JOIN collections ON collections.id = udfs.collection_id
    JOIN versions ON versions.udf_id = udfs.id
    JOIN codes ON codes.hash = versions.hash
"""
_NEWEST = f"{_EVERY_VERSION} AND versions.version = udfs.version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """A definition as it is kept."""

    hash: str
    """SHA-256 of `code`."""
    code: str
    """JSON of what is long and rarely changes alone."""
    rest: str
    """JSON of the other fields."""


def pieces_of(definition: UdfDefinition) -> Pieces:
    """A definition in pieces.

    Raises:
        ArgumentError: JSON cannot hold it.
    """
    fields = definition.to_json()
    try:
        code = orjson.dumps({name: fields.pop(name) for name in _CODE})
        rest = orjson.dumps(fields)
    except TypeError as exc:
        raise ArgumentError(
            f"{definition.name}: its metadata and default parameters are saved as JSON, which cannot hold them: {exc}",
            udf=definition.name,
        ) from exc
    return Pieces(hash=hashlib.sha256(code).hexdigest(), code=code.decode(), rest=rest.decode())


def find(connection: sqlite3.Connection, collection_id: str, name: str) -> SavedUdf | None:
    """The newest version of a name."""
    return _one(connection, f"{_NEWEST} WHERE udfs.collection_id = ? AND udfs.name = ?", collection_id, name)


def by_id(connection: sqlite3.Connection, udf_id: str) -> SavedUdf | None:
    """The newest version of an id."""
    return _one(connection, f"{_NEWEST} WHERE udfs.id = ?", udf_id)


def all_of(
    connection: sqlite3.Connection,
    collection_id: str | None = None,
    *,
    limit: int | None = None,
    skip: int = 0,
    by: str = "name",
) -> list[SavedUdf]:
    """The newest version of each.

    Raises:
        ArgumentError: an unknown order.
    """
    if by not in _ORDERS:
        raise ArgumentError(f"by: got {by!r}, need one of {', '.join(_ORDERS)}")
    rows = connection.execute(
        f"{_NEWEST} WHERE ?1 IS NULL OR udfs.collection_id = ?1 ORDER BY {_ORDERS[by]} LIMIT ?2 OFFSET ?3",
        (collection_id, -1 if limit is None else limit, skip),
    )
    return [_saved(row) for row in rows]


def versions(connection: sqlite3.Connection, udf_id: str) -> list[SavedUdf]:
    """All versions of a UDF, the oldest first."""
    rows = connection.execute(f"{_EVERY_VERSION} WHERE udfs.id = ? ORDER BY versions.version", (udf_id,))
    return [_saved(row) for row in rows]


def names(connection: sqlite3.Connection, collection_id: str) -> list[str]:
    """The names in a collection, in order."""
    rows = connection.execute("SELECT name FROM udfs WHERE collection_id = ? ORDER BY name", (collection_id,))
    return [row[0] for row in rows]


def collections_with(connection: sqlite3.Connection, name: str) -> list[str]:
    """The collections that have a UDF of that name."""
    rows = connection.execute(
        "SELECT collections.name FROM udfs JOIN collections ON collections.id = collection_id WHERE udfs.name = ? "
        "ORDER BY 1",
        (name,),
    )
    return [row[0] for row in rows]


def insert(connection: sqlite3.Connection, collection_id: str, name: str, pieces: Pieces) -> SavedUdf:
    """A new UDF."""
    udf_id = str(uuid.uuid4())
    connection.execute("INSERT INTO udfs VALUES (?, ?, ?, 1)", (udf_id, collection_id, name))
    return _insert_version(connection, udf_id, 1, pieces)


def add_version(connection: sqlite3.Connection, there: SavedUdf, pieces: Pieces) -> SavedUdf:
    """The next version, unless it is the same as the newest."""
    if _normal(pieces) == _normal(pieces_of(there.definition)):
        return there
    version = there.version + 1
    connection.execute("UPDATE udfs SET version = ? WHERE id = ?", (version, there.id))
    return _insert_version(connection, there.id, version, pieces)


def delete(connection: sqlite3.Connection, udf_id: str) -> None:
    """Delete a UDF with its versions and tokens, and the code that no other has."""
    connection.execute("DELETE FROM udfs WHERE id = ?", (udf_id,))
    connection.execute("DELETE FROM codes WHERE hash NOT IN (SELECT hash FROM versions)")


def _insert_version(connection: sqlite3.Connection, udf_id: str, version: int, pieces: Pieces) -> SavedUdf:
    connection.execute("INSERT OR IGNORE INTO codes VALUES (?, ?)", (pieces.hash, pieces.code))
    connection.execute(
        "INSERT INTO versions VALUES (?, ?, ?, ?, ?)", (udf_id, version, time.time(), pieces.hash, pieces.rest)
    )
    saved = by_id(connection, udf_id)
    assert saved is not None
    return saved


def _normal(pieces: Pieces) -> tuple[str, bytes]:
    """What is equal for the same definition, whatever the order of keys."""
    return pieces.hash, orjson.dumps(orjson.loads(pieces.rest), option=orjson.OPT_SORT_KEYS)


def _one(connection: sqlite3.Connection, query: str, *values: str) -> SavedUdf | None:
    row = connection.execute(query, values).fetchone()
    return None if row is None else _saved(row)


def _saved(row: tuple[Any, ...]) -> SavedUdf:  # of the columns above
    udf_id, name, collection, collection_id, version, saved_at, code, rest = row
    return SavedUdf(
        id=udf_id,
        name=name,
        collection=collection,
        collection_id=collection_id,
        version=version,
        saved_at=saved_at,
        definition=UdfDefinition.from_json(orjson.loads(code) | orjson.loads(rest)),
    )
