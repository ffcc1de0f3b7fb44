"""Signatures of calls, made by clients and verified by servers. Pure: the caller has the clock and the secret.

The signature covers a text of four lines, which a client in any language can build::

    acs1-call
    /ignis.storage.v1.StorageService/PutObject
    1767225600000
    <SHA-256 of the first serialized request message, in hexadecimal>

The first line is the purpose: a signature made for one purpose proves nothing about another. Everything else that is
signed, such as a URL, goes through `signature` under its own purpose. The time limits the use of a recorded request to
a window; within it the idempotency key makes a replay harmless, so servers keep no list of requests seen.

The SHA-256 also travels as a header. A server can then verify the signature before it has the message, and spends no
thread on an unauthenticated caller; it compares the message with the hash afterwards.

A client adopts the server's time only if the server signs it with the same key, for the request that it answers::

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
from typing import Final, NamedTuple

Metadata = tuple[tuple[str, str], ...]
"""Metadata of a call: pairs of header name and value."""

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


class Claim(NamedTuple):
    """The identity that a request claims; unproved until `verify_request`."""

    access_key: str
    date_ms: int
    """Milliseconds since 1970-01-01 UTC; 0 if the header is not a time."""
    signature: str
    body_hash: str = ""
    """The SHA-256 that the caller claims for its first message; empty if it sent none."""


def derived_key(secret: str) -> bytes:
    """Return the key that signs and verifies in place of `secret`, so that servers need not store the secret."""
    return hmac.digest(secret.encode(), _DERIVATION, "sha256")


def signature(key: bytes, purpose: str, *lines: str) -> str:
    """Return the signature of `lines` for `purpose`, in hexadecimal.

    Args:
        key: What `derived_key` returned.
        purpose: Kind of the signature; never reused for another meaning of the lines.
        lines: The text to sign.

    Raises:
        ValueError: A line contains a line feed; two different lists of lines would have the same signature.
    """
    if any("\n" in line for line in lines):
        raise ValueError("what is signed is a text of lines, and none of them may hold a line break")
    return hmac.digest(key, "\n".join((purpose, *lines)).encode(), "sha256").hex()


def body_hash(body: bytes) -> str:
    """Return the SHA-256 of the first message of a call, in hexadecimal, as signatures cover it."""
    return hashlib.sha256(body).hexdigest()


def sign_request(key: bytes, access_key: str, method: str, body: bytes, now_ms: int) -> Metadata:
    """Return the metadata that authenticates a call.

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
    """Return the claim in the metadata of a call, or None if the call is not signed."""
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
    """Return whether the claim was signed with `key` for this call; takes the same time either way.

    Args:
        key: What `derived_key` returned for the secret of the key claimed.
        claim: The claim in the metadata.
        method: The full name, ``/package.Service/Method``.
        digest: What `body_hash` returns for the first request message, or the hash claimed for it.
    """
    if "\n" in digest:
        return False
    # constant time: a comparison that stops at the first difference would reveal the signature byte by byte
    expected = signature(key, CALL, method, str(claim.date_ms), digest)
    return hmac.compare_digest(expected.encode(), claim.signature.encode())


def sign_clock(key: bytes, method: str, request_id: str, date_ms: int, server_time_us: int) -> str:
    """Return the signature of the server's time, which makes a client adopt it.

    Args:
        key: What `derived_key` returned for the secret of the caller's key.
        method: The full name of the method that was called.
        request_id: Of the call that is answered.
        date_ms: The time that the call named.
        server_time_us: The server's time, in microseconds since 1970-01-01 UTC.
    """
    return signature(key, CLOCK, method, request_id, str(date_ms), str(server_time_us))
