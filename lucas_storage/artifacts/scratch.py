"""Temporary directories that are removed when their step ends."""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final, TypeAlias

from actorc.storage.context_variables import Bound, bound

from .cache.removal import delete

_PREFIX: Final = "lucas-storage-"

_Directories: TypeAlias = list["tempfile.TemporaryDirectory[str]"]

_within: Path | None = None
"""The directory of all others in this process; None for that of the system."""
_current: ContextVar[_Directories | None] = ContextVar("lucas_storage_scratch", default=None)
_later: ContextVar[_Directories | None] = ContextVar("lucas_storage_scratch_later", default=None)
"""Takes the directories that are removed later than at the end of their step."""


def step() -> AbstractContextManager[None]:
    """Remove at the end of the block the directories that `directory` made meanwhile."""
    return _Step()


class _Step(Bound[_Directories | None]):
    """The block of `step`."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        # A context variable: threads that a step starts with its context, and coroutines, see its list and no other's.
        self._made: _Directories = []
        super().__init__(_current, self._made)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        later = _later.get()
        if later is not None:
            later.extend(self._made)
            return
        for temporary in self._made:
            temporary.cleanup()


@contextmanager
def kept() -> Iterator[None]:
    """Keep the directories of the steps in the block until its end, for a caller that looks at what a step left."""
    made: _Directories = []
    try:
        with bound(_later, made):
            yield
    finally:
        for temporary in made:
            temporary.cleanup()


def directory() -> Path:
    """Return a new, empty directory, removed with all in it when the present step is over; outside one, at exit."""
    made = _current.get()
    if made is None:
        return lasting()
    # A file that cannot be removed must not turn a step that succeeded into one that failed.
    made.append(tempfile.TemporaryDirectory(prefix=_PREFIX, dir=_within, ignore_cleanup_errors=True))
    return Path(made[-1].name)


def all_within(folder: Path) -> None:
    """Make all directories of this process in another one, which another process removes."""
    global _within  # noqa: PLW0603
    _within = folder


def lasting() -> Path:
    """Return a new, empty directory that this process removes when it ends."""
    name = tempfile.mkdtemp(prefix=_PREFIX, dir=_within)
    atexit.register(_remove, name, os.getpid())
    return Path(name)


def _remove(name: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked child ends with the handlers of its parent
        delete(Path(name))
