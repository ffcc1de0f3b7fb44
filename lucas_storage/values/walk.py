"""Going through nested data: what is to be replaced is collected first, then made in parallel, then put into place.

It goes through exactly dict, list, tuple, set and frozenset, by type and not by subclass; everything else is a value of
its own. What holds nothing to replace stays the same object.
"""

from __future__ import annotations

import contextvars
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

from lucas_storage.errors import ArtifactError

from .annotations import ANY, Plan

PARALLEL: Final = 8
"""Artifacts moved at once for one step."""
CONTAINERS: Final = frozenset({dict, list, tuple, set, frozenset})
_DEEPEST_ROUND: Final = 100
"""How often a reference may lead to data that holds references."""
_FINAL: Final[dict[str, Callable[[Any], Any]]] = {"iterator": iter, "tuple": tuple, "tuple*": tuple, "set": set}


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in copied data that waits for a value."""

    box: Any
    index: Any
    plan: Plan
    param: str | None
    """The parameter it belongs to, for errors."""
    job: Callable[[], Any]
    """Makes the value."""
    moves: bool
    """Whether making it takes I/O."""


class Walk(ABC):
    """One way through nested data.

    Args:
        function: The function whose data it is, for errors.
    """

    plain: ClassVar[frozenset[Any]]
    """Types whose values stay as they are wherever nothing else is asked for."""

    def __init__(self, function: str | None) -> None:
        self._function = function
        self._slots: list[Slot] = []
        self._rounds: list[list[tuple[Any, Any, Callable[[Any], Any]]]] = [[]]

    @abstractmethod
    def visit(self, box: Any, index: Any, plan: Plan, param: str | None) -> None:
        """Look at the value in ``box[index]``: put another one there, `descend` into it, or `wait` for one."""

    @abstractmethod
    def placed(self, slot: Slot) -> None:
        """Look at a value that has just been put into the place it was made for."""

    def wait(self, slot: Slot) -> None:
        """Note a place that waits for a value."""
        self._slots.append(slot)

    def descend(self, box: Any, index: Any, plan: Plan, param: str | None) -> None:
        """Visit what the container in a place holds."""
        value = box[index]
        kind = _final_type(type(value), plan)
        copy: Any = dict(value) if type(value) is dict else list(value)
        before = self._progress()
        changed = False
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
        """Visit the fields of an object; `make` returns it again, of the values they have in the end."""
        box[index] = fields
        for name in fields:
            self.visit(fields, name, plans.get(name, ANY), param)
        self._rounds[-1].append((box, index, make))

    def run(self) -> None:
        """Fill all places, and those that come to light by it.

        Raises:
            ArtifactError: A value cannot be made; names function and parameter.
            TypeError: Likewise.
            ValueError: References lead to references without end.
        """
        while self._slots:
            if len(self._rounds) > _DEEPEST_ROUND:
                raise ValueError(f"references lead to references more than {_DEEPEST_ROUND} times; store values")
            slots, self._slots = self._slots, []
            self._rounds.append([])
            for slot, value in zip(slots, self._values(slots), strict=True):
                slot.box[slot.index] = value
                self.named(slot.param, partial(self.placed, slot))
        # What a tuple or set holds is complete before the tuple or set is made of it.
        for closings in reversed(self._rounds):
            for box, index, kind in closings:
                box[index] = kind(box[index])

    def named(self, param: str | None, job: Callable[[], Any]) -> Any:
        """Run a job and let its errors say which parameter of which function they are about."""
        try:
            return job()
        except ArtifactError as error:
            error.function = error.function or self._function
            error.param = error.param or param
            raise

    def _progress(self) -> tuple[int, int]:
        return len(self._slots), len(self._rounds[-1])

    def _values(self, slots: list[Slot]) -> list[Any]:
        jobs = [partial(self.named, slot.param, slot.job) for slot in slots]
        if sum(slot.moves for slot in slots) < 2:
            return [job() for job in jobs]
        with ThreadPoolExecutor(min(PARALLEL, len(jobs)), "lucas-storage") as pool:
            return _results([pool.submit(contextvars.copy_context().run, job) for job in jobs])


def _results(futures: list[Future[Any]]) -> list[Any]:
    try:
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _inner_plan(plan: Plan, index: Any, length: int) -> Plan:
    """Return the plan for one element of a container."""
    head = plan[0]
    if type(plan) is str or (head == "dict") is not isinstance(index, str):
        return ANY
    if head == "tuple":
        return plan[1 + index] if len(plan) == 1 + length else ANY
    return plan[1]


def _final_type(kind: type, plan: Plan) -> Callable[[Any], Any]:
    """Return what a container of type `kind` becomes: lists arrive where JSON engines had tuples to carry."""
    if type(plan) is str or kind is dict or (plan[0] == "set" and kind is frozenset):
        return kind
    return _FINAL.get(plan[0], kind)
