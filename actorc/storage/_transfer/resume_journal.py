"""Memory of transfers that outlives the process: what to go on with, and whose turn it is.

A lock is held on a file for as long as somebody works with what it names. The kernel lets go of it when the process
ends, however that happens.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from actorc.storage.errors import InvalidParameterError, StorageError
from actorc.storage.ownership import open_directory

log = logging.getLogger(__name__)

MAX_AGE: Final = 7 * 24 * 3600.0
"""Seconds after which nobody goes on with a transfer."""


def fingerprint(*facts: object) -> str:
    """Return a short name for these facts, the same in every process."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def is_passing(error: BaseException) -> bool:
    """Return whether the same transfer may go on later from where it ended."""
    return isinstance(error, StorageError) and error.retryable


def locked(path: Path) -> int | None:
    """Open and lock a file of this user's own, made if need be; return its descriptor, or None if somebody holds it.

    Raises:
        OSError: The file cannot be opened, or is a link or another user's.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            if not _lock(descriptor):
                os.close(descriptor)
                return None
            if _is_still(path, descriptor):
                os.utime(descriptor)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # whoever held it has removed it, or put it where it belongs: what is locked now has another name, or none
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    opened = os.fstat(descriptor)
    if opened.st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to another user")
    try:
        named = path.lstat()
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def sweep(folder: Path, pattern: str, companion: str) -> None:
    """Remove the files that match `pattern`, were locked last a week ago, and are held by nobody.

    Args:
        folder: Where to look.
        pattern: Glob of the files that are locked.
        companion: Suffix of the file that is removed with each of them.
    """
    oldest = time.time() - MAX_AGE
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):
            if path.lstat().st_mtime < oldest:
                _remove(path, path.with_suffix(companion))


def _remove(path: Path, companion: Path) -> None:
    descriptor = locked(path)
    if descriptor is not None:
        companion.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        os.close(descriptor)


class UploadJournal:
    """Which upload on the server a local file is being sent to.

    A context manager. What was saved is there again for the next process if this one is killed, or the block ends with
    a failure of the network; otherwise it is forgotten. Two processes never go on with the same upload: who comes
    second, and whose state directory cannot be written to or is not that user's alone, has a journal that remembers
    nothing.

    Args:
        folder: Where journals are kept, made if need be; None if there is no such place.
        name: What names this transfer and no other.
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
            # what others write there says what becomes of this user's uploads
            os.close(open_directory(folder))
            self._lock = locked(self._held)
            sweep(folder, "*.lock", ".json")
        except OSError as error:
            _warn(str(folder), str(error))
        except InvalidParameterError:
            _warn(str(folder), "it is not this user's alone, set XDG_STATE_HOME to a directory that is")

    def load(self) -> dict[str, Any]:
        """Return what was saved; nothing if that is not there or damaged."""
        if self._lock is None:
            return {}
        try:
            entry = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return entry if isinstance(entry, dict) else {}

    def save(self, entry: Mapping[str, Any]) -> None:
        """Replace what was saved, all or nothing."""
        if self._lock is None:
            return
        temporary = self._path.with_suffix(".new")
        try:
            temporary.write_text(json.dumps(entry))
            temporary.replace(self._path)
        except OSError as error:
            _warn(str(self._path.parent), str(error))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lock is None:
            return
        if error is None or not is_passing(error):
            self._path.unlink(missing_ok=True)
            self._held.unlink(missing_ok=True)
        os.close(self._lock)


@lru_cache
def _warn(folder: str, why: str) -> None:
    """Say it once."""
    log.warning("uploads begin anew after the end of the process, %s cannot be used: %s", folder, why)
