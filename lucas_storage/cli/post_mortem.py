"""A debugger on an error of the user's code, in the user's own frame."""

from __future__ import annotations

import pdb  # noqa: T100  # the debugger is what the user asks for
import sys
from types import TracebackType
from typing import Any

import click

from lucas_storage import _tracebacks


def check_terminal() -> None:
    """Check that there is a person to debug.

    Raises:
        UsageError: Standard input or output is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("--pdb needs a terminal for its questions and answers; run it in one, without a pipe")


def debug(error: BaseException) -> None:
    """Let the user look around where an error was raised, until the debugger is left.

    It begins in the last frame of the user's own code; `down` leads to the libraries that it called.
    """
    frames = list(_tracebacks.frames_of(error.__traceback__))
    own = [number for number, each in enumerate(frames) if _is_own(each)]
    frames = frames[own[0] :] if own else frames
    if frames:
        _AtFrame(own[-1] - own[0] if own else len(frames) - 1).interaction(None, frames[0])


def _is_own(trace: TracebackType) -> bool:
    return not _tracebacks.is_machinery(trace) and _tracebacks.is_users(trace)


class _AtFrame(pdb.Pdb):
    """A debugger that begins at one of the frames of a traceback, and not at the last one."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.reset()
        self._number: int | None = number

    def setup(self, f: Any, tb: Any) -> Any:
        # True, in some versions, if commands of the user's .pdbrc leave the debugger at once.
        is_left = super().setup(f, tb)
        if self._number is not None:
            number, self._number = self._number, None
            self.curindex = min(number, len(self.stack) - 1)
            self.curframe = self.stack[self.curindex][0]
            self.curframe_locals = self.curframe.f_locals
        return is_left
