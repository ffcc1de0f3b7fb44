"""`Lambda`: a value that is known only while the workflow runs."""

from __future__ import annotations

import itertools
import operator
import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from lucas_storage.embedded.workflow.roles import Node, StepAdder

UNKNOWN: Any = object()
"""The value of a Lambda that is not known yet; None would be a value."""


class Lambda:
    """The place of a value in a workflow: an input, a step's result, or a constant.

    `+` and `[]` add a step that runs when the value is known; so do `map`, `fork` and `join`. Attributes, truth and
    iteration are refused, because they would silently use the Lambda instead of the value.

    Args:
        value: A constant; None is one. If left out, the value is known only in a run.
    """

    def __init__(self, value: Any = UNKNOWN) -> None:
        self._is_constant = value is not UNKNOWN
        self.value: Any = value if self._is_constant else None
        self.canIter = False
        self.workflow_: StepAdder[Lambda] | None = None
        self._dataNode: Node | None = None

    @cached_property
    def _id(self) -> str:
        return str(uuid.uuid4())  # few are asked for, and a graph has dozens

    def getid(self) -> str:
        """Return the name under which graphs and messages refer to this value."""
        return self._id

    def getDataNode(self) -> Node | None:
        """Return the node that carries this value, once there is one."""
        return self._dataNode

    def setDataNode(self, node: Node) -> None:
        """Make `node` the node of this value."""
        self._dataNode = node

    def becatch(self, wf: StepAdder[Lambda]) -> Lambda:
        """Let operators add their steps to `wf`, and return this Lambda."""
        self.workflow_ = wf
        return self

    def __add__(self, other: Any) -> Lambda:
        return self._caught("+").func(operator.add, self, other)

    def __getitem__(self, key: Any) -> Lambda:
        return self._caught("[]").func(operator.getitem, self, key)

    def map(self, fn: Callable[[Any], Any]) -> Lambda:
        """Apply `fn` to every element of a list, each as a step of its own, or to a value that is no list.

        `fn` may return `wf.call(…)`, which fans a function out over the list.
        """
        wf = self._caught("map")

        def each(value: Any) -> Any:
            # Run as a step, since the length of the list is known only then.
            return [wf.func(fn, element) for element in value] if isinstance(value, list) else wf.func(fn, value)

        return wf.func(each, self)

    def fork(self, nums: int) -> Lambda:
        """Cut a sequence into `nums` pieces in order, their lengths differing by one at most.

        Raises:
            ValueError: When the workflow runs, if `nums` is not positive.
        """
        return self._caught("fork").func(_cut, self, nums)

    def join(self, fn: Callable[[list[Any]], Any]) -> Lambda:
        """Chain the pieces of a sequence of sequences into one list, and give that to `fn`."""
        return self._caught("join").func(_chain, self, fn)

    def _caught(self, operation: str) -> StepAdder[Lambda]:
        if self.workflow_ is None:
            raise RuntimeError(f"{operation} needs a workflow to work in, so pass the value to wf.catch first")
        return self.workflow_

    def __getattr__(self, name: str) -> NoReturn:
        """Raise `AttributeError`: an attribute of the value is known only when the workflow runs."""
        message = f"A value that is yet to come has no attribute {name!r}"
        if not name.startswith("_"):
            message += f"; read it where the value is known, as in wf.func(lambda value: value.{name}, …)"
        raise AttributeError(message, name=name, obj=self)

    def __bool__(self) -> NoReturn:
        """Raise `TypeError`: the body would take one branch for all runs."""
        raise TypeError("A value is true or false only when the workflow runs, so decide inside a function or wf.func")

    def __iter__(self) -> NoReturn:
        """Raise `TypeError`: `[]` never ends, so Python would iterate for ever."""
        raise TypeError("The elements of a value are known only when the workflow runs, so use map or wf.func")

    def __contains__(self, item: object) -> NoReturn:
        """Raise `TypeError`, as iteration does."""
        self.__iter__()

    def __repr__(self) -> str:
        """Return the id of the Lambda, never its value: values may be secret, and large."""
        return f"<Lambda {self._id[:8]}>"


def _cut(values: Any, count: int) -> list[Any]:
    if count < 1:
        raise ValueError(f"fork needs a positive number of pieces, not {count}")
    # The first pieces get one element more each, so that all are used.
    size, longer = divmod(len(values), count)
    ends = [size * i + min(i, longer) for i in range(count + 1)]
    return [values[start:end] for start, end in itertools.pairwise(ends)]


def _chain(pieces: Any, fn: Callable[[list[Any]], Any]) -> Any:
    return fn([element for piece in pieces for element in piece])
