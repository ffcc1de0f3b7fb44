"""Page tokens: the place where a listing continues, bound to the listing by a digest.

A token holds no state of the server, so it survives restarts. Its content is readable, so it is only the last name that
was shown; a forged one starts a listing elsewhere, among names that the caller may list anyway.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from actorc.storage.errors import InvalidParameterError

_VERSION: Final = b"\x01"
_DIGEST_SIZE: Final = 8


def write_token(after: str, *listed: str) -> str:
    """Return a token to continue behind `after` in the listing that the texts `listed` describe."""
    return base64.urlsafe_b64encode(_head(listed) + after.encode()).decode()


def read_token(token: str, *listed: str) -> str:
    """Return the name behind which to continue.

    Raises:
        InvalidParameterError: The token was not made for this listing, or is not a token.
    """
    head = _head(listed)
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
        after = raw[len(head) :].decode()
    except (binascii.Error, ValueError):
        # reported below like a token of another listing: to the caller both are the same mistake
        raw, after = b"", ""
    if not raw.startswith(head) or not after:
        raise InvalidParameterError(
            "the page token is not one of this listing; pass the last next_page_token with the same bucket, prefix "
            "and delimiter"
        )
    return after


def _head(listed: tuple[str, ...]) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST_SIZE)
    for text in listed:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return _VERSION + digest.digest()
