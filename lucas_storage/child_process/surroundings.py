"""The surroundings of a call, for the process that makes it: where modules are found, arguments, levels of the log."""

from __future__ import annotations

import logging
import logging.handlers
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a child process takes over from its parent beside environment and working directory."""

    path: list[str]
    arguments: list[str]
    levels: dict[str, int]
    """Of the loggers that have one of their own; that of the root has no name."""
    disabled: int
    """Level up to which no logger writes."""

    @classmethod
    def present(cls) -> Self:
        """Return those of this process."""
        # A list, since other threads make loggers meanwhile.
        known = list(logging.root.manager.loggerDict.items())
        loggers = {name: each for name, each in known if hasattr(each, "level")}
        levels = {name: each.level for name, each in loggers.items() if each.level}
        return cls(
            path=list(sys.path),
            arguments=list(sys.argv),
            levels={"": logging.root.level, **levels},
            disabled=logging.root.manager.disable,
        )

    def take(self, send: Callable[[logging.LogRecord], None]) -> None:
        """Make them those of this process; records of its loggers are sent to the parent."""
        sys.path[:] = self.path
        sys.argv[:] = self.arguments
        logging.root.handlers[:] = [_Sender(send)]
        for name, level in self.levels.items():
            logging.getLogger(name).setLevel(level)
        logging.disable(self.disabled)


def interpreter_options() -> list[str]:
    """Return the options of this interpreter that change what code does, for another one."""
    letters = {"optimize": "O", "ignore_environment": "E", "no_user_site": "s", "dont_write_bytecode": "B"}
    options = [f"-{letter * getattr(sys.flags, name)}" for name, letter in letters.items() if getattr(sys.flags, name)]
    return [*options, *(f"-W{option}" for option in sys.warnoptions)]


class _Sender(logging.handlers.QueueHandler):
    """Sends records without the objects in them, as their texts."""

    def __init__(self, send: Callable[[logging.LogRecord], None]) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # it only hands it to `enqueue`
        self._send = send

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send a record, without attributes that cannot be pickled."""
        for name, value in list(vars(record).items()):
            if not _is_picklable(value):
                setattr(record, name, repr(value))
        self._send(record)


def _is_picklable(value: object) -> bool:
    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001  # it runs code of the user's class
        return False
    return True
