"""Access keys with what they allow in words, and the forms that change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lucas_storage.ui.elements import (
    Html,
    badge,
    element,
    facts,
    joined,
    lines,
    link,
    note,
    problem,
    prose,
    section,
    table,
)

from .page import Page, Reader
from .shown import when

ACTIONS: Final = ("read", "list", "write", "delete", "presign", "admin")
"""What a statement may allow, in the order in which it is told."""
GRACES: Final = (0, 3600, 86400, 604800)
"""Seconds for which a former secret may work; an hour unless another is chosen."""
_HOUR: Final = 3600
_DAY: Final = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One statement of a key."""

    actions: tuple[str, ...]
    """Some of `ACTIONS`."""
    buckets: str
    """A glob."""
    prefix: str
    """With which keys begin; empty: all keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """An access key without what proves it. Its texts are anybody's."""

    id: str
    disabled: bool
    created_at: datetime
    changed_at: datetime | None
    former_until: datetime | None
    comment: str
    permissions: tuple[Permission | str, ...]
    """Statements; one that this program does not know is told as it is written."""
    is_own: bool = False
    """Whether this program uses it, so that it is not ended here."""


def access_keys_page(found: Sequence[ShownKey] | None, once: str, reader: Reader) -> Page:
    """Return the list of keys, and the form for another one.

    Args:
        found: The keys, oldest first; None if they are not this user's to see.
        once: Lets a form of this page be sent.
        reader: For whom.
    """
    words = reader.words
    if found is None:
        body: Html = note(words("access.elsewhere"))
    elif not found:
        body = joined(note(words("access.none")), note(words("access.first")))
    else:
        head = [words(f"access.{name}") for name in ("key", "state", "made", "allows", "comment")]
        rows = (_row(each, reader) for each in found)
        body = joined(
            table(words("menu.access"), head, rows), note(words("access.how")), _form_for_another(once, reader)
        )
    return Page(title=words("menu.access"), body=body, menu="access")


def access_key_page(key: ShownKey, once: str, reader: Reader) -> Page:
    """Return the page of one key, with the forms that change it.

    Args:
        key: The key.
        once: Lets one of its forms be sent.
        reader: For whom.
    """
    words = reader.words
    told = facts(
        {
            words("access.state"): _state(key, reader),
            words("access.allows"): _allowed(key, reader),
            words("access.comment"): key.comment,
            words("access.made"): when(key.created_at),
            words("access.changed"): None if key.changed_at is None else when(key.changed_at),
            words("access.former"): None if key.former_until is None else when(key.former_until),
        }
    )
    changes = [_rotation(key, once, reader)]
    if key.disabled:
        changes += [_change(key, name, once, reader) for name in ("enable", "remove")]
    elif key.is_own:
        changes.append(note(words("access.own")))
    else:
        changes.append(_change(key, "disable", once, reader))
    return Page(title=key.id, body=joined(told, *changes, _back(reader)), menu="access")


def secret_page(key_id: str, secret: str, former_until: datetime | None, reader: Reader, *, exposed: bool) -> Page:
    """Return the page that shows a new secret, once.

    Args:
        key_id: Of the key.
        secret: The secret.
        former_until: When the last of its former secrets ends; None if none is valid.
        reader: For whom.
        exposed: Whether it came from another machine without TLS.
    """
    words = reader.words
    variables = f"STORAGE_ACCESS_KEY={key_id}\nSTORAGE_SECRET_KEY={secret}"
    former = None if former_until is None else facts({words("access.former"): when(former_until)})
    body = joined(
        element("p", element("strong", words("access.once")), role="status"),
        lines(variables, words("access.variables")),
        element("p", words("access.exposed"), class_="problem") if exposed else None,
        former,
        _back(reader),
    )
    return Page(title=words("access.secret", key=key_id), body=body, menu="access")


