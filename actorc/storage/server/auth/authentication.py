"""Authentication: who makes a call, by its headers and by its first message."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from actorc.storage._wire.call_signing import Claim, body_hash, is_timely, read_claim, sign_clock, verify_request
from actorc.storage.errors import ClockSkewError, UnauthenticatedError

from .access import ANYBODY, Principal
from .key_file import AccessKey
from .keyring import Keyring

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


class HeaderProof(NamedTuple):
    """What the headers of a call prove about its caller."""

    claim: Claim | None
    """The identity that the call claims; None on an open server, which asks for none."""
    proved: bool
    """Whether the headers prove the claim; if not, the first message must."""
    principal: Principal | None = None
    """The caller of a call that begins in this process, proved before; None for one from outside."""


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
        if proof.principal is not None:
            return proof.principal
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
