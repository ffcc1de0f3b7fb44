"""Shutdown of a server process: on a signal, or when no program of its user needs it any more."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Final

from actorc.storage.files import file_locks

log = logging.getLogger(__name__)

_WAKE_SECONDS: Final = 0.5
"""Seconds between wake-ups of the main thread, in which Python runs the handler of a signal that came before."""


_LOOK_SECONDS: Final = 30.0
"""Seconds between looks at the clock, which may be set meanwhile."""


class ShutdownFlag:
    """Waits until a shutdown is requested.

    `begin` may be called from a signal handler: `SimpleQueue` is reentrant. An ``Event`` is not; a handler that set it
    while it interrupts the waiting thread could deadlock.
    """

    def __init__(self) -> None:
        self.begun = False
        """Whether a shutdown was requested."""
        self._requests: SimpleQueue[None] = SimpleQueue()

    def begin(self) -> None:
        """Request a shutdown: `wait` returns, now and when called later. Any thread or signal handler may call it."""
        self.begun = True
        # the handler runs between two bytecodes of any thread; `put` does not wait for a lock that this thread holds
        self._requests.put(None)

    def wait(self, poll: Callable[[], None] = lambda: None) -> None:
        """Return once `begin` was called.

        Args:
            poll: Called twice a second while waiting; must be quick and raise nothing.
        """
        while not self.begun:
            with suppress(Empty):
                # with a timeout, since Python runs signal handlers only while the main thread executes bytecode
                self._requests.get(timeout=_WAKE_SECONDS)
            poll()


def stop_on_signals(shutdown: ShutdownFlag, kill: Callable[[], None] | None) -> None:
    """Let SIGINT and SIGTERM request the shutdown; the second one calls `kill` and ends the process. Main thread."""

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if shutdown.begun:
            # without cleaning up: the user asked twice, and running calls may never end
            if kill is not None:
                kill()
            os._exit(128 + number)
        shutdown.begin()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)


def stop_when_unlocked(path: Path, shutdown: ShutdownFlag, needed_until: Callable[[], float] = lambda: 0.0) -> None:
    """Request the shutdown once no other process holds a lock on a file, and nothing else needs the server any more.

    A directory that was removed, with all that the server has, needs it no more either.

    Args:
        path: The file, in the data directory.
        shutdown: What to request.
        needed_until: Returns the time, in seconds since 1970-01-01 UTC, before which the server is needed in any case.
    """

    def wait() -> None:
        while True:
            # the lock is not held meanwhile, since a program that wants to use the server waits for it
            while (seconds := needed_until() - time.time()) > 0 and path.parent.exists():
                time.sleep(min(seconds, _LOOK_SECONDS))
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                # the directory is gone, perhaps since a moment ago; an error here would leave the server for ever
                break
            file_locks.lock(descriptor)
            if needed_until() <= time.time():
                # held until the process is gone, since the descriptor is never closed
                break
            os.close(descriptor)
        log.info("nobody needs the server any more")
        shutdown.begin()

    # daemon: it may sleep when the server is stopped for another reason
    threading.Thread(target=wait, name="linger-lock", daemon=True).start()
