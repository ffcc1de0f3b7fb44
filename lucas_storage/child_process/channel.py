"""Messages between a process and its child: pickles over a socket pair, which no other process can write to."""

from __future__ import annotations

import pickle
import socket
import threading
from contextlib import suppress
from enum import StrEnum
from multiprocessing.connection import Connection
from typing import Any


class Kind(StrEnum):
    """What a message of the child is about."""

    READY = "ready"
    """The call begins; its time counts from now."""
    LOG = "log"
    """A record of `logging`."""
    ASK = "ask"
    """A question, whose answer the child waits for."""
    ENDED = "ended"
    """The call has ended; its time is over, and its outcome follows at once."""
    RETURNED = "returned"
    RAISED = "raised"


class Channel:
    """One end of a socket pair. Any thread may send; one at a time receives.

    Args:
        end: The socket, which belongs to the channel.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        # The framing of the standard library, on a descriptor of its own, which it closes.
        self.connection = Connection(end.dup().detach())
        # A message is written in pieces, which those of another thread must not come between.
        self._sending = threading.Lock()

    def send(self, message: Any) -> None:
        """Send a message.

        Raises:
            OSError: The other end is closed.
            Exception: It cannot be pickled.
        """
        self.send_packed(pickle.dumps(message))

    def send_packed(self, packed: bytes) -> None:
        """Send a message that is pickled already."""
        with self._sending:
            self.connection.send_bytes(packed)

    def receive(self) -> Any:
        """Return the next message.

        Raises:
            EOFError: The other end, or this one, is closed.
            OSError: Likewise.
        """
        return pickle.loads(self.connection.recv_bytes())  # noqa: S301  # of our own parent or child

    def shut(self) -> None:
        """End what waits at either end; any thread may do so."""
        # The other end is closed: nothing waits any more.
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close this end."""
        self._end.close()
        self.connection.close()
