"""The log of a server process on standard error: as text for people, or as JSON for programs that collect logs."""

from __future__ import annotations

import json
import logging
import threading
import time
from datetime import UTC, datetime
from typing import Any, Final

from actorc.storage.server.config import ServerOptions

from .access_log import LOGGER_NAME
from .ended_call import EndedCall
from .line_handler import LineHandler

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_WORKER_TEXT: Final = "%(asctime)s %(levelname)s [%(process)d] %(name)s %(message)s"
_MAX_TEXT: Final = 16 * 1024
"""Characters of a message or a traceback; an error's text may hold as much as a stranger sent."""

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
