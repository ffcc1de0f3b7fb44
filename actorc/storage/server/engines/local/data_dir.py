"""The data directory: its lock, its label with format and identity, and the paths in it."""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from contextlib import closing, suppress
from pathlib import Path

from actorc.storage.errors import IntegrityError, StorageError
from actorc.storage.files import file_locks
from actorc.storage.local_server import shared_files
from actorc.storage.server.engines.times import Clock

from .disk import removal_pause
from .disk.blobs import Blobs
from .disk.fsops import FsOps
from .disk.health import Health
from .disk.home import Home
from .disk.quarantine import Quarantine
from .index import schema

FORMAT_VERSION = 2
"""Version 1 had an index without checksums; opening upgrades it to 2, which servers of version 1 refuse."""
LOCK = "LOCK"
"""Name of the file that is locked."""
OLD_INDEX_PREFIX = "meta.damaged-"
"""Prefix of the name that the old index gets when it was rebuilt; the time follows."""
_LABEL_REMEDY = (
    "restore it from a backup of the data directory, or let 'lucas-storage fsck {} --rebuild' write it anew, which "
    "loses nothing as long as the index is whole"
)


class DataDirectory:
    """A data directory, locked for this engine, or the group it belongs to, from construction to `close`.

    Args:
        root: The directory; made if it does not exist.
        fsops: The disk.
        group: Descriptor that `share` returned in a parent process; owned by this object from now on.
        rebuilding: Whether to accept a directory without its index.

    Raises:
        InvalidParameterError: It holds other things than data; it is left as it is.
        StorageError: Another engine has locked it, or its format is unknown.
    """

    def __init__(self, root: Path, fsops: FsOps, group: int | None = None, *, rebuilding: bool = False) -> None:
        self.root = root.absolute()
        self.blobs = self.root / "blobs"
        self.staging = self.root / "staging"
        self.database = self.root / "meta" / "meta.db"
        self.jobs = self.root / "meta" / "jobs.lock"
        self.removal_pause = removal_pause.path_of(self.root)
        self._fsops = fsops
        self._label: dict[str, object] = {}
        self._home: Home | None = None
        self._make(self.root)
        # before anything is made, the lock among it: a directory that was named by mistake is left as it is
        shared_files.check_is_for_data(self.root)
        # locked before anything is made or removed: two servers that start at once must not both lay out the directory
        self._lock = lock_directory(self.root) if group is None else _inherited(self.root / LOCK, group)
        try:
            self.store_id = self._identify(rebuilding=rebuilding)
            self._lay_out(rebuilding=rebuilding)
            self._home = Home(self.root)
            # staged files in a shared directory may belong to a process that is still writing them
            if group is None:
                self._clear_staging()
        except BaseException:
            self.close()
            raise

    def open_blobs(self, health: Health, clock: Clock) -> Blobs:
        """Return the blobs of the directory, with those in quarantine; `clock` is in seconds since 1970-01-01 UTC."""
        quarantine = Quarantine(self.root / "quarantine", self._fsops, clock)
        return Blobs(self.blobs, self.staging, quarantine, self._fsops, health, self._home)

    def share(self) -> int:
        """Close the directory, but return the descriptor of its lock; processes that inherit it share the directory.

        The lock is released when all of them have ended or closed it.
        """
        lock, self._lock = self._lock, -1
        self.close()
        return lock

    def relabel(self) -> None:
        """Record in the label that the directory has an index, and the current format, once both are true."""
        is_current = self._label.get("format") == FORMAT_VERSION
        try:
            self._write_label({"format": FORMAT_VERSION, "store": self.store_id, "index": True})
        except OSError:
            if not is_current:
                raise
            # a full disk must not keep a server from starting; the next start writes the label

    def close(self) -> None:
        """Unlock the directory, unless it is shared."""
        if self._home is not None:
            self._home.close()
        if self._lock >= 0:
            os.close(self._lock)

    def _make(self, path: Path) -> None:
        if path.is_dir():
            return
        self._make(path.parent)
        # a name that is not synced may be gone after a power cut, with everything acknowledged below it
        self._fsops.make_directory(path)
        self._fsops.sync_directory(path.parent)

    def _identify(self, *, rebuilding: bool) -> str:
        path = self.root / "FORMAT"
        has_data = shared_files.has_data(self.root)
        if not path.exists() and not (rebuilding and has_data):
            if has_data:
                raise StorageError(f"{path} is missing; {_LABEL_REMEDY.format(self.root)}")
            self._write_label({"format": FORMAT_VERSION, "store": str(uuid.uuid4())})
        try:
            self._label = json.loads(path.read_text())
            version, store_id = self._label["format"], str(self._label["store"])
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            if rebuilding:  # the label is written anew once the new index is in place
                self._label = {}
                return _store_of(self.database) or str(uuid.uuid4())
            raise StorageError(f"{path} is damaged; {_LABEL_REMEDY.format(self.root)}") from error
        if version not in range(1, FORMAT_VERSION + 1):
            raise StorageError(
                f"{self.root} has data format {version!r} and this server knows {FORMAT_VERSION} at most; "
                "use the version of lucas-storage that wrote it"
            )
        return store_id

    def _write_label(self, label: dict[str, object]) -> None:
        if label == self._label:
            return
        path, draft = self.root / "FORMAT", self.root / "FORMAT.new"
        # `create` replaces nothing, and a killed process may have left its draft
        self._fsops.unlink(draft)
        descriptor = self._fsops.create(draft)
        try:
            self._fsops.write(descriptor, (json.dumps(label) + "\n").encode(), 0)
            # before the rename: the name must not appear while the content is only in memory
            self._fsops.sync(descriptor)
        finally:
            os.close(descriptor)
        self._fsops.rename(draft, path)
        self._fsops.sync_directory(self.root)
        self._label = label

    def _lay_out(self, *, rebuilding: bool) -> None:
        if not rebuilding:
            self._refuse_unfinished()
        if not (rebuilding or self.database.exists()) and self._had_index():
            raise StorageError(
                f"{self.database} is missing though the directory was in use; restore it from a backup, or "
                f"rebuild it with 'lucas-storage fsck {self.root} --rebuild'"
            )
        for path in (self.blobs, self.staging, self.database.parent):
            self._fsops.make_directory(path)
        self._fsops.sync_directory(self.root)

    def _had_index(self) -> bool:
        """Return whether an index was made before. Small objects are in the index only, so there may be no blobs."""
        return bool(self._label.get("index")) or (self.blobs.is_dir() and any(self.blobs.iterdir()))

    def _refuse_unfinished(self) -> None:
        """Raise if a rebuild was killed between renaming the old index and renaming the new one into place."""
        if not self.database.exists() and any(self.root.glob(f"{OLD_INDEX_PREFIX}*")):
            raise StorageError(
                f"the index of {self.root} was being rebuilt; run 'lucas-storage fsck {self.root} --rebuild' again"
            )

    def _clear_staging(self) -> None:
        for leftover in self.staging.iterdir():
            self._fsops.unlink(leftover)


def _store_of(database: Path) -> str | None:
    """Return the identity of the data directory in an index, or None if it cannot be read."""
    try:
        with closing(schema.connect_read_only(database)) as connection:
            return str(schema.read_meta(connection, "store"))
    except (sqlite3.Error, IntegrityError):
        return None


def _inherited(path: Path, lock: int) -> int:
    # a path may have been replaced since the parent locked it; the lock is that of the open file
    if not os.path.samestat(path.stat(), os.fstat(lock)):
        raise StorageError(f"{path.parent} is not the directory that was shared; start the server anew")
    return lock


def lock_directory(root: Path) -> int:
    """Lock a data directory, or a directory that is to become one; return the descriptor that keeps the lock.

    Raises:
        StorageError: Another process has locked it.
    """
    path = root / LOCK
    # without waiting: a second server is a mistake to report, not to queue
    descriptor = file_locks.try_open(path)
    if descriptor is None:
        holder = path.read_bytes()[:32].decode(errors="replace").strip() or "unknown"
        raise StorageError(
            f"{path.parent} is in use by process {holder}; stop that one or choose another data directory"
        )
    with suppress(OSError):  # for the message above only; a full disk must not keep a server from starting
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
