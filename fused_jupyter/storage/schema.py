"""How the library of saved UDFs lies in its file."""

from __future__ import annotations

from fused_jupyter.storage.saved import DEFAULT_COLLECTION

SCHEMA_VERSION = 1
"""Is in the file as `PRAGMA user_version`; to be raised with each change that older versions would misread."""

DEFAULT_COLLECTION_ID = "00000000-0000-4000-8000-000000000000"
"""The same in each library, so that it is known before there is a file."""

SCHEMA = (
    # What `udfs.stamp` should have as its time of change, in nanoseconds.
    "CREATE TABLE stamps (number INTEGER PRIMARY KEY CHECK (number = 1), mtime_ns INTEGER NOT NULL)",
    "INSERT INTO stamps VALUES (1, 0)",
    "CREATE TABLE collections (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at REAL NOT NULL)",
    f"INSERT INTO collections VALUES ('{DEFAULT_COLLECTION_ID}', '{DEFAULT_COLLECTION}', 0)",  # noqa: S608 - ours
    # Sources with their header modules, by their SHA-256: versions that change neither share one row.
    "CREATE TABLE codes (hash TEXT PRIMARY KEY, code TEXT NOT NULL)",
    """CREATE TABLE udfs (
        id TEXT PRIMARY KEY,
        collection_id TEXT NOT NULL REFERENCES collections (id),
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        UNIQUE (collection_id, name)
    )""",
    """CREATE TABLE versions (
        udf_id TEXT NOT NULL REFERENCES udfs (id) ON DELETE CASCADE,
        version INTEGER NOT NULL,
        saved_at REAL NOT NULL,
        hash TEXT NOT NULL REFERENCES codes (hash),
        rest TEXT NOT NULL,
        PRIMARY KEY (udf_id, version)
    )""",
    "CREATE INDEX versions_by_code ON versions (hash)",
    """CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        share TEXT NOT NULL UNIQUE,
        udf_id TEXT REFERENCES udfs (id) ON DELETE CASCADE,
        collection_id TEXT REFERENCES collections (id) ON DELETE CASCADE,
        limits TEXT NOT NULL,
        metadata TEXT NOT NULL,
        enabled INTEGER NOT NULL,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        client_id TEXT,
        public_read INTEGER NOT NULL,
        access_scope TEXT,
        CHECK ((udf_id IS NULL) <> (collection_id IS NULL))
    )""",
    "CREATE INDEX tokens_by_udf ON tokens (udf_id)",
    "CREATE INDEX tokens_by_collection ON tokens (collection_id)",
)
