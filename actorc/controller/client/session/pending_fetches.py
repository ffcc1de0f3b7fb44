"""Values that were requested and have not arrived. The session calls this with its lock held."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from actorc.controller.client.remote_references import RemoteValue
from actorc.controller.protocol.value_codec import Encoded

from . import messages
from .call_deadlines import Deadlines


@dataclass(slots=True, kw_only=True, eq=False)
class Fetch:
    """A value on its way, shared by all callers that asked for it."""

    result: RemoteValue
    value: Future[Encoded] = field(default_factory=Future)


class PendingFetches:
    """Pending fetches, by the controller's id of the value. Not thread-safe.

    Args:
        send: Sends a message.
        seconds: How long a value may take.
        deadlines: The deadlines of the session; fetches are added to it and removed.
    """

    def __init__(self, send: Callable[..., None], seconds: float, deadlines: Deadlines[object]) -> None:
        self.seconds = seconds
        self._send = send
        self._deadlines = deadlines
        self._asked: dict[str, Fetch] = {}

    def ask(self, value: RemoteValue, now: float) -> Future[Encoded]:
        """Request a value, unless it is on its way already; return its future."""
        fetch = self._asked.get(value.id)
        if fetch is None:
            fetch = self._asked[value.id] = Fetch(result=value)
            self._deadlines.begin(fetch, self.seconds, now)
            self._send(messages.request(value))
        return fetch.value

    def take(self, object_id: str) -> Fetch | None:
        """Remove and return the fetch of a value that has arrived or never will; None if there is none."""
        fetch = self._asked.pop(object_id, None)
        if fetch is not None:
            self._deadlines.end(fetch)
        return fetch

    def close(self) -> list[Fetch]:
        """Remove and return all pending fetches."""
        fetches = list(self._asked.values())
        self._asked.clear()
        return fetches
