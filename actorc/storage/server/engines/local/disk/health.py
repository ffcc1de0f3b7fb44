"""The read-only state of an engine whose disk failed."""

from __future__ import annotations

import logging

from actorc.storage.errors import ReadOnlyError

from .errors import cause

_log = logging.getLogger(__name__)


class Health:
    """Whether the engine still knows its state on disk. Any thread may call it.

    Once lost, it stays lost until the engine is reopened: after a failed sync the kernel forgets which pages were not
    written, so a second sync that succeeds proves nothing.
    """

    def __init__(self) -> None:
        self._failure = ""

    @property
    def good(self) -> bool:
        """Whether changes are still accepted."""
        return not self._failure

    def lose(self, error: Exception) -> None:
        """Make the engine read-only because of `error`."""
        # without a lock: of two threads that fail at once, either may name the cause
        if self.good:
            _log.critical("storage is read-only from now on: %s", error)
            self._failure = cause(error)

    def check(self) -> None:
        """Return if changes are accepted.

        Raises:
            ReadOnlyError: They are not.
        """
        if self._failure:
            raise ReadOnlyError(
                f"the storage is read-only because a write to its disk failed ({self._failure}); "
                "check the disk, then restart the server"
            )
