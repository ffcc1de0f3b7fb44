"""Who makes a request: by a signature as calls have it, by a token, or anybody on a server without keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from actorc.storage._wire.call_signing import ACCESS_KEY_HEADER, DATE_HEADER, HASH_HEADER, SIGNATURE_HEADER
from actorc.storage.errors import UnauthenticatedError
from actorc.storage.server.auth.access import ANYBODY, Principal
from actorc.storage.server.auth.authentication import Authenticator
from actorc.storage.server.auth.tokens import Tokens
from actorc.storage.server.http.errors import Refusal

_SIGNED: Final = (ACCESS_KEY_HEADER, DATE_HEADER, SIGNATURE_HEADER, HASH_HEADER)
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="lucas-storage"'}
_UNSIGNED: Final = (
    "this server wants to know who is calling; send 'Authorization: Bearer TOKEN' with what 'lucas-storage token' "
    "prints, or sign the request as docs/api.md shows"
)
_OWN_SITES: Final = frozenset({"same-origin", "none"})


Confirm = Callable[[bytes], Principal]
"""Returns the caller, for the body of the request; raises `Refusal` if it is not the one that was signed, or if the
proof is not good any more, as when the key was disabled since."""


class Headers(Protocol):
    """Headers of a request; names compare case-insensitively."""

    def getall(self, name: str, default: list[str], /) -> list[str]:
        """Return all values of a header."""


class Callers:
    """Finds the caller of a request. Any thread may call it; nothing in it waits.

    Args:
        authenticator: Checks signatures.
        tokens: Accepts tokens.
        is_open: Returns whether the server has no keys.
        is_own_name: Returns whether a host is a name of this server.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        tokens: Tokens,
        *,
        is_open: Callable[[], bool],
        is_own_name: Callable[[str], bool],
    ) -> None:
        self._authenticator = authenticator
        self._tokens = tokens
        self._is_open = is_open
        self._is_own_name = is_own_name

    def find(self, method: str, target: str, headers: Headers, request_id: str) -> Confirm:
        """Return a function that returns the caller for the body of the request, which a signature covers.

        Args:
            method: HTTP method.
            target: Path and query as received.
            headers: Headers.
            request_id: Of the request.

        Raises:
            Refusal: 401, it proves no caller; 403, a page of another site made a browser send it.
        """
        if self._is_open():
            self._check_site(headers)
            return self._anybody
        with _unproved():
            bearer = _only(headers, "Authorization")
            if bearer is None:
                return self._signer(f"{method} {target}", headers, request_id)
            token = _token(bearer)
            self._tokens.admit(token)
        return lambda _body: self._holder(token)

    def _anybody(self, _body: bytes) -> Principal:
        with _unproved():
            if not self._is_open():
                raise UnauthenticatedError(_UNSIGNED)
            return ANYBODY

    def _holder(self, token: str) -> Principal:
        with _unproved():
            return self._tokens.admit(token)

    def _signer(self, line: str, headers: Headers, request_id: str) -> Confirm:
        found = {name: _only(headers, name) for name in _SIGNED}
        if not any(found.values()):
            raise UnauthenticatedError(_UNSIGNED)
        signed: dict[str, str | bytes] = {name: value for name, value in found.items() if value is not None}
        proof = self._authenticator.check_headers(signed, line, request_id)
        if not proof.proved:
            raise UnauthenticatedError(f"the header {HASH_HEADER} is missing; send the SHA-256 of the body in it")

        def confirm(body: bytes) -> Principal:
            with _unproved():
                return self._authenticator.principal(proof, line, body)

        return confirm

    def _check_site(self, headers: Headers) -> None:
        """Raise if a browser says that another site asks: without keys there is nothing else to know it by.

        Raises:
            Refusal: 403.
        """
        origins, sites = headers.getall("Origin", []), headers.getall("Sec-Fetch-Site", [])
        own = all(self._is_own_name(origin.partition("://")[2]) for origin in origins)
        if not own or not _OWN_SITES.issuperset(sites):
            raise Refusal(
                403,
                "ForeignOrigin",
                "a page of another site asks, and a server without keys answers its own users only",
            )


@contextmanager
def _unproved() -> Iterator[None]:
    """Turn the error of a request that proves no caller into a refusal, 401."""
    try:
        yield
    except UnauthenticatedError as error:
        raise unproved(error) from None


def unproved(error: UnauthenticatedError) -> Refusal:
    """Return the refusal of a request that proves no caller, or not any more."""
    return Refusal(401, error.code, error.message, _CHALLENGE)


def _only(headers: Headers, name: str) -> str | None:
    values = headers.getall(name, [])
    if len(values) > 1:
        # a proxy may have checked the other one
        raise UnauthenticatedError(f"the header {name} is there twice; send it once")
    if not all(map(str.isascii, values)):
        # bytes that are no text arrive as surrogates, which nothing can encode
        raise UnauthenticatedError(f"the header {name} has other characters than those of ASCII; send those alone")
    return values[0] if values else None


def _token(header: str) -> str:
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise UnauthenticatedError(_UNSIGNED)
    return token.strip()
