"""Routes about access keys, for callers who may do everything anyway."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec

from actorc.storage.errors import PermissionError, PreconditionFailedError, StorageError, UnauthenticatedError
from actorc.storage.server.auth.access import Statement
from actorc.storage.server.auth.access_keys import AccessKey
from actorc.storage.server.auth.authentication import ENDED
from actorc.storage.server.auth.key_file import (
    LONGEST_GRACE,
    Check,
    add_key,
    disable_key,
    enable_key,
    read_keys,
    remove_key,
    rotate_key,
)
from actorc.storage.server.auth.keyring import Keyring
from actorc.storage.server.http.errors import Refusal

from .callers import unproved
from .routes import NoParameters, Parameters, Request, Route, bad_request

log = logging.getLogger("actorc.storage.server.keys")

_GRACE: Final = 3600
"""Seconds for which former secrets are valid, if a request does not say so."""
_MAX_STATEMENTS: Final = 100
_ON_OBJECTS: Final = "(read|list|write|delete|presign)"
_ON_ALL: Final = "(read|list|write|delete|presign|admin)"
_STATEMENT: Final = (
    rf"^({_ON_ALL}(,{_ON_ALL})*:[^/\x00-\x1f]+|{_ON_OBJECTS}(,{_ON_OBJECTS})*:[^/\x00-\x1f]+/[^\x00-\x1f]*)$"
)
"""What `Statement.parse` takes, for the document; it has the last word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An access key, without what proves it."""

    id: str
    disabled: bool
    comment: str
    created_at: datetime
    changed_at: datetime | None
    former_until: datetime | None
    """When the last of its former secrets ends; None if it has none."""
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The access keys of the server, oldest first."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key and its new secret, which is shown this once and kept nowhere."""

    key: Key
    secret_key: str


class KeyToAdd(Parameters):
    """The body of a request for a new key."""

    allow: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=2048, pattern=_STATEMENT)]],
        msgspec.Meta(
            min_length=1,
            max_length=_MAX_STATEMENTS,
            description="What it is for, each ACTIONS:BUCKETS/PREFIX, as 'lucas-storage keys add --allow' has it.",
        ),
    ]
    comment: Annotated[str, msgspec.Meta(max_length=1000, description="Whose it is.")] = ""


class OfKey(Parameters):
    """Those of one key."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=200, description="Id of the access key.")]


class Rotation(Parameters):
    """The body of a request for another secret."""

    grace: Annotated[
        float, msgspec.Meta(ge=0, le=LONGEST_GRACE, description="Seconds for which former secrets are valid, at most.")
    ] = _GRACE


def key_routes(keyring: Keyring) -> list[Route]:
    """Return the routes about the keys of a keyring's file."""
    keys = _Keys(keyring)
    return [
        Route(
            path="/keys",
            name="keys",
            tag="keys",
            summary="List the access keys; for a key that allows everything.",
            answer=Keys,
            handle=keys.listed,
        ),
        Route(
            path="/keys",
            name="add_key",
            tag="keys",
            summary="Make an access key; for a key that allows everything. Its secret is shown this once.",
            answer=NewKey,
            handle=keys.add,
            method="POST",
            body=KeyToAdd,
            status=201,
        ),
        Route(
            path="/keys/{key}/rotate",
            name="rotate_key",
            tag="keys",
            summary="Give an access key another secret, shown this once; former ones are valid for the grace.",
            answer=NewKey,
            handle=keys.rotate,
            parameters=OfKey,
            method="POST",
            body=Rotation,
        ),
        _change("disable", "Refuse all requests with an access key from now on; for another key.", keys.disable),
        _change("enable", "Accept requests with a disabled access key again.", keys.enable),
        _change("remove", "Remove a disabled access key for good.", keys.remove),
    ]