def stale_page(reader: Reader) -> Page:
    """Return the page in place of what a form did that is sent a second time."""
    words = reader.words
    body = joined(note(words("access.stale_why")), _back(reader))
    return Page(title=words("access.stale"), body=body, menu="access", status=409)


def refused_page(message: str, status: int, reader: Reader) -> Page:
    """Return the page about a change that cannot be made.

    Args:
        message: Why.
        status: Of HTTP.
        reader: For whom.
    """
    body = joined(problem(prose(message)), _back(reader))
    return Page(title=reader.words("access.refused"), body=body, menu="access", status=status)


def _back(reader: Reader) -> Html:
    return element("p", link(reader.links.to("access"), reader.words("access.back")))


def _row(key: ShownKey, reader: Reader) -> tuple[str, ...]:
    name = link(reader.links.to("key", id=key.id), key.id, class_="id")
    return name, _state(key, reader), when(key.created_at), _allowed(key, reader), key.comment


def _state(key: ShownKey, reader: Reader) -> Html:
    if key.disabled:
        return badge(reader.words("access.disabled"), "failed")
    return badge(reader.words("access.enabled"), "succeeded")


def _allowed(key: ShownKey, reader: Reader) -> Html:
    return joined(*(element("div", _told(each, reader)) for each in key.permissions))


def _told(permission: Permission | str, reader: Reader) -> str:
    if isinstance(permission, str):
        return permission
    words = reader.words
    actions = words("access.and").join(words(f"action.{name}") for name in permission.actions)
    buckets = (
        words("access.all_buckets") if permission.buckets == "*" else words("access.buckets", glob=permission.buckets)
    )
    place = words("access.prefix", prefix=permission.prefix) if permission.prefix else ""
    return words("access.sentence", actions=actions, buckets=buckets) + place


def _form(page: str, once: str, reader: Reader, *children: str | None, **hidden: str) -> Html:
    fields = (
        element("input", type="hidden", name=name, value=value) for name, value in {"once": once, **hidden}.items()
    )
    # What is typed here is no business of what a browser fills in elsewhere.
    return element("form", *fields, *children, method="post", action=reader.links.to(page), autocomplete="off")


def _form_for_another(once: str, reader: Reader) -> Html:
    words = reader.words
    boxes = (
        element(
            "label",
            element("input", type="checkbox", name="action", value=name),
            element("span", words(f"action.{name}")),
            class_="box",
        )
        for name in ACTIONS
    )
    form = _form(
        "access",
        once,
        reader,
        element("fieldset", element("legend", words("access.may")), *boxes),
        element("label", words("access.in_buckets"), element("input", name="buckets", value="*", required=True)),
        element("label", words("access.below"), element("input", name="prefix")),
        element("label", words("access.comment"), element("input", name="comment", maxlength=1000)),
        element("button", words("access.add"), type="submit"),
    )
    return section(words("access.new"), form, note(words("access.all_of_it")))


def _rotation(key: ShownKey, once: str, reader: Reader) -> Html:
    words = reader.words
    options = (
        element("option", _length(seconds, reader), value=str(seconds), selected=seconds == _HOUR) for seconds in GRACES
    )
    grace = element("label", words("access.grace"), element("select", *options, name="grace"))
    button = element("button", words("access.rotate"), type="submit")
    form = _form("key", once, reader, grace, button, id=key.id, change="rotate")
    return section(words("access.rotate"), note(words("access.rotate_does")), form)


def _length(seconds: int, reader: Reader) -> str:
    words = reader.words
    if seconds == 0:
        return words("access.at_once")
    return (
        words("access.days", count=seconds // _DAY)
        if seconds >= _DAY
        else words("access.hours", count=seconds // _HOUR)
    )


def _change(key: ShownKey, name: str, once: str, reader: Reader) -> Html:
    words = reader.words
    button = element("button", words(f"access.{name}"), type="submit")
    form = _form("key", once, reader, button, id=key.id, change=name)
    return section(words(f"access.{name}"), note(words(f"access.{name}_does")), form)
