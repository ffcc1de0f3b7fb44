"""Trees of values, some of which are still to be made: collected by one phase, made in parallel, then put together.

What a phase collects is a tree; what is pending in it is made round by round, and the tree of the next round has the
values in their places. No phase changes a value that it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from operator import call
from typing import Any, Final, TypeAlias

from lucas_storage import parallel

_DEEPEST_ROUND: Final = 100
"""Longest chain of references to data that holds references; a store may hold a cycle, which has no end."""


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """A value that is there."""

    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """A container of which some children are still to be made."""

    children: tuple[Node, ...]
    make: Callable[[list[Any]], Any]
    """Returns the container from the values of the children, in order."""


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """A value that a job makes."""

    job: Callable[[Any], Node]
    """Takes the value of `given`; its result may be pending again."""
    given: Node
    does_io: bool
    """Whether the job does I/O, so that a thread of its own is worth its cost."""


Node: TypeAlias = Done | Branch | Pending


def branch(children: Iterable[Node], make: Callable[[list[Any]], Any]) -> Node:
    """Return the node of a container, which is there as soon as all its children are."""
    nodes = tuple(children)
    if all(type(node) is Done for node in nodes):
        return Done(make([node.value for node in nodes]))  # type: ignore[union-attr]  # all are Done
    return Branch(nodes, make)


def resolved(node: Node) -> Any:
    """Return the value of a tree, after making what is pending in it, in parallel where that does I/O.

    Raises:
        ValueError: The chain of references is too long.
        Exception: Whatever a job raises; the first in the order of the tree.
    """
    for _ in range(_DEEPEST_ROUND):
        if type(node) is Done:
            return node.value
        # In rounds: what one round makes may be pending again, and the next round makes all of that in parallel.
        ready = list(_ready(node))
        made = _made(ready)
        node = _advanced(node, {id(pending): new for pending, new in zip(ready, made, strict=True)})
    if type(node) is Done:
        return node.value
    raise ValueError(f"references lead to references more than {_DEEPEST_ROUND} times; store values")


def _ready(node: Node) -> Iterator[Pending]:
    match node:
        case Done():
            return
        case Branch(children):
            for child in children:
                yield from _ready(child)
        case Pending(given=Done()):
            yield node
        case Pending(given=given):
            yield from _ready(given)


def _made(ready: list[Pending]) -> list[Node]:
    jobs = [partial(pending.job, pending.given.value) for pending in ready]  # type: ignore[union-attr]  # Done, if ready
    if sum(pending.does_io for pending in ready) < 2:
        return [job() for job in jobs]
    # Each with a copy of this context: the lease and the scratch directory of a step are context variables.
    return parallel.each(call, jobs)


def _advanced(node: Node, made: dict[int, Node]) -> Node:
    match node:
        case Done():
            return node
        case Branch(children, make):
            return branch((_advanced(child, made) for child in children), make)
        case Pending(given=given):
            new = made.get(id(node))
            return replace(node, given=_advanced(given, made)) if new is None else new
