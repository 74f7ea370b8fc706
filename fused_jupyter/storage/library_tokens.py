"""Tokens as rows: inside of a transaction of the library. Of a secret only the SHA-256 is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import orjson

from fused_jupyter.errors import ArgumentError
from fused_jupyter.storage.saved import Token
from fused_jupyter.wire import Limits

NOTHING = "this token opens nothing here"
"""Of tokens that are unknown, closed, expired or of something else: which of these is not told."""

Opened = Literal["udf_id", "collection_id"]
"""The column that says what a token opens."""

_PREFIXES: dict[Opened, str] = {"udf_id": "fsh_", "collection_id": "fc_"}
SHOWN = 12
"""Digits of the SHA-256 in an id."""

_SELECT = """
    SELECT tokens.id, share, udf_id, udfs.name, collections.name, limits, metadata, enabled, tokens.created_at,
        updated_at, client_id, public_read, access_scope
    FROM tokens
    LEFT JOIN udfs ON udfs.id = tokens.udf_id
    JOIN collections ON collections.id = COALESCE(tokens.collection_id, udfs.collection_id)
"""


def insert(
    connection: sqlite3.Connection, opened: Opened, opened_id: str, values: Mapping[str, Any]
) -> tuple[str, Token]:
    """A new token: its secret and what is known of it."""
    prefix = _PREFIXES[opened]
    secret = prefix + secrets.token_urlsafe(32)
    share = hashlib.sha256(secret.encode()).hexdigest()
    now = time.time()
    row = {
        "id": prefix + share[:SHOWN],
        "share": share,
        opened: opened_id,
        "enabled": True,
        "created_at": now,
        "updated_at": now,
        **_columns(values),
    }
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO tokens ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))  # noqa: S608 - our names
    token = of_share(connection, share)
    assert token is not None
    return secret, token


def find(connection: sqlite3.Connection, token: str) -> Token | None:
    """A token by its secret, its id or its SHA-256."""
    if not token.isascii():
        return None
    row = connection.execute(f"{_SELECT} WHERE tokens.id = ?", (token,)).fetchone()
    if row is not None:
        return _token(row)
    share = hashlib.sha256(token.encode()).hexdigest()
    return of_share(connection, share) or of_share(connection, token)


def of_share(connection: sqlite3.Connection, share: str) -> Token | None:
    """The token of a SHA-256."""
    if not share.isascii():
        return None
    # The index is asked for the part that the id shows anyway.
    ids = [prefix + share[:SHOWN] for prefix in _PREFIXES.values()]
    rows = connection.execute(f"{_SELECT} WHERE tokens.id IN (?, ?)", ids).fetchall()
    return next((token for token in map(_token, rows) if is_of(token, share)), None)


def is_of(token: Token, share: str) -> bool:
    """Whether a SHA-256 is that of a token; takes a time that tells nothing."""
    return share.isascii() and hmac.compare_digest(token.share, share)


def is_open(token: Token) -> bool:
    """Whether it opens anything now."""
    return token.enabled and not token.limits.is_expired


def all_of(
    connection: sqlite3.Connection,
    *,
    udf_id: str | None = None,
    collection_id: str | None = None,
    limit: int | None = None,
    skip: int = 0,
) -> list[Token]:
    """Tokens, the oldest first; all, or those that open this one UDF or this whole collection."""
    rows = connection.execute(
        f"{_SELECT} WHERE (?1 IS NULL OR tokens.udf_id = ?1) AND (?2 IS NULL OR tokens.collection_id = ?2) "
        "ORDER BY tokens.created_at, tokens.id LIMIT ?3 OFFSET ?4",
        (udf_id, collection_id, -1 if limit is None else limit, skip),
    )
    return [_token(row) for row in rows]


def update(connection: sqlite3.Connection, token_id: str, values: Mapping[str, Any]) -> None:
    """Change what is given."""
    columns = {**_columns(values), "updated_at": time.time()}
    assignments = ", ".join(f"{column} = ?" for column in columns)
    connection.execute(f"UPDATE tokens SET {assignments} WHERE id = ?", (*columns.values(), token_id))  # noqa: S608 - our names


def delete(connection: sqlite3.Connection, token_id: str) -> None:
    """Delete it."""
    connection.execute("DELETE FROM tokens WHERE id = ?", (token_id,))


def _json_of(name: str, value: Any) -> str:
    if value is not None and not isinstance(value, Mapping):
        raise ArgumentError(f"{name}: got {value!r}, a dict is wanted, or None")
    try:
        return orjson.dumps(None if value is None else dict(value)).decode()
    except TypeError as exc:
        raise ArgumentError(f"{name} of a token is kept as JSON, which cannot hold it: {exc}") from exc


def _text_of(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ArgumentError(f"{name}: got {value!r}, text is wanted, or None")
    return value


def _limits_of(name: str, value: Any) -> str:
    if not isinstance(value, Limits):
        raise ArgumentError(f"{name}: got {value!r}, Limits are wanted")
    return _json_of(name, value.to_json())


def _flag_of(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ArgumentError(f"{name}: got {value!r}, True or False is wanted")
    return value


_COLUMNS: dict[str, Callable[[str, Any], str | bool | None]] = {
    "limits": _limits_of,
    "metadata": _json_of,
    "enabled": _flag_of,
    "client_id": _text_of,
    "public_read": _flag_of,
    "access_scope": _text_of,
}
"""What users may say of a token, and how it lies in its column."""


def _columns(values: Mapping[str, Any]) -> dict[str, str | bool | None]:
    return {name: _COLUMNS[name](name, value) for name, value in values.items()}


def _limits(text: str) -> Limits:
    """What a column holds; of limits that this version cannot read the token opens nothing, and the others go on."""
    try:
        return Limits.from_json(orjson.loads(text))
    except ArgumentError:
        return Limits(expires=0.0)


def _token(row: tuple[Any, ...]) -> Token:  # of the columns above
    return Token(
        id=row[0],
        share=row[1],
        kind="collection" if row[2] is None else "udf",
        udf_id=row[2],
        udf_name=row[3],
        collection=row[4],
        limits=_limits(row[5]),
        metadata=orjson.loads(row[6]),
        enabled=bool(row[7]),
        created_at=row[8],
        updated_at=row[9],
        client_id=row[10],
        public_read=bool(row[11]),
        access_scope=row[12],
    )
