"""Errors on their way from a child process: as they are where they can be pickled, with the text of their traceback."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass
from typing import Final, Self

import cloudpickle

from lucas_storage._tracebacks import shorten
from lucas_storage.errors import StepProcessError

_MOST: Final = 100_000
"""Characters of a message or a traceback that are carried beside the error."""


class ChildTraceback(Exception):  # noqa: N818  # it stands in a traceback, and is never raised
    """The traceback of an error in a child process; the cause of that error in this one."""

    is_remote_traceback = True

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0].rstrip()}\n"""'


@dataclass(frozen=True, slots=True)
class Raised:
    """An error that a call raised in a child process."""

    packed: bytes | None
    """The error; None if it cannot be pickled."""
    kind: str
    """Name of its class."""
    message: str
    traceback: str
    is_repeated: bool
    """Whether another attempt may end otherwise."""

    @classmethod
    def of(cls, error: BaseException, *, is_repeated: bool) -> Self:
        """Return an error as it travels."""
        shorten(error)
        lines = "".join(traceback.format_exception(error))
        return cls(_packed(error), type(error).__name__, _message(error), _cut(lines), is_repeated)

    def error(self, function: str) -> BaseException:
        """Return the error, as its own class if that can be; its cause is the traceback in the child."""
        error = self._unpacked()
        if error is None:
            text = f" ({self.message})" if self.message else ""
            error = StepProcessError(
                f"its process raised {self.kind}{text}, and an error of that class does not survive pickling; give it "
                "the arguments of its constructor as args",
                function=function,
            )
        error.__cause__ = ChildTraceback(self.traceback)
        return error

    def _unpacked(self) -> BaseException | None:
        try:
            found = None if self.packed is None else pickle.loads(self.packed)  # noqa: S301  # of our own child
        except (Exception, SystemExit):  # noqa: BLE001  # it runs code of the user's class
            return None
        return found if isinstance(found, BaseException) else None


def _packed(error: BaseException) -> bytes | None:
    try:
        return bytes(cloudpickle.dumps(error))
    except Exception:  # noqa: BLE001  # likewise
        return None


def _message(error: BaseException) -> str:
    try:
        return _cut(str(error))
    except Exception:  # noqa: BLE001  # likewise
        return ""


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"
