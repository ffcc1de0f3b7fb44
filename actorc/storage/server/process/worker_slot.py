"""A place for one worker process: when the worker ends or goes silent, another one takes its place."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from actorc.storage.errors import StorageError

from .worker_process import TURN_SECONDS, WorkerProcess

log = logging.getLogger(__name__)

_STEADY_SECONDS: Final = 60.0
"""Seconds after which a start counts as successful and the restart pause is reset."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 10.0


class WorkerSlot:
    """Keeps one worker running: a thread of its own starts another when it ends. The owner calls from one thread.

    Args:
        number: Number of the worker in the log.
        started: Starts and returns a new worker.
        silence: Turns without a heartbeat after which a worker is killed.
        replaced: Called when another worker was started.
    """

    def __init__(
        self, number: int, started: Callable[[], WorkerProcess], silence: int, *, replaced: Callable[[], None]
    ) -> None:
        self._replaced = replaced
        self._number = number
        self._silence = silence
        self._started = started
        self._ending = threading.Event()
        self._killed = False
        # between `end` and `_replace`: without it, a worker started during the shutdown would be left running
        self._changes = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._thread = threading.Thread(target=self._run, name=f"storage-worker-{number}", daemon=True)

    def begin(self) -> None:
        """Start the first worker, which may not serve yet."""
        self._worker = self._started()

    def run(self) -> str:
        """Wait until the first worker serves, and from then on replace it when it ends; return the base of its URLs."""
        assert self._worker is not None
        endpoint = self._worker.ready()
        self._thread.start()
        return endpoint

    def end(self) -> None:
        """Send SIGTERM to the worker, and start no other."""
        with self._changes:
            self._ending.set()
            if self._worker is not None:
                self._worker.process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait until the worker has ended; kill it if that takes longer than `seconds`."""
        if self._worker is None:
            return
        try:
            self._worker.process.wait(max(seconds, 0))
        except subprocess.TimeoutExpired:
            log.warning("worker %d does not end and is killed", self._number)
            self._worker.process.kill()
        self._worker.wait()
        if self._thread.is_alive():
            self._thread.join()

    def kill(self) -> None:
        """Kill the worker and reap it. Takes no lock, since a signal handler calls it."""
        self._killed = True
        worker = self._worker
        # without a lock: the signal may have interrupted the thread that holds it
        if worker is not None and worker.process.returncode is None:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(worker.process.pid, signal.SIGKILL)
                os.waitpid(worker.process.pid, 0)

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while (worker := self._worker) is not None:
            began = time.monotonic()
            if worker.listen(self._silence) and not self._ending.is_set():
                log.error("worker %d says nothing for %g s and is killed", self._number, self._silence * TURN_SECONDS)
                worker.process.kill()
            how = worker.wait()
            if self._killed or self._ending.is_set():
                return
            # doubled up to ten seconds, so that a worker that cannot start does not use up a core
            pause = _FIRST_PAUSE if time.monotonic() - began > _STEADY_SECONDS else min(2 * pause, _LONGEST_PAUSE)
            log.error("worker %d ended (%s), another one is started in %g s", self._number, how, pause)
            self._ending.wait(pause)
            self._replace()

    def _replace(self) -> None:
        with self._changes:
            if self._ending.is_set():
                return
            self._worker = worker = self._started()
        with suppress(OSError):  # a full disk must not keep a worker from being replaced
            self._replaced()
        try:
            worker.ready()
        except StorageError as error:
            log.error("worker %d does not serve, %s", self._number, error.message)  # noqa: TRY400 - says it all
        else:
            log.info("worker %d serves again", self._number)
