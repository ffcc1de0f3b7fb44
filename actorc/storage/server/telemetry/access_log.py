"""What is told of every call over gRPC and HTTP: one access line, and numbers for whoever collects them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

access_log = logging.getLogger("actorc.storage.server.access")
log = logging.getLogger(__name__)

_MAX_TEXT: Final = 1024
"""Characters of a name: what a key may have, and no more of what is none."""
_STRANGERS: Final = 100
"""Access lines in `_PERIOD` for callers who proved nothing."""
_PERIOD: Final = 10.0
"""Seconds."""


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
    proved: bool
    """Whether it was known who was calling, be it anybody."""


class Journal:
    """Is told of every call; tells it on. Safe to use from many threads.

    Every call that was let in has its access line. To be refused costs a caller nothing, so whoever can connect could
    fill the disk of the log: of the calls that ended before it was known who made them, 100 in ten seconds have a line,
    and the rest is told by its number. The listeners hear of all.

    Args:
        clock: Monotonic seconds.

    Attributes:
        listeners: Called with every call that is over, on the thread it ran on. They must not raise.
        transfers: Uploads and downloads under way.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.listeners: list[Callable[[Ended], None]] = []
        self.transfers = 0
        self._lock = threading.Lock()
        self._clock = clock
        self._since = clock()
        self._strangers = 0

    def note(self, ended: Ended) -> None:
        """Record the end of a call: notify the listeners and, unless it exceeds the limit, log it."""
        if self._has_line(ended):
            _write(ended)
        for listener in self.listeners:
            listener(ended)

    def close(self) -> None:
        """Tell how many calls of strangers have no line yet."""
        with self._lock:
            self._sum_up(self._clock())

    def _has_line(self, ended: Ended) -> bool:
        with self._lock:
            now = self._clock()
            if now - self._since >= _PERIOD:
                self._sum_up(now)
            if ended.proved:
                return True
            self._strangers += 1
            return self._strangers <= _STRANGERS

    def _sum_up(self, now: float) -> None:
        left_out = self._strangers - _STRANGERS
        if left_out > 0:
            log.warning(
                "%d more calls that proved no key were refused in %.0f s; no line was written for them",
                left_out,
                now - self._since,
            )
        self._strangers, self._since = 0, now

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


def _write(ended: Ended) -> None:
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
