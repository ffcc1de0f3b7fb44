"""Access keys of a server on this machine, with what they allow in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lucas_storage.ui.elements import Html, badge, element, joined, note, table

from .page import Page, Reader
from .shown import when


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One statement of a key."""

    actions: tuple[str, ...]
    """Their names, in the order in which they are told."""
    buckets: str
    """A glob."""
    prefix: str
    """With which keys begin; empty: all keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """An access key without what proves it."""

    id: str
    disabled: bool
    created_at: datetime
    comment: str
    permissions: tuple[Permission, ...]


def access_keys_page(found: Sequence[ShownKey] | None, reader: Reader) -> Page:
    """Return the list of keys.

    Args:
        found: The keys, oldest first; None if they are on another machine, or not this user's.
        reader: For whom.
    """
    words = reader.words
    if found is None:
        body: Html = note(words("access.elsewhere"))
    elif not found:
        body = note(words("access.none"))
    else:
        head = [words(f"access.{name}") for name in ("key", "state", "made", "allows", "comment")]
        body = joined(
            table(words("menu.access"), head, (_row(each, reader) for each in found)), note(words("access.how"))
        )
    return Page(title=words("menu.access"), body=body, menu="access")


def _row(key: ShownKey, reader: Reader) -> tuple[str, ...]:
    state = (
        badge(reader.words("access.disabled"), "failed")
        if key.disabled
        else badge(reader.words("access.enabled"), "succeeded")
    )
    allowed = joined(*(element("div", _told(each, reader)) for each in key.permissions))
    return key.id, state, when(key.created_at), allowed, key.comment


def _told(permission: Permission, reader: Reader) -> str:
    words = reader.words
    actions = words("access.and").join(words(f"action.{name}") for name in permission.actions)
    buckets = (
        words("access.all_buckets") if permission.buckets == "*" else words("access.buckets", glob=permission.buckets)
    )
    place = words("access.prefix", prefix=permission.prefix) if permission.prefix else ""
    return words("access.sentence", actions=actions, buckets=buckets) + place
