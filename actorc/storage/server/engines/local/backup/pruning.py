"""The removal of old snapshots, and of the blobs that no snapshot names any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from actorc.storage.errors import IntegrityError
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.index import schema

from .backup_directory import BackupDirectory
from .snapshot_files import INDEX


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed."""

    snapshots: int = 0
    blobs: int = 0


def prune(backups: BackupDirectory, keep: int, fsops: FsOps) -> Pruned:
    """Remove all snapshots but the newest `keep`, and blobs that none of these names; return how many.

    Call it within `BackupDirectory.writing`.

    Raises:
        IntegrityError: The index of a snapshot that stays cannot be read; no blob was removed.
    """
    withdrawn = backups.names()[:-keep]
    for name in withdrawn:
        backups.withdraw(name)
    with ExitStack() as stack:
        kept = [_opened(backups, name, stack) for name in backups.names()]
        return Pruned(len(withdrawn), _remove_unnamed(backups, kept, fsops))


def _opened(backups: BackupDirectory, name: str, stack: ExitStack) -> sqlite3.Connection:
    path = backups.snapshots / name / INDEX
    try:
        connection = stack.enter_context(closing(schema.connect_read_only(path, alone=True)))
        connection.execute("SELECT file FROM content LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise IntegrityError(
            f"the index of snapshot {name} cannot be read ({error}), so no files were removed; the newest snapshot is "
            f"whole, remove {path.parent}"
        ) from error
    return connection


def _remove_unnamed(backups: BackupDirectory, kept: Sequence[sqlite3.Connection], fsops: FsOps) -> int:
    removed = 0
    for shard in backups.blobs.shards():
        for names in backups.blobs.names(shard):
            for name in names:
                if not any(_is_named(connection, name) for connection in kept):
                    fsops.unlink(backups.blobs.path(name))
                    removed += 1
    return removed


def _is_named(connection: sqlite3.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM content WHERE file = ?", (name,)).fetchone() is not None
