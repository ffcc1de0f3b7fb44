"""The check of a signature against the secrets of an access key, in the same time for a key that is unknown."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from .access_keys import MOST_FORMER, AccessKey

_SECRETS: Final = MOST_FORMER + 1


class SignatureCheck:
    """Finds the secret with which something was signed. Any thread may call it.

    Args:
        clock: Seconds since 1970-01-01 UTC.

    Attributes:
        decoy_key: Verified in place of the key of nobody, so that a refusal takes the same time.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.decoy_key = secrets.token_bytes(32)

    def signer(self, known: AccessKey | None, is_signed_with: Callable[[bytes], bool]) -> bytes | None:
        """Return what is derived from the secret of a signature; None if no valid secret of the key made it.

        A refusal takes the same time for an unknown key as for one with any number of secrets.

        Args:
            known: The key that the signature claims, if it is known and enabled.
            is_signed_with: Returns whether a derived key made the signature.
        """
        keys = () if known is None else known.valid_keys(self._clock())
        for key in keys:
            if is_signed_with(key):
                return key
        for _ in range(_SECRETS - len(keys)):
            is_signed_with(self.decoy_key)
        return None
