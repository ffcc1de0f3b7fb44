"""The tables of the index, and how a connection to it is opened.

``object`` is what listings scan and holds nothing long, so that a page of names is a few pages of the database. What
its bytes are is a row of ``content``, counted by those that refer to it: a file, or bytes kept inline, or neither, and
then ``segment`` lists the rows whose bytes it joins. Keys are blobs, since blobs compare byte by byte.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from actorc.storage.errors import StorageError

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bucket (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_us INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS content (
    id INTEGER PRIMARY KEY, refs INTEGER NOT NULL DEFAULT 1, size INTEGER NOT NULL,
    sums BLOB NOT NULL, file TEXT, data BLOB, CHECK (file IS NULL OR data IS NULL)
);
CREATE UNIQUE INDEX IF NOT EXISTS content_by_file ON content (file) WHERE file IS NOT NULL;
CREATE TABLE IF NOT EXISTS segment (
    content_id INTEGER NOT NULL, position INTEGER NOT NULL, leaf_id INTEGER NOT NULL,
    PRIMARY KEY (content_id, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS object (
    bucket_id INTEGER NOT NULL REFERENCES bucket (id), key BLOB NOT NULL,
    generation INTEGER NOT NULL, size INTEGER NOT NULL, crc32c INTEGER NOT NULL, content_type TEXT NOT NULL,
    metadata TEXT NOT NULL, modified_us INTEGER NOT NULL, expires_us INTEGER, content_id INTEGER NOT NULL,
    PRIMARY KEY (bucket_id, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS object_by_expiry ON object (expires_us) WHERE expires_us IS NOT NULL;
CREATE TABLE IF NOT EXISTS retained (
    bucket_id INTEGER NOT NULL REFERENCES bucket (id), key BLOB NOT NULL,
    generation INTEGER NOT NULL, size INTEGER NOT NULL, crc32c INTEGER NOT NULL, content_type TEXT NOT NULL,
    metadata TEXT NOT NULL, modified_us INTEGER NOT NULL, expires_us INTEGER, content_id INTEGER NOT NULL,
    until_us INTEGER NOT NULL, charge INTEGER NOT NULL,
    PRIMARY KEY (bucket_id, key, generation)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS retained_by_end ON retained (until_us, generation);
CREATE TABLE IF NOT EXISTS upload (
    id INTEGER PRIMARY KEY, bucket_id INTEGER NOT NULL REFERENCES bucket (id), key BLOB NOT NULL, name TEXT NOT NULL,
    content_type TEXT NOT NULL, metadata TEXT NOT NULL, ttl INTEGER, if_absent INTEGER NOT NULL, if_match TEXT,
    created_us INTEGER NOT NULL, touched_us INTEGER NOT NULL, UNIQUE (bucket_id, key, name)
);
CREATE INDEX IF NOT EXISTS upload_by_touch ON upload (touched_us);
CREATE TABLE IF NOT EXISTS part (
    upload_id INTEGER NOT NULL REFERENCES upload (id), number INTEGER NOT NULL, size INTEGER NOT NULL,
    generation INTEGER NOT NULL, crc32c INTEGER NOT NULL, modified_us INTEGER NOT NULL, content_id INTEGER NOT NULL,
    PRIMARY KEY (upload_id, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outcome (
    id INTEGER PRIMARY KEY, call BLOB NOT NULL UNIQUE, at_us INTEGER NOT NULL, result TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS garbage (
    guard TEXT NOT NULL, file TEXT NOT NULL UNIQUE, PRIMARY KEY (guard, file)
) WITHOUT ROWID;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, for one thread at a time; the connection begins no transaction of its own accord."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    try:
        for pragma in (
            "busy_timeout = 10000",
            "journal_mode = WAL",
            "synchronous = FULL",
            "fullfsync = ON",
            "foreign_keys = ON",
            "wal_autocheckpoint = 0",
            "cache_size = -8000",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def create(connection: sqlite3.Connection, store_id: str) -> None:
    """Make the tables that are missing.

    Raises:
        StorageError: The database belongs to another data directory.
    """
    connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
    connection.execute(
        "INSERT OR IGNORE INTO meta VALUES ('store', ?), ('generation', 0), ('retained_bytes', 0)", (store_id,)
    )
    found = read_meta(connection, "store")
    if found != store_id:
        raise StorageError("meta.db belongs to another data directory; restore the one that FORMAT names")


def read_meta(connection: sqlite3.Connection, name: str) -> object:
    """Return one value of the table ``meta``."""
    return connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0]
