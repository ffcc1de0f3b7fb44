"""Who is calling: the keys as they are now, and the judgement of signatures."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from actorc.storage._auth import Claim, is_timely, read_claim, verify_request
from actorc.storage.errors import ClockSkewError, InvalidParameterError, StorageError, UnauthenticatedError

from .access import ANYBODY, Principal
from .keyring import AccessKey, read_keys

log = logging.getLogger(__name__)

_WRONG: Final = (
    "the access key or the signature is wrong, or the key is disabled; compare STORAGE_ACCESS_KEY and "
    "STORAGE_SECRET_KEY with what 'lucas-storage keys add' printed"
)
_UNSIGNED: Final = (
    "this server wants to know who is calling; set STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY, or pass access_key= and "
    "secret_key=, as 'lucas-storage keys add' printed them"
)


class Keyring:
    """The keys in a file, read again as soon as it changes. Safe to use from many threads.

    A server becomes closed when keys appear and never opens again by itself: while the file cannot be read the last
    keys stay valid, and when it is gone no key is.

    Args:
        path: The file; None for a server that never has keys.
        required: Whether it must be there.

    Raises:
        InvalidParameterError: It is required and missing.
        StorageError: It cannot be read, or is damaged.
    """

    def __init__(self, path: Path | None, *, required: bool = False) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp = _stamp(path) if path else None
        self._keys: Mapping[str, AccessKey] | None = None
        if path and self._stamp:
            self._keys = read_keys(path)
            _warn_of_readers(path)
        elif required:
            raise InvalidParameterError(
                f"the file of access keys {path} does not exist; make it with 'lucas-storage keys add'"
            )

    @property
    def is_open(self) -> bool:
        """Whether no keys are configured, so that everybody may do everything."""
        return self._current() is None

    def find(self, access_key: str) -> AccessKey | None:
        """Return the key of this id if there is one that is not disabled."""
        found = (self._current() or {}).get(access_key)
        return None if found is None or found.disabled else found

    def _current(self) -> Mapping[str, AccessKey] | None:
        if self._path and _stamp(self._path) != self._stamp:
            with self._lock:
                self._reload(self._path)
        return self._keys

    def _reload(self, path: Path) -> None:
        stamp = _stamp(path)
        if stamp == self._stamp:
            return
        if stamp is None:
            log.error("the file of access keys %s is gone, so every key is refused; restore it", path)
            self._keys = {}
        else:
            self._keys = self._read(path)
        self._stamp = stamp

    def _read(self, path: Path) -> Mapping[str, AccessKey]:
        try:
            keys = read_keys(path)
        except StorageError as error:
            log.error("the access keys are left as they were, %s", error)  # noqa: TRY400 - the message says it all
            return self._keys or {}
        log.info("read %d access keys from %s", len(keys), path)
        return keys


class Authenticator:
    """Finds out who makes a call.

    Args:
        keyring: The keys.
        clock: Seconds since 1970-01-01 UTC.
    """

    def __init__(self, keyring: Keyring, clock: Callable[[], float] = time.time) -> None:
        self._keyring = keyring
        self._clock = clock
        self._unknown = secrets.token_bytes(32)

    def claim(self, metadata: Mapping[str, str | bytes]) -> Claim | None:
        """Return whom a call says it is from, before anything is spent on it; None on an open server.

        Raises:
            UnauthenticatedError: It says nothing.
            ClockSkewError: It was signed too long ago, or too far ahead.
        """
        if self._keyring.is_open:
            return None
        claim = read_claim(metadata)
        if claim is None:
            raise UnauthenticatedError(_UNSIGNED)
        now = self._clock()
        if not is_timely(claim, int(now * 1000)):
            error = ClockSkewError(
                "the request was signed at a time too far from the server's; set this machine's clock"
            )
            error.server_time_us = int(now * 1e6)
            raise error
        return claim

    def principal(self, claim: Claim | None, method: str, body: bytes) -> Principal:
        """Return who makes the call, proved by its signature.

        An unknown key takes the same work and gets the same answer as a wrong signature.

        Args:
            claim: What `claim` returned.
            method: The full name, ``/package.Service/Method``.
            body: The first request message as it came.

        Raises:
            UnauthenticatedError: The key is unknown or disabled, or the signature is not its own.
        """
        if claim is None:
            if self._keyring.is_open:
                return ANYBODY
            raise UnauthenticatedError(_UNSIGNED)
        known = self._keyring.find(claim.access_key)
        proved = verify_request(known.key if known else self._unknown, claim, method, body)
        if known is None or not proved:
            raise UnauthenticatedError(_WRONG)
        return known.principal


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes whenever the file is replaced or written to; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return (error.errno or 0,)
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _warn_of_readers(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        log.warning("other users may read the access keys in %s and act as their owners; run 'chmod 600' on it", path)
