"""Fingerprints of requests, by which a call with an idempotency key is known to be the same one again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from actorc.storage.errors import IdempotencyKeyReusedError

_FIELDS = "__dataclass_fields__"
"""What a dataclass has; `is_dataclass` asks for it, by three functions more."""


def fingerprint(*asked: object) -> bytes:
    """Return a digest of the arguments of a request, to compare requests with the same idempotency key.

    Args:
        asked: Numbers, text, None, and dataclasses, mappings and sequences of them.
    """
    # here, where they are; the encoder takes twice as long to ask for what it does not know
    plain = [_plain(each) if hasattr(each, _FIELDS) else each for each in asked]
    return hashlib.sha256(_CANONICAL.encode(plain).encode()).digest()[:16]


def check_request(earlier: bytes | None, request: bytes, bucket: str | None = None, key: str | None = None) -> None:
    """Check that an earlier call with the same idempotency key had the same arguments.

    Args:
        earlier: `fingerprint` of the earlier call; None: not known.
        request: `fingerprint` of this call.
        bucket: Bucket of the call, if known.
        key: Key of the call, if known.

    Raises:
        IdempotencyKeyReusedError: It had others.
    """
    if earlier is not None and earlier != request:
        raise reused(bucket, key)


def reused(bucket: str | None = None, key: str | None = None) -> IdempotencyKeyReusedError:
    """Return the error for a call whose idempotency key came with other arguments before."""
    return IdempotencyKeyReusedError(
        "the idempotency key was used before, for a call that asked for something else; use a new key for each "
        "call and the same one only to repeat it",
        bucket,
        key,
    )


def _plain(value: object) -> object:
    if hasattr(value, _FIELDS):
        return {name: getattr(value, name) for name in getattr(value, _FIELDS)}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} is not part of a request")


_CANONICAL = json.JSONEncoder(sort_keys=True, check_circular=False, default=_plain)
