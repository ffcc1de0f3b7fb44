"""The handler that writes the lines of a server's log for many threads at once."""

from __future__ import annotations

import logging
import os
import select
import stat
import threading
from collections import deque
from typing import Final, TextIO

_MOST_WAITING: Final = 1000
"""Lines that may wait for the thread that writes; a thread with one more waits as well."""
_PATIENCE_SECONDS: Final = 1
"""Seconds that are waited for the reader of the pipe, before lines are kept back."""
_PIECE: Final = select.PIPE_BUF // 4
"""Characters that a pipe has room for, by four bytes each, where the system says that it has any."""


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes the lines of any number of threads to standard error, in their order, many at once where they come so.

    A thread whose line is below a warning does not wait for another one that writes: that one writes its line, too, and
    all that came meanwhile. Else each call would wait for the access lines of all others, one system call apiece.

    A pipe that nobody reads stops no thread for longer than `_PATIENCE_SECONDS`, once: from then on lines wait in
    memory, and the oldest of too many are lost, which is told when the pipe is read again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque()
        # for one thread at a time, so that lines stay in order; a thread that writes may come again, since what the
        # collector of garbage or the stream logs meanwhile would else wait for itself
        self._writing = threading.RLock()
        self._is_within = False
        """Whether the thread that has the lock writes, and looks for more lines behind."""
        self._pipe = _polled(self.stream)
        self._is_unread = False
        """Whether nobody has read the pipe for too long."""
        self._lost = 0

    def handle(self, record: logging.LogRecord) -> bool:
        """Write the line of a record; without the lock of the base class, on which threads would wait."""
        passed = bool(self.filter(record))
        if passed:
            self.emit(record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of a record, or leave it to the thread that writes."""
        try:
            self._lines.append(self.format(record) + self.terminator)
            # again after each release, since a line may have come before it that nobody else will write
            while self._lines and self._writing.acquire(blocking=self._is_awaited(record)):
                try:
                    if self._is_within or not self._write():
                        return
                finally:
                    self._writing.release()
        except Exception:  # noqa: BLE001  # as the base class: what cannot be logged must not fail a call
            self.handleError(record)

    def _is_awaited(self, record: logging.LogRecord) -> bool:
        # else lines would fill the memory where nobody reads standard error
        return record.levelno >= logging.WARNING or len(self._lines) >= _MOST_WAITING

    def _write(self) -> bool:
        """Write the first of the lines; return whether the reader takes them."""
        self._is_within = True
        try:
            if not self._is_taken():
                self._shed()
                return False
            if self._lost:
                lost, self._lost = self._lost, 0
                self._lines.appendleft(self.format(_loss(lost)) + self.terminator)
            self.stream.write(self._next())
            self.flush()
        finally:
            self._is_within = False
        return True

    def _is_taken(self) -> bool:
        if self._pipe is None:
            return True
        has_room = bool(self._pipe.poll(0) or (not self._is_unread and self._pipe.poll(_PATIENCE_SECONDS * 1000)))
        self._is_unread = not has_room
        return has_room

    def _shed(self) -> None:
        while len(self._lines) > _MOST_WAITING:
            self._lines.popleft()
            self._lost += 1

    def _next(self) -> str:
        """Take all lines; of a pipe no more than it surely has room for, whole ones if they are not longer."""
        if self._pipe is None:
            return "".join([self._lines.popleft() for _ in range(len(self._lines))])
        # another thread may have written the line that this one came for
        text = self._lines.popleft() if self._lines else ""
        while self._lines and len(text) + len(self._lines[0]) <= _PIECE:
            text += self._lines.popleft()
        if len(text) > _PIECE:
            self._lines.appendleft(text[_PIECE:])
        return text[:_PIECE]


def _polled(stream: TextIO) -> select.poll | None:
    """Return what tells whether a pipe or a socket has room; None for anything else, which has some."""
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError, AttributeError):  # standard error may be closed, or an object of a program
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return None
    polled = select.poll()
    polled.register(descriptor, select.POLLOUT)
    return polled


def _loss(lines: int) -> logging.LogRecord:
    message = "%d lines before this one are lost, since nobody read standard error"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (lines,), None)
