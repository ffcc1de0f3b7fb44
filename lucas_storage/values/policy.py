"""Policies: to which store values go, and up to which size they travel inline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from lucas_storage import settings
from lucas_storage.declared_settings import DEFAULT_STORE

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
        return self.inline_max > 0 and size <= min(INLINE_LEAF, self.inline_max)


class Policies(Protocol):
    """A policy that is found out when a value must be stored, since most need nothing of it but one limit."""

    @property
    def inline_max(self) -> int:
        """The limit of the policy, without the rest."""

    def __call__(self) -> Policy:
        """Return the policy."""


@dataclass(frozen=True, slots=True)
class ByOptions:
    """The policy of the options of a decorator, as completed by the settings in force when it is asked for."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """``store``, ``inline_max`` and ``pickle``; None, or missing, takes the setting."""
    present: settings.StepSettings | None = None
    """Where to look for the limit; None looks it up."""

    @property
    def inline_max(self) -> int:
        """The limit, at a fraction of the cost of the whole policy."""
        given: int | None = self.options.get("inline_max")
        return (self.present or settings.of_step()).inline_max if given is None else given

    def __call__(self) -> Policy:
        """Return the policy."""
        present = settings.resolve(store=self.options.get("store"), inline_max=self.options.get("inline_max"))
        return Policy(
            store=present.store.value,
            inline_max=present.inline_max.value,
            pickle=self.options.get("pickle") is not False,
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
