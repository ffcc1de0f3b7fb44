"""The directory of backups of one data directory: snapshots, and the blobs that they share.

``snapshots/`` has a folder for each snapshot with its index and its manifest, ``blobs/`` the blobs that any of them
names, once. A snapshot appears under its name when all of it is on the medium. ``incoming/`` has what is being copied.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from actorc.storage.errors import IntegrityError, InvalidParameterError, NotFoundError, StorageError
from actorc.storage.files import file_locks
from actorc.storage.files.private_files import replace_private
from actorc.storage.server.engines.local.disk.blobs import Blobs
from actorc.storage.server.engines.local.disk.fsops import FsOps
from actorc.storage.server.engines.local.disk.health import Health
from actorc.storage.server.engines.local.disk.quarantine import Quarantine

LABEL: Final = "BACKUP"
FORMAT: Final = 1
_LOCK: Final = "LOCK"
_SNAPSHOT: Final = re.compile(r"(\d{6,})-\d{8}T\d{6}Z")
_BESIDE: Final = {_LOCK, "lost+found"}
"""Names that a directory without a label may have: a first backup that was killed leaves its lock."""


class BackupDirectory:
    """A directory of backups. For one thread.

    Args:
        root: The directory.
        fsops: Its disk.
    """

    def __init__(self, root: Path, fsops: FsOps) -> None:
        self.root = root.absolute()
        self.incoming = self.root / "incoming"
        self.snapshots = self.root / "snapshots"
        self.was_interrupted = False
        """Whether an earlier backup ended early; then the names of its blobs may not be on the medium."""
        self._fsops = fsops
        nowhere = Quarantine(self.root / "quarantine", fsops)
        self.blobs = Blobs(self.root / "blobs", self.incoming, nowhere, fsops, Health())

    @contextmanager
    def writing(self, store: str) -> Iterator[None]:
        """Keep the directory, made if it is missing, for a backup of the data directory `store` within the block.

        Raises:
            InvalidParameterError: It holds other things, or backups of another data directory, or is led elsewhere.
            StorageError: Another backup, or a restore, uses it.
        """
        self._check_place(store)
        if not self.root.is_dir():
            self.root.mkdir(mode=0o700, parents=True)
            # a name that is not synced may be gone after a power cut, with all snapshots below it
            self._fsops.sync_directory(self.root.parent)
        lock = file_locks.try_open(self.root / _LOCK)
        if lock is None:
            raise StorageError(f"{self.root} is in use by another backup or a restore; wait until that has ended")
        try:
            # again, since another backup may have made its first snapshot before the lock was free
            self._check_place(store)
            if not (self.root / LABEL).exists():
                replace_private(self.root / LABEL, json.dumps({"format": FORMAT, "store": store}) + "\n", durable=True)
            self._clear_incoming()
            for folder in (self.incoming, self.snapshots, self.blobs.root):
                self._fsops.make_directory(folder)
            self._fsops.sync_directory(self.root)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep snapshots from being removed within the block.

        Raises:
            NotFoundError: It does not exist.
            InvalidParameterError: It is no directory of backups.
            StorageError: A backup is being made.
        """
        self.store()
        try:
            lock = os.open(self.root / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            # a copy without the lock, or one that this user can only read: nobody makes backups there
            yield
            return
        try:
            if not file_locks.try_lock(lock, file_locks.SHARED):
                raise StorageError(f"a backup is being made in {self.root}; wait until it has ended")
            yield
        finally:
            os.close(lock)

    def store(self) -> str:
        """Return the identity of the data directory whose backups are here.

        Raises:
            NotFoundError: It does not exist.
            InvalidParameterError: It is no directory of backups.
            IntegrityError: Its label is damaged.
            StorageError: A later version has made it.
        """
        path = self.root / LABEL
        try:
            label = json.loads(path.read_bytes())
            found, store = label["format"], str(label["store"])
        except (FileNotFoundError, NotADirectoryError):
            refusal = InvalidParameterError if self.root.exists() else NotFoundError
            raise refusal(
                f"{self.root} is no directory of backups, it has no file {LABEL}; name the one that 'backup' was given"
            ) from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise IntegrityError(f"{path} is damaged; copy it from another copy of this directory") from error
        if found != FORMAT:
            raise StorageError(
                f"{path} has format {found!r} and this version of lucas-storage knows {FORMAT} only; update it"
            )
        return store

    def names(self) -> list[str]:
        """Return the names of the snapshots, oldest first."""
        try:
            found = [entry.name for entry in self.snapshots.iterdir() if _SNAPSHOT.fullmatch(entry.name)]
        except FileNotFoundError:
            return []
        return sorted(found, key=_number)

    def folder(self, snapshot: str | None) -> Path:
        """Return the folder of a snapshot; None: of the newest.

        Raises:
            NotFoundError: There is none.
        """
        names = self.names()
        if not names:
            raise NotFoundError(f"{self.root} has no snapshot yet")
        if snapshot is not None and snapshot not in names:
            raise NotFoundError(f"{self.root} has no snapshot {snapshot!r}; it has {', '.join(names)}")
        return self.snapshots / (snapshot or names[-1])

    def next_name(self, moment: datetime) -> str:
        """Return the name of the next snapshot, which comes behind all others even if the clock was set back."""
        names = self.names()
        return f"{(_number(names[-1]) if names else 0) + 1:06}-{moment:%Y%m%dT%H%M%SZ}"

    def publish(self, draft: Path) -> None:
        """Give a folder in ``incoming`` its place; all that it names must be on the medium."""
        self._fsops.sync_directory(draft)
        self._fsops.rename(draft, self.snapshots / draft.name)
        self._fsops.sync_directory(self.snapshots)

    def withdraw(self, name: str) -> None:
        """Remove a snapshot; its blobs stay."""
        # first out of its place, so that a killed process leaves no half of a snapshot there
        self._fsops.rename(self.snapshots / name, self.incoming / name)
        self._fsops.sync_directory(self.snapshots)
        if (self.incoming / name).is_symlink():
            # what it leads to is not this directory's
            (self.incoming / name).unlink()
        else:
            shutil.rmtree(self.incoming / name)

    def _check_place(self, store: str) -> None:
        if self.root.is_symlink() and not self.root.exists():
            raise InvalidParameterError(f"{self.root} is a symbolic link to nothing; mount its disk, or remove it")
        for folder in (self.incoming, self.snapshots, self.blobs.root):
            # a user who may make one could lead what is written, and what is removed, elsewhere
            if folder.is_symlink():
                raise InvalidParameterError(
                    f"{folder} is a symbolic link, and a backup is one directory; remove the link, and let {self.root} "
                    "itself lead elsewhere"
                )
        if (self.root / LABEL).exists():
            if (found := self.store()) != store:
                raise InvalidParameterError(
                    f"{self.root} has the backups of another data directory, {found}; choose another target"
                )
        elif self.root.exists():
            names = [entry.name for entry in self.root.iterdir()]
            foreign = [name for name in names if name not in _BESIDE and not name.startswith(".")]
            if foreign:
                raise InvalidParameterError(
                    f"{self.root} holds other things, such as {min(foreign)!r}; choose an empty directory"
                )

    def _clear_incoming(self) -> None:
        if self.incoming.exists():
            self.was_interrupted = any(self.incoming.iterdir())
            shutil.rmtree(self.incoming)


def _number(name: str) -> int:
    return int(name.partition("-")[0])
