"""Policies: to which store values go, and up to which size they travel inline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from lucas_storage import settings
from lucas_storage.declared_settings import DEFAULT_STORE

_NO_OPTIONS: Final[Mapping[str, Any]] = {}
INLINE_LEAF: Final = 4096
"""Bytes of a leaf of a safe format that travel within the reference: a round trip costs more than they do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Store of results, and limits of inline values. Holds no secret, so it may be pickled."""

    store: str = DEFAULT_STORE
    inline_max: int = 0
    """Bytes of encoded JSON data up to which it travels inline."""
    pickle: bool = True
    """Whether a value that no other format holds may be pickled."""

    def is_inline(self, size: int) -> bool:
        """Return whether a leaf of `size` bytes travels within its reference."""
        return is_inline(size, self.inline_max)


def is_inline(size: int, inline_max: int) -> bool:
    """Return whether a leaf of `size` bytes travels within its reference under this limit."""
    return size <= most_inline(inline_max)


def most_inline(inline_max: int) -> int:
    """Return the most bytes of a leaf that travels within its reference under this limit; -1 if none does."""
    return min(INLINE_LEAF, inline_max) if inline_max > 0 else -1


class Policies(Protocol):
    """A policy that is found out when a value must be stored, since most need nothing of it but one limit."""

    @property
    def inline_max(self) -> int:
        """The limit of the policy, without the rest."""

    def __call__(self) -> Policy:
        """Return the policy."""


class ByOptions:
    """The policy of the options of a decorator, as completed by the settings.

    Args:
        options: ``store``, ``inline_max`` and ``pickle``; None, or missing, takes the setting.
        present: The settings of the call that the policy is for, which is then found out once; None if it is for many,
            each of which goes by the settings in force when it asks.
    """

    __slots__ = ("_known", "_options", "_present")

    def __init__(self, options: Mapping[str, Any] = _NO_OPTIONS, present: settings.StepSettings | None = None) -> None:
        self._options = options
        self._present = present
        self._known: Policy | None = None

    @property
    def inline_max(self) -> int:
        """The limit, at a fraction of the cost of the whole policy."""
        given: int | None = self._options.get("inline_max")
        return (self._present or settings.of_step()).inline_max if given is None else given

    def __call__(self) -> Policy:
        """Return the policy."""
        if self._known is not None:
            return self._known
        policy = Policy(
            store=self._store(), inline_max=self.inline_max, pickle=self._options.get("pickle") is not False
        )
        if self._present is not None:
            self._known = policy
        return policy

    def _store(self) -> str:
        given = self._options.get("store")
        return (
            (self._present or settings.of_step()).store if given is None else settings.resolve(store=given).store.value
        )


@dataclass(frozen=True, slots=True)
class Fixed:
    """A policy that is known."""

    policy: Policy

    @property
    def inline_max(self) -> int:
        """The limit."""
        return self.policy.inline_max

    def __call__(self) -> Policy:
        """Return the policy."""
        return self.policy
