"""Routes about access keys, for callers who may do everything anyway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import msgspec

from actorc.storage.errors import PermissionError, StorageError
from actorc.storage.server.auth.access import Statement
from actorc.storage.server.auth.key_file import AccessKey, add_key, disable_key, read_keys
from actorc.storage.server.auth.keyring import Keyring

from .routes import NoParameters, Parameters, Request, Route, bad_request

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
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The access keys of the server, oldest first."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was made, and its secret, which is shown this once and kept nowhere."""

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


def key_routes(keyring: Keyring) -> list[Route]:
    """Return the routes about the keys of a keyring's file."""
    return [
        Route(
            path="/keys",
            name="keys",
            tag="keys",
            summary="List the access keys; for a key that allows everything.",
            answer=Keys,
            handle=partial(_keys, keyring),
        ),
        Route(
            path="/keys",
            name="add_key",
            tag="keys",
            summary="Make an access key; for a key that allows everything. Its secret is shown this once.",
            answer=NewKey,
            handle=partial(_add, keyring),
            method="POST",
            body=KeyToAdd,
            status=201,
        ),
        Route(
            path="/keys/{key}/disable",
            name="disable_key",
            tag="keys",
            summary="Refuse all requests with an access key from now on; for another key that allows everything.",
            answer=Key,
            handle=partial(_disable, keyring),
            parameters=OfKey,
            method="POST",
            body=NoParameters,
        ),
    ]


def _keys(keyring: Keyring, request: Request, _parameters: NoParameters) -> Keys:
    with _file(keyring, request) as path:
        return Keys(keys=tuple(map(_told, read_keys(path).values() if path.exists() else ())))


def _add(keyring: Keyring, request: Request, _parameters: NoParameters) -> NewKey:
    statements = [Statement.parse(text) for text in request.body.allow]
    with _file(keyring, request) as path:
        key, secret = add_key(path, statements, comment=request.body.comment)
    return NewKey(key=_told(key), secret_key=secret)


def _disable(keyring: Keyring, request: Request, parameters: OfKey) -> Key:
    if parameters.key == request.principal.access_key:
        raise bad_request("the key that makes this request is not disabled by it; use another one")
    with _file(keyring, request) as path:
        return _told(disable_key(path, parameters.key))


@contextmanager
def _file(keyring: Keyring, request: Request) -> Iterator[Path]:
    """Yield the file of keys, for a caller who may do everything and has proved it.

    Raises:
        PermissionError: The caller may not, or the server has no keys, so that anybody could shut out its owner.
        StorageError: The file cannot be read or written.
    """
    if keyring.is_open or keyring.path is None:
        raise PermissionError(
            "a server without access keys gets its first one from its owner; run 'lucas-storage keys add' there"
        )
    if not request.principal.may_everything:
        raise PermissionError("access keys are for callers whose key allows everything; use one made with --admin")
    try:
        yield keyring.path
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"the server cannot use its file of access keys ({error.strerror}); allow it") from error


def _told(key: AccessKey) -> Key:
    return Key(
        id=key.id,
        disabled=key.disabled,
        comment=key.comment,
        created_at=key.created_at,
        statements=tuple(map(str, key.statements)),
    )
