"""Writes the records of a run beside its steps, many in one call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Final

from . import record_store
from .record_store import Prepared

PATIENCE: Final = 3.0
"""Seconds that one batch may take to be written, and that a run waits at its end for what is not written yet."""
_GATHERING: Final = 0.005
"""Seconds for which further records are waited for, so that a quick run costs one call. A kill loses no more than the
records of as long, and those that are being sent."""
_MOST: Final = 1000


class RecordWriter:
    """Writes records in the background, in order, up to the first that fails. For any number of threads.

    Args:
        failed: Called once with the error of a record that cannot be written.
    """

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._waiting: SimpleQueue[tuple[Prepared, bool]] = SimpleQueue()
        # A thread of its own, so that no step waits for a record. A daemon: a store that does not answer must not keep
        # the process from ending.
        self._thread = threading.Thread(target=self._work, name="lucas-storage records", daemon=True)
        self._thread.start()

    def put(self, record: Prepared) -> None:
        """Let a record be written; of two with one key that wait, the later."""
        self._waiting.put((record, False))

    def end(self, last: Prepared) -> None:
        """Write what waits, and the last record, and return when it is written; at most after `PATIENCE` seconds."""
        self._waiting.put((last, True))
        # A record that takes longer is lost; the value of the run is not held back for it.
        self._thread.join(PATIENCE)

    def _work(self) -> None:
        try:
            # Up to the first failure: with a store that is away, each further record would take the whole timeout.
            for batch in self._batches():
                record_store.write_all(batch, PATIENCE)
        except Exception as error:  # noqa: BLE001  # a missing record must never fail a run
            self._failed(error)

    def _batches(self) -> Iterator[list[Prepared]]:
        is_last = False
        while not is_last:
            record, is_last = self._waiting.get()
            batch = {record.place: record}
            deadline = time.monotonic() + _GATHERING
            while not is_last and len(batch) < _MOST:
                try:
                    record, is_last = self._waiting.get(timeout=max(0.0, deadline - time.monotonic()))
                except Empty:
                    break
                batch[record.place] = record
            yield list(batch.values())
