"""Logs when the process runs out of file descriptors, and when it has some again.

Nothing else would: a call that fails for want of a descriptor tells only its caller, and connections that wait to be
accepted wait silently, in gRPC and in HTTP.
"""

from __future__ import annotations

import logging
import resource
import threading
from typing import Final

from actorc.storage.server.engines.descriptor_shortage import can_open

log = logging.getLogger(__name__)

_INTERVAL_SECONDS: Final = 1.0
"""Seconds between two checks."""


class DescriptorWatch:
    """Checks every second, on a thread of its own, whether the process can open a file."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._short = False
        # daemon, so that a server that is not closed does not keep its process alive
        self._thread = threading.Thread(target=self._run, name="storage-descriptors", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread, and return when it has ended."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def check(self) -> None:
        """Check once, and log a change."""
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
        while not self._over.wait(_INTERVAL_SECONDS):
            self.check()