def _change(action: str, summary: str, handle: Callable[[Request, OfKey], Key]) -> Route:
    """Return the route of a change that takes no body."""
    return Route(
        path=f"/keys/{{key}}/{action}",
        name=f"{action}_key",
        tag="keys",
        summary=summary,
        answer=Key,
        handle=handle,
        parameters=OfKey,
        method="POST",
        body=NoParameters,
    )


class _Keys:
    """The file of keys, for callers who may do everything and have proved it. Any thread may call it."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def listed(self, request: Request, _parameters: NoParameters) -> Keys:
        with self._file(request) as (path, _):
            return Keys(keys=tuple(map(_told, read_keys(path).values() if path.exists() else ())))

    def add(self, request: Request, _parameters: NoParameters) -> NewKey:
        statements = [Statement.parse(text) for text in request.body.allow]
        with self._file(request) as (path, check):
            key, secret = add_key(path, statements, comment=request.body.comment, check=check)
        _log(request, key, f"added, it allows {' '.join(map(ascii, map(str, statements)))}")
        return NewKey(key=_told(key), secret_key=secret)

    def rotate(self, request: Request, parameters: OfKey) -> NewKey:
        with self._file(request) as (path, check):
            key, secret = rotate_key(path, parameters.key, grace=request.body.grace, check=check)
        _log(request, key, f"given another secret, former ones are valid for {request.body.grace:g} s at most")
        return NewKey(key=_told(key), secret_key=secret)

    def disable(self, request: Request, parameters: OfKey) -> Key:
        if parameters.key == request.principal.access_key:
            raise bad_request(
                "the key that makes this request is not disabled by it; use another key that allows everything, or "
                "'lucas-storage keys disable' where the server has its data"
            )
        return self._changed(request, parameters, disable_key, "disabled")

    def enable(self, request: Request, parameters: OfKey) -> Key:
        return self._changed(request, parameters, enable_key, "enabled")

    def remove(self, request: Request, parameters: OfKey) -> Key:
        return self._changed(request, parameters, remove_key, "removed")

    def _changed(self, request: Request, parameters: OfKey, change: Callable[..., AccessKey], told: str) -> Key:
        with self._file(request) as (path, check):
            key = change(path, parameters.key, check=check)
        _log(request, key, told)
        return _told(key)

    @contextmanager
    def _file(self, request: Request) -> Iterator[tuple[Path, Check]]:
        """Yield the file of keys, and the check that the caller may still change it.

        Raises:
            PermissionError: The caller may not, or the server has no keys, so that anybody could shut out its owner.
            Refusal: 409, the key is not as it must be; 401, the caller was disabled meanwhile.
            StorageError: The file cannot be read or written.
        """
        if self._keyring.is_open or self._keyring.path is None:
            raise PermissionError(
                "a server without access keys gets its first one from its owner; run 'lucas-storage keys add --data "
                "DIR' where it has its data"
            )
        if not request.principal.may_everything:
            raise PermissionError("access keys are for callers whose key allows everything; use one made with --admin")
        try:
            yield self._keyring.path, lambda: self._check(request)
        except PreconditionFailedError as error:
            # 412, which it is elsewhere, is for conditions that the request states
            raise Refusal(409, error.code, error.message) from None
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"the server cannot use its file of access keys ({error.strerror}); allow it") from error

    def _check(self, request: Request) -> None:
        # a caller whose key was disabled while it waited for its turn must not leave another key behind
        if not self._keyring.still_holds(request.principal):
            raise unproved(UnauthenticatedError(ENDED))


def _log(request: Request, key: AccessKey, what: str) -> None:
    """Write the line about a change: who, and which key; never a secret, and nothing that a caller wrote."""
    log.info("access key %s was %s, by %s", ascii(key.id), what, ascii(request.principal.access_key))


def _told(key: AccessKey) -> Key:
    return Key(
        id=key.id,
        disabled=key.disabled,
        comment=key.comment,
        created_at=key.created_at,
        changed_at=key.changed_at,
        former_until=key.former_until(time.time()),
        statements=tuple(map(str, key.statements)),
    )
