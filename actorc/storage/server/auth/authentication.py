"""Authentication: who makes a call, by its headers and by its first message."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from actorc.storage._wire.call_signing import Claim, body_hash, is_timely, read_claim, sign_clock, verify_request
from actorc.storage.errors import ClockSkewError, UnauthenticatedError

from .access import ANYBODY, Principal
from .access_keys import AccessKey
from .keyring import Keyring
from .signature_check import SignatureCheck

_WRONG: Final = (
    "the access key or the signature is wrong, or the key is disabled, or its secret was replaced; compare "
    "STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY with what 'lucas-storage keys add' or 'keys rotate' printed"
)
ENDED: Final = (
    "the access key of the caller was disabled or its secret was replaced meanwhile, and what was under way has ended; "
    "use another key, or the new secret"
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
    signer: bytes | None = None
    """What is derived from the secret that signed them."""
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
        self._signatures = SignatureCheck(clock)

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
        signer: bytes | None = None
        if claim.body_hash:
            # a key or a secret that was added a moment ago is in the file, but not among those read last
            known = self._keyring.last_read(claim.access_key)
            key = known.key if known is not None else self._signatures.decoy_key
            # first, since nearly all calls are signed with the latest secret
            if verify_request(key, claim, method, claim.body_hash) and known is not None:
                signer = key
            else:
                signer = self._signer(claim, method, claim.body_hash, self._keyring.find(claim.access_key))
        now = self._clock()
        if not is_timely(claim, int(now * 1000)):
            raise self._skew(claim, method, request_id, int(now * 1e6), signer)
        if claim.body_hash and signer is None:
            raise UnauthenticatedError(_WRONG)
        return HeaderProof(claim, signer is not None, signer)

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
        signer = proof.signer
        if signer is None:
            signer = self._signer(claim, method, digest, known)
        # the headers were verified with keys that were read earlier, and the secret may have been replaced since
        if known is None or signer is None or not known.has_valid(signer, self._clock()):
            raise UnauthenticatedError(_WRONG)
        if proof.signer is not None and digest != claim.body_hash:
            raise UnauthenticatedError(_NOT_SIGNED, retryable=True)
        return known.principal_of(signer)

    def confirm(self, principal: Principal) -> None:
        """Check that the caller of a call that goes on would still be let in.

        Raises:
            UnauthenticatedError: Its key was disabled, or its secret replaced, or the server got its first key.
        """
        if not self._keyring.still_holds(principal):
            raise UnauthenticatedError(ENDED)

    def _signer(self, claim: Claim, method: str, digest: str, known: AccessKey | None) -> bytes | None:
        return self._signatures.signer(known, lambda key: verify_request(key, claim, method, digest))

    def _skew(self, claim: Claim, method: str, request_id: str, now_us: int, signer: bytes | None) -> ClockSkewError:
        """Return the refusal of a call for its time, signed if the caller has proved its key."""
        error = ClockSkewError("the request was signed at a time too far from the server's; set this machine's clock")
        error.server_time_us = now_us
        known = self._keyring.find(claim.access_key)
        # with the secret that the caller has, as it knows no other one
        if signer is not None and known is not None and known.has_valid(signer, self._clock()):
            error.server_time_signature = sign_clock(signer, method, request_id, claim.date_ms, now_us)
        return error
