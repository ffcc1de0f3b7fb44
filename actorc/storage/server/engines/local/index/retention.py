"""Retained generations: replaced objects kept for pinned readers, limited in time, in bytes and by free space."""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from actorc.storage.rules import GiB, KiB
from actorc.storage.server.engines.local.rows import FIELDS

from . import content_refs
from .row_checksums import intact
from .schema import WritingConnection, read_meta
from .value_lists import ListStatement

_FOREVER_US = 1 << 62
_MIN_CHARGE = 4 * KiB  # counted at least, so that `max_bytes` bounds the number of rows, too
_REPLACE = ListStatement(
    f"INSERT INTO retained (bucket_id, key, {FIELDS}, content_id, until_us, charge)"
    f" SELECT bucket_id, key, {FIELDS}, content_id, ?, max(size, ?) FROM object WHERE bucket_id = ? AND key IN {{}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Limits of retained generations."""

    seconds: float = 15 * 60
    max_bytes: int = GiB
    """Bytes of all retained generations together; the oldest go first."""
    min_free: float = 0.10
    """Fraction of the disk that must be free; below, nothing is retained."""


def begin(connection: sqlite3.Connection) -> None:
    """Begin to count the bytes that a transaction changes; the first thing it does."""
    writing = _writing(connection)
    writing.kept_before, writing.kept_change, writing.has_room = None, 0, None


def has_room(connection: sqlite3.Connection, free_fraction: Callable[[], float], kept: Retention) -> bool:
    """Return whether the disk has room for replaced generations; looked at once for all changes of a transaction."""
    writing = _writing(connection)
    if writing.has_room is None:
        writing.has_room = free_fraction() >= kept.min_free
    return writing.has_room


def seal(connection: sqlite3.Connection) -> None:
    """Record the bytes that the transaction has changed, once for all of its changes."""
    change = _writing(connection).kept_change
    if change:
        # a damaged row is an error of the changes; refused by its trigger it would be one of the disk
        _total(connection)
        connection.execute("UPDATE meta SET value = value + ? WHERE name = 'retained_bytes'", (change,))


def replace(connection: sqlite3.Connection, bucket_id: int, sizes: Mapping[bytes, int], until_us: int) -> None:
    """Retain current objects of a bucket before they are replaced, with their references to content.

    Args:
        connection: The connection with the open transaction.
        bucket_id: The bucket.
        sizes: The bytes of each object, by its key.
        until_us: When their retention ends.
    """
    _REPLACE.rows(connection, (until_us, _MIN_CHARGE, bucket_id), list(sizes))
    _account(connection, sum(max(size, _MIN_CHARGE) for size in sizes.values()))


def limit(connection: sqlite3.Connection, max_bytes: int) -> None:
    """Remove the oldest retained generations until at most `max_bytes` are left."""
    while _total(connection) > max_bytes:
        row = connection.execute(
            "SELECT bucket_id, key, generation, content_id, charge FROM retained ORDER BY until_us, generation LIMIT 1"
        ).fetchone()
        _drop(connection, row)


def expire(connection: sqlite3.Connection, until_us: int, limit: int) -> bool:
    """Remove up to `limit` generations whose retention ended by `until_us`; return whether there may be more."""
    rows = connection.execute(
        "SELECT bucket_id, key, generation, content_id, charge FROM retained"
        f" WHERE until_us <= ? AND {intact('retained')} LIMIT ?",
        (until_us, limit),
    ).fetchall()
    for row in rows:
        _drop(connection, row)
    return len(rows) == limit


def clear(connection: sqlite3.Connection) -> None:
    """Remove every retained generation, in a transaction that changes nothing else that is retained."""
    begin(connection)
    while expire(connection, _FOREVER_US, 1000):
        pass
    seal(connection)


def forget(connection: sqlite3.Connection, bucket_id: int, key: bytes) -> None:
    """Remove every retained generation of an object."""
    rows = connection.execute(
        "SELECT bucket_id, key, generation, content_id, charge FROM retained WHERE bucket_id = ? AND key = ?",
        (bucket_id, key),
    ).fetchall()
    for row in rows:
        _drop(connection, row)


def _drop(connection: sqlite3.Connection, row: tuple[int, bytes, int, int, int]) -> None:
    bucket_id, key, generation, content_id, charge = row
    connection.execute(
        "DELETE FROM retained WHERE bucket_id = ? AND key = ? AND generation = ?", (bucket_id, key, generation)
    )
    content_refs.drop(connection, content_id)
    _account(connection, -charge)


def _account(connection: sqlite3.Connection, change: int) -> None:
    _writing(connection).kept_change += change


def _total(connection: sqlite3.Connection) -> int:
    writing = _writing(connection)
    if writing.kept_before is None:
        # nobody else changes it within this transaction
        writing.kept_before = int(str(read_meta(connection, "retained_bytes")))
    return writing.kept_before + writing.kept_change


def _writing(connection: sqlite3.Connection) -> WritingConnection:
    assert isinstance(connection, WritingConnection)
    return connection
