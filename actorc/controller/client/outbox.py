"""What a session sends: put in by many threads, taken out by gRPC's, as few messages as the other end takes."""

from __future__ import annotations

import threading
from collections import deque
from queue import SimpleQueue
from typing import Self

from actorc.controller.protocol.batching import MAX_COUNT, next_message
from actorc.controller.protocol.protobuf_fields import Parts


class Outbox:
    """Messages in the order in which they were put; iterated over by one thread, until it was closed and is empty.

    Attributes:
        batches: Whether the other end takes several messages as one.
        taker: The thread that iterates, once it has begun.
    """

    def __init__(self) -> None:
        self.batches = False
        self.taker: threading.Thread | None = None
        self._put: SimpleQueue[tuple[Parts, ...]] = SimpleQueue()
        self._waiting: deque[Parts] = deque()
        self._is_closed = False
        self._sending = threading.Lock()
        self._is_sending = False

    def put(self, *messages: Parts) -> None:
        """Send messages, which nobody else's come between."""
        self._put.put(messages)

    def close(self) -> None:
        """Send no more than what was put already."""
        self._put.put(())

    def pause(self, seconds: float) -> bool:
        """Hand nothing out until `resume`; return whether what was handed out has been sent by then.

        Args:
            seconds: How long to wait for that.
        """
        return not self._is_closed and self._sending.acquire(timeout=seconds)

    def resume(self) -> None:
        """Go on after a successful `pause`."""
        self._sending.release()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Parts:
        self.taker = threading.current_thread()
        # Whoever comes for the next one has sent the one before.
        if self._is_sending:
            self._is_sending = False
            self._sending.release()
        message = self._next()
        self._sending.acquire()
        self._is_sending = True
        return message

    def _next(self) -> Parts:
        if not self._waiting and not self._is_closed:
            self._take()
        while len(self._waiting) < MAX_COUNT and not self._put.empty():
            self._take()
        if not self._waiting:
            raise StopIteration
        return next_message(self._waiting) if self.batches else self._waiting.popleft()

    def _take(self) -> None:
        messages = self._put.get()
        self._is_closed = self._is_closed or not messages
        self._waiting.extend(messages)
