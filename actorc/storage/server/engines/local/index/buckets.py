"""The buckets of the index: made once, and removed with what belongs to them when they hold no object."""

# ruff: noqa: D102, S608 (what the methods promise is said in base.py; statements are made of our own text)

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager

from actorc.storage.models import BucketInfo
from actorc.storage.server.engines.errors import bucket_missing, bucket_not_empty, bucket_taken
from actorc.storage.server.engines.local.disk.errors import named
from actorc.storage.server.engines.local.rows import ALIVE, bucket_info, call_id

from . import absence, objects, tally, uploads
from .changes.idempotency import IdempotencyLog
from .objects import bucket_id
from .row_checksums import damaged_row, intact

_ROWS = f"SELECT {intact('bucket')}, name, created_us FROM bucket"


class Buckets:
    """The buckets. Any thread may call it.

    Args:
        idempotency: Runs changes, and remembers the results of calls.
        reading: Gives a connection for reading.
    """

    def __init__(
        self, idempotency: IdempotencyLog, reading: Callable[[], AbstractContextManager[sqlite3.Connection]]
    ) -> None:
        self._idempotency = idempotency
        self._reading = reading

    def create(self, bucket: str, *, exist_ok: bool, idempotency_key: str) -> BucketInfo:
        def change(connection: sqlite3.Connection) -> int:
            found = _find(connection, bucket)
            if found and not exist_ok:
                raise bucket_taken(bucket)
            if found:
                return found[1]
            now = self._idempotency.now()
            connection.execute("INSERT INTO bucket (name, created_us) VALUES (?, ?)", (bucket, now))
            return now

        with named(bucket, ""):
            created_us, _ = self._idempotency.once(
                call_id("create_bucket", bucket, idempotency_key), (exist_ok,), change
            )
        return bucket_info((bucket, created_us))

    def delete(self, bucket: str, *, idempotency_key: str) -> None:
        def change(connection: sqlite3.Connection) -> bool:
            found = bucket_id(connection, bucket)
            holds = f"SELECT 1 FROM object WHERE bucket_id = :bucket AND {ALIVE} LIMIT 1"
            if connection.execute(holds, {"bucket": found, "now": self._idempotency.now()}).fetchone():
                raise bucket_not_empty(bucket)
            objects.drop_all(connection, found)
            # expired ones alone may have been there; any other is hidden by damage
            if tally.objects_in(connection, found):
                raise damaged_row("object", bucket)
            uploads.drop_all(connection, found)
            connection.execute("DELETE FROM bucket WHERE id = ?", (found,))
            return True

        self._idempotency.once(call_id("delete_bucket", bucket, idempotency_key), (), change)

    def head(self, bucket: str) -> BucketInfo:
        with self._reading() as connection:
            found = _find(connection, bucket)
        if found is None:
            raise bucket_missing(bucket)
        return bucket_info(found)

    def all(self) -> list[BucketInfo]:
        with self._reading() as connection:
            rows = connection.execute(f"{_ROWS} ORDER BY name").fetchall()
        return [bucket_info(_checked(row)) for row in rows]


def _find(connection: sqlite3.Connection, name: str) -> tuple[str, int] | None:
    row = connection.execute(f"{_ROWS} WHERE name = ?", (name,)).fetchone()
    if row is None:
        absence.check_bucket(connection, name)
        return None
    return _checked(row)


def _checked(row: tuple[int, str, int]) -> tuple[str, int]:
    is_intact, name, created_us = row
    if not is_intact:
        raise damaged_row("bucket", name)
    return name, created_us
