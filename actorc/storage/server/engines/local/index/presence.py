"""Who has the index open, of all processes that share its directory: the first one checks it, the last one marks it.

The lock file is empty until the index was opened once. From then on there is the log of the index, or the mark of a
clean stop; if neither is there, the log was lost.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from actorc.storage.server.engines.local.disk.fsops import FsOps

NAME: Final = "open.lock"


class Presence:
    """Held from opening to closing. The kernel lets go of it when the process ends, however that comes about.

    Args:
        folder: Where the index is.
        fsops: The disk.
    """

    def __init__(self, folder: Path, fsops: FsOps) -> None:
        self._folder = folder
        self._fsops = fsops
        self._descriptor = -1

    @contextmanager
    def entering(self) -> Iterator[bool]:
        """Yield whether nobody else has the index open; nobody comes or goes meanwhile.

        From the end of the context on it is held, unless that raised.
        """
        with self._gate():
            self._descriptor = os.open(self._folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                yield self._alone()
                fcntl.flock(self._descriptor, fcntl.LOCK_SH)
            except BaseException:
                self._let_go()
                raise

    def was_open(self) -> bool:
        """Return whether the index must have a log or a mark."""
        return os.fstat(self._descriptor).st_size > 0

    def expect_log(self) -> None:
        """Note that the index has a log from now on; return when that is on the medium."""
        if (
            not self.was_open()
        ):  # also since a full disk, which has no room for it, must not keep a server from starting
            self._fsops.write(self._descriptor, b"opened\n", 0)
            self._fsops.sync(self._descriptor)

    def expect_nothing(self) -> None:
        """Note that the log may be gone without a mark in its place; return when that is on the medium."""
        self._fsops.truncate(self._descriptor, 0)
        self._fsops.sync(self._descriptor)

    @contextmanager
    def leaving(self) -> Iterator[bool]:
        """Yield whether nobody else has the index open; nobody comes or goes meanwhile, and then it is let go of."""
        with self._gate():
            try:
                yield self._descriptor >= 0 and self._alone()
            finally:
                self._let_go()

    @contextmanager
    def _gate(self) -> Iterator[None]:
        # two that leave at once would each find the other one there, and neither would be the last
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _alone(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
