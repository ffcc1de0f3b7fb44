"""Access keys as servers know them: what proves them, what they allow, and until when."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from actorc.storage._wire.call_signing import derived_key
from actorc.storage.errors import InvalidParameterError

from .access import EVERYTHING, Principal, Statement

MOST_FORMER: Final = 2
"""Former secrets of a key that are valid at the same time, beside its secret."""
_BASE32: Final = string.ascii_uppercase + "234567"
_ID_CHARACTERS: Final = 18
_SECRET_BYTES: Final = 30
_ID: Final = re.compile(rf"AK[{_BASE32}]{{{_ID_CHARACTERS}}}")
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{40}")
"""The text of `_SECRET_BYTES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerSecret:
    """A secret that another one has replaced, and which is valid for a while."""

    key: bytes = field(repr=False)
    """The result of `derived_key` for the secret."""
    until: datetime
    """Aware, UTC; from then on it proves nothing."""


@dataclass(frozen=True, kw_only=True)
class AccessKey:
    """One access key, as servers know it."""

    id: str
    """``AK`` and 18 characters; not secret."""
    key: bytes = field(repr=False)
    """The result of `derived_key` for the secret."""
    created_at: datetime
    """Aware, UTC."""
    changed_at: datetime | None = None
    """When it was last enabled, disabled or given another secret; aware, UTC. None: never."""
    disabled: bool = False
    comment: str = ""
    statements: tuple[Statement, ...] = ()
    former: tuple[FormerSecret, ...] = ()
    """Former secrets, the latest first."""

    @property
    def may_everything(self) -> bool:
        """Whether the key is enabled and allows everything."""
        return not self.disabled and self.principal.may_everything

    @cached_property
    def principal(self) -> Principal:
        """The caller that the secret identifies; one object, which learns what is allowed where."""
        return self._principals[self.key]

    def has_valid(self, key: bytes, now: float) -> bool:
        """Return whether this is derived from a secret of the key that is valid.

        Args:
            key: What is derived from some secret.
            now: Seconds since 1970-01-01 UTC.
        """
        return key == self.key or (bool(self.former) and key in self.valid_keys(now))

    def principal_of(self, key: bytes) -> Principal:
        """Return the caller that one of its secrets identifies; the same object every time."""
        return self._principals[key]

    def valid_keys(self, now: float) -> tuple[bytes, ...]:
        """Return what is derived from its secrets that are valid, the latest first.

        Args:
            now: Seconds since 1970-01-01 UTC.
        """
        return (self.key, *(each.key for each in self.former if now < each.until.timestamp()))

    def former_until(self, now: float) -> datetime | None:
        """Return when the last of its former secrets ends; None if none is valid any more."""
        valid = [each.until for each in self.former if now < each.until.timestamp()]
        return max(valid) if valid and not self.disabled else None

    @cached_property
    def _principals(self) -> dict[bytes, Principal]:
        made = (self.key, *(each.key for each in self.former))
        return {key: Principal(access_key=self.id, statements=self.statements, proved_with=key) for key in made}


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key that is in no file, from `own_key`."""

    key: AccessKey
    closes: bool
    """Whether a server with it refuses all other callers from the start; if not, keys in the file make it do so."""


def new_key(statements: Sequence[Statement], comment: str = "") -> tuple[AccessKey, str]:
    """Return a key and its secret, which is stored nowhere."""
    key, secret = new_secret()
    made = AccessKey(
        id="AK" + "".join(secrets.choice(_BASE32) for _ in range(_ID_CHARACTERS)),
        key=key,
        created_at=present(),
        comment=comment,
        statements=tuple(statements),
    )
    return made, secret


def new_secret() -> tuple[bytes, str]:
    """Return what is derived from a new secret, and the secret."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return derived_key(secret), secret


def own_key(*, closes: bool, former: Mapping[str, Any] | None = None) -> tuple[OwnKey, str]:
    """Return a key that allows everything and is in no file, and its secret; the server gives it to its own user only.

    Args:
        closes: Whether all other callers are refused, even if there are no other keys.
        former: ``access_key`` and ``secret_key`` that the server before this one had, which are kept; values that no
            server makes are replaced.
    """
    key, secret = new_key([EVERYTHING])
    told = former or {}
    former_id, former_secret = str(told.get("access_key")), str(told.get("secret_key"))
    if _ID.fullmatch(former_id) and _SECRET.fullmatch(former_secret):
        key, secret = replace(key, id=former_id, key=derived_key(former_secret)), former_secret
    return OwnKey(key, closes=closes), secret


def present() -> datetime:
    """Return the present time in whole seconds, aware, UTC."""
    return datetime.now(UTC).replace(microsecond=0)


def as_record(key: AccessKey) -> dict[str, Any]:
    """Return a key in a form for JSON; it contains derived keys, so it is a secret."""
    record = {
        "id": key.id,
        "key": key.key.hex(),
        "created_at": key.created_at.isoformat(),
        "disabled": key.disabled,
        "comment": key.comment,
        "allow": [str(statement) for statement in key.statements],
    }
    if key.changed_at is not None:
        record["changed_at"] = key.changed_at.isoformat()
    if key.former:
        record["former"] = [{"key": each.key.hex(), "until": each.until.isoformat()} for each in key.former]
    return record


def from_record(record: Mapping[str, Any]) -> AccessKey:
    """Return the key that `as_record` returned.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: The record is no key.
    """
    if not isinstance(record["disabled"], bool):
        raise InvalidParameterError("'disabled' is true or false")
    changed_at = record.get("changed_at")
    return AccessKey(
        id=str(record["id"]),
        key=bytes.fromhex(record["key"]),
        created_at=_time(record["created_at"]),
        changed_at=None if changed_at is None else _time(changed_at),
        disabled=record["disabled"],
        comment=str(record.get("comment", "")),
        statements=tuple(Statement.parse(text) for text in record["allow"]),
        former=tuple(map(_former_secret, record.get("former", ())))[:MOST_FORMER],
    )


def _former_secret(record: Mapping[str, Any]) -> FormerSecret:
    return FormerSecret(key=bytes.fromhex(record["key"]), until=_time(record["until"]))


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    # a file that was edited by hand may lack the offset
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
