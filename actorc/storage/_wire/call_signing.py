"""Who sends a request: a signature that both sides compute alike. Pure; the caller has the clock and the secret.

What is signed is a text of four lines, so that a client in any language can do it::

    acs1-call
    /ignis.storage.v1.StorageService/PutObject
    1767225600000
    <SHA-256 of the first serialized request message, in hexadecimal>

The first line is the purpose: a signature made for one thing proves nothing about another, and whatever else is ever
signed, such as a URL, goes through `signature` under a purpose of its own. The time keeps a recorded request from being
of use later; within the window its idempotency key makes a replay harmless, so nobody remembers what was seen.

The SHA-256 also travels as a header of its own. The signature can then be verified before the message has come, so that
a server spends nothing on a caller who has proved nothing; the message is compared with it afterwards.

The server's clock corrects a client's only under a signature of the same key, for the very request it answers::

    acs1-clock
    /ignis.storage.v1.StorageService/PutObject
    <the request id of the call>
    1767225600000
    1767229200000000

with the time that the request named, in milliseconds, and the server's, in microseconds.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Metadata = tuple[tuple[str, str], ...]
"""What a call carries beside its messages."""

ACCESS_KEY_HEADER: Final = "x-acs-key"
DATE_HEADER: Final = "x-acs-date"
SIGNATURE_HEADER: Final = "x-acs-sig"
HASH_HEADER: Final = "x-acs-hash"
"""SHA-256 of the first message, in hexadecimal; optional, clients of earlier versions do not send it."""

CALL: Final = "acs1-call"
"""Purpose of the signature of a call."""
CLOCK: Final = "acs1-clock"
"""Purpose of the signature of the server's time in a refusal."""
WINDOW_MS: Final = 5 * 60 * 1000
"""Milliseconds that the clocks of both sides may be apart."""

_DERIVATION: Final = b"actorc-storage-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Whom a request says it is from; nothing is proved before `verify_request`."""

    access_key: str
    date_ms: int
    """Milliseconds since 1970-01-01 UTC; 0 if what was sent is no time."""
    signature: str
    body_hash: str = ""
    """What the first message hashes to, as the caller says; empty if it does not say."""


def derived_key(secret: str) -> bytes:
    """Return what signs and verifies instead of the secret itself, which the server therefore need not hold."""
    return hmac.digest(secret.encode(), _DERIVATION, "sha256")


def signature(key: bytes, purpose: str, *lines: str) -> str:
    """Return the signature of `lines` for `purpose`, in hexadecimal.

    Args:
        key: What `derived_key` returned.
        purpose: Tells apart what is signed; never reused for another meaning of the lines.
        lines: What is signed.

    Raises:
        ValueError: A line is more than one, so that other lines would have the same signature.
    """
    if any("\n" in line for line in lines):
        raise ValueError("what is signed is a text of lines, and none of them may hold a line break")
    return hmac.digest(key, "\n".join((purpose, *lines)).encode(), "sha256").hex()


def body_hash(body: bytes) -> str:
    """Return what a signature covers of the first message of a call: its SHA-256, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def sign_request(key: bytes, access_key: str, method: str, body: bytes, now_ms: int) -> Metadata:
    """Return the metadata that proves who makes a call.

    Args:
        key: What `derived_key` returned.
        access_key: Names the key.
        method: The full name, ``/package.Service/Method``.
        body: The first request message as it is sent.
        now_ms: Milliseconds since 1970-01-01 UTC.
    """
    digest = body_hash(body)
    proof = signature(key, CALL, method, str(now_ms), digest)
    return (
        (ACCESS_KEY_HEADER, access_key),
        (DATE_HEADER, str(now_ms)),
        (SIGNATURE_HEADER, proof),
        (HASH_HEADER, digest),
    )


def read_claim(metadata: Mapping[str, str | bytes]) -> Claim | None:
    """Return what a call's metadata says, or None if the call is not signed."""
    access_key, date, proof = (metadata.get(name) for name in (ACCESS_KEY_HEADER, DATE_HEADER, SIGNATURE_HEADER))
    if not (isinstance(access_key, str) and isinstance(date, str) and isinstance(proof, str)):
        return None
    is_time = date.isascii() and date.isdigit() and len(date) <= 15
    digest = metadata.get(HASH_HEADER, "")
    return Claim(
        access_key=access_key,
        date_ms=int(date) if is_time else 0,
        signature=proof,
        body_hash=digest if isinstance(digest, str) else "",
    )


def is_timely(claim: Claim, now_ms: int) -> bool:
    """Return whether the claim was made within the window around `now_ms`."""
    return abs(claim.date_ms - now_ms) <= WINDOW_MS


def verify_request(key: bytes, claim: Claim, method: str, digest: str) -> bool:
    """Return whether whoever made the claim holds `key` and signed this call; in time that tells nothing about either.

    Args:
        key: What `derived_key` returned for the secret of the key claimed.
        claim: What the metadata says.
        method: The full name, ``/package.Service/Method``.
        digest: What `body_hash` returns for the first request message, or the hash claimed for it.
    """
    if "\n" in digest:
        return False
    expected = signature(key, CALL, method, str(claim.date_ms), digest)
    return hmac.compare_digest(expected.encode(), claim.signature.encode())


def sign_clock(key: bytes, method: str, request_id: str, date_ms: int, server_time_us: int) -> str:
    """Return the signature under which a client believes the server's clock.

    Args:
        key: What `derived_key` returned for the secret of the caller's key.
        method: The full name of the method that was called.
        request_id: Of the call that is answered.
        date_ms: The time that the call named.
        server_time_us: The server's time, in microseconds since 1970-01-01 UTC.
    """
    return signature(key, CLOCK, method, request_id, str(date_ms), str(server_time_us))
