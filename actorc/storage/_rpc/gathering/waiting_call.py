"""A call that waits for others to end, and what its thread is told meanwhile."""

from __future__ import annotations

import time
from enum import Enum
from queue import Empty, SimpleQueue
from typing import Final, Generic, Protocol, TypeVar

from actorc.storage._rpc.retries.deadline import Deadline
from actorc.storage.errors import StorageError


class Gathered(Protocol):
    """A call that may travel with others."""

    @property
    def bucket(self) -> str:
        """The bucket; one batch has one."""

    @property
    def key(self) -> str:
        """The key of the object."""

    @property
    def size(self) -> int:
        """Bytes that are sent."""

    timeout: float | None
    """Seconds for all of it; None for the usual ones. Those that are left, once it has waited."""


LAST_SECONDS: Final = 0.001
"""Time limit of a call whose time is over when it is made: it fails as one whose answer comes late."""

C = TypeVar("C", bound=Gathered)
R = TypeVar("R")


class Told(Enum):
    """What the thread of a waiting call may be told besides a result."""

    ALONE = "make the call alone"
    LEAD = "make the call, and with it those that wait"
    CANCELLED = "the call was cancelled"


class Failed:
    """A call that failed for itself, while the batch succeeded.

    Args:
        error: Its error.
    """

    __slots__ = ("error",)

    def __init__(self, error: StorageError) -> None:
        self.error = error


class WaitingCall(Generic[C, R]):
    """A call and the thread that waits for it. Any thread may tell it something.

    Args:
        call: The call.
        usual: Seconds after which one without a time limit no longer waits for others.

    Raises:
        InvalidParameterError: The time limit of the call is not above 0.
    """

    __slots__ = ("_mail", "batch", "call", "end")

    def __init__(self, call: C, usual: float) -> None:
        self.call = call
        self.end = Deadline(usual if call.timeout is None else call.timeout).end or 0.0
        """When it gives up waiting, in seconds of the monotonic clock."""
        self.batch: list[WaitingCall[C, R]] | None = None
        """The calls that it is to lead, itself included, until they are over; guarded by the lock of the gathering."""
        # takes any number of messages from any thread, and from a handler of a signal
        self._mail: SimpleQueue[R | Failed | Told] = SimpleQueue()

    def tell(self, what: R | Failed | Told) -> None:
        """Wake the thread."""
        self._mail.put(what)

    def cancel(self) -> None:
        """Wake the thread; it makes no call."""
        self._mail.put(Told.CANCELLED)

    def told(self, seconds: float) -> R | Failed | Told | None:
        """Return what the thread was told within so many seconds; None: nothing."""
        try:
            return self._mail.get(timeout=max(0.0, seconds))
        except Empty:
            return None

    def left(self) -> float:
        """Return the seconds for which it waits for others, negative if they are over."""
        return self.end - time.monotonic()

    def shorten(self) -> None:
        """Leave the call, which is made alone now, the time that is left."""
        if self.call.timeout is not None:
            self.call.timeout = max(LAST_SECONDS, self.left())
