"""The lock by which a process knows whether it is the first to open the index, or the last to close it.

The first checks the index, the last writes the mark of a clean stop. The lock file is empty until the index was opened
once. From then on either the log or the mark exists; if both are missing, the log was lost.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from actorc.storage.files import file_locks
from actorc.storage.server.engines.local.disk.fsops import FsOps

_log = logging.getLogger(__name__)

NAME: Final = "open.lock"


class PresenceLock:
    """A shared lock from opening to closing. The kernel releases it when the process ends, also when it is killed.

    Args:
        folder: Directory of the index.
        fsops: The disk.
    """

    def __init__(self, folder: Path, fsops: FsOps) -> None:
        self._folder = folder
        self._fsops = fsops
        self._descriptor = -1

    @contextmanager
    def entering(self) -> Iterator[bool]:
        """Yield whether no other process has the index open; none opens or closes it within the block.

        The lock is held from the end of the block on, unless that raised.
        """
        with file_locks.locked_directory(self._folder):
            self._descriptor = os.open(self._folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                # exclusive while it opens, shared from then on: later processes learn that they are not the first
                yield file_locks.try_lock(self._descriptor)
                file_locks.lock(self._descriptor, file_locks.SHARED)
            except BaseException:
                # a lock that is kept would make the next start believe that a process is running
                self._release()
                raise

    @contextmanager
    def looking(self) -> Iterator[bool]:
        """Yield whether no process has the index open; none opens or closes it within the block.

        Within the block `was_open` may be called.
        """
        with file_locks.locked_directory(self._folder):
            self._descriptor = os.open(self._folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                yield file_locks.try_lock(self._descriptor)
            finally:
                self._release()

    def was_open(self) -> bool:
        """Return whether the index must have a log or a mark."""
        return os.fstat(self._descriptor).st_size > 0

    def expect_log(self) -> None:
        """Record durably that the index has a log from now on."""
        if (
            not self.was_open()
        ):  # also since a full disk, which has no room for it, must not keep a server from starting
            self._fsops.write(self._descriptor, b"opened\n", 0)
            self._fsops.sync(self._descriptor)

    def expect_nothing(self) -> None:
        """Record durably that both log and mark may be missing."""
        self._fsops.truncate(self._descriptor, 0)
        self._fsops.sync(self._descriptor)

    @contextmanager
    def leaving(self) -> Iterator[bool]:
        """Yield whether no other process has the index open; none opens or closes it within the block. Then unlock.

        If the disk does not tell, others may have it open, and may do so within the block.
        """
        with ExitStack() as held:
            held.callback(self._release)
            try:
                # without this lock, two processes that close at once would each see the other, and neither write the
                # mark
                held.enter_context(file_locks.locked_directory(self._folder))
                # before the unlock, or a process that opens the index would believe that this one still has it
                held.callback(self._release)
                is_last = self._descriptor >= 0 and file_locks.try_lock(self._descriptor)
            except OSError as error:  # a broken disk must not keep a server from ending
                _log.warning("it cannot be told whether others have the index open, so it gets no mark: %s", error)
                is_last = False
            yield is_last

    def _release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
