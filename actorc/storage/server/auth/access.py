"""Who may do what: statements that allow, and nothing that forbids. What no statement allows is denied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from actorc.storage.errors import BucketNotFoundError, InvalidParameterError, PermissionError

ACTIONS: Final = ("read", "list", "write", "delete", "presign", "admin")
"""``write`` includes the multipart family; ``admin`` makes and removes buckets, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Allows actions on the objects of some buckets whose keys begin with a prefix.

    Written ``read,list:team-*/reports/``: actions, a glob of bucket names, and behind the first slash the prefix, which
    is compared as it is, so it usually ends with a slash of its own.
    """

    actions: frozenset[str]
    buckets: str
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> Statement:
        """Return the statement that `text` writes.

        Raises:
            InvalidParameterError: It is none, names an unknown action, or grants ``admin`` on a part of a bucket.
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

    def concerns(self, bucket: str) -> bool:
        """Return whether anything is allowed in the bucket."""
        return fnmatchcase(bucket, self.buckets)


EVERYTHING: Final = Statement(actions=frozenset(ACTIONS), buckets="*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who makes calls, and what is allowed to them."""

    access_key: str = ""
    """Who it is; empty for anybody."""
    statements: tuple[Statement, ...] = ()

    def prefixes(self, action: str, bucket: str) -> tuple[str, ...]:
        """Return what the keys begin with on which the action is allowed; none: it is not allowed in the bucket."""
        return tuple(each.prefix for each in self.statements if action in each.actions and each.concerns(bucket))

    def may(self, action: str, bucket: str, key: str = "") -> bool:
        """Return whether the action is allowed on the object, or without a key on the whole bucket."""
        return key.startswith(self.prefixes(action, bucket))

    def knows(self, bucket: str) -> bool:
        """Return whether anything is allowed in the bucket, so that its existence is no secret."""
        return any(each.concerns(bucket) for each in self.statements)

    def demand(self, action: str, bucket: str, key: str = "") -> None:
        """Refuse what is not allowed, in the same way whether or not it exists.

        Raises:
            PermissionError: The action is not allowed on the object, or without a key on the whole bucket.
        """
        if not self.may(action, bucket, key):
            raise self.refusal(action, bucket, key)

    def refusal(self, action: str, bucket: str, key: str = "") -> PermissionError:
        """Return the error that says what is missing."""
        return PermissionError(
            f"the access key {self.access_key or '(none)'} does not allow '{action}' here; "
            f"use one made with --allow '{action}:{bucket or '*'}', or with a prefix of the key",
            bucket or None,
            key or None,
        )

    def unmade(self, bucket: str, key: str | None) -> BucketNotFoundError:
        """Return the error for a write to a bucket that is not there, which this caller may not make."""
        return BucketNotFoundError(
            f"the bucket does not exist, and the access key {self.access_key or '(none)'} may not make it; use one "
            f"made with --allow 'admin:{bucket}' for `lucas-storage mb`, or start the server with "
            "--auto-create-buckets, then whoever may write there makes it",
            bucket,
            key,
        )


ANYBODY: Final = Principal(statements=(EVERYTHING,))
"""Who calls a server without keys."""
NOBODY: Final = Principal()
"""Who a caller is before it is known better."""


def visible(prefix: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """Return what those keys begin with that begin with `prefix` and with one of `allowed`.

    They are in byte order, and no key begins with two of them.
    """
    if prefix.startswith(tuple(allowed)):
        return (prefix,)
    ranges: list[str] = []
    for each in sorted({each for each in allowed if each.startswith(prefix)}, key=str.encode):
        if not ranges or not each.startswith(ranges[-1]):
            ranges.append(each)
    return tuple(ranges)
