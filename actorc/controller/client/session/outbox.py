"""The send queue of a session: filled by many threads, drained by gRPC's, in as few messages as the peer accepts."""

from __future__ import annotations

import threading
from collections import deque
from queue import SimpleQueue
from typing import Self

from actorc.controller.protocol.batching import MAX_COUNT, next_message
from actorc.controller.protocol.protobuf_fields import Parts


class Outbox:
    """Messages in the order of `put`. Any thread may put; one thread iterates, until it is closed and empty.

    The buffers of a message must not change after `put`: they are joined when the message is sent.

    Attributes:
        batches: Whether the peer accepts several messages in one.
        taker: The thread that iterates, once it has begun.
    """

    def __init__(self) -> None:
        self.batches = False
        self.taker: threading.Thread | None = None
        self._put: SimpleQueue[tuple[Parts, ...]] = SimpleQueue()
        self._waiting: deque[Parts] = deque()
        self._is_closed = False
        # held from handing a message out until it is sent, so that `pause` can wait for that
        self._sending = threading.Lock()
        self._is_sending = False

    def put(self, *messages: Parts) -> None:
        """Queue messages in one piece; no other thread's messages come between them."""
        self._put.put(messages)

    def close(self) -> None:
        """Accept no more messages; the iteration ends after those that were put."""
        self._put.put(())

    def pause(self, seconds: float) -> bool:
        """Hand out no message until `resume`; return whether the last one was sent within `seconds`.

        Args:
            seconds: How long to wait.
        """
        return not self._is_closed and self._sending.acquire(timeout=seconds)

    def resume(self) -> None:
        """Continue after a successful `pause`."""
        self._sending.release()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Parts:
        self.taker = threading.current_thread()
        # gRPC asks for the next message only after it has sent the last one.
        if self._is_sending:
            self._is_sending = False
            self._sending.release()
        # outside the lock, since it blocks until there is a message, and a fork must not wait for that
        message = self._next()
        self._sending.acquire()
        self._is_sending = True
        return message

    def _next(self) -> Parts:
        if not self._waiting and not self._is_closed:
            # blocks only if there is nothing to send; then takes all there is, for one batch
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
