"""Digests of bytes, as references and manifests write them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def digest_of(pieces: Iterable[bytes | memoryview]) -> str:
    """Return ``sha256:`` and the hexadecimal digest of all pieces in order, each used before the next is asked for."""
    running = hashlib.sha256()
    for piece in pieces:
        running.update(piece)
    return f"sha256:{running.hexdigest()}"
