"""Errors as they are shown to a user: up to the user's own line, without what these packages do beneath it.

They are shortened only while they are shown: an ``except`` block, a debugger, and ``%debug`` in a notebook get all
frames.
"""

from __future__ import annotations

import opcode
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from lucas_storage import _tracebacks

_RAISE: Final = opcode.opmap["RAISE_VARARGS"]


@dataclass(frozen=True, slots=True)
class _Whole:
    """An error with all that is changed while it is shown."""

    error: BaseException
    frames: list[TracebackType]
    cause: BaseException | None
    context: BaseException | None
    suppressed: bool

    @classmethod
    def of(cls, error: BaseException) -> _Whole:
        frames = list(_tracebacks.frames_of(error.__traceback__))
        return cls(error, frames, error.__cause__, error.__context__, error.__suppress_context__)

    def restore(self) -> None:
        error = self.error
        error.__traceback__ = _tracebacks.joined(self.frames)
        error.__cause__, error.__context__ = self.cause, self.context
        error.__suppress_context__ = self.suppressed  # last, since a cause sets it


@contextmanager
def shown_short(error: BaseException) -> Iterator[None]:
    """Shorten an error, its causes and contexts within the body, and restore them behind it.

    Frames beneath the user's last one go if the error was raised on purpose: it is of a class of these packages, or a
    ``raise`` statement of them made it, as for a wrong argument, or it is a Ctrl-C. Its text says what to do. A defect
    of these packages keeps its frames. With the setting ``tracebacks = "full"`` nothing changes.
    """
    whole = [] if _tracebacks.is_full() else [_Whole.of(each) for each in _tracebacks.related(error)]
    try:
        for each in whole:
            _shorten(each)
        yield
    finally:
        for each in whole:
            each.restore()


def install() -> None:
    """Show errors that nothing catches as `shown_short` does, in all of this process; repeating it does nothing."""
    if not isinstance(sys.excepthook, _Hook):
        sys.excepthook = _Hook(sys.excepthook)


class _Hook:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if error.__traceback__ is not trace:
            self._inner(kind, error, trace)
            return
        with shown_short(error):
            self._inner(kind, error, error.__traceback__)


def _shorten(whole: _Whole) -> None:
    error = whole.error
    kept = _tracebacks.kept(whole.frames, error)
    if _is_on_purpose(error, whole.frames):
        kept = _up_to_user(kept)
        error.__cause__, error.__context__ = _with_user(whole.cause), _with_user(whole.context)
        error.__suppress_context__ = whole.suppressed
    error.__traceback__ = _tracebacks.joined(kept)


def _is_on_purpose(error: BaseException, frames: list[TracebackType]) -> bool:
    if isinstance(error, KeyboardInterrupt) or _tracebacks.is_machinery_name(type(error).__module__):
        return True
    last = frames[-1] if frames else None
    return last is not None and _tracebacks.is_machinery(last) and last.tb_frame.f_code.co_code[last.tb_lasti] == _RAISE


def _up_to_user(frames: list[TracebackType]) -> list[TracebackType]:
    """Return the frames up to the last one of the user; all of them if none is."""
    last = max((number for number, each in enumerate(frames) if _is_users(each)), default=len(frames) - 1)
    return frames[: last + 1]


def _with_user(error: BaseException | None) -> BaseException | None:
    """Return an error if code of the user has to do with it."""
    if error is None or not any(map(_is_users, _tracebacks.frames_of(error.__traceback__))):
        return None
    return error


def _is_users(trace: TracebackType) -> bool:
    return not _tracebacks.is_machinery(trace) and _tracebacks.is_users(trace)
