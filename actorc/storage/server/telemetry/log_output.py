"""The log of a server process on standard error: as text for people, or as JSON for programs that collect logs."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from actorc.storage.server.config import ServerOptions

from .access_log import LOGGER_NAME
from .ended_call import EndedCall

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_WORKER_TEXT: Final = "%(asctime)s %(levelname)s [%(process)d] %(name)s %(message)s"
_MAX_TEXT: Final = 16 * 1024
"""Characters of a message or a traceback; an error's text may hold as much as a stranger sent."""

_MOST_WAITING: Final = 1000
"""Lines that may wait for the thread that writes; whoever has one more waits as well."""

log = logging.getLogger(__name__)


def configure(options: ServerOptions, *, of_worker: bool = False, level: int = logging.INFO) -> None:
    """Write the log of this process to standard error, in the format and from the level that `options` name.

    What a stranger chose, such as a key, cannot begin a line or drive a terminal: it is escaped. Libraries never write
    more than level info, since their details may hold secrets, such as the headers of a request.

    Args:
        options: Options of the server.
        of_worker: Whether lines of text tell the process, since several write to the same place. JSON always does.
        level: Level if the options name none.
    """
    chosen = logging.getLevelNamesMapping()[options.log_level.upper()] if options.log_level else level
    handler = LineHandler()
    handler.setFormatter(_formatter(options.log_format, of_worker=of_worker))
    # no line tells the thread, and every call has a line
    logging.logThreads = logging.logMultiprocessing = False
    logging.basicConfig(level=max(chosen, logging.INFO), handlers=[handler], force=True)
    logging.getLogger("actorc").setLevel(chosen)
    logging.getLogger(LOGGER_NAME).disabled = not options.access_log
    # both would write lines of their own to standard error
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_ended_thread


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes the lines of any number of threads to standard error, in their order, many at once where they come so.

    A thread whose line is below a warning does not wait for another one that writes: that one writes its line, too, and
    all that came meanwhile. Else each call would wait for the access lines of all others, one system call apiece.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque()
        # for one thread at a time, so that lines stay in order; a thread that writes may come again, since what the
        # collector of garbage or the stream logs meanwhile would else wait for itself
        self._writing = threading.RLock()
        self._is_within = False
        """Whether the thread that has the lock writes, and looks for more lines behind."""

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
                    if self._is_within:
                        return
                    self._write()
                finally:
                    self._writing.release()
        except Exception:  # noqa: BLE001  # as the base class: what cannot be logged must not fail a call
            self.handleError(record)

    def _is_awaited(self, record: logging.LogRecord) -> bool:
        # else lines would fill the memory where nobody reads standard error
        return record.levelno >= logging.WARNING or len(self._lines) >= _MOST_WAITING

    def _write(self) -> None:
        self._is_within = True
        try:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            self.stream.write("".join(lines))
            self.flush()
        finally:
            self._is_within = False


class TextFormatter(logging.Formatter):
    """Formats a record as one line of text, and the traceback of an exception below it."""

    _second = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record, with characters escaped that do not belong into them."""
        if record.exc_info is None and record.stack_info is None:
            record.message = _shortened(record.getMessage())
            record.asctime = self.formatTime(record)
            line = self._style.format(record)
            # a line break is not printable either, so nearly all lines are done
            if line.isprintable():
                return line
        return "\n".join(map(_printable, super().format(record).split("\n")))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  # likewise
        """Return the time of a record; its second is written once for all lines that it has."""
        second, text = self._second
        if second != int(record.created):
            second = int(record.created)
            text = time.strftime(datefmt or self.default_time_format, time.localtime(second))
            # both at once: other threads read it without a lock
            self._second = second, text
        return f"{text},{int(record.msecs):03d}"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # name of the base class
        """Return the first line, which a message with several lines does not end."""
        record.message = _printable(_shortened(record.message))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802  # name of the base class
        """Return a traceback."""
        return _shortened(super().formatException(ei))


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object in ASCII, with the fields of an ended call beside those of every line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
        }
        call: EndedCall | None = getattr(record, "call", None)
        if call is None:
            line["message"] = _shortened(record.getMessage())
        else:
            line |= {"message": f"{call.method} {call.status}", **call.fields()}
        if record.exc_info:
            line["exception"] = _shortened(self.formatException(record.exc_info))
        return json.dumps(line)


def _formatter(name: str, *, of_worker: bool) -> logging.Formatter:
    return JsonFormatter() if name == "json" else TextFormatter(_WORKER_TEXT if of_worker else _TEXT)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _shortened(text: str) -> str:
    if len(text) <= _MAX_TEXT:
        return text
    half = _MAX_TEXT // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters left out … {text[-half:]}"


def _log_ended_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_type is SystemExit:
        return
    name = ended.thread.name if ended.thread else "?"
    log.error("the thread %s ended", name, exc_info=ended.exc_value)
