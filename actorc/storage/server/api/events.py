"""Server-sent events: what a route tells as it happens, as the stream of bytes that browsers read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from .json_text import json_text
from .routes import Request

_SHORTEST: Final = 0.5
"""Seconds between two looks, after one that found something new."""
_LONGEST: Final = 5.0
_GROWTH: Final = 1.5
"""By which the time between two looks grows while there is nothing new."""
_RETRY_MS: Final = 1000
"""Milliseconds after which a browser connects again to a stream that was closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event."""

    name: str
    id: str
    """A browser that connects again sends the id of the last event that it got."""
    data: Any
    """What JSON is made of."""


class EventSource(Protocol):
    """An answer that is told bit by bit. For one thread at a time."""

    is_over: bool
    """Whether nothing more will be told."""

    def poll(self, request: Request) -> Sequence[Event]:
        """Return what is new since the last call."""


class EventStream:
    """The events of a source as bytes, at the pace at which something happens. For one thread at a time.

    Args:
        source: Tells what is new.
        renewed: Returns the request with its time beginning anew.
        on_close: Called once, when the stream has ended.
    """

    def __init__(self, source: EventSource, renewed: Callable[[], Request], on_close: Callable[[], None]) -> None:
        self._source = source
        self._renewed = renewed
        self._on_close = on_close
        self._first = True
        self.pause = _SHORTEST
        """Seconds until the next look."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be told."""
        return self._source.is_over

    def poll(self) -> bytes:
        """Return what is new, as it is sent; empty if there is nothing. May block."""
        events = self._source.poll(self._renewed())
        self.pause = _SHORTEST if events else min(_LONGEST, self.pause * _GROWTH)
        head = f"retry: {_RETRY_MS}\n\n".encode() if self._first and events else b""
        self._first = self._first and not events
        return head + b"".join(map(_encoded, events))

    def close(self) -> None:
        """End the stream."""
        self._on_close()


def _encoded(event: Event) -> bytes:
    # JSON of one line: a line end within would begin another field
    return f"event: {event.name}\nid: {event.id}\ndata: ".encode() + json_text(event.data) + b"\n"
