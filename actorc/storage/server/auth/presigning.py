"""Presigned URLs as the server makes and accepts them: for whom, and with which key."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from actorc.storage._wire.call_signing import WINDOW_MS
from actorc.storage._wire.url_signing import MAX_EXPIRES, Grant, PresignedUrl, check_grant, is_signed_with, sign_url
from actorc.storage.errors import PermissionError, UnauthenticatedError, UnsupportedError

from .access import ANYBODY, Principal
from .authentication import Keyring

_ACTIONS: Final = {"GET": "read", "HEAD": "read", "PUT": "write", "DELETE": "delete"}
_ANYBODYS_KEY: Final = "anybody"
"""Named in the URLs of a server without keys, which are good until it ends or gets keys."""

WRONG: Final = (
    "the URL is not valid: it was changed, or is not all there, or its access key is unknown or disabled; "
    "ask for a new one"
)


class PresignedUrls:
    """Makes and accepts URLs.

    Args:
        keyring: The keys; without any, URLs are signed with one made here and known to nobody.
        clock: Seconds since 1970-01-01 UTC.
        anybodys: That key, if other processes of the server have it as well.

    Attributes:
        endpoint: Where URLs lead; empty while that is nowhere.
    """

    def __init__(
        self, keyring: Keyring, clock: Callable[[], float] = time.time, *, anybodys: bytes | None = None
    ) -> None:
        self.endpoint = ""
        self._keyring = keyring
        self._clock = clock
        self._anybodys = anybodys or secrets.token_bytes(32)
        self._nobodys = secrets.token_bytes(32)

    def issue(
        self,
        principal: Principal,
        method: str,
        bucket: str,
        key: str,
        *,
        expires: int,
        max_size: int | None = None,
        content_type: str | None = None,
    ) -> str:
        """Return a URL for a caller who may do what it allows, and may let others do it.

        Raises:
            InvalidParameterError: A value is not allowed.
            PermissionError: The caller may not do it, or not let others do it.
            UnsupportedError: This server is not reached over HTTP.
        """
        grant = check_grant(
            method, bucket, key, expires=expires, now=self._clock(), max_size=max_size, content_type=content_type
        )
        _demand(principal, grant)
        if not self.endpoint:
            raise UnsupportedError(
                "this server makes no URLs; start it with --http, and with --public-http-url if it listens on every "
                "address, or use the methods of the client instead"
            )
        found = self._find(principal.access_key or _ANYBODYS_KEY)
        if found is None:
            raise UnauthenticatedError("the access key was disabled meanwhile; use another one", bucket, key)
        return sign_url(self.endpoint, found[0], principal.access_key or _ANYBODYS_KEY, grant)

    def admit(self, url: PresignedUrl, method: str) -> Principal:
        """Return in whose name a request is made, who may still do what the URL allows.

        An unknown key takes the same work and gets the same answer as a wrong signature.

        Raises:
            UnauthenticatedError: The URL is not valid, not yet or not any more.
            PermissionError: It is for something else, or its owner may no longer do this.
        """
        found = self._find(url.access_key)
        signed = is_signed_with(found[0] if found else self._nobodys, url)
        if found is None or not signed:
            raise UnauthenticatedError(WRONG)
        left = url.grant.expires_at - self._clock()
        if left <= 0:
            raise UnauthenticatedError("the URL has expired; ask for a new one")
        if left > MAX_EXPIRES + WINDOW_MS / 1000:
            raise UnauthenticatedError("the URL is made for more than seven days; ask for another one")
        if not url.grant.allows(method):
            raise PermissionError(f"the URL is for {url.grant.method}; ask for one that is for {method}")
        _demand(found[1], url.grant)
        return found[1]

    def _find(self, access_key: str) -> tuple[bytes, Principal] | None:
        if self._keyring.is_open:
            return (self._anybodys, ANYBODY) if access_key == _ANYBODYS_KEY else None
        known = self._keyring.find(access_key)
        return (known.key, known.principal) if known else None


def _demand(principal: Principal, grant: Grant) -> None:
    """Refuse somebody who may not do what is granted, or may not let others do it.

    Raises:
        PermissionError: So it is.
    """
    for action in ("presign", _ACTIONS[grant.method]):
        principal.demand(action, grant.bucket, grant.key)
