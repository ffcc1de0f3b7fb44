"""Restore: a snapshot that becomes a data directory again, and its check."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actorc.storage.errors import AlreadyExistsError, IntegrityError, StorageError
from actorc.storage.server.engines.local.data_dir import LOCK, lock_directory
from actorc.storage.server.engines.local.disk.blobs import Blobs
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.disk.health import Health
from actorc.storage.server.engines.local.disk.quarantine import Quarantine
from actorc.storage.server.engines.local.engine import LocalEngine
from actorc.storage.server.engines.local.index import schema, startup
from actorc.storage.server.engines.local.maintenance.fsck_index import Finding

from . import manifest, snapshot_files
from .backup_directory import BackupDirectory
from .blob_transfer import BlobTransfer
from .disk_errors import of_disk
from .manifest import FileDigest, Manifest, Totals
from .progress import OnProgress, Progress

_FULL: Final = "free space there, or choose another directory, then restore again"
_BESIDE: Final = {LOCK, "lost+found"}


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore, or of a check."""

    manifest: Manifest
    findings: Sequence[Finding]
    """What is damaged in the backup; if anything is, nothing was restored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSnapshot:
    """A snapshot as its manifest tells it; nothing else of it was read, so the totals are not verified."""

    snapshot: str
    """Its name."""
    manifest: Manifest | None
    """None if it cannot be believed."""
    problem: str = ""
    """Why not."""


def snapshots(backup: Path) -> list[ListedSnapshot]:
    """Return all snapshots, oldest first; one that is seen to be damaged hides no other. `check` verifies them.

    Raises:
        NotFoundError: `backup` is no directory of backups.
    """
    backups = BackupDirectory(backup, FsOps())
    with backups.reading():
        return [_listed(backups, name) for name in backups.names()]


def _listed(backups: BackupDirectory, name: str) -> ListedSnapshot:
    folder = backups.folder(name)
    try:
        found = _manifest(backups, folder)
        # by their sizes, as the index may have gigabytes
        sizes = snapshot_files.sizes(folder)
        wrong = [file for file, digest in found.files.items() if sizes.get(file) != digest.size]
        if wrong:
            raise IntegrityError(f"{folder / min(wrong)} is missing or damaged; restore another snapshot")
    except StorageError as error:
        return ListedSnapshot(snapshot=name, manifest=None, problem=error.message)
    return ListedSnapshot(snapshot=name, manifest=found)


def check(
    backup: Path, *, snapshot: str | None = None, fsops: FsOps | None = None, on_progress: OnProgress | None = None
) -> Restored:
    """Read and verify all of a snapshot; nothing is written.

    Args:
        backup: The directory of backups.
        snapshot: Name of the snapshot; None: the newest.
        fsops: The disk.
        on_progress: Called with the bytes done and their total.

    Raises:
        NotFoundError: There is no such backup or snapshot.
        IntegrityError: Its manifest or its index is damaged.
        StorageError: A later version of lucas-storage has made it, or a backup is being made.
        OSError: A file cannot be read.
    """
    disk = fsops or FsOps()
    with _opened(backup, snapshot, disk) as (backups, folder, found), closing(_index(folder, found)) as index:
        return Restored(found, _moved(backups, index, None, disk, on_progress))


def restore(
    backup: Path,
    directory: Path,
    *,
    snapshot: str | None = None,
    fsops: FsOps | None = None,
    on_progress: OnProgress | None = None,
) -> Restored:
    """Make a data directory of a snapshot; all of it is verified, and on the medium when this returns.

    Until then no server opens the directory, and no other restore. If anything is damaged, or this fails, the directory
    is left empty.

    Args:
        backup: The directory of backups.
        directory: The new data directory, which must be empty or missing.
        snapshot: Name of the snapshot; None: the newest.
        fsops: The disk.
        on_progress: Called with the bytes done and their total.

    Raises:
        AlreadyExistsError: `directory` is not empty.
        NotFoundError: There is no such backup or snapshot.
        IntegrityError: Its manifest or its index is damaged.
        ResourceExhaustedError: The disk is full.
        StorageError: A later version of lucas-storage has made it, a backup is being made, or another process uses
            `directory`.
        OSError: A file cannot be read or written.
    """
    disk = fsops or FsOps()
    with _opened(backup, snapshot, disk) as (backups, folder, found), of_disk(directory, _FULL):
        with closing(_index(folder, found)) as index, _taken(directory, disk) as (lock, undo):
            findings = _moved(backups, index, _blobs(directory, disk), disk, on_progress)
            if not findings:
                _finish(directory, lock, folder, found, disk)
                undo.pop_all()
        return Restored(found, findings)


@contextmanager
def _opened(backup: Path, snapshot: str | None, fsops: FsOps) -> Iterator[tuple[BackupDirectory, Path, Manifest]]:
    backups = BackupDirectory(backup, fsops)
    with backups.reading():
        folder = backups.folder(snapshot)
        found = _manifest(backups, folder)
        for name, digest in found.files.items():
            _check_file(folder, name, digest)
        yield backups, folder, found


def _manifest(backups: BackupDirectory, folder: Path) -> Manifest:
    found = manifest.read(folder)
    if found.store != backups.store() or found.snapshot != folder.name:
        raise IntegrityError(f"{folder} is not the snapshot that its manifest names; restore another one")
    return found


def _check_file(folder: Path, name: str, expected: FileDigest) -> None:
    path = folder / name
    try:
        snapshot_files.place(folder, name)
        found = FileDigest.of(path)
    except KeyError:
        raise IntegrityError(f"{folder / manifest.NAME} is damaged, it names a file {name!r}") from None
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing; restore another snapshot") from None
    if found != expected:
        raise IntegrityError(f"{path} is damaged; restore another snapshot")


def _index(folder: Path, found: Manifest) -> sqlite3.Connection:
    """Return the verified index of a snapshot."""
    path = folder / snapshot_files.INDEX
    connection = schema.connect_read_only(path, alone=True)
    try:
        # first: the rows of a later version would look damaged
        startup.check_identity(connection, found.store)
        startup.verify(connection, path)
        _check_totals(connection, folder, found)
    except sqlite3.Error as error:
        connection.close()
        raise IntegrityError(f"{path} is damaged ({error}); restore another snapshot") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _check_totals(index: sqlite3.Connection, folder: Path, found: Manifest) -> None:
    if Totals.of(index) != found.totals:
        raise IntegrityError(f"{folder / manifest.NAME} is damaged, its index has other totals")


def _moved(
    backups: BackupDirectory,
    index: sqlite3.Connection,
    target: Blobs | None,
    fsops: FsOps,
    on_progress: OnProgress | None,
) -> list[Finding]:
    progress = Progress(Totals.of(index).blob_bytes, on_progress)
    transfer = BlobTransfer(backups.blobs, target, fsops, anew=False, resync=False, on_bytes=progress.add)
    return list(transfer.run(index, None if target is None else target.staging))


def _check_empty(directory: Path) -> bool:
    """Return whether the directory exists; raise `AlreadyExistsError` if anything is in it."""
    try:
        found = sorted(entry.name for entry in directory.iterdir() if entry.name not in _BESIDE)
    except FileNotFoundError:
        return False
    if found:
        raise AlreadyExistsError(
            f"{directory} is not empty, it has {found[0]!r}; name a new directory, or move this one away first"
        )
    return True


@contextmanager
def _taken(directory: Path, fsops: FsOps) -> Iterator[tuple[int, ExitStack]]:
    """Lock and lay out a new directory; yield the lock, and the calls that leave it empty at the end of the block."""
    existed = _check_empty(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        lock = lock_directory(directory)
        stack.callback(os.close, lock)
        # again: another restore, or a server, may have had it before the lock was free, and theirs is not to be cleared
        _check_empty(directory)
        undo = stack.enter_context(ExitStack())
        undo.callback(_clear, directory, existed=existed)
        _lay_out(directory, fsops)
        yield lock, undo


def _lay_out(directory: Path, fsops: FsOps) -> None:
    # a name that is not synced may be gone after a power cut, with everything below it
    fsops.sync_directory(directory.parent)
    directory.chmod(0o700)
    for name in ("blobs", "staging", "meta"):
        fsops.make_directory(directory / name)


def _blobs(directory: Path, fsops: FsOps) -> Blobs:
    quarantine = Quarantine(directory / "quarantine", fsops)
    return Blobs(directory / "blobs", directory / "staging", quarantine, fsops, Health())


def _finish(directory: Path, lock: int, folder: Path, found: Manifest, fsops: FsOps) -> None:
    names = [name for name in found.files if name != snapshot_files.LABEL]
    # the label last: a server refuses a directory with data and without it, as a killed restore leaves one
    for name in (*names, snapshot_files.LABEL):
        target = snapshot_files.place(directory, name)
        snapshot_files.copy_private(folder / name, target, fsops)
        fsops.sync_directory(target.parent)
    with closing(LocalEngine(directory, fsops=fsops, group=os.dup(lock), sweep_interval=None)) as engine:
        wrong = engine.maintenance.contradictions()
    if wrong:
        raise IntegrityError(
            f"the index in {folder} contradicts itself ({wrong[0].subject}: {wrong[0].detail}), as did the one that it "
            "is a copy of; restore an earlier snapshot"
        )


def _clear(directory: Path, *, existed: bool) -> None:
    for path in directory.iterdir():
        if path.name in _BESIDE:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    # last: from now on others may use the directory
    (directory / LOCK).unlink(missing_ok=True)
    if not existed:
        # others may have put something into it by now
        with suppress(OSError):
            directory.rmdir()
