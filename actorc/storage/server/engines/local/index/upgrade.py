"""The upgrade of indexes of earlier versions, in one transaction."""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
from pathlib import Path

from actorc.storage.server.engines.local.disk.fsops import FsOps

from . import schema, tally
from .row_checksums import TABLES

WITHOUT_CHECKSUMS = 1


def version(connection: sqlite3.Connection) -> object:
    """Return the schema version of an index; 1 if it has none, as those without checksums."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'tally'").fetchone():
        return WITHOUT_CHECKSUMS
    return schema.read_meta(connection, "schema")


def upgrade(path: Path, fsops: FsOps) -> None:
    """Upgrade an index of an earlier version to the current one, atomically.

    Rows of version 1 are accepted as they are, since they have no checksums to verify.
    """
    connection = schema.connect(path)
    try:
        connection.execute("PRAGMA foreign_keys = OFF")  # else DROP TABLE deletes its rows first
        connection.execute("BEGIN IMMEDIATE")
        found = version(connection)
        if found == WITHOUT_CHECKSUMS:
            _add_checksums(connection)
        else:
            if found == schema.WITHOUT_STAMPS:
                connection.execute(f"ALTER TABLE content ADD COLUMN {schema.STAMP_COLUMN}")
            _run(connection, tally.counting_by_bucket())
        connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('schema', ?)", (schema.VERSION,))
        fsops.commit(connection)
        fsops.checkpoint(connection, "TRUNCATE")
    finally:
        connection.close()


def _add_checksums(connection: sqlite3.Connection) -> None:
    for table in TABLES:
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    _run(connection, schema.tables())
    for table in TABLES:
        _move(connection, table)
    _run(connection, schema.indexes())


def _move(connection: sqlite3.Connection, table: str) -> None:
    names = ", ".join(row[1] for row in connection.execute(f"PRAGMA table_info(old_{table})"))
    connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM old_{table}")
    connection.execute(f"DROP TABLE old_{table}")


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Run statements one by one; `executescript` would end the transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
