"""A copy of the index as it is at one moment, while servers change it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.index import retention, schema, startup, upgrade
from actorc.storage.server.engines.local.index.presence import PresenceLock

_PAGES: Final = 2048
"""Pages between two calls of the caller; 8 MiB."""


def copy_index(database: Path, store: str, copy: Path, fsops: FsOps, *, on_progress: Callable[[], None]) -> None:
    """Copy an index with all that was committed before this call, and nothing that is half done.

    Servers change it meanwhile. The copy is verified, row by row, and needs no log.

    Args:
        database: The index; any version that this program knows.
        store: Identity of the data directory.
        copy: The new file.
        fsops: The disk of the copy.
        on_progress: Called every now and then.

    Raises:
        IntegrityError: The index is damaged, or a part of it is missing.
        StorageError: It belongs to another data directory, or to a newer version.
    """
    presence = PresenceLock(database.parent, fsops)
    with ExitStack() as held:
        is_unused = held.enter_context(presence.looking())
        if is_unused:
            # no server has checked it; one that starts now waits until it is copied
            startup.check(database, store, was_open=presence.was_open())
        with closing(_snapshot(database)) as source:
            if not is_unused:
                # from here on processes may open and close it: the snapshot stays
                held.close()
            _copy(source, copy, on_progress)
    _finish(copy, store, fsops)


def _snapshot(database: Path) -> sqlite3.Connection:
    """Return a connection that sees the index as it is now, until it is closed."""
    connection = schema.connect_read_only(database)
    try:
        connection.execute("BEGIN")
        # the transaction begins with its first read
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _copy(source: sqlite3.Connection, copy: Path, on_progress: Callable[[], None]) -> None:
    with closing(sqlite3.connect(copy)) as target:
        source.backup(target, pages=_PAGES, progress=lambda *_: on_progress())


def _finish(copy: Path, store: str, fsops: FsOps) -> None:
    with closing(schema.connect_for_changes(copy)) as connection:
        # first: the rows of a later version would look damaged
        startup.check_identity(connection, store)
        startup.verify(connection, copy)
        connection.execute("BEGIN IMMEDIATE")
        if upgrade.version(connection) != upgrade.WITHOUT_CHECKSUMS:
            # generations that were replaced live for minutes only, and may have a GiB
            retention.clear(connection)
        # blobs that wait to be removed are not in the backup, so nothing waits there
        connection.execute("DELETE FROM garbage")
        fsops.commit(connection)
        # all into one file, which has no log when it is closed
        fsops.checkpoint(connection, "TRUNCATE")
