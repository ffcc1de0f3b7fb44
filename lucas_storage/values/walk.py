"""Traversal of nested data: collects the values to replace, makes the new ones in parallel, and puts them in.

It descends into exactly dict, list, tuple, set and frozenset, by type and not by subclass; everything else is a leaf.
A container in which nothing is replaced stays the same object.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import call
from typing import Any, ClassVar, Final

from lucas_storage import parallel
from lucas_storage.errors import ArtifactError

from .annotation import ANY as _ANY
from .annotation import Shipped as Plan

ANY: Final = _ANY.name
CONTAINERS: Final = frozenset({dict, list, tuple, set, frozenset})
_DEEPEST_ROUND: Final = 100
"""Longest chain of references to data that holds references; a store may hold a cycle, which has no end."""
_FINAL: Final[dict[str, Callable[[Any], Any]]] = {"iterator": iter, "tuple": tuple, "tuple*": tuple, "set": set}


@dataclass(frozen=True, slots=True)
class Slot:
    """One element of copied data that waits for its value."""

    box: Any
    index: Any
    plan: Plan
    param: str | None
    """The parameter it belongs to, for errors."""
    job: Callable[[], Any]
    """Makes the value."""
    does_io: bool
    """Whether `job` does I/O, so that a thread of its own is worth its cost."""


class Walk(ABC):
    """One traversal of nested data, for one thread; the jobs of its slots run on several.

    Args:
        function: The function whose data it is, for errors.
    """

    plain: ClassVar[frozenset[Any]]
    """Types whose values stay as they are where the plan is ``any``."""

    def __init__(self, function: str | None) -> None:
        self._function = function
        self._slots: list[Slot] = []
        self._rounds: list[list[tuple[Any, Any, Callable[[Any], Any]]]] = [[]]

    @abstractmethod
    def visit(self, box: Any, index: Any, plan: Plan, param: str | None) -> None:
        """Handle the value in ``box[index]``: replace it, `descend` into it, or `wait` for a new one."""

    @abstractmethod
    def filled(self, slot: Slot) -> None:
        """Handle a value that was just put into its slot."""

    def wait(self, slot: Slot) -> None:
        """Add a slot to the next round of `run`."""
        self._slots.append(slot)

    def descend(self, box: Any, index: Any, plan: Plan, param: str | None) -> None:
        """Visit the elements of the container in ``box[index]``."""
        value = box[index]
        kind = _final_type(type(value), plan)
        # A copy is changed, never the value: it may belong to the caller, or to the function that returned it. It
        # takes the value's place only if something in it changes, so that unchanged data is passed on as it is.
        copy: Any = dict(value) if type(value) is dict else list(value)
        before = self._progress()
        changed = False
        # A list of the items, since `visit` replaces elements of the copy meanwhile.
        for inner, item in list(copy.items() if type(value) is dict else enumerate(copy)):
            inner_plan = ANY if plan == ANY else _inner_plan(plan, inner, len(copy))
            if inner_plan != ANY or type(item) not in self.plain:
                self.visit(copy, inner, inner_plan, param)
                changed = changed or copy[inner] is not item
        if changed or kind is not type(value) or before != self._progress():
            box[index] = copy
            if kind is not type(copy):
                self._rounds[-1].append((box, index, kind))

    def enter(
        self,
        box: Any,
        index: Any,
        fields: dict[str, Any],
        plans: Mapping[str, Plan],
        param: str | None,
        make: Callable[[dict[str, Any]], Any],
    ) -> None:
        """Visit the fields of an object; `make` returns the object again from their final values."""
        box[index] = fields
        for name in fields:
            self.visit(fields, name, plans.get(name, ANY), param)
        self._rounds[-1].append((box, index, make))

    def run(self) -> None:
        """Fill all slots, and those that are found in loaded values.

        Raises:
            ArtifactError: A value cannot be made; names function and parameter.
            TypeError: Likewise.
            ValueError: The chain of references is too long.
        """
        while self._slots:
            if len(self._rounds) > _DEEPEST_ROUND:
                raise ValueError(f"references lead to references more than {_DEEPEST_ROUND} times; store values")
            # In rounds: values of this round may hold further references, which the next round fetches in parallel.
            slots, self._slots = self._slots, []
            self._rounds.append([])
            for slot, value in zip(slots, self._values(slots), strict=True):
                slot.box[slot.index] = value
                self.attributed(slot.param, partial(self.filled, slot))
        # Inner containers first: a tuple or a set cannot be filled after it was made.
        for closings in reversed(self._rounds):
            for box, index, kind in closings:
                box[index] = kind(box[index])

    def attributed(self, param: str | None, job: Callable[[], Any]) -> Any:
        """Run a job; its errors name the function and the parameter."""
        try:
            return job()
        except ArtifactError as error:
            error.function = error.function or self._function
            error.param = error.param or param
            raise

    def _progress(self) -> tuple[int, int]:
        return len(self._slots), len(self._rounds[-1])

    def _values(self, slots: list[Slot]) -> list[Any]:
        jobs = [partial(self.attributed, slot.param, slot.job) for slot in slots]
        if sum(slot.does_io for slot in slots) < 2:
            return [job() for job in jobs]
        # Each with a copy of this context: the lease and the scratch directory of a step are context variables.
        return parallel.each(call, jobs)


def _inner_plan(plan: Plan, index: Any, length: int) -> Plan:
    """Return the plan for one element of a container."""
    head = plan[0]
    if type(plan) is str or (head == "dict") is not isinstance(index, str):
        return ANY
    if head == "tuple":
        return plan[1 + index] if len(plan) == 1 + length else ANY
    return plan[1]


def _final_type(kind: type, plan: Plan) -> Callable[[Any], Any]:
    """Return the type that a container of type `kind` becomes, since engines that carry JSON make lists of tuples."""
    if type(plan) is str or kind is dict or (plan[0] == "set" and kind is frozenset):
        return kind
    return _FINAL.get(plan[0], kind)
