"""Who is calling: the keys as they are now, and the judgement of signatures."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actorc.storage._wire.call_signing import Claim, body_hash, is_timely, read_claim, sign_clock, verify_request
from actorc.storage.errors import ClockSkewError, InvalidParameterError, StorageError, UnauthenticatedError

from .access import ANYBODY, Principal
from .key_file import AccessKey, OwnKey, read_keys

log = logging.getLogger(__name__)

_WRONG: Final = (
    "the access key or the signature is wrong, or the key is disabled; compare STORAGE_ACCESS_KEY and "
    "STORAGE_SECRET_KEY with what 'lucas-storage keys add' printed"
)
_UNSIGNED: Final = (
    "this server wants to know who is calling; set STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY, or pass access_key= and "
    "secret_key=, as 'lucas-storage keys add' printed them"
)
_NOT_SIGNED: Final = (
    "the request is not the one that was signed, it was damaged or changed on its way; nothing was done, try again"
)


class Keyring:
    """The keys in a file, read again as soon as it changes. Safe to use from many threads.

    A server becomes closed when keys appear and never opens again by itself: while the file cannot be read the last
    keys stay valid, and when it is gone no key is.

    Args:
        path: The file; None for a server that never has keys.
        required: Whether it must be there.
        own: A key that is in no file.

    Raises:
        InvalidParameterError: It is required and missing.
        StorageError: It cannot be read, or is damaged.
    """

    def __init__(self, path: Path | None, *, required: bool = False, own: OwnKey | None = None) -> None:
        self._path = path
        self._own = own.key if own else None
        self._is_private = own is not None and own.closes
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
        return not self._is_private and self._current() is None

    def find(self, access_key: str) -> AccessKey | None:
        """Return the key of this id if there is one that is not disabled."""
        return self._own_of(access_key) or _enabled(self._current(), access_key)

    def last_read(self, access_key: str) -> AccessKey | None:
        """Return the key of this id as the file was when it was last read; asks no disk, and may be late."""
        return self._own_of(access_key) or _enabled(self._keys, access_key)

    @property
    def was_open(self) -> bool:
        """Whether no keys were configured when that was last looked at; asks no disk, and may be late."""
        return not self._is_private and self._keys is None

    def _own_of(self, access_key: str) -> AccessKey | None:
        return self._own if self._own is not None and self._own.id == access_key else None

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


@dataclass(frozen=True, slots=True)
class Standing:
    """What the headers of a call say of its caller."""

    claim: Claim | None
    """Whom it says it is from; None on an open server, where nobody is asked."""
    proved: bool
    """Whether the headers prove that; else the first message must."""


class Authenticator:
    """Finds out who makes a call, in two steps: by its headers, and by its first message.

    Args:
        keyring: The keys.
        clock: Seconds since 1970-01-01 UTC.
    """

    def __init__(self, keyring: Keyring, clock: Callable[[], float] = time.time) -> None:
        self._keyring = keyring
        self._clock = clock
        self._unknown = secrets.token_bytes(32)

    def standing(self, metadata: Mapping[str, str | bytes], method: str, request_id: str) -> Standing:
        """Return what the headers of a call prove, before anything is spent on it.

        A known key is judged by the keys as they were last read, so that whoever calls this waits for no disk;
        that it was disabled meanwhile is noticed by `principal`. Before a refusal the file is looked at.

        Args:
            metadata: The headers.
            method: The full name, ``/package.Service/Method``.
            request_id: Of the call.

        Raises:
            UnauthenticatedError: They say nothing, or something wrong.
            ClockSkewError: It was signed too long ago, or too far ahead.
        """
        if self._keyring.was_open and self._keyring.is_open:
            return Standing(None, proved=True)
        claim = read_claim(metadata)
        if claim is None:
            raise UnauthenticatedError(_UNSIGNED)
        proved = bool(claim.body_hash) and (
            self._is_signed(claim, method, self._keyring.last_read)
            or self._is_signed(claim, method, self._keyring.find)
        )
        now = self._clock()
        if not is_timely(claim, int(now * 1000)):
            raise self._skew(claim, method, request_id, int(now * 1e6), proved=proved)
        if claim.body_hash and not proved:
            raise UnauthenticatedError(_WRONG)
        return Standing(claim, proved)

    def principal(self, standing: Standing, method: str, body: bytes) -> Principal:
        """Return who makes the call, proved by the signature over its first message.

        An unknown key takes the same work and gets the same answer as a wrong signature.

        Args:
            standing: What `standing` returned.
            method: The full name, ``/package.Service/Method``.
            body: The first request message as it came.

        Raises:
            UnauthenticatedError: The key is unknown or disabled, the signature is not its own, or, which is retryable,
                the message is not the one that was signed: sent again, it may arrive as it is.
        """
        claim = standing.claim
        if claim is None:
            if self._keyring.is_open:
                return ANYBODY
            raise UnauthenticatedError(_UNSIGNED)
        known = self._keyring.find(claim.access_key)
        digest = body_hash(body)
        proved = standing.proved or verify_request(known.key if known else self._unknown, claim, method, digest)
        if known is None or not proved:
            raise UnauthenticatedError(_WRONG)
        if standing.proved and digest != claim.body_hash:
            raise UnauthenticatedError(_NOT_SIGNED, retryable=True)
        return known.principal

    def _is_signed(self, claim: Claim, method: str, find: Callable[[str], AccessKey | None]) -> bool:
        known = find(claim.access_key)
        signed = verify_request(known.key if known else self._unknown, claim, method, claim.body_hash)
        return known is not None and signed

    def _skew(self, claim: Claim, method: str, request_id: str, now_us: int, *, proved: bool) -> ClockSkewError:
        """Return the refusal of a call for its time, signed if the caller has the key that it named."""
        error = ClockSkewError("the request was signed at a time too far from the server's; set this machine's clock")
        error.server_time_us = now_us
        known = self._keyring.find(claim.access_key) if proved else None
        if known is not None:
            error.server_time_signature = sign_clock(known.key, method, request_id, claim.date_ms, now_us)
        return error


def _enabled(keys: Mapping[str, AccessKey] | None, access_key: str) -> AccessKey | None:
    found = (keys or {}).get(access_key)
    return None if found is None or found.disabled else found


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
