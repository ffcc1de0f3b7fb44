"""Full verification of the index: every row checksum, every tally, and SQLite's own integrity check."""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final, NamedTuple

from . import schema, tally
from .row_checksums import TABLES, intact

_SHOWN = 20
"""Most damaged rows of a table that are reported one by one."""

DAMAGES: Final = (sqlite3.DatabaseError, UnicodeDecodeError)
"""Errors of reading a damaged database; a message of SQLite may contain bytes that are not UTF-8."""

_SUBJECTS = {
    "meta": "SELECT CAST(name AS BLOB), NULL FROM meta",
    "bucket": "SELECT CAST(name AS BLOB), NULL FROM bucket",
    "content": (
        "SELECT CAST(name AS BLOB), key FROM content LEFT JOIN object ON content_id = content.id LEFT JOIN bucket"
        " ON bucket.id = bucket_id"
    ),
    **{
        table: f"SELECT CAST(bucket.name AS BLOB), {table}.key FROM {table} LEFT JOIN bucket ON bucket.id = bucket_id"
        for table in ("object", "retained", "upload")
    },
}


class Damage(NamedTuple):
    """Damage in the index."""

    subject: str
    """The object if it is known, else the table."""
    detail: str


def damages(connection: sqlite3.Connection) -> Iterator[Damage]:
    """Yield all damage, reading every row and every page."""
    try:
        yield from _structure(connection)
        for table in TABLES:
            yield from _rows(connection, table)
    except DAMAGES as error:
        yield Damage("meta.db", str(error))


def _structure(connection: sqlite3.Connection) -> Iterator[Damage]:
    found = schema.found(connection)
    # an index of an earlier version is verified before it is upgraded
    differences = [schema.expected(version) ^ found for version in schema.VERIFIABLE]
    differing = min(differences, key=len)
    for _, name, _ in sorted(differing):
        yield Damage(name, "its definition in meta.db is not that of this version")
    for (line,) in connection.execute("PRAGMA integrity_check").fetchall():
        if line != "ok":
            yield Damage("meta.db", str(line).replace("\n", " "))


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[Damage]:
    # one snapshot for both, since changes may go on
    connection.execute("BEGIN")
    try:
        found = connection.execute(
            f"SELECT count(*), coalesce(sum(checksum), 0), coalesce(sum(NOT {intact(table)}), 0) FROM {table}"
        ).fetchone()
        counted, checksums = tally.of_table(connection, table)
    finally:
        connection.execute("ROLLBACK")
    if found[2]:
        yield from _named(connection, table)
    if found[0] != counted:
        yield Damage(table, f"{found[0]} rows are there and {'none' if counted is None else counted} are counted")
    elif found[1] != checksums:
        yield Damage(table, "its rows are not those that were written; their checksums have another sum")


def _named(connection: sqlite3.Connection, table: str) -> Iterator[Damage]:
    subjects = _SUBJECTS.get(table, f"SELECT NULL, NULL FROM {table}")
    for bucket, key in connection.execute(f"{subjects} WHERE NOT {intact(table)} LIMIT {_SHOWN}").fetchall():
        yield Damage(_subject(table, bucket, key), f"a row of the table {table} does not match its checksum")


def _subject(table: str, *names: object) -> str:
    shown = [name.decode(errors="backslashreplace") if isinstance(name, bytes) else str(name) for name in names if name]
    return "/".join(shown) or table
