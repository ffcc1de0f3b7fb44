"""The access keys as they are now: the file of keys is read again when it changes."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from actorc.storage.errors import InvalidParameterError, StorageError

from .access import ANYBODY, Principal
from .access_keys import AccessKey, OwnKey
from .key_file import read_keys

log = logging.getLogger(__name__)

_MOST_TOLD: Final = 10
"""Keys whose change is told in one line of the log."""


class Keyring:
    """The access keys of a file, read again when it changes. Any thread may call it.

    A server is closed as soon as keys appear, and never becomes open again by itself: while the file cannot be read,
    the last keys stay valid, and when it is gone, no key is.

    Args:
        path: The file; None for a server that never has keys.
        required: Whether the file must exist.
        own: A key that is not in the file.
        was_closed: Whether the server had keys before this process of it began, so that a missing file lets nobody in.
        clock: Seconds since 1970-01-01 UTC.

    Raises:
        InvalidParameterError: The file is required and missing.
        StorageError: It cannot be read, or is damaged.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        required: bool = False,
        own: OwnKey | None = None,
        was_closed: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._clock = clock
        # as text, since it is looked at for every call
        self._file = os.fspath(path) if path else ""
        self._own = own.key if own else None
        self._is_private = own is not None and own.closes
        self._lock = threading.Lock()  # guards reloading: threads that notice a change at once must read the file once
        self._stamp = _stamp(self._file) if path else None
        self._keys: Mapping[str, AccessKey] | None = {} if was_closed else None
        if path and self._stamp:
            self._keys = read_keys(path)
            _warn_if_readable(path)
        elif required:
            raise InvalidParameterError(
                f"the file of access keys {path} does not exist; make it with 'lucas-storage keys add'"
            )

    @property
    def path(self) -> Path | None:
        """The file of keys; None for a server that never has any."""
        return self._path

    @property
    def is_open(self) -> bool:
        """Whether no keys are configured, so that every caller may do everything."""
        return not self._is_private and self._current() is None

    def find(self, access_key: str) -> AccessKey | None:
        """Return the enabled key with this id, or None."""
        return self._find_own(access_key) or _enabled(self._current(), access_key)

    def still_holds(self, principal: Principal) -> bool:
        """Return whether what once proved a caller would prove it now: its key is enabled, and the secret valid.

        Looks at the file, as `find` does: some microseconds.
        """
        if principal is ANYBODY:
            return self.is_open
        known = self.find(principal.access_key)
        return known is not None and known.has_valid(principal.proved_with, self._clock())

    def last_read(self, access_key: str) -> AccessKey | None:
        """Return the key with this id as the file was last read; makes no system call, and may be outdated."""
        return self._find_own(access_key) or _enabled(self._keys, access_key)

    @property
    def was_open(self) -> bool:
        """Whether no keys were configured as the file was last read; makes no system call, and may be outdated."""
        return not self._is_private and self._keys is None

    def _find_own(self, access_key: str) -> AccessKey | None:
        return self._own if self._own is not None and self._own.id == access_key else None

    def _current(self) -> Mapping[str, AccessKey] | None:
        # compared without the lock: nearly all calls find the file unchanged
        if self._path and _stamp(self._file) != self._stamp:
            with self._lock:
                self._reload(self._path)
        return self._keys

    def _reload(self, path: Path) -> None:
        stamp = _stamp(self._file)
        # another thread may have read it while this one waited for the lock
        if stamp == self._stamp:
            return
        if stamp is None:
            log.error("the file of access keys %s is gone, so every key is refused; restore it", path)
            self._keys = {}
        else:
            self._keys = self._read(path)
        # after the keys: a thread that sees the new stamp must not use the old keys
        self._stamp = stamp

    def _read(self, path: Path) -> Mapping[str, AccessKey]:
        try:
            keys = read_keys(path)
        except StorageError as error:
            log.error("the access keys are left as they were, %s", error)  # noqa: TRY400 - the message says it all
            # a mistake in an edited file must not lock out everyone who had access before
            return self._keys or {}
        told = list(_changes(self._keys or {}, keys))
        more = [f"and {len(told) - _MOST_TOLD} more"] if len(told) > _MOST_TOLD else []
        log.info(
            "read %d access keys from %s: %s", len(keys), path, ", ".join((*told[:_MOST_TOLD], *more)) or "no change"
        )
        return keys


def _enabled(keys: Mapping[str, AccessKey] | None, access_key: str) -> AccessKey | None:
    found = (keys or {}).get(access_key)
    return None if found is None or found.disabled else found


def _changes(before: Mapping[str, AccessKey], after: Mapping[str, AccessKey]) -> Iterator[str]:
    """Yield what happened to each key, for the log: an edited file has any text as the id of a key."""
    for each in {**before, **after}:
        old, new = before.get(each), after.get(each)
        if old is None or new is None:
            yield f"{each!a} {'removed' if new is None else 'added'}"
        elif old.disabled != new.disabled:
            yield f"{each!a} {'disabled' if new.disabled else 'enabled'}"
        elif old.key != new.key:
            yield f"{each!a} rotated"
        elif old != new:
            yield f"{each!a} changed"


def _stamp(path: str) -> tuple[int, ...] | None:
    """Return values that change whenever the file is replaced or written to; None if there is no file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a method of `Path` takes half as long again
    except FileNotFoundError:
        return None
    except OSError as error:
        return (error.errno or 0,)
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _warn_if_readable(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        log.warning("other users may read the access keys in %s and act as their owners; run 'chmod 600' on it", path)
