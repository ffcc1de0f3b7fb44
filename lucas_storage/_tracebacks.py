"""Shortened tracebacks: the user's frames, without those of the packages around them.

These packages, called the machinery below, are this one, `actorc`, gRPC and Lucas, with the library frames on the way,
such as those of threads and futures. Their frames are removed if they lead to code of the user that raised. They stay
if the error was raised in them, or in a library that they called: it is a defect of theirs, or about an argument of the
user.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, TracebackType
from typing import Any, Final, TypeVar

_MACHINERY: Final = frozenset({"actorc", "grpc", "lucas", "lucas_storage"})
"""Packages, by name and not by file: shipped code has no file here, and an installation may keep files elsewhere."""
_SITES: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

_seams: Final[set[CodeType]] = set()
_asked: Callable[[], bool] = bool

_F = TypeVar("_F", bound=Callable[..., Any])


def seam(function: _F) -> _F:
    """Mark a function of this package that calls one of the user, who may have installed it as a package."""
    _seams.add(function.__code__)
    return function


class _Shortened:
    """A context whose body may raise errors of the user's code; without state, so all threads share one."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None:
            shorten(error)


shortened: Final = _Shortened()
"""``with shortened:`` is put around calls that lead to code of the user; the caller's frame is added after it."""


def shorten(error: BaseException) -> None:
    """Remove the frames of the machinery from the traceback of an error, and of its causes and contexts.

    A class of errors with a true attribute `raised_remotely` stands for an error of the user's code in another process,
    about which no local frame of the machinery says anything; so does an error whose cause is the traceback of such a
    process. With the setting ``tracebacks = "full"`` nothing changes.
    """
    if is_full():
        return
    for each in related(error):
        frames = list(frames_of(each.__traceback__))
        rest = kept(frames, each)
        if len(rest) < len(frames):
            each.__traceback__ = joined(rest)


def full_if(asked: Callable[[], bool]) -> None:
    """Take the function that returns whether tracebacks are left whole; settings are read in a layer above this one."""
    global _asked  # noqa: PLW0603
    _asked = asked


def is_full() -> bool:
    """Return whether tracebacks are left whole."""
    return _asked()


def related(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its causes and contexts, the errors of a group, and theirs."""
    # By identity: errors may be each other's context, in a circle.
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            inner = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
            pending += [each.__cause__, each.__context__, *inner]


def frames_of(trace: TracebackType | None) -> Iterator[TracebackType]:
    """Yield the frames of a traceback, the caller first."""
    while trace is not None:
        yield trace
        trace = trace.tb_next


def kept(frames: list[TracebackType], error: BaseException) -> list[TracebackType]:
    """Return the frames of an error without those of the machinery that lead to code of the user."""
    kept: list[TracebackType] = []
    between: list[TracebackType] = []
    """Frames of the machinery since the last one of the user's, and of what it went through."""
    for each in frames:
        if is_machinery(each):
            between.append(each)
        elif is_users(each):
            between.clear()
            kept.append(each)
        else:
            # A library frame goes with the frame that called it.
            (between or kept).append(each)
    return kept + _rest(between, error)


def _rest(between: list[TracebackType], error: BaseException) -> list[TracebackType]:
    """Return the frames to keep of those after the last one of the user."""
    if getattr(type(error), "raised_remotely", False) or getattr(error.__cause__, "is_remote_traceback", False):
        return []
    if between and between[-1].tb_frame.f_code in _seams and not isinstance(error, TypeError):
        # A function of the user that is not written in Python, so without a frame; a TypeError may be about the call.
        return between[-1:]
    return between


def is_machinery(trace: TracebackType) -> bool:
    """Return whether a frame is one of the machinery."""
    return is_machinery_name(trace.tb_frame.f_globals.get("__name__", ""))


def is_machinery_name(module: object) -> bool:
    """Return whether a module of this name belongs to the machinery."""
    return str(module).partition(".")[0] in _MACHINERY


def is_users(trace: TracebackType) -> bool:
    """Return whether a frame, not one of the machinery, is the user's: of no library, or called as the user's."""
    caller = trace.tb_frame.f_back
    file = trace.tb_frame.f_code.co_filename
    if caller is not None and caller.f_code in _seams:
        return True
    return not (file.startswith(_libraries()) or any(site in file for site in _SITES))


@cache
def _libraries() -> tuple[str, ...]:
    """Return the prefixes of the names of files that came with Python or were installed."""
    import sysconfig  # noqa: PLC0415  # of use to errors only

    folders = (sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
    return "<frozen ", *(f"{folder}{os.sep}" for folder in folders)


def joined(frames: list[TracebackType]) -> TracebackType | None:
    """Return a traceback of these frames, which it links to each other."""
    following = None
    for each in reversed(frames):
        each.tb_next = following
        following = each
    return following
