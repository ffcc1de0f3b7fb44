"""Presigned URLs on the server: issued to callers, and accepted from their holders."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

from actorc.storage._wire.call_signing import WINDOW_MS
from actorc.storage._wire.url_signing import MAX_EXPIRES, Grant, PresignedUrl, check_grant, is_signed_with, sign_url
from actorc.storage.errors import InvalidParameterError, PermissionError, UnauthenticatedError, UnsupportedError

from .access import ANYBODY, Principal
from .keyring import Keyring
from .signature_check import SignatureCheck

_ACTIONS: Final = {"GET": "read", "HEAD": "read", "PUT": "write", "DELETE": "delete"}
_OPEN_KEY_ID: Final = "anybody"
"""Id of the key in URLs of a server without keys; they are valid until it ends or gets keys."""

WRONG: Final = (
    "the URL is not valid: it was changed, or is not all there, or its access key is unknown or disabled, or its "
    "secret was replaced; ask for a new one"
)


class PresignedUrls:
    """Issues and accepts presigned URLs. Any thread may call it.

    Args:
        keyring: The access keys; without any, URLs are signed with a random key that never leaves the server.
        clock: Seconds since 1970-01-01 UTC.
        open_key: That random key, if other processes of the server have it, too.

    Attributes:
        endpoint: Base of the URLs; empty if the server is not reached over HTTP.
        open_endpoint: Begins to serve HTTP and sets `endpoint`, for a server that does so when the first URL is asked
            for; None for others.
        issued_until: When the last of the issued URLs expires, in seconds since 1970-01-01 UTC; 0 if there is none.
    """

    def __init__(
        self, keyring: Keyring, clock: Callable[[], float] = time.time, *, open_key: bytes | None = None
    ) -> None:
        self.endpoint = ""
        self.open_endpoint: Callable[[], None] | None = None
        self.issued_until = 0.0
        self._changes = threading.Lock()  # guards `issued_until`
        self._opening = threading.Lock()  # guards `open_endpoint`, so that two first callers do not both open one
        self._keyring = keyring
        self._clock = clock
        self._open_key = open_key or secrets.token_bytes(32)
        self._signatures = SignatureCheck(clock)

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
        """Return a URL that allows one method on one object.

        Raises:
            InvalidParameterError: A value is not allowed.
            PermissionError: The caller may not do that itself, or may not presign.
            UnsupportedError: This server is not reached over HTTP.
        """
        grant = check_grant(
            method, bucket, key, expires=expires, now=self._clock(), max_size=max_size, content_type=content_type
        )
        _check_allowed(principal, grant)
        self._open_if_needed()
        if not self.endpoint:
            raise UnsupportedError(
                "this server makes no URLs; start it with --http, and with --public-http-url if it listens on every "
                "address, or use the methods of the client instead"
            )
        signing_key = self._issuing_key(principal)
        if signing_key is None:
            raise UnauthenticatedError(
                "the access key was disabled meanwhile, or its secret replaced; use another one", bucket, key
            )
        # before the URL is known to anybody: a server that ends with its users waits for it
        with self._changes:  # else of two URLs the earlier one could be written last
            self.issued_until = max(self.issued_until, float(grant.expires_at))
        return sign_url(self.endpoint, signing_key, principal.access_key or _OPEN_KEY_ID, grant)

    def _open_if_needed(self) -> None:
        if self.open_endpoint is None:
            return
        with self._opening:
            if self.open_endpoint is None:
                return
            try:
                self.open_endpoint()
            except InvalidParameterError as error:
                # the server's lack, and not a wrong argument of the caller
                raise UnsupportedError(f"this server makes no URLs: {error.message}") from error
            # once, though it may have no name that others could use
            self.open_endpoint = None

    def admit(self, url: PresignedUrl, method: str) -> Principal:
        """Return the caller in whose name a request with a URL is made, who must still have the permission.

        An unknown key takes the same time as a wrong signature, and gets the same answer.

        Raises:
            UnauthenticatedError: The URL is not valid, or not any more.
            PermissionError: It is for another method, or the owner of its key may not do this any more.
        """
        principal = self._holder(url)
        if principal is None:
            raise UnauthenticatedError(WRONG)
        left = url.grant.expires_at - self._clock()
        if left <= 0:
            raise UnauthenticatedError("the URL has expired; ask for a new one")
        if left > MAX_EXPIRES + WINDOW_MS / 1000:
            raise UnauthenticatedError("the URL is made for more than seven days; ask for another one")
        if not url.grant.allows(method):
            raise PermissionError(f"the URL is for {url.grant.method}; ask for one that is for {method}")
        _check_allowed(principal, url.grant)
        return principal

    def _issuing_key(self, principal: Principal) -> bytes | None:
        """Return what a URL for a caller is signed with: the secret that proved it, so that both end together."""
        if self._keyring.is_open:
            return None if principal.access_key else self._open_key
        return principal.proved_with if self._keyring.still_holds(principal) else None

    def _holder(self, url: PresignedUrl) -> Principal | None:
        """Return the caller whose secret signed a URL; None if no valid secret did."""
        if self._keyring.is_open:
            # compared whether or not the id is right, so that both take the same time
            signed = is_signed_with(self._open_key, url)
            return ANYBODY if signed and url.access_key == _OPEN_KEY_ID else None
        known = self._keyring.find(url.access_key)
        signer = self._signatures.signer(known, lambda key: is_signed_with(key, url))
        return None if known is None or signer is None else known.principal_of(signer)


def _check_allowed(principal: Principal, grant: Grant) -> None:
    """Raise if the caller may not do what is granted, or may not presign.

    Raises:
        PermissionError: One of the two is not allowed.
    """
    for action in ("presign", _ACTIONS[grant.method]):
        principal.demand(action, grant.bucket, grant.key)
