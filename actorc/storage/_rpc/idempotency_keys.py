"""Idempotency keys: one for each call that changes something, the same in all its attempts."""

from __future__ import annotations

from actorc.random_ids import random_id


def fresh_key() -> str:
    """Return an idempotency key that no other call has."""
    return random_id()
