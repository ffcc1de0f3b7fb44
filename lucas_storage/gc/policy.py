"""The policy of a store: how long runs count, and how many publications of a name do. `gc/policy.json` in the bucket.

::

    {"policy": 1, "keep_days": 14, "keep_last": [{"names": "model-*", "last": null}, {"names": "*", "last": 5}]}

Both fields may be missing. The names are forever, as those of every record.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from actorc.storage.errors import InvalidParameterError, NotFoundError
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.errors import PolicyError
from lucas_storage.records import record_store

KEY: Final = "gc/policy.json"
MOST_DAYS: Final = 36_500
MOST_LAST: Final = 1_000_000
MOST_RULES: Final = 100
ALL: Final = "all"
"""How a rule that keeps every publication is written."""
_VERSION: Final = 1
_DAY: Final = 86_400.0
_NAMES: Final = re.compile(r"[A-Za-z0-9._*?\[\]!-]{1,128}")
_FORM: Final = "NAMES=N, or N for all names: N is a number of publications from 1 on, or 'all'"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRule:
    """How many publications of each of some names count."""

    names: str
    """A glob: ``*``, ``?`` and ``[…]``."""
    last: int | None
    """The latest so many; None for all."""

    @classmethod
    def parse(cls, text: str) -> NameRule:
        """Return the rule that ``5``, ``model-*=5`` or ``model-*=all`` describes.

        Raises:
            InvalidParameterError: It is none of these.
        """
        names, _, number = text.rpartition("=")
        last = None if number == ALL else int(number) if number.isdecimal() and number.isascii() else 0
        rule = cls(names=names if "=" in text else "*", last=last)
        if not rule.is_valid:
            raise InvalidParameterError(f"{text!r:.160} is no rule for names; write {_FORM}")
        return rule

    @property
    def is_valid(self) -> bool:
        """Whether a policy may have it. None keeps nothing at all, in whatever way it was written."""
        is_number = self.last is None or (type(self.last) is int and 1 <= self.last <= MOST_LAST)
        return isinstance(self.names, str) and bool(_NAMES.fullmatch(self.names)) and is_number

    def __str__(self) -> str:
        return f"{self.names}={ALL if self.last is None else self.last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What collections keep. Without fields: names for ever, and runs for as long as a setting says.

    Raises:
        InvalidParameterError: A number or a name is out of range.
    """

    keep_days: int | None = None
    """Days for which runs count, with all that they used, made and need to be resumed; None leaves it to ``ttl``."""
    keep_last: tuple[NameRule, ...] = ()
    """The first whose glob matches a name is the name's; names without one keep all publications."""

    def __post_init__(self) -> None:
        days = self.keep_days
        if days is not None and not (type(days) is int and 1 <= days <= MOST_DAYS):
            raise InvalidParameterError(f"runs cannot count {days!r:.40} days; give a number from 1 to {MOST_DAYS}")
        if len(self.keep_last) > MOST_RULES:
            raise InvalidParameterError(
                f"{len(self.keep_last)} rules for names are too many; give {MOST_RULES} at most"
            )
        for rule in self.keep_last:
            if not rule.is_valid:
                raise InvalidParameterError(f"{str(rule)!r:.160} is no rule for names; write {_FORM}")

    def seconds(self, ttl: float) -> float:
        """Return for how many seconds records of runs count, where the setting says `ttl`."""
        return ttl if self.keep_days is None else self.keep_days * _DAY

    def without_days(self) -> Policy:
        """Return the same policy for names, that leaves runs to `ttl`."""
        return replace(self, keep_days=None)

    def last_of(self, name: str) -> int | None:
        """Return how many publications of a name count; None for all."""
        return next((rule.last for rule in self.keep_last if fnmatchcase(name, rule.names)), None)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        rules = [{"names": rule.names, "last": rule.last} for rule in self.keep_last]
        return {"keep_days": self.keep_days, "keep_last": rules}

    def __str__(self) -> str:
        """Return the options that make it."""
        days = [] if self.keep_days is None else [f"--keep-days {self.keep_days}"]
        return " ".join([*days, *(f"--keep-last '{rule}'" for rule in self.keep_last)])


NO_POLICY: Final = Policy()


def stored_policy(storage: ArtifactStore) -> Policy:
    """Return the policy in the default bucket of a store; `NO_POLICY` if it has none.

    Raises:
        PolicyError: It is damaged, or of a later version. What it keeps is not known, so nothing may be removed.
    """
    record = record_store.read(storage, KEY)
    if record is None:
        return NO_POLICY
    try:
        return _policy(record.content)
    except (InvalidParameterError, AttributeError, KeyError, TypeError) as error:
        raise PolicyError(
            f"{storage.bucket}/{KEY} is no policy that this version reads, so it is not known what collections keep; "
            "'lucas-storage gc policy set' writes it anew"
        ) from error


def readable_policy(storage: ArtifactStore) -> Policy:
    """Return the policy of a store, `NO_POLICY` for one that cannot be read: collections remove nothing then."""
    try:
        return stored_policy(storage)
    except PolicyError:
        return NO_POLICY


def _policy(content: dict[str, Any] | None) -> Policy:
    # Any field that is not known may keep something.
    if content is None or content["policy"] != _VERSION or content.keys() - {"policy", "keep_days", "keep_last"}:
        raise InvalidParameterError("no policy")
    rules = content.get("keep_last", ())
    if any(each.keys() - {"names", "last"} for each in rules):
        raise InvalidParameterError("no policy")
    named = (NameRule(names=each["names"], last=each["last"]) for each in rules)
    return Policy(keep_days=content.get("keep_days"), keep_last=tuple(named))


def store_policy(storage: ArtifactStore, policy: Policy) -> None:
    """Make a policy that of the default bucket of a store, in place of any other; collections that begin later obey."""
    record_store.write(storage, KEY, {"policy": _VERSION, **policy.to_json()})


def remove_policy(storage: ArtifactStore) -> None:
    """Remove the policy of a store, if it has one."""
    # There is none: that is what the caller wants.
    with contextlib.suppress(NotFoundError):
        storage.delete_object(storage.bucket, KEY)


def policy_of(keep_days: int | None, keep_last: Sequence[str]) -> Policy:
    """Return the policy that options describe.

    Raises:
        InvalidParameterError: One of them is wrong.
    """
    return Policy(keep_days=keep_days, keep_last=tuple(map(NameRule.parse, keep_last)))
