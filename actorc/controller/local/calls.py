"""A call, from its first argument until its result is released."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from .functions import Callee
from .messages import Value
from .pool_state import Task


class CallKey(NamedTuple):
    """The unique name of a call among those under way."""

    session_id: str
    instance_id: str
    """Of a method: the name of the object."""
    name: str


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """A call and the values it owns."""

    key: CallKey
    callee: Callee | None
    args: dict[str, Value] = field(default_factory=dict)
    owned: list[str] = field(default_factory=list)
    """Ids of its arguments that came as values, and of its result."""
    is_refused: bool = False
    """Whether it was answered with an error before it ran."""
    task: Task | None = None
    """Set when it is invoked."""
    is_done: bool = False
    """Whether the client released its result."""

    def missing(self) -> list[str]:
        """Return the parameters without an argument."""
        assert self.callee is not None
        return [param for param in self.callee.params if param not in self.args]
