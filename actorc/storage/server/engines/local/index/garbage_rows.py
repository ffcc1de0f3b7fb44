"""The names of blobs that no content refers to any more, kept until the blobs are removed from the disk."""

# ruff: noqa: S608 (statements are made of our own text)

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from .changes.idempotency import IdempotencyLog
from .row_checksums import intact

_REMOVABLE = (
    f"{intact('garbage')} AND NOT EXISTS (SELECT 1 FROM content WHERE content.file IN (garbage.file, garbage.guard))"
)
"""SQL condition of rows whose blobs may be removed: intact, and not referred to by any content."""


class GarbageRows:
    """The rows of garbage. Any thread may call it.

    Args:
        idempotency: Runs changes.
        reading: Gives a connection for reading.
        limit: Rows of a page at most.
    """

    def __init__(
        self,
        idempotency: IdempotencyLog,
        reading: Callable[[], AbstractContextManager[sqlite3.Connection]],
        limit: int,
    ) -> None:
        self._idempotency = idempotency
        self._reading = reading
        self._limit = limit

    def page(self, after: tuple[str, str]) -> list[tuple[str, str]]:
        """Return unreferenced blobs behind `after`, each with the blob that guards it.

        A blob that content refers to nevertheless, because a row is damaged, is not returned.
        """
        with self._reading() as connection:
            return connection.execute(
                f"SELECT guard, file FROM garbage WHERE (guard, file) > (?, ?) AND {_REMOVABLE}"
                " ORDER BY guard, file LIMIT ?",
                (*after, self._limit),
            ).fetchall()

    def forget(self, names: Iterable[str]) -> None:
        """Remove the rows of garbage that was removed from the disk."""
        rows = [(name,) for name in names]
        self._idempotency.run(lambda connection: connection.executemany("DELETE FROM garbage WHERE file = ?", rows))

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Return those of `names` that neither content nor garbage refers to."""
        with self._reading() as connection:
            find = "SELECT 1 FROM content WHERE file = :name UNION ALL SELECT 1 FROM garbage WHERE file = :name"
            return [name for name in names if not connection.execute(find, {"name": name}).fetchone()]
