"""A call, from its first argument to the last one who needs its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from .functions import Callee
from .messages import Value
from .pool_tasks import Task


class CallKey(NamedTuple):
    """What makes a call one of its own, among those under way."""

    session_id: str
    instance_id: str
    """Of a method: the name of the object."""
    name: str


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """A call and what it owns."""

    key: CallKey
    callee: Callee | None
    args: dict[str, Value] = field(default_factory=dict)
    owned: list[str] = field(default_factory=list)
    """Ids of values that came with it, and of its result."""
    is_refused: bool = False
    """It was answered with an error before it could run."""
    task: Task | None = None
    """Set once it was invoked."""
    is_done: bool = False
    """Nobody needs its result."""

    def missing(self) -> list[str]:
        """Return the parameters that have no argument."""
        assert self.callee is not None
        return [param for param in self.callee.params if param not in self.args]
