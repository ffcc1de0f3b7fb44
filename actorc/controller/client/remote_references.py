"""Names of calls, and references to results that stay on the platform."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from actorc.controller.errors import PicklingError


@dataclass(frozen=True, slots=True, kw_only=True)
class CallKey:
    """The unique name of one call."""

    session_id: str
    """The run it belongs to."""
    instance_id: str
    function: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RemoteValue:
    """The result of a call, held by the controller. Immutable; other calls take it without its bytes coming here."""

    id: str
    """The controller's name of it."""
    reference: bytes
    """The controller's serialized reference; it is sent back unchanged, with fields this client does not know."""
    call: CallKey
    connection: ResultSession
    """The session it belongs to; no other can fetch it."""

    def __reduce__(self) -> NoReturn:
        raise NotHereError(
            f"a result of {self.call.function!r} is still on the platform and is passed on as it is or in a list, "
            "tuple or dict; take its value in wf.func first",
            function=self.call.function,
        )


class ResultSession(Protocol):
    """The part of a session that a result needs."""

    def fetch(self, value: RemoteValue) -> Future[Any]:
        """Request the value."""


class NotHereError(PicklingError):
    """The object being pickled contains a `RemoteValue`."""
