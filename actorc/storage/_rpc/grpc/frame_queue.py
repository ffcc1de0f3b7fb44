"""A bounded queue of frames between the caller's thread and the gRPC thread that sends them.

The bound is what limits the memory of an upload whose source is faster than the network.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

from actorc.storage._rpc.transport import HEARTBEAT_SECONDS


class QueueClosedError(Exception):
    """The reading end is gone; a frame written now would not be sent."""


class FrameQueue:
    """A queue with one writing and one reading thread; any thread may break it off.

    The queue owns a frame from `put` until it is read.

    Args:
        capacity: Frames that may wait.
        heartbeat: Returns a frame to send when the writer was silent for `HEARTBEAT_SECONDS`, so that the peer can
            tell a slow source from a dead one.
    """

    def __init__(self, capacity: int, heartbeat: Callable[[], bytes]) -> None:
        self._capacity = capacity
        self._heartbeat = heartbeat
        self._frames: deque[bytes] = deque()
        # guards all fields, and wakes the writer when there is room, the reader when there is a frame or the end
        self._changed = threading.Condition()
        self._finished = False
        self._broken = False

    def put(self, frame: bytes, timeout: float) -> None:
        """Append a frame.

        Args:
            frame: One serialized message.
            timeout: Seconds to wait for room.

        Raises:
            QueueClosedError: `break_off` was called.
            TimeoutError: No room came free in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._broken or len(self._frames) < self._capacity, timeout):
                raise TimeoutError
            if self._broken:
                raise QueueClosedError
            self._frames.append(frame)
            self._changed.notify_all()

    def finish(self) -> None:
        """Mark the end of the stream; waiting frames are still read."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def break_off(self) -> None:
        """Drop waiting frames and end both sides."""
        with self._changed:
            self._broken = True
            # an attempt that failed begins anew; sending the rest of it would only take time
            self._frames.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            frame = self._next()
            if frame is None:
                return
            yield frame

    def _next(self) -> bytes | None:
        with self._changed:
            awake = self._changed.wait_for(lambda: self._frames or self._finished or self._broken, HEARTBEAT_SECONDS)
            if not awake:
                # the queue is empty here, so a heartbeat overtakes no frame
                return self._heartbeat()
            if not self._frames:
                return None
            frame = self._frames.popleft()
            self._changed.notify_all()
            return frame
