"""Writes the records of a run beside its steps, many in one call."""

from __future__ import annotations

import _thread
import contextlib
import contextvars
import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias

from actorc.storage.errors import StorageError

from . import record_store
from .record_store import Prepared

logger = logging.getLogger(__name__)

PATIENCE: Final = 3.0
"""Seconds that one batch may take to be written, and that a run waits at its end while nothing more is."""
LOOK: Final = 0.5
"""Seconds after which the writer looks for what has gone on for so long that it is to be recorded before it ends."""
BEAT: Final = 10.0
"""Seconds after which the record of a run that goes on is written again."""
_GATHERING: Final = 0.01
"""Seconds for which further records are waited for, so that a quick run costs one call. A kill loses no more than the
records of as long, and those that are being sent."""
_MOST: Final = 1000
PAUSE: Final = 0.5
"""Seconds before records are sent again that a store did not take, doubled each time, up to `BEAT`."""

Make: TypeAlias = Callable[[], list[Prepared]]
"""Returns records; called on the thread that writes, in the context of the one that began the run."""


class RecordWriter:
    """Writes records in the background, in order; what a store refuses for a while waits. For any number of threads.

    Args:
        failed: Called once with the error of a record that cannot be written: one that trying again does not mend, or
            that is left at the end of the run, or once more wait than may. Nothing is written after it.
        going_on: Returns records of what has not ended, by place; called every `LOOK` seconds, so that what ends sooner
            costs nothing. One that cannot be written is left out.
        keeps: How many records may wait for a store that does not take them now.
    """

    def __init__(
        self,
        failed: Callable[[Exception], None],
        going_on: Callable[[], Iterable[tuple[Hashable, Make]]],
        *,
        keeps: int = 0,
    ) -> None:
        self._failed = failed
        self._going_on = going_on
        self._keeps = keeps
        # Guards those below, which the threads of steps change while the one that writes takes them.
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, Make] = {}
        self._is_idle = True
        self._is_writing = False
        self._is_ending = False
        self._is_left_to_caller = False
        # A record that waits for others wakes nobody: a thread that wakes up takes the interpreter from the steps.
        self._news: SimpleQueue[None] = SimpleQueue()
        self._progress = 0.0
        self._pause = 0.0
        # A thread of its own, so that no step waits for a record. A daemon: a store that does not answer must not keep
        # the process from ending. In the context of the run, whose settings hold for what is stored.
        self._context = contextvars.copy_context()
        self._process = os.getpid()
        self._working = threading.Lock()
        self._working.acquire()
        # Not `Thread.start`, which waits until the thread runs: on a busy machine for as long as a step takes.
        _thread.start_new_thread(self._context.copy().run, (self._work,))

    def put(self, place: Hashable, make: Make) -> None:
        """Let what `make` returns be written; of two with one place that wait, the later."""
        with self._lock:
            self._waiting.pop(place, None)  # so that the later one is made behind those that came before it
            self._waiting[place] = make
            is_news = self._is_idle or len(self._waiting) == _MOST
            self._is_idle = False
        if is_news:
            self._news.put(None)

    def end(self, place: Hashable, make: Make, *, is_quick: bool) -> None:
        """Write what waits, and the last records, and return when they are written, or when nothing is for `PATIENCE`.

        A run of thousands of steps may leave more to be written than one batch.

        Args:
            place: Of the last records.
            make: Returns them.
            is_quick: Whether all records can be made without waiting for a store. The caller then writes them itself,
                unless the thread is writing: two switches between threads take as long as a step.
        """
        self._progress = time.monotonic()
        with self._lock:
            self._waiting.pop(place, None)
            self._waiting[place] = make
            self._is_ending = True
            # Again, if the caller was interrupted at that, and ends the run once more.
            is_free = not self._is_writing and (self._is_working() or self._is_left_to_caller)
            batch: dict[Hashable, Make] = {}
            if is_quick and is_free:
                self._is_left_to_caller = True
                batch, self._waiting = self._waiting, {}
        # Also a thread with nothing left to do, which ends while the caller waits for the store.
        self._news.put(None)
        if batch:
            self._write_here(batch.values())
        # A record that takes longer is lost; the value of the run is not held back for it.
        while self._is_working() and (left := self._progress + PATIENCE - time.monotonic()) > 0:
            if self._working.acquire(timeout=left):
                self._working.release()

    def _is_working(self) -> bool:
        # A forked child has no such thread.
        return self._working.locked() and self._process == os.getpid()

    def _write_here(self, makes: Iterable[Make]) -> None:
        try:
            self._context.run(self._write, makes)
        except Exception as error:  # noqa: BLE001  # as on the thread
            self._failed(error)

    def _work(self) -> None:
        try:
            look = time.monotonic() + LOOK
            is_last = False
            while not is_last:
                batch, is_last = self._batch(look)
                if self._is_left_to_caller:
                    return
                if time.monotonic() >= look:
                    self._write_going_on()
                    look = time.monotonic() + LOOK
                self._write_or_keep(batch, is_last=is_last)
                self._is_writing = False
        except Exception as error:  # noqa: BLE001  # a missing record must never fail a run
            self._failed(error)
        finally:
            self._working.release()

    def _write_or_keep(self, batch: dict[Hashable, Make], *, is_last: bool) -> None:
        """Write records, or let them wait if trying again may help; with the last ones nothing waits any longer."""
        try:
            self._write(batch.values())
        except StorageError as error:
            if is_last or not error.retryable or len(batch) + len(self._waiting) > self._keeps:
                raise
            logger.info("records of this run wait, their store does not take them now, %s", reason_of(error))
            self._pause = min(BEAT, 2 * self._pause or PAUSE)
            with self._lock:
                # Before those that came meanwhile, of which one of the same place is the later. Not idle: these wake
                # nobody, only the end of the run does.
                self._waiting = {
                    **{place: make for place, make in batch.items() if place not in self._waiting},
                    **self._waiting,
                }
                self._is_idle = False
        else:
            self._pause = 0.0

    def _write_going_on(self) -> None:
        try:
            self._write([make for _, make in self._going_on()])
        except StorageError as error:
            # A run that lasts for hours meets a server that starts anew, between steps whose records are written.
            logger.debug("what goes on is not recorded now because of %s", type(error).__name__)

    def _write(self, makes: Iterable[Make]) -> None:
        records: list[Prepared] = []
        for make in makes:
            records += make()
            self._progress = time.monotonic()
        record_store.write_all(records, PATIENCE)
        self._progress = time.monotonic()

    def _batch(self, look: float) -> tuple[dict[Hashable, Make], bool]:
        """Return the records to be written now, of which there are none if none came, and whether they are the last."""
        self._await_news(self._pause or look - time.monotonic())
        if self._waiting and not self._is_ending and len(self._waiting) < _MOST:
            self._await_news(_GATHERING)
        with self._lock:
            is_last = self._is_ending
            batch, self._waiting = self._waiting, {}
            self._is_idle = True
            self._is_writing = True
        return batch, is_last

    def _await_news(self, seconds: float) -> None:
        # No news within this time: the records of what goes on are due.
        with contextlib.suppress(Empty):
            self._news.get(timeout=max(0.0, seconds))


def reason_of(error: Exception) -> str:
    """Return why records are not written, for the log."""
    return f"{type(error).__name__} ({error.message})" if isinstance(error, StorageError) else type(error).__name__
