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

FORMAT_VERSION = 1
_BESIDE_US = ("LOCK", "FORMAT.*", "endpoint.json*", "*.log", "lost+found", ".*")  # may be there before the first start


class DataDirectory:
    """A data directory, locked for this engine from construction to `close`.

    Args:
        root: Made if it does not exist.
        fsops: The disk.

    Raises:
        StorageError: Another engine has it, its format is unknown, or it holds something else.
    """

    def __init__(self, root: Path, fsops: FsOps) -> None:
        self.root = root.absolute()
        self.blobs = self.root / "blobs"
        self.staging = self.root / "staging"
        self.database = self.root / "meta" / "meta.db"
        self._fsops = fsops
        self._make(self.root)
        self._lock = _lock(self.root / "LOCK")
        try:
            self.store_id = self._identify()
            self._lay_out()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another engine have the directory."""
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
            self._label(path)
        try:
            label = json.loads(path.read_text())
            version, store_id = label["format"], str(label["store"])
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{path} is damaged; restore it from a backup of the data directory") from error
        if version != FORMAT_VERSION:
            raise StorageError(
                f"{self.root} has data format {version!r} and this server knows {FORMAT_VERSION} only; "
                "use the version of lucas-storage that wrote it"
            )
        return store_id

    def _refuse_foreign(self) -> None:
        names = sorted(path.name for path in self.root.iterdir())
        foreign = [name for name in names if not any(fnmatch(name, ours) for ours in _BESIDE_US)]
        if foreign:
            raise StorageError(
                f"{self.root} is no data directory and holds other things, such as {foreign[0]!r}; choose an empty one"
            )

    def _label(self, path: Path) -> None:
        label = json.dumps({"format": FORMAT_VERSION, "store": str(uuid.uuid4())}) + "\n"
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

    def _lay_out(self) -> None:
        if not self.database.exists() and self.blobs.is_dir() and any(self.blobs.iterdir()):
            raise StorageError(f"{self.database} is missing though there are blobs; restore it from a backup")
        for path in (self.blobs, self.staging, self.database.parent):
            self._fsops.make_directory(path)
        self._fsops.sync_directory(self.root)
        for leftover in self.staging.iterdir():
            self._fsops.unlink(leftover)


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
