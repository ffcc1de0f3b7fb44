"""Values that were asked for and have not come yet. The session has its lock held around what is here."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from actorc.controller.protocol.value_codec import Encoded

from . import messages
from .call_deadlines import Deadlines
from .remote_values import RemoteValue


@dataclass(slots=True, kw_only=True, eq=False)
class Fetch:
    """A value on its way, for everybody who asked for it."""

    of: RemoteValue
    value: Future[Encoded] = field(default_factory=Future)


class Fetches:
    """Values by the id that the controller has for them.

    Args:
        send: Sends a message.
        seconds: How long a value may take.
        limits: What may last how long; fetches are put into it and taken out.
    """

    def __init__(self, send: Callable[..., None], seconds: float, limits: Deadlines[object]) -> None:
        self.seconds = seconds
        self._send = send
        self._limits = limits
        self._asked: dict[str, Fetch] = {}

    def ask(self, value: RemoteValue, now: float) -> Future[Encoded]:
        """Ask for a value, unless it is on its way already."""
        fetch = self._asked.get(value.id)
        if fetch is None:
            fetch = self._asked[value.id] = Fetch(of=value)
            self._limits.begin(fetch, self.seconds, now)
            self._send(messages.request(value))
        return fetch.value

    def take(self, object_id: str) -> Fetch | None:
        """Forget the fetch of a value, which has come or never will; None if nobody asked for it."""
        fetch = self._asked.pop(object_id, None)
        if fetch is not None:
            self._limits.end(fetch)
        return fetch

    def close(self) -> list[Fetch]:
        """Forget and return everything that was asked for."""
        fetches = list(self._asked.values())
        self._asked.clear()
        return fetches
