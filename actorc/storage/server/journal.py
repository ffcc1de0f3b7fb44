"""What is told of every call over gRPC and HTTP: one access line, and numbers for whoever collects them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

access_log = logging.getLogger("actorc.storage.server.access")

_MAX_TEXT: Final = 1024
"""Characters of a name: what a key may have, and no more of what is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A call that is over."""

    method: str
    """A method of gRPC, or of HTTP."""
    status: str
    """How it went: a status of gRPC by its name, or of HTTP by its number."""
    bucket: str
    key: str
    size: int
    """Bytes of objects that came or went."""
    seconds: float
    request_id: str
    peer: str
    """The other end of the connection."""
    access_key: str
    """Who was calling; empty if that was not proved, or anybody may."""


class Journal:
    """Is told of every call; tells it on. Safe to use from many threads.

    Attributes:
        listeners: Called with every call that is over, on the thread it ran on. They must not raise.
        transfers: Uploads and downloads under way.
    """

    def __init__(self) -> None:
        self.listeners: list[Callable[[Ended], None]] = []
        self.transfers = 0
        self._lock = threading.Lock()

    def note(self, ended: Ended) -> None:
        """Write the access line: what, by whom, how it went; never content, never metadata."""
        access_log.info(
            "%s %s bucket=%s key=%s bytes=%d ms=%.1f request=%s peer=%s by=%s",
            ended.method,
            ended.status,
            ascii(ended.bucket[:_MAX_TEXT]),
            ascii(ended.key[:_MAX_TEXT]),
            ended.size,
            ended.seconds * 1000,
            ended.request_id,
            ended.peer,
            ended.access_key or "-",
        )
        for listener in self.listeners:
            listener(ended)

    @contextmanager
    def transfer(self) -> Iterator[None]:
        """Count an upload or download for as long as the block runs."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self.transfers += change
