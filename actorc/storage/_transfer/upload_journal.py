"""Journals of interrupted transfers, and the locks by which one process at a time resumes them.

A process holds a lock on a file while it works on the transfer that the file names.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Self

from actorc.storage.errors import InvalidParameterError, StorageError
from actorc.storage.files import file_locks
from actorc.storage.files.private_files import open_directory

log = logging.getLogger(__name__)

MAX_AGE: Final = 7 * 24 * 3600.0
"""Seconds after which an interrupted transfer is no longer resumed."""


def fingerprint(*facts: object) -> str:
    """Return a short name for these values, the same in every process."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def is_resumable(error: BaseException) -> bool:
    """Return whether the transfer may be resumed after `error`."""
    return isinstance(error, StorageError) and error.retryable


def locked(path: Path) -> int | None:
    """Open, or make, and lock a file of this user; return its descriptor, or None if another process has locked it.

    Raises:
        OSError: The file cannot be opened, is a link, or belongs to another user.
    """
    while (descriptor := file_locks.try_open(path, mode=0o666)) is not None:
        try:
            _check_owner(path, descriptor)
            if file_locks.is_same_file(path, descriptor):
                # `sweep` judges by this time, so a file in use is never old
                os.utime(descriptor)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # its last holder removed or renamed it between open and lock, so the lock is on another file: try again
        os.close(descriptor)
    return None


def _check_owner(path: Path, descriptor: int) -> None:
    if os.fstat(descriptor).st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to another user")


def sweep(folder: Path, pattern: str, companion: str) -> None:
    """Remove the files that match `pattern`, were last locked a week ago, and are not locked now.

    Args:
        folder: The directory.
        pattern: Glob of the files that are locked.
        companion: Suffix of the file that is removed with each of them.
    """
    oldest = time.time() - MAX_AGE
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):
            # looked at before locking, since nearly all files are young
            if path.lstat().st_mtime < oldest:
                _remove(path, path.with_suffix(companion))


def _remove(path: Path, companion: Path) -> None:
    descriptor = locked(path)
    if descriptor is not None:
        companion.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        os.close(descriptor)


class UploadJournal:
    """The id of the multipart upload that a local file is sent to, kept on the disk.

    A context manager. The entry is kept for a later process if this one is killed, or if the block ends with a failure
    of the network; otherwise it is removed. Two processes never resume the same upload: the second one gets an empty
    journal that saves nothing, and so does a process whose state directory is not writable or not its user's alone.

    Args:
        folder: Directory of journals, made if missing; None if there is none.
        name: Unique name of the transfer.
    """

    def __init__(self, folder: Path | None, name: str) -> None:
        self._path = Path(folder or "", f"{name}.json")
        self._held = self._path.with_suffix(".lock")
        self._lock: int | None = None
        if folder is None:
            _warn("the user's state directory", "there is none, set XDG_STATE_HOME")
            return
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # another user who can write there could redirect this user's uploads
            os.close(open_directory(folder))
            # without the lock this process must not resume: two processes would send parts of one upload
            self._lock = locked(self._held)
            sweep(folder, "*.lock", ".json")
        except OSError as error:
            # without a journal an upload still works, it only cannot be resumed
            _warn(str(folder), str(error))
        except InvalidParameterError:
            _warn(str(folder), "it is not this user's alone, set XDG_STATE_HOME to a directory that is")

    def load(self) -> dict[str, Any]:
        """Return the saved entry; empty if it is missing or damaged."""
        if self._lock is None:
            # not locked, so another process may be using the entry
            return {}
        try:
            entry = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return entry if isinstance(entry, dict) else {}

    def save(self, entry: Mapping[str, Any]) -> None:
        """Replace the saved entry atomically. It is not synced: after a power cut the upload merely begins anew."""
        if self._lock is None:
            return
        temporary = self._path.with_suffix(".new")
        try:
            # the rename makes it atomic: a process that is killed here leaves the old entry
            temporary.write_text(json.dumps(entry))
            temporary.replace(self._path)
        except OSError as error:
            _warn(str(self._path.parent), str(error))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._lock is None:
            return
        # the lock file goes last and before its descriptor closes, so that no process locks a name that goes away
        if error is None or not is_resumable(error):
            self._path.unlink(missing_ok=True)
            self._held.unlink(missing_ok=True)
        os.close(self._lock)


@lru_cache
def _warn(folder: str, why: str) -> None:
    """Log a warning, once for each directory and reason."""
    log.warning("uploads begin anew after the end of the process, %s cannot be used: %s", folder, why)
