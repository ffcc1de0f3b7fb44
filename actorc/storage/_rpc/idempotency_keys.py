"""Idempotency keys: one for each call that changes something, the same in all its attempts."""

from __future__ import annotations

import uuid


def fresh_key() -> str:
    """Return an idempotency key that no other call has."""
    return uuid.uuid4().hex
