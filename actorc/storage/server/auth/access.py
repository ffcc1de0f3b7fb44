"""Permissions: statements that allow actions. There are none that forbid; what no statement allows is denied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Final

from actorc.storage.errors import BucketNotFoundError, InvalidParameterError, PermissionError

ACTIONS: Final = ("read", "list", "write", "delete", "presign", "admin")
"""``write`` includes multipart uploads; ``admin`` is for creating and removing buckets, and nothing else."""
_MOST_KNOWN: Final = 256
"""Actions and buckets for which a principal knows the prefixes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Allows actions on objects whose bucket matches a glob and whose keys begin with a prefix.

    Written ``read,list:team-*/reports/``: actions, a glob of bucket names, and behind the first slash the prefix. The
    prefix is compared as it is, so it usually ends with a slash of its own.
    """

    actions: frozenset[str]
    buckets: str
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> Statement:
        """Return the statement that `text` describes.

        Raises:
            InvalidParameterError: It is no statement, has an unknown action, or allows ``admin`` on a part of a bucket.
        """
        names, colon, place = text.partition(":")
        buckets, _, prefix = place.partition("/")
        actions = frozenset(name.strip() for name in names.split(","))
        if not colon or not buckets:
            raise InvalidParameterError(
                f"{text!r} is no permission; write ACTIONS:BUCKETS/PREFIX, such as read:my-*/a/"
            )
        if unknown := sorted(actions.difference(ACTIONS)):
            raise InvalidParameterError(f"{unknown[0]!r} is no action; use some of {', '.join(ACTIONS)}")
        if "admin" in actions and prefix:
            raise InvalidParameterError("'admin' is about whole buckets; allow it without a prefix")
        return cls(actions=actions, buckets=buckets, prefix=prefix)

    def __str__(self) -> str:
        actions = ",".join(action for action in ACTIONS if action in self.actions)
        return f"{actions}:{self.buckets}" + (f"/{self.prefix}" if self.prefix else "")

    def covers(self, bucket: str) -> bool:
        """Return whether the statement allows anything in the bucket."""
        return fnmatchcase(bucket, self.buckets)


EVERYTHING: Final = Statement(actions=frozenset(ACTIONS), buckets="*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller and its permissions."""

    access_key: str = ""
    """Id of its access key; empty on a server without keys."""
    statements: tuple[Statement, ...] = ()
    proved_with: bytes = field(default=b"", repr=False, compare=False)
    """What is derived from the secret that proved it; empty if none did."""
    _known: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Prefixes that were asked for; they never change, since keys that are read again make other principals."""

    def prefixes(self, action: str, bucket: str) -> tuple[str, ...]:
        """Return the prefixes of keys on which the action is allowed; empty: it is not allowed in the bucket."""
        found = self._known.get((action, bucket))
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            # no lock: threads that meet here find the same
            found = tuple(each.prefix for each in self.statements if action in each.actions and each.covers(bucket))
            self._known[action, bucket] = found
        return found

    def may(self, action: str, bucket: str, key: str = "") -> bool:
        """Return whether the action is allowed on the object, or without a key on the whole bucket."""
        return key.startswith(self.prefixes(action, bucket))

    def knows(self, bucket: str) -> bool:
        """Return whether anything is allowed in the bucket, so that the caller may know that it exists."""
        return any(each.covers(bucket) for each in self.statements)

    @property
    def may_everything(self) -> bool:
        """Whether one statement allows every action everywhere, so that the caller may hand out any permission."""
        return any(
            each.actions.issuperset(ACTIONS) and (each.buckets, each.prefix) == ("*", "") for each in self.statements
        )

    def narrowed(self, actions: frozenset[str]) -> Principal:
        """Return the caller with no more than these of its actions."""
        kept = (replace(each, actions=each.actions & actions) for each in self.statements)
        return replace(self, statements=tuple(each for each in kept if each.actions))

    def demand(self, action: str, bucket: str, key: str = "") -> None:
        """Raise if the action is not allowed; the error is the same whether or not the object exists.

        Raises:
            PermissionError: The action is not allowed on the object, or without a key on the whole bucket.
        """
        if not self.may(action, bucket, key):
            raise self.refusal(action, bucket, key)

    def refusal(self, action: str, bucket: str, key: str = "") -> PermissionError:
        """Return the error that names the missing permission."""
        return PermissionError(
            f"the access key {self.access_key or '(none)'} does not allow '{action}' here; "
            f"use one made with --allow '{action}:{bucket or '*'}', or with a prefix of the key",
            bucket or None,
            key or None,
        )

    def missing_bucket_error(self, bucket: str, key: str | None) -> BucketNotFoundError:
        """Return the error for a write to a missing bucket that this caller may not create."""
        return BucketNotFoundError(
            f"the bucket does not exist, and the access key {self.access_key or '(none)'} may not make it; use one "
            f"made with --allow 'admin:{bucket}' for `lucas-storage mb`, or start the server with "
            "--auto-create-buckets, then whoever may write there makes it",
            bucket,
            key,
        )


ANYBODY: Final = Principal(statements=(EVERYTHING,))
"""The caller of a server without keys."""
NOBODY: Final = Principal()
"""A caller that has not proved a key yet."""


def visible(prefix: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """Return the prefixes of the keys that begin with `prefix` and with one of `allowed`.

    They are in byte order, and none of them is a prefix of another.
    """
    if prefix.startswith(tuple(allowed)):
        return (prefix,)
    ranges: list[str] = []
    for each in sorted({each for each in allowed if each.startswith(prefix)}, key=str.encode):
        if not ranges or not each.startswith(ranges[-1]):
            ranges.append(each)
    return tuple(ranges)
