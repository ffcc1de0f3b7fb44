"""Which call may take a replica of a function, on a platform that stops for ever if there is none free.

Nothing but counting: no clock, no thread, no message. Not safe to use from several threads at once.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

C = TypeVar("C", bound=Hashable)


@dataclass(slots=True, eq=False)
class Generation:
    """Replicas that were asked for together, under one definition of the function."""

    replicas: int
    """How many were asked for."""
    free: int
    """How many of them no call holds, and none has lost."""
    name: str = ""
    """What the function is called there; empty until they were asked for."""


class Replicas(Generic[C]):
    """The replicas of one function and the calls that hold or want one.

    At no time do more calls hold a replica than there may be, nor do those of a generation hold more than it has. A
    replica that was lost is replaced, as a generation of its own, once a call wants it. Calls begin in the order in
    which they came, and each does if those before it return or lose what they hold.

    Args:
        count: How many calls may hold one at the same time, at least 1.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._waiting: dict[C, None] = {}
        self._held: dict[C, Generation] = {}
        self._lost: dict[C, Generation] = {}
        self._with_free: dict[Generation, None] = {}

    def want(self, call: C) -> None:
        """Let a call wait for its turn."""
        self._waiting[call] = None

    def give_up(self, call: C) -> bool:
        """Forget a call that waits; False if it does not wait, because it has begun or has ended."""
        if call not in self._waiting:
            return False
        del self._waiting[call]
        return True

    def begin(self) -> tuple[C, Generation] | None:
        """Let the call that has waited longest hold a replica.

        Returns:
            The call and where its replica is, which may be a generation that nobody has heard of yet; None if no call
            waits, or as many as may hold a replica do.
        """
        if not self._waiting or len(self._held) >= self.count:
            return None
        generation = next(iter(self._with_free), None) or self._replacement()
        call = next(iter(self._waiting))
        del self._waiting[call]
        self._held[call] = generation
        self._take_from(generation)
        return call, generation

    def end(self, call: C) -> None:
        """Take back the replica of a call, also of one that was given up for lost and has come to an end after all."""
        generation = self._held.pop(call, None) or self._lost.pop(call, None)
        if generation is not None:
            generation.free += 1
            self._with_free[generation] = None

    def lose(self, call: C) -> None:
        """Count the replica of a call as lost, until `end` says otherwise."""
        if call in self._held:
            self._lost[call] = self._held.pop(call)

    def bury(self, call: C) -> None:
        """Count the replica of a call as lost for good."""
        self._held.pop(call, None)
        self._lost.pop(call, None)

    def _replacement(self) -> Generation:
        # With none free, those that calls hold are all that are left.
        missing = self.count - len(self._held)
        return Generation(replicas=missing, free=missing)

    def _take_from(self, generation: Generation) -> None:
        generation.free -= 1
        if generation.free:
            self._with_free[generation] = None
        else:
            self._with_free.pop(generation, None)
