"""The access log: one line for each call over gRPC or HTTP, and the calls for listeners such as metrics."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from . import call_spans
from .ended_call import MAX_NAME, EndedCall

LOGGER_NAME: Final = "actorc.storage.server.access"
"""Name of the logger of access lines, by which they are told from others and turned off."""

_lines = logging.getLogger(LOGGER_NAME)
log = logging.getLogger(__name__)

_MAX_UNPROVED_LINES: Final = 100
"""Access lines for callers without proof of a key, in each `_PERIOD_SECONDS`."""
_PERIOD_SECONDS: Final = 10.0
"""Seconds."""
_LINE: Final = "%s %s bucket=%s key=%s bytes=%d ms=%.1f request=%s peer=%s by=%s%s%s"


class AccessLog:
    """Records ended calls: writes access lines, ends spans and notifies listeners. Any thread may call it.

    Every admitted call has its access line. A refusal costs the caller nothing, so a peer that can connect could fill
    the disk with lines: of the calls that ended before their caller was identified, 100 in ten seconds have a line, and
    the others are counted. So it is with spans, which an exporter would drop among those of others. Listeners get all
    calls.

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
        """Record the end of a call: notify the listeners and, unless it exceeds the limit, log it and end its span."""
        if self._has_line(ended):
            _write(ended)
            call_spans.end(ended)
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
        ascii(ended.bucket[:MAX_NAME]),
        ascii(ended.key[:MAX_NAME]),
        ended.size,
        ended.seconds * 1000,
        ended.request_id,
        ended.peer,
        ended.access_key or "-",
        f" trace_id={ended.trace_id}" if ended.trace_id else "",
        f" objects={len(ended.keys)} keys={','.join(map(ascii, ended.named_keys()))}" if ended.keys else "",
    )
    # not by `info`, which looks for the caller's line in every frame, a third of the whole cost
    _lines.handle(_lines.makeRecord(_lines.name, logging.INFO, __file__, 0, _LINE, told, None, extra={"call": ended}))
