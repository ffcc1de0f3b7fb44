"""The access log: one line for each call over gRPC or HTTP, and the calls for listeners such as metrics."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

LOGGER_NAME: Final = "actorc.storage.server.access"
"""Name of the logger of access lines, by which they are told from others and turned off."""

_lines = logging.getLogger(LOGGER_NAME)
log = logging.getLogger(__name__)

_MAX_TEXT: Final = 1024
"""Characters of a name: as many as a key may have; longer texts are no names and are cut."""
_MAX_UNPROVED_LINES: Final = 100
"""Access lines for callers without proof of a key, in each `_PERIOD_SECONDS`."""
_PERIOD_SECONDS: Final = 10.0
"""Seconds."""
_LINE: Final = "%s %s bucket=%s key=%s bytes=%d ms=%.1f request=%s peer=%s by=%s"


class EndedCall(NamedTuple):
    """A call that has ended, for its access line."""

    method: str
    """Name of the gRPC or HTTP method."""
    status: str
    """Name of the gRPC status, or number of the HTTP status."""
    bucket: str
    key: str
    size: int
    """Bytes of objects received or sent."""
    seconds: float
    request_id: str
    peer: str
    """Address of the peer."""
    access_key: str
    """Id of the caller's key; empty if none was proved, or on a server without keys."""
    proved: bool
    """Whether the caller was identified; True for every caller of a server without keys."""

    def fields(self) -> dict[str, str | int | float]:
        """Return the fields of its access line by their names there: names are cut to the longest valid one."""
        return {
            "method": self.method,
            "status": self.status,
            "bucket": self.bucket[:_MAX_TEXT],
            "key": self.key[:_MAX_TEXT],
            "bytes": self.size,
            "ms": round(self.seconds * 1000, 1),
            "request": self.request_id,
            "peer": self.peer,
            "by": self.access_key or "-",
        }


class AccessLog:
    """Records ended calls: writes access lines and notifies listeners. Any thread may call it.

    Every admitted call has its access line. A refusal costs the caller nothing, so a peer that can connect could fill
    the disk with lines: of the calls that ended before their caller was identified, 100 in ten seconds have a line, and
    the others are counted. Listeners get all calls.

    Args:
        clock: Monotonic seconds.

    Attributes:
        listeners: Called with every ended call, on its thread. They must not raise.
        transfers: Uploads and downloads under way.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.listeners: list[Callable[[EndedCall], None]] = []
        self.transfers = 0
        # guards the counters
        self._lock = threading.Lock()
        self._clock = clock
        self._since = clock()
        self._unproved = 0

    def record(self, ended: EndedCall) -> None:
        """Record the end of a call: notify the listeners and, unless it exceeds the limit, log it."""
        if self._has_line(ended):
            _write(ended)
        for listener in self.listeners:
            listener(ended)

    def close(self) -> None:
        """Log the number of calls that have no line yet."""
        with self._lock:
            self._log_omitted(self._clock())

    def _has_line(self, ended: EndedCall) -> bool:
        with self._lock:
            now = self._clock()
            if now - self._since >= _PERIOD_SECONDS:
                self._log_omitted(now)
            if ended.proved:
                return True
            self._unproved += 1
            return self._unproved <= _MAX_UNPROVED_LINES

    def _log_omitted(self, now: float) -> None:
        left_out = self._unproved - _MAX_UNPROVED_LINES
        if left_out > 0:
            log.warning(
                "%d more calls that proved no key were refused in %.0f s; no line was written for them",
                left_out,
                now - self._since,
            )
        self._unproved, self._since = 0, now

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


def _write(ended: EndedCall) -> None:
    """Write the access line: method, result, names, caller; never content or metadata."""
    if not _lines.isEnabledFor(logging.INFO):
        return
    told = (
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
    # not by `info`, which looks for the caller's line in every frame, a third of the whole cost
    _lines.handle(_lines.makeRecord(_lines.name, logging.INFO, __file__, 0, _LINE, told, None, extra={"call": ended}))
