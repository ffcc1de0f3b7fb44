"""Backup: a snapshot of a data directory, taken while servers use it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from actorc.storage.errors import InvalidParameterError
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.disk.removal_pause import RemovalPause
from actorc.storage.server.engines.local.index import schema, upgrade
from actorc.storage.server.engines.local.maintenance.fsck_index import Finding
from actorc.version import version

from . import snapshot_files
from .backup_directory import BackupDirectory
from .blob_transfer import BlobTransfer, Copied
from .disk_errors import of_disk
from .index_copy import copy_index
from .manifest import Manifest, Totals
from .progress import OnProgress, Progress
from .pruning import Pruned, prune
from .source_directory import SourceDirectory

KEPT: Final = 7
"""Default number of snapshots that stay."""
_FULL: Final = "free space there, then start the backup again: earlier snapshots are whole, and what was copied stays"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """The result of a backup."""

    manifest: Manifest | None
    """That of the new snapshot; None: there is none, since something is damaged."""
    findings: Sequence[Finding] = ()
    """What is damaged in the data directory."""
    copied: Copied
    """Blobs that were not in an earlier snapshot."""
    pruned: Pruned = field(default_factory=Pruned)


def back_up(
    data: Path,
    target: Path,
    *,
    keep: int = KEPT,
    verify: bool = False,
    fsops: FsOps | None = None,
    on_progress: OnProgress | None = None,
) -> Backup:
    """Take a snapshot of a data directory, which servers may use and change meanwhile.

    The snapshot is the state of one moment behind the call: everything acknowledged before the call is in it, unless it
    was deleted or replaced since, and nothing that is half done. It appears when all of it is on the medium; until
    then, and if the backup fails or is killed, earlier snapshots are as they were. Every byte that is copied is
    verified. Blobs that an earlier snapshot has are not copied again.

    Args:
        data: The data directory, on this machine.
        target: The directory of its backups, made if it does not exist.
        keep: How many snapshots stay, the new one included.
        verify: Whether to read also the blobs that earlier snapshots have, and to copy again those that are damaged.
        fsops: The disk.
        on_progress: Called with the bytes done and their total.

    Raises:
        InvalidParameterError: `data` is no data directory, or `target` holds other things.
        IntegrityError: The index of `data` is damaged.
        ResourceExhaustedError: The disk of `target` is full.
        StorageError: Another backup is running, or `data` is of a newer version.
        OSError: A file cannot be read or written.
    """
    disk = fsops or FsOps()
    if keep < 1:
        raise InvalidParameterError(f"keep is {keep}; it must be 1 or more")
    source = SourceDirectory(data, disk)
    source.check_target(target)
    backups = BackupDirectory(target, disk)
    with of_disk(target, _FULL), backups.writing(source.store), closing(RemovalPause(source.removal_pause)) as pause:
        return _Taking(source, backups, disk, pause, on_progress).run(keep, verify=verify)


class _Taking:
    """One backup that is being made."""

    def __init__(
        self,
        source: SourceDirectory,
        backups: BackupDirectory,
        fsops: FsOps,
        pause: RemovalPause,
        on_progress: OnProgress | None,
    ) -> None:
        self._source = source
        self._backups = backups
        self._fsops = fsops
        self._pause = pause
        self._on_progress = on_progress

    def run(self, keep: int, *, verify: bool) -> Backup:
        taken_at = datetime.now(UTC)
        draft = self._backups.incoming / self._backups.next_name(taken_at)
        self._fsops.make_directory(draft)
        self._copy_files(draft)
        with closing(schema.connect_read_only(draft / snapshot_files.INDEX, alone=True)) as index:
            transfer = self._transfer(Totals.of(index), anew=verify)
            findings = list(transfer.run(index, self._backups.incoming))
            if findings:
                return Backup(manifest=None, findings=findings, copied=transfer.copied)
            manifest = self._manifest(draft, index, taken_at)
        manifest.write(draft)
        self._backups.publish(draft)
        return Backup(manifest=manifest, copied=transfer.copied, pruned=prune(self._backups, keep, self._fsops))

    def _transfer(self, totals: Totals, *, anew: bool) -> BlobTransfer:
        progress = Progress(totals.blob_bytes, self._on_progress, self._pause.renew)
        resync = self._backups.was_interrupted
        source, target = self._source.blobs, self._backups.blobs
        return BlobTransfer(source, target, self._fsops, anew=anew, resync=resync, on_bytes=progress.add)

    def _manifest(self, draft: Path, index: sqlite3.Connection, taken_at: datetime) -> Manifest:
        return Manifest(
            snapshot=draft.name,
            store=self._source.store,
            taken_at=taken_at.isoformat(timespec="seconds"),
            ended_at=datetime.now(UTC).isoformat(timespec="seconds"),
            made_by=version(),
            schema=int(str(upgrade.version(index))),
            totals=Totals.of(index),
            files=snapshot_files.digests(draft),
        )

    def _copy_files(self, draft: Path) -> None:
        index = draft / snapshot_files.INDEX
        copy_index(self._source.database, self._source.store, index, self._fsops, on_progress=self._pause.renew)
        snapshot_files.copy_small_files(self._source.root, draft, self._fsops)
        descriptor = os.open(index, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # SQLite makes it with the mode that others may read
            os.fchmod(descriptor, 0o600)
            self._fsops.sync(descriptor)
        finally:
            os.close(descriptor)
