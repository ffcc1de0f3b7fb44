"""What stays on the platform: calls, and the results that nobody has fetched."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from actorc.controller.errors import PicklingError

_CONTAINERS = (list, tuple, dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallKey:
    """Names one call; no other ever has the same."""

    session_id: str
    """The run it belongs to."""
    instance_id: str
    function: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RemoteValue:
    """The result of a call, which the controller keeps; steps pass it on without seeing it."""

    id: str
    """The controller's name for it."""
    reference: bytes
    """How the controller refers to it, serialized and with whatever it put there; it goes back as it came."""
    call: CallKey
    connection: Keeper
    """The session it is known in; no other can ask for it."""

    def __reduce__(self) -> NoReturn:
        raise NotHereError(
            f"a result of {self.call.function!r} is still on the platform and is passed on as it is or in a list, "
            "tuple or dict; take its value in wf.func first",
            function=self.call.function,
        )


class Keeper(Protocol):
    """The session that a result is known in, as far as its holder needs that."""

    def fetch(self, value: RemoteValue) -> Future[Any]:
        """Ask for the value."""


class NotHereError(PicklingError):
    """Something to be pickled holds a `RemoteValue`."""


def remote_values_in(value: Any) -> list[RemoteValue]:
    """Return the remote values in `value`, which may be one itself; only lists, tuples and dicts are searched."""
    found, seen, pending = [], set(), [value]
    while pending:
        item = pending.pop()
        if isinstance(item, RemoteValue):
            found.append(item)
        elif type(item) in _CONTAINERS and id(item) not in seen:
            seen.add(id(item))
            pending.extend(item.values() if isinstance(item, dict) else item)
    return found


def filled(value: Any, fill: Callable[[RemoteValue], Any]) -> Any:
    """Return `value` with `fill(one)` in the place of each remote value; what holds none stays the same object."""
    if isinstance(value, RemoteValue):
        return fill(value)
    if type(value) not in _CONTAINERS or not remote_values_in(value):
        return value
    if isinstance(value, dict):
        return {key: filled(item, fill) for key, item in value.items()}
    return type(value)(filled(item, fill) for item in value)
