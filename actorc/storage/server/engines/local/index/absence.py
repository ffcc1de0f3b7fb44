"""Proof that a row is not there, and not hidden by damage.

A row whose own key is damaged is not found by it, but stands where it stood. And SQLite follows the keys on inner
pages, which belong to rows of a table without row ids, too, without any proof: a damaged one leads a look-up to the
wrong side of it. Every other key that was compared on the way leads to the right side, so the look-up ends right beside
the damaged one. If both rows beside the place of a missing one match their checksums, neither has happened.
"""

# ruff: noqa: S608 (statements are made of our own names only)

from __future__ import annotations

import sqlite3
from typing import Any, Final

from .row_checksums import checked, damaged_row, intact, is_intact

_ROW: Final = f"SELECT {checked('object')} FROM object WHERE (bucket_id, key)"
_BEFORE: Final = f"{_ROW} < (:bucket, :first) ORDER BY bucket_id DESC, key DESC LIMIT 1"
_BEHIND: Final = f"{_ROW} {{}} (:bucket, :last) ORDER BY bucket_id, key LIMIT 1"
_BESIDE: Final = f"SELECT * FROM ({_BEFORE}) UNION ALL SELECT * FROM ({_BEHIND.format('>')})"
_AROUND: Final = f"SELECT * FROM ({_BEFORE}) UNION ALL SELECT * FROM ({_BEHIND.format('>=')})"
# not by the index of names, which may be what is damaged; there are few buckets
_HIDDEN_BUCKET: Final = f"SELECT 1 FROM bucket NOT INDEXED WHERE name = ? OR NOT {intact('bucket')} LIMIT 1"


def check_object(connection: sqlite3.Connection, bucket_id: int, bucket: str, key: str) -> None:
    """Check that an object that was not found is not there.

    Raises:
        IntegrityError: A row beside its place is damaged, and may hide it.
    """
    name = key.encode()
    if not _are_intact(connection.execute(_BESIDE, {"bucket": bucket_id, "first": name, "last": name}).fetchall()):
        raise damaged_row("object", bucket, key)


def check_span(connection: sqlite3.Connection, bucket_id: int, bucket: str, lower: bytes, upper: bytes) -> None:
    """Check that no object hides at the ends of those that were found from `lower` up to, and without, `upper`.

    Raises:
        IntegrityError: A row beside an end is damaged.
    """
    if not _are_intact(connection.execute(_AROUND, {"bucket": bucket_id, "first": lower, "last": upper}).fetchall()):
        raise damaged_row("object", bucket)


def check_bucket(connection: sqlite3.Connection, name: str) -> None:
    """Check that a bucket that was not found is not there.

    Raises:
        IntegrityError: It is, or the row of a bucket is damaged.
    """
    if connection.execute(_HIDDEN_BUCKET, (name,)).fetchone():
        raise damaged_row("bucket", name)


def _are_intact(beside: list[tuple[Any, ...]]) -> bool:
    return all(is_intact("object", row[0], row[1:]) for row in beside)
