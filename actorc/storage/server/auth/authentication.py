"""Authentication: the access keys as they are now, and the verification of signatures."""

from __future__ import annotations

import logging
import os
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
    """The access keys of a file, read again when it changes. Any thread may call it.

    A server is closed as soon as keys appear, and never becomes open again by itself: while the file cannot be read,
    the last keys stay valid, and when it is gone, no key is.

    Args:
        path: The file; None for a server that never has keys.
        required: Whether the file must exist.
        own: A key that is not in the file.

    Raises:
        InvalidParameterError: The file is required and missing.
        StorageError: It cannot be read, or is damaged.
    """

    def __init__(self, path: Path | None, *, required: bool = False, own: OwnKey | None = None) -> None:
        self._path = path
        self._own = own.key if own else None
        self._is_private = own is not None and own.closes
        self._lock = threading.Lock()  # guards reloading: threads that notice a change at once must read the file once
        self._stamp = _stamp(path) if path else None
        self._keys: Mapping[str, AccessKey] | None = None
        if path and self._stamp:
            self._keys = read_keys(path)
            _warn_if_readable(path)
        elif required:
            raise InvalidParameterError(
                f"the file of access keys {path} does not exist; make it with 'lucas-storage keys add'"
            )

    @property
    def is_open(self) -> bool:
        """Whether no keys are configured, so that every caller may do everything."""
        return not self._is_private and self._current() is None

    def find(self, access_key: str) -> AccessKey | None:
        """Return the enabled key with this id, or None."""
        return self._find_own(access_key) or _enabled(self._current(), access_key)

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
        if self._path and _stamp(self._path) != self._stamp:
            with self._lock:
                self._reload(self._path)
        return self._keys

    def _reload(self, path: Path) -> None:
        stamp = _stamp(path)
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
        log.info("read %d access keys from %s", len(keys), path)
        return keys


@dataclass(frozen=True, slots=True)
class HeaderProof:
    """What the headers of a call prove about its caller."""

    claim: Claim | None
    """The identity that the call claims; None on an open server, which asks for none."""
    proved: bool
    """Whether the headers prove the claim; if not, the first message must."""


class Authenticator:
    """Authenticates callers in two steps: by the headers of a call, and by its first message. Any thread may call it.

    Args:
        keyring: The keys.
        clock: Seconds since 1970-01-01 UTC.
    """

    def __init__(self, keyring: Keyring, clock: Callable[[], float] = time.time) -> None:
        self._keyring = keyring
        self._clock = clock
        # verified in place of an unknown key, so that its refusal takes the same time
        self._decoy_key = secrets.token_bytes(32)

    def check_headers(self, metadata: Mapping[str, str | bytes], method: str, request_id: str) -> HeaderProof:
        """Return what the headers of a call prove, before a thread is used for it.

        A known key is verified with the keys as last read, so the calling thread never waits for the disk; `principal`
        notices if the key was disabled since. The file is only looked at before a refusal.

        Args:
            metadata: The headers.
            method: The full name, ``/package.Service/Method``.
            request_id: Request id of the call.

        Raises:
            UnauthenticatedError: They claim no identity, or do not prove it.
            ClockSkewError: The call was signed too long ago, or in the future.
        """
        if self._keyring.was_open and self._keyring.is_open:
            return HeaderProof(None, proved=True)
        claim = read_claim(metadata)
        if claim is None:
            raise UnauthenticatedError(_UNSIGNED)
        proved = bool(claim.body_hash) and (
            # a key that was added a moment ago is in the file, but not among those read last
            self._is_signed(claim, method, self._keyring.last_read)
            or self._is_signed(claim, method, self._keyring.find)
        )
        now = self._clock()
        if not is_timely(claim, int(now * 1000)):
            raise self._skew(claim, method, request_id, int(now * 1e6), proved=proved)
        if claim.body_hash and not proved:
            raise UnauthenticatedError(_WRONG)
        return HeaderProof(claim, proved)

    def principal(self, proof: HeaderProof, method: str, body: bytes) -> Principal:
        """Return the caller, proved by the signature over the first message of the call.

        An unknown key takes the same time as a wrong signature, and gets the same answer.

        Args:
            proof: The result of `check_headers`.
            method: The full name, ``/package.Service/Method``.
            body: The first request message as it came.

        Raises:
            UnauthenticatedError: The key is unknown or disabled, the signature is wrong, or (retryable) the message is
                not the one that was signed, and may arrive undamaged when it is sent again.
        """
        claim = proof.claim
        if claim is None:
            if self._keyring.is_open:
                return ANYBODY
            raise UnauthenticatedError(_UNSIGNED)
        known = self._keyring.find(claim.access_key)
        digest = body_hash(body)
        proved = proof.proved or verify_request(known.key if known else self._decoy_key, claim, method, digest)
        if known is None or not proved:
            raise UnauthenticatedError(_WRONG)
        if proof.proved and digest != claim.body_hash:
            raise UnauthenticatedError(_NOT_SIGNED, retryable=True)
        return known.principal

    def _is_signed(self, claim: Claim, method: str, find: Callable[[str], AccessKey | None]) -> bool:
        known = find(claim.access_key)
        signed = verify_request(known.key if known else self._decoy_key, claim, method, claim.body_hash)
        return known is not None and signed

    def _skew(self, claim: Claim, method: str, request_id: str, now_us: int, *, proved: bool) -> ClockSkewError:
        """Return the refusal of a call for its time, signed if the caller has proved its key."""
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
    """Return values that change whenever the file is replaced or written to; None if there is no file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - for every call, and `Path.stat` takes half as long again
    except FileNotFoundError:
        return None
    except OSError as error:
        return (error.errno or 0,)
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _warn_if_readable(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        log.warning("other users may read the access keys in %s and act as their owners; run 'chmod 600' on it", path)
