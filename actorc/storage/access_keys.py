"""Access keys of a server, listed and changed over its JSON API by a caller whose own key allows everything."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import IO, Any, Final, TypedDict
from urllib.parse import quote, urlsplit

from actorc._http_proxies import leads_here

from ._wire.call_signing import derived_key, sign_request
from .client import StorageClient
from .errors import (
    InvalidParameterError,
    NetworkError,
    NotFoundError,
    PermissionError,
    PreconditionFailedError,
    ResourceExhaustedError,
    StorageError,
    UnauthenticatedError,
    UnsupportedError,
)
from .rules import API_ROOT

__all__ = ["GRACE", "AccessKeyResult", "AccessKeys", "NewAccessKeyResult"]

GRACE: Final = 3600
"""Seconds for which former secrets are valid, if `rotate_key` is told no others."""
_SECONDS: Final = 30.0
"""Seconds without a byte after which a request fails."""
_LARGEST: Final = 32 << 20
"""Bytes of an answer, as servers send at most."""
_ERRORS: Final[Mapping[int, type[StorageError]]] = {
    400: InvalidParameterError,
    401: UnauthenticatedError,
    403: PermissionError,
    404: NotFoundError,
    409: PreconditionFailedError,
    503: ResourceExhaustedError,
}
"""Kinds of failures by the status of HTTP."""


class AccessKeyResult(TypedDict):
    """An access key without what proves it."""

    access_key: str
    disabled: bool
    allow: list[str]
    """What it is for, each ``ACTIONS:BUCKETS/PREFIX``."""
    comment: str
    created_at: datetime
    changed_at: datetime | None
    """When it was last enabled, disabled or given another secret; None: never."""
    former_until: datetime | None
    """When the last of its former secrets ends; None if none is valid."""


class NewAccessKeyResult(AccessKeyResult):
    """An access key and its new secret, which is shown this once and kept nowhere."""

    secret_key: str


class AccessKeys:
    """The access keys of a server. A change holds at every worker from the next call on. Threads may share it.

    Nothing is tried again: of a change whose answer is lost, `list_keys` tells whether it was made.

    Args:
        client: A client of the server, whose access key must allow everything. Its connection tells where the server
            is reached over HTTP, unless it knows.

    Every method raises:
        PermissionError: The client's key does not allow everything, is wrong or disabled, or the server has no keys.
        UnsupportedError: The server is not reached over HTTP, or is of an earlier version.
        NetworkError: It could not be reached; a change may have been made.
    """

    def __init__(self, client: StorageClient) -> None:
        self._client = client
        self._options = client._options  # noqa: SLF001  # of this package

    def list_keys(self) -> list[AccessKeyResult]:
        """Return all keys, the oldest first."""
        return [_key(each) for each in _items(self._asked("GET", "/keys"))]

    def add_key(self, allow: Sequence[str], *, comment: str = "") -> NewAccessKeyResult:
        """Make a key; return it with its secret.

        Args:
            allow: What it is for, each ``ACTIONS:BUCKETS/PREFIX``, as ``lucas-storage keys add --allow`` has it.
            comment: Whose it is.

        Raises:
            InvalidParameterError: A statement is none.
        """
        return _new_key(self._asked("POST", "/keys", {"allow": list(allow), "comment": comment}))

    def rotate_key(self, access_key: str, *, grace: float = GRACE) -> NewAccessKeyResult:
        """Give a key another secret; return it with that.

        Args:
            access_key: Its id.
            grace: Seconds for which the secrets that it had are valid, at most 30 days.

        Raises:
            InvalidParameterError: `grace` is not allowed.
            NotFoundError: There is no such key.
            PreconditionFailedError: Too many former secrets are valid; a grace of 0 ends them.
        """
        return _new_key(self._asked("POST", f"/keys/{_segment(access_key)}/rotate", {"grace": grace}))

    def disable_key(self, access_key: str) -> AccessKeyResult:
        """Refuse all requests with a key, other than the client's own, from now on; return it.

        Raises:
            InvalidParameterError: It is the key of the client.
            NotFoundError: There is no such key.
        """
        return self._changed(access_key, "disable")

    def enable_key(self, access_key: str) -> AccessKeyResult:
        """Accept requests with a disabled key again; return it.

        Raises:
            NotFoundError: There is no such key.
        """
        return self._changed(access_key, "enable")

    def remove_key(self, access_key: str) -> AccessKeyResult:
        """Remove a disabled key for good; return it as it was.

        Raises:
            NotFoundError: There is no such key.
            PreconditionFailedError: It is enabled.
        """
        return self._changed(access_key, "remove")

    def is_exposed(self) -> bool:
        """Return whether a secret that the server shows travels to another machine without TLS."""
        parts = urlsplit(self._base())
        return parts.scheme != "https" and not leads_here(parts.hostname or "")

    def _changed(self, access_key: str, action: str) -> AccessKeyResult:
        return _key(self._asked("POST", f"/keys/{_segment(access_key)}/{action}", {}))

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the answer to a signed request."""
        base = self._base()
        sent = b"" if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{base}{API_ROOT}{path}", sent or None, method=method)  # noqa: S310  # checked
        for name, value in self._proof(f"{method} {API_ROOT}{path}", sent):
            request.add_header(name, value)
        if sent:
            request.add_header("Content-Type", "application/json")
        try:
            with self._opener(base).open(request, timeout=_SECONDS) as answer:
                return _read(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise _failure(error) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NetworkError(
                f"the API of the server at {base} gave no answer ({getattr(error, 'reason', error)}); see that it is "
                "reached from here, and what 'lucas-storage keys list' says before a change is made again"
            ) from error

    def _base(self) -> str:
        found = self._options.http_endpoint or self._client.server_info()["http_endpoint"]
        if not found or not found.startswith(("http://", "https://")):
            raise UnsupportedError(
                "the server is not reached over HTTP, and its keys are changed there; start it with --http, or name "
                "its data directory with --data on its machine"
            )
        return found.rstrip("/")

    def _proof(self, line: str, body: bytes) -> list[tuple[str, str]]:
        access_key, secret_key = self._options.access_key, self._options.secret_key
        if access_key is None or secret_key is None:
            return []
        signed = sign_request(derived_key(secret_key), access_key, line, body, int(time.time() * 1000))
        return [(name, str(value)) for name, value in signed]

    def _opener(self, base: str) -> urllib.request.OpenerDirector:
        # the proxies of the environment, but never for this machine, and no other server that this one leads to
        proxies: dict[str, str] | None = {} if leads_here(urlsplit(base).hostname or "") else None
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler(proxies), _NoRedirects()]
        if base.startswith("https://"):
            handlers.append(urllib.request.HTTPSHandler(context=self._tls()))
        return urllib.request.build_opener(*handlers)

    def _tls(self) -> ssl.SSLContext:
        options = self._options
        context = ssl.create_default_context(cafile=options.ca_file)
        if options.cert_file is not None:
            context.load_cert_chain(options.cert_file, options.key_file)
        return context


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Takes a redirection for a failure: a signed request is for the server alone that the client was given."""

    def redirect_request(self, *_: Any) -> None:
        """Return None: there is no other request."""


def _read(answer: IO[bytes]) -> Any:
    return json.loads(answer.read(_LARGEST))


def _failure(error: urllib.error.HTTPError) -> StorageError:
    """Return what the server said, as an error."""
    try:
        told = _read(error)
        code, message = str(told["code"]), str(told["message"])[:1000]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return StorageError(
            f"what answers with status {error.code} is not the API of a storage server; see where "
            "STORAGE_HTTP_ENDPOINT leads"
        )
    if code in {"NoSuchRoute", "Unsupported"}:
        return UnsupportedError("the server is of an earlier version, which cannot change keys so; update it")
    return _ERRORS.get(error.code, StorageError)(message)


def _items(answer: Any) -> list[Any]:
    try:
        return list(answer["keys"])
    except (KeyError, TypeError):
        raise _foreign() from None


def _new_key(answer: Any) -> NewAccessKeyResult:
    try:
        return {**_key(answer["key"]), "secret_key": str(answer["secret_key"])}
    except (KeyError, TypeError):
        raise _foreign() from None


def _key(told: Any) -> AccessKeyResult:
    try:
        return {
            "access_key": str(told["id"]),
            "disabled": bool(told["disabled"]),
            "allow": list(map(str, told["statements"])),
            "comment": str(told["comment"]),
            "created_at": datetime.fromisoformat(told["created_at"]),
            "changed_at": _time(told.get("changed_at")),
            "former_until": _time(told.get("former_until")),
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _foreign() from None


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _foreign() -> StorageError:
    return StorageError("what answers there is not the API of a storage server; see where STORAGE_HTTP_ENDPOINT leads")


def _segment(access_key: str) -> str:
    if not access_key or len(access_key) > 200:
        raise InvalidParameterError(f"{access_key[:50]!r} is no access key; 'lucas-storage keys list' shows them")
    return quote(access_key, safe="")
