"""The beginning and the end of the time that a process has the index open: its log, and the mark of a clean stop."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

from actorc.storage.errors import IntegrityError, StorageError
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.disk.health import Health
from actorc.storage.server.engines.local.disk.reserve import Reserve
from actorc.storage.server.engines.times import Clock

from . import closing_mark, schema, startup
from .changes.idempotency import IdempotencyLog
from .presence import PresenceLock
from .wal import wal_check, wal_room

_log = logging.getLogger(__name__)


def open_log(
    path: Path, fsops: FsOps, health: Health, clock: Clock, presence: PresenceLock, *, is_first: bool
) -> tuple[IdempotencyLog, sqlite3.Connection]:
    """Open the index for changes; the first process replaces the mark of a clean stop by a log.

    Args:
        path: The database file.
        fsops: The disk.
        health: State of the disk, shared by the engine.
        clock: Seconds since 1970-01-01 UTC.
        presence: The lock of this process on the index.
        is_first: Whether no other process has the index open.

    Returns:
        What changes the index, and a connection that keeps the log from being removed if it is closed last.
    """
    with ExitStack() as undo:
        # closed last if anything fails: without log and mark, the next start would take the log for lost
        keeper = undo.enter_context(closing(_keep_log(path)))
        connection = undo.enter_context(closing(schema.connect_for_changes(path)))
        if is_first:
            # before the last connection is closed, which removes the log
            undo.callback(presence.expect_nothing)
        checkpoints = undo.enter_context(closing(schema.connect(path)))
        reserve = undo.enter_context(closing(Reserve(fsops, path.parent)))
        idempotency = IdempotencyLog(connection, checkpoints, fsops, health, clock, reserve)
        if is_first:
            # sync the log's name before the mark is removed, or a start after a power cut may find neither
            fsops.sync_directory(path.parent)
            presence.expect_log()
            closing_mark.remove(path, fsops)
            # what a killed process left is not mixed with what is written from now on
            idempotency.commits.carry_over()
            # after the removal of the mark, which is refused beside a log
            wal_room.occupy(wal_check.path_of(path), schema.page_size(connection), fsops)
        undo.pop_all()
    return idempotency, keeper


def record_opening(idempotency: IdempotencyLog, opening: startup.Opening) -> None:
    """Record how the index was found, or log why not: a full disk must not keep a server from starting."""
    try:
        idempotency.run(lambda connection: startup.record_opening(connection, opening, idempotency.now()))
    except StorageError as error:
        _log.warning("it could not be noted how the index was found: %s", error)


def mark_closed(path: Path, fsops: FsOps, health: Health, presence: PresenceLock, *, is_verified: bool) -> bool:
    """Verify all of the index and write the mark of a clean stop, or else record that there may be no log and no mark.

    A mark makes the next start believe the file as it is, so it never stands beside an index that was damaged while it
    was open.

    Returns:
        Whether the log may be removed; else the next start would take it for one that was lost.
    """
    try:
        if health.good and startup.mark_closed(path, fsops, is_verified=is_verified):
            return True
    except IntegrityError as error:
        _log.error("the index was damaged while it was open, so the next start refuses it: %s", error)
    except (OSError, sqlite3.Error) as error:
        _log.warning("the index is closed without a mark, so that the next start verifies all of it: %s", error)
    try:
        presence.expect_nothing()
    except OSError as error:  # a broken disk must not keep a server from ending
        _log.warning("it could not be noted that the index has no log any more, so the log stays: %s", error)
        return False
    return True


def _keep_log(path: Path) -> sqlite3.Connection:
    connection = schema.connect_read_only(path)
    # as long as it has read nothing, it does not count among those that have the index open
    connection.execute("PRAGMA schema_version").fetchone()
    return connection
