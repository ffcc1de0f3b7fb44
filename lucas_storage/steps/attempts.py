"""Attempts at a step: the function is called again after it failed, within the step, so that no engine sees it fail."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final

from actorc.storage.errors import StorageError
from lucas_storage import step_spans
from lucas_storage.records import run_log
from lucas_storage.records.step_note import StepNote, message_of

from .attempt_policy import AttemptPolicy

logger = logging.getLogger(__name__)

_SHOWN: Final = 200
"""Characters of an error's text in the log."""


class Stage(Enum):
    """How far an attempt has come."""

    LOADING = auto()
    """The arguments are loaded."""
    CALLING = auto()
    """The function of the user runs."""
    CHECKING = auto()
    """The result is compared with its annotation."""
    STORING = auto()
    """The result is stored, and generators in it run."""


class AttemptUnderWay:
    """One attempt at a step, for the thread that makes it; it says how far it has come."""

    __slots__ = ("is_repeated", "stage")

    def __init__(self) -> None:
        self.stage = Stage.LOADING
        self.is_repeated: bool | None = None
        """Whether it is repeated after an error, if that is known otherwise than by its stage."""

    def is_repeated_after(self, error: BaseException) -> bool:
        """Return whether another attempt may end otherwise: the user's code failed, or the storage may yet answer."""
        if not isinstance(error, Exception):  # an interrupt, or an exit that the function asked for
            return False
        if self.is_repeated is not None:
            return self.is_repeated
        if self.stage is Stage.CALLING:
            return True
        # What is wrong with an argument, or with the type of a result, is wrong the next time, too. A generator of the
        # user runs while it is stored.
        return error.retryable if isinstance(error, StorageError) else self.stage is Stage.STORING


def repeated(
    make: Callable[[AttemptUnderWay], Any], policy: AttemptPolicy, function: str, note: StepNote | None
) -> Any:
    """Return the result of the first attempt that succeeds.

    Args:
        make: Makes an attempt.
        policy: How many there may be, and the pauses between them.
        function: Named in the log.
        note: The record of the step, which gets the attempts if there is more than one.

    Raises:
        BaseException: Whatever the last attempt raises.
        RuntimeError: The run ended during a pause, so that nobody takes a result any more.
    """
    if not policy.retries:
        return make(AttemptUnderWay())
    for number in range(1, policy.retries + 1):
        attempt, start = AttemptUnderWay(), time.perf_counter()
        try:
            out = make(attempt)
        except Exception as error:
            # The run may be over already, and with it what the attempt did.
            is_last = not attempt.is_repeated_after(error) or not run_log.pause(0)
            if number > 1 or not is_last:
                _record(note, number, start, error)
            if is_last:
                raise
            pause = policy.pause(number)
            _warn(function, number, policy.retries + 1, pause, error)
        else:
            if number > 1:
                _record(note, number, start)
            return out
        # Out of the handler, which would keep all values of the failed attempt in memory.
        if not run_log.pause(pause):
            raise RuntimeError(f"{function!r} is not attempted again, since its run is over")
    return _last(make, policy, note)


def _last(make: Callable[[AttemptUnderWay], Any], policy: AttemptPolicy, note: StepNote | None) -> Any:
    number, start = policy.retries + 1, time.perf_counter()
    try:
        out = make(AttemptUnderWay())
    except Exception as error:
        _record(note, number, start, error)
        error.add_note(f"this was attempt {number} of {number}")
        raise
    _record(note, number, start)
    return out


def _record(note: StepNote | None, number: int, start: float, error: Exception | None = None) -> None:
    seconds = time.perf_counter() - start
    step_spans.attempted(number, seconds, error)
    if note is not None:
        note.attempted(seconds, error)


def _warn(function: str, number: int, most: int, pause: float, error: Exception) -> None:
    text = message_of(error)
    shown = f" ({text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''})" if text else ""
    kind = type(error).__name__
    logger.warning(
        "attempt %d of %d at %r failed with %s%s; the next in %.1f s", number, most, function, kind, shown, pause
    )
