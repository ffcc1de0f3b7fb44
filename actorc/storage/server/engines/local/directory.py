"""The data directory: who holds it, what it says it is, and where everything in it lies."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from actorc.storage.errors import StorageError

from .fsops import FsOps

FORMAT_VERSION = 2
"""1 had an index without checksums; it is brought to 2 when it is opened, and servers that know only 1 refuse it."""
ASIDE = "meta.damaged-"
"""What the directory of an index is renamed to that was rebuilt; the time follows."""
_BESIDE_US = (
    "LOCK",
    "FORMAT.*",
    "keys.json",
    "endpoint.json*",
    "*.log",
    "lost+found",
    ".*",
)  # may be there before the first start


class DataDirectory:
    """A data directory, locked for this engine, or the group it belongs to, from construction to `close`.

    Args:
        root: Made if it does not exist.
        fsops: The disk.
        group: What `share` returned in a process that this one inherited it from; ours from now on.
        rebuilding: Take it also without the index that belongs to it.

    Raises:
        StorageError: Another engine has it, its format is unknown, or it holds something else.
    """

    def __init__(self, root: Path, fsops: FsOps, group: int | None = None, *, rebuilding: bool = False) -> None:
        self.root = root.absolute()
        self.blobs = self.root / "blobs"
        self.staging = self.root / "staging"
        self.database = self.root / "meta" / "meta.db"
        self.jobs = self.root / "meta" / "jobs.lock"
        self._fsops = fsops
        self._is_current = True
        self._make(self.root)
        self._lock = _lock(self.root / "LOCK") if group is None else _inherited(self.root / "LOCK", group)
        try:
            self.store_id = self._identify()
            self._lay_out(rebuilding=rebuilding)
            if group is None:
                self._clear_staging()
        except BaseException:
            self.close()
            raise

    def share(self) -> int:
        """Return the lock instead of letting go of it: every process that inherits this descriptor has the directory.

        It is free again when all of them have ended, or closed it.
        """
        lock, self._lock = self._lock, -1
        return lock

    def relabel(self) -> None:
        """Note that all that is in the directory has the present format, now that it has."""
        if not self._is_current:
            self._label(self.root / "FORMAT", self.store_id)
            self._is_current = True

    def close(self) -> None:
        """Let another engine have the directory, unless it is shared."""
        if self._lock >= 0:
            os.close(self._lock)

    def _make(self, path: Path) -> None:
        if path.is_dir():
            return
        self._make(path.parent)
        self._fsops.make_directory(path)
        self._fsops.sync_directory(path.parent)

    def _identify(self) -> str:
        path = self.root / "FORMAT"
        if not path.exists():
            self._refuse_foreign()
            self._label(path, str(uuid.uuid4()))
        try:
            label = json.loads(path.read_text())
            version, store_id = label["format"], str(label["store"])
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{path} is damaged; restore it from a backup of the data directory") from error
        if version not in range(1, FORMAT_VERSION + 1):
            raise StorageError(
                f"{self.root} has data format {version!r} and this server knows {FORMAT_VERSION} at most; "
                "use the version of lucas-storage that wrote it"
            )
        self._is_current = version == FORMAT_VERSION
        return store_id

    def _refuse_foreign(self) -> None:
        names = sorted(path.name for path in self.root.iterdir())
        foreign = [name for name in names if not any(fnmatch(name, ours) for ours in _BESIDE_US)]
        if foreign:
            raise StorageError(
                f"{self.root} is no data directory and holds other things, such as {foreign[0]!r}; choose an empty one"
            )

    def _label(self, path: Path, store_id: str) -> None:
        label = json.dumps({"format": FORMAT_VERSION, "store": store_id}) + "\n"
        draft = path.with_name("FORMAT.new")
        self._fsops.unlink(draft)
        descriptor = self._fsops.create(draft)
        try:
            self._fsops.write(descriptor, label.encode(), 0)
            self._fsops.sync(descriptor)
        finally:
            os.close(descriptor)
        self._fsops.rename(draft, path)
        self._fsops.sync_directory(self.root)

    def _lay_out(self, *, rebuilding: bool) -> None:
        if not rebuilding:
            self._refuse_unfinished()
        if not (rebuilding or self.database.exists()) and self.blobs.is_dir() and any(self.blobs.iterdir()):
            raise StorageError(
                f"{self.database} is missing though there are blobs; restore it from a backup, or "
                "rebuild it with 'lucas-storage fsck --rebuild'"
            )
        for path in (self.blobs, self.staging, self.database.parent):
            self._fsops.make_directory(path)
        self._fsops.sync_directory(self.root)

    def _refuse_unfinished(self) -> None:
        """Refuse a directory whose rebuild was killed between putting the old index aside and the new one in place."""
        if not self.database.exists() and any(self.root.glob(f"{ASIDE}*")):
            raise StorageError(
                f"the index of {self.root} was being rebuilt; run 'lucas-storage fsck {self.root} --rebuild' again"
            )

    def _clear_staging(self) -> None:
        for leftover in self.staging.iterdir():
            self._fsops.unlink(leftover)


def _inherited(path: Path, lock: int) -> int:
    if not os.path.samestat(path.stat(), os.fstat(lock)):
        raise StorageError(f"{path.parent} is not the directory that was shared; start the server anew")
    return lock


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StorageError(
            f"{path.parent} is in use by process {holder}; stop that one or choose another data directory"
        ) from error
    except BaseException:
        os.close(descriptor)
        raise
    with suppress(OSError):  # for the message above only; a full disk must not keep a server from starting
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
