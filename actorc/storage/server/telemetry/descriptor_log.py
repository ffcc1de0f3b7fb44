"""Says in the log that the process is out of file descriptors: once when it begins, and once when it is over.

Nobody else would. The call that fails for want of one tells its caller alone, and what waits to be accepted waits
without a word, in gRPC and in HTTP.
"""

from __future__ import annotations

import logging
import resource
import threading
from typing import Final

from actorc.storage.server.engines.descriptor_shortage import can_open

log = logging.getLogger(__name__)

_EVERY: Final = 1.0
"""Seconds between two looks."""


class DescriptorWatch:
    """Looks every second, on a thread of its own, whether the process can open a file."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._short = False
        self._thread = threading.Thread(target=self._run, name="storage-descriptors", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Look once, and tell what is new."""
        short = not can_open()
        if short and not self._short:
            log.error(
                "out of file descriptors, %d are open and no more are allowed; new connections wait and some calls are "
                "refused until others end. Raise the limit (LimitNOFILE of systemd, or 'ulimit -Hn')",
                resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            )
        if self._short and not short:
            log.warning("there are file descriptors again")
        self._short = short

    def _run(self) -> None:
        while not self._over.wait(_EVERY):
            self.look()


def allow_all() -> None:
    """Let the process open as many files as the system lets it be allowed; what is usual was made for `select`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError):
        # some systems allow fewer than they say; then it stays as it is
        log.debug("the limit of file descriptors is left as it is", exc_info=True)
