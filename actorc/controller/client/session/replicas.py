"""Assigns calls to replicas of a function, because ignis hangs for ever on a call without a free replica.

It only counts: no clock, no thread, no message. Not thread-safe; the session calls it with its lock held.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

C = TypeVar("C", bound=Hashable)


@dataclass(slots=True, eq=False)
class Generation:
    """Replicas that were requested together, under one definition of the function."""

    replicas: int
    """Number of replicas requested."""
    free: int
    """Number of them that no call holds and that are not lost."""
    name: str = ""
    """Name of the function on the platform; empty until they are requested."""


class Replicas(Generic[C]):
    """The replicas of one function and the calls that hold or await one. Not thread-safe.

    Never more calls hold a replica than `count`, nor more of a generation than it has. A lost replica is replaced, as a
    generation of its own, once a call needs it. Calls begin in the order of their arrival, and each begins if those
    before it return or lose their replica.

    Args:
        count: Greatest number of calls that hold one at the same time, at least 1.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._waiting: dict[C, None] = {}
        self._held: dict[C, Generation] = {}
        self._lost: dict[C, Generation] = {}
        self._with_free: dict[Generation, None] = {}

    def enqueue(self, call: C) -> None:
        """Queue a call."""
        self._waiting[call] = None

    def dequeue(self, call: C) -> bool:
        """Remove a call from the queue; False if it is not queued, because it has begun or ended."""
        if call not in self._waiting:
            return False
        del self._waiting[call]
        return True

    def begin(self) -> tuple[C, Generation] | None:
        """Assign a replica to the call that has waited longest.

        Returns:
            The call and the generation of its replica, which may be one not yet requested; None if no call waits or
            `count` of them hold a replica.
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
        """Take back the replica of a call, also of one that was counted as lost and has ended after all."""
        generation = self._held.pop(call, None) or self._lost.pop(call, None)
        if generation is not None:
            generation.free += 1
            self._with_free[generation] = None

    def lose(self, call: C) -> None:
        """Count the replica of a call as lost, until `end` returns it."""
        if call in self._held:
            self._lost[call] = self._held.pop(call)

    def discard(self, call: C) -> None:
        """Count the replica of a call as lost for good."""
        self._held.pop(call, None)
        self._lost.pop(call, None)

    def _replacement(self) -> Generation:
        # No replica is free, so the ones that calls hold are all that is left of `count`.
        missing = self.count - len(self._held)
        return Generation(replicas=missing, free=missing)

    def _take_from(self, generation: Generation) -> None:
        generation.free -= 1
        if generation.free:
            self._with_free[generation] = None
        else:
            self._with_free.pop(generation, None)
