"""Sends events beside the work: a receiver that is slow or away costs a run one warning, and events."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from queue import Full, Queue
from typing import Any, Final, Protocol, TypeAlias

logger = logging.getLogger(__name__)

Make: TypeAlias = Callable[[], Mapping[str, Any]]
"""Returns an event; called on the thread that sends."""

MOST: Final = 1000
"""Events that wait, at most; those that come while as many do are lost."""
PATIENCE: Final = 3.0
"""Seconds for which a run waits at its end for events that are not sent yet."""


class Target(Protocol):
    """A receiver of events. For one thread."""

    def send(self, event: Mapping[str, Any]) -> None:
        """Send an event.

        Raises:
            OSError: It does not take it.
        """


class Sender:
    """Sends events in their order, on a thread of its own, up to the first that a receiver does not take.

    Any thread may hand events over. A forked child must not: it has no such thread.

    Args:
        targets: Each gets every event.
        most: Events that wait, at most.
    """

    def __init__(self, targets: Sequence[Target], most: int = MOST) -> None:
        self._targets = list(targets)
        self._waiting: Queue[Make | None] = Queue(most)
        self._warned = threading.Event()
        # A daemon: a receiver that does not answer must not keep the process from ending.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._work,), name="lucas-storage lineage", daemon=True
        )
        self._thread.start()

    def put(self, make: Make) -> None:
        """Let an event be sent; it is lost if too many wait."""
        try:
            self._waiting.put_nowait(make)
        except Full:
            self._warn("its receiver is too slow, and events are lost")

    def end(self) -> None:
        """Return when all events are sent, at most after `PATIENCE` seconds; the others are lost."""
        deadline = time.monotonic() + PATIENCE
        try:
            self._waiting.put(None, timeout=PATIENCE)
        except Full:
            self._warn("its receiver is too slow, and events are lost")
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._warn("its receiver is too slow, and the last events are lost")

    def _work(self) -> None:
        while (make := self._waiting.get()) is not None:
            # What comes after a failure is taken away without being made.
            if self._targets:
                self._send(make)

    def _send(self, make: Make) -> None:
        try:
            event = make()
        except Exception as error:  # noqa: BLE001  # an event must never fail a run
            self._warn(f"an event cannot be made because of {type(error).__name__}")
            return
        for target in list(self._targets):
            try:
                target.send(event)
            except Exception as error:  # noqa: BLE001  # likewise
                # With a receiver that is away each further event would take its whole timeout.
                self._targets.remove(target)
                self._warn(f"{target} took no event because of {type(error).__name__} ({error})")

    def _warn(self, why: str) -> None:
        if not self._warned.is_set():
            self._warned.set()
            logger.warning("the OpenLineage events of this run are incomplete; %s. The run goes on", why)
