"""Reads and changes access keys: in the file of a data directory of this user, or over the API of the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from actorc.storage.errors import (
    InvalidParameterError,
    NotFoundError,
    PermissionError,
    PreconditionFailedError,
    StorageError,
    UnsupportedError,
)
from lucas_storage.local_service.access_keys import FileKeys, KeyChanges
from lucas_storage.ui.pages.access_keys import (
    ACTIONS,
    GRACES,
    Permission,
    ShownKey,
    access_key_page,
    access_keys_page,
    refused_page,
    secret_page,
    stale_page,
)
from lucas_storage.ui.pages.page import Page

from .request import Request

if TYPE_CHECKING:
    from actorc.storage.access_keys import AccessKeyResult, NewAccessKeyResult

_COMMENT_MAX: Final = 1000
_REFUSALS: Final[dict[type[StorageError], int]] = {
    InvalidParameterError: 400,
    NotFoundError: 404,
    PreconditionFailedError: 409,
}
"""Statuses of HTTP for changes that cannot be made."""
_CHANGES: Final[dict[str, Callable[[KeyChanges, str], object]]] = {
    "disable": lambda keys, key_id: keys.disable_key(key_id),
    "enable": lambda keys, key_id: keys.enable_key(key_id),
    "remove": lambda keys, key_id: keys.remove_key(key_id),
}


def access_keys(request: Request) -> Page:
    """Return the list of access keys, for who may change them."""
    return access_keys_page(_listed(request), request.memory.new_form(), request.reader)


def access_key(request: Request) -> Page:
    """Return the page of one access key."""
    key_id = request.text("id")
    found = next((each for each in _listed(request) or () if each.id == key_id), None)
    if found is None:
        raise NotFoundError(request.reader.words("access.not_here"))
    return access_key_page(found, request.memory.new_form(), request.reader)


def add_access_key(request: Request) -> Page:
    """Make an access key; return the page that shows its secret."""
    return _once(_added, request)


def change_access_key(request: Request) -> Page:
    """Change an access key; return the page that shows its new secret, or what has become of it."""
    return _once(_changed, request)


def _once(change: Callable[[Request], Page], request: Request) -> Page:
    """Do what a form is for, unless it was sent before; return the page about that."""
    try:
        if not request.memory.is_first(request.text("once")):
            return stale_page(request.reader)
        return change(request)
    except (InvalidParameterError, NotFoundError, PreconditionFailedError) as error:
        status = next(number for kind, number in _REFUSALS.items() if isinstance(error, kind))
        return refused_page(error.message, status, request.reader)


def _added(request: Request) -> Page:
    chosen = [name for name in ACTIONS if name in request.all("action")]
    prefix = request.query.get("prefix", "")
    statement = f"{','.join(chosen)}:{request.text('buckets')}" + (f"/{prefix}" if prefix else "")
    comment = request.query.get("comment", "")[:_COMMENT_MAX]
    keys = _keys(request)
    return _shown_once(keys.add_key([statement], comment=comment), keys, request)


def _changed(request: Request) -> Page:
    key_id, change = request.text("id"), request.text("change")
    keys = _keys(request)
    if change == "rotate":
        grace = request.number("grace", max(GRACES))
        return _shown_once(keys.rotate_key(key_id, grace=grace), keys, request)
    if change not in _CHANGES:
        raise InvalidParameterError(f"{change!r} is no change of a key")
    _CHANGES[change](keys, key_id)
    return access_keys(request) if change == "remove" else access_key(request)


def _keys(request: Request) -> KeyChanges:
    from actorc.storage.access_keys import AccessKeys  # noqa: PLC0415  # loads gRPC
    from actorc.storage.server.config import KEYS_FILE  # noqa: PLC0415

    return AccessKeys(request.storage) if request.data is None else FileKeys(request.data / KEYS_FILE)


def _listed(request: Request) -> list[ShownKey] | None:
    """Return the keys; None if they are not this user's to see."""
    try:
        found = _keys(request).list_keys()
    except (PermissionError, UnsupportedError):
        return None
    except StorageError:
        # A file of another user, or one that is damaged; the server's log says which.
        if request.data is None:
            raise
        return None
    return [_shown(each, request) for each in found]


def _shown(key: AccessKeyResult, request: Request) -> ShownKey:
    return ShownKey(
        id=key["access_key"],
        disabled=key["disabled"],
        created_at=key["created_at"],
        changed_at=key["changed_at"],
        former_until=key["former_until"],
        comment=key["comment"],
        permissions=tuple(map(_permission, key["allow"])),
        is_own=key["access_key"] == request.storage.access_key,
    )


def _permission(statement: str) -> Permission | str:
    names, _, place = statement.partition(":")
    buckets, _, prefix = place.partition("/")
    actions = names.split(",")
    if not buckets or not set(actions) <= set(ACTIONS):
        return statement
    return Permission(actions=tuple(actions), buckets=buckets, prefix=prefix)


def _shown_once(made: NewAccessKeyResult, keys: KeyChanges, request: Request) -> Page:
    exposed = getattr(keys, "is_exposed", lambda: False)()
    return secret_page(made["access_key"], made["secret_key"], made["former_until"], request.reader, exposed=exposed)
