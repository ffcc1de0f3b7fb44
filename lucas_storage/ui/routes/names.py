"""Reads names, garbage and access keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorc.storage.errors import StorageError
from lucas_storage import settings
from lucas_storage.gc.collect import collect
from lucas_storage.gc.plan import FateState
from lucas_storage.gc.policy import stored_policy
from lucas_storage.records.name_listing import published_names
from lucas_storage.ui.pages.access_keys import Permission, ShownKey, access_keys_page
from lucas_storage.ui.pages.garbage import STATES, GarbageView, garbage_page
from lucas_storage.ui.pages.names import names_page
from lucas_storage.ui.pages.page import Page

from .request import Request

if TYPE_CHECKING:
    from actorc.storage.server.auth.access_keys import AccessKey


def names(request: Request) -> Page:
    """Return the list of published names."""
    return names_page(published_names(request.storage), request.reader)


def garbage(request: Request) -> Page:
    """Return the page about the next collection, after one that removes nothing."""
    present = settings.resolve()
    grace, ttl = present.grace.value, present.ttl.value
    policy = stored_policy(request.storage)
    found = collect(request.storage, grace=grace, ttl=ttl, policy=policy)
    state: FateState = next((each for each in STATES if each == request.query.get("state")), "due")
    return garbage_page(GarbageView(found=found, grace=grace, ttl=policy.seconds(ttl), state=state), request.reader)


def access_keys(request: Request) -> Page:
    """Return the list of access keys, where their file is this user's."""
    return access_keys_page(_keys(request), request.reader)


def _keys(request: Request) -> list[ShownKey] | None:
    from actorc.storage.server.auth.key_file import read_keys  # noqa: PLC0415  # loads gRPC
    from actorc.storage.server.config import KEYS_FILE  # noqa: PLC0415

    if request.data is None:
        return None
    file = request.data / KEYS_FILE
    if not file.exists():
        return []
    try:
        found = read_keys(file)
    except StorageError:
        return None
    return [_shown(key) for key in found.values()]


def _shown(key: AccessKey) -> ShownKey:
    from actorc.storage.server.auth.access import ACTIONS  # noqa: PLC0415  # as above

    permissions = (
        Permission(
            actions=tuple(name for name in ACTIONS if name in each.actions), buckets=each.buckets, prefix=each.prefix
        )
        for each in key.statements
    )
    return ShownKey(
        id=key.id,
        disabled=key.disabled,
        created_at=key.created_at,
        comment=key.comment,
        permissions=tuple(permissions),
    )
