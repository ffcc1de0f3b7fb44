"""``python -m lucas_storage.child_process CHANNEL LIFELINE``: makes one call for the parent process, and ends."""

from __future__ import annotations

import os
import pickle
import socket
import sys
from contextlib import suppress
from typing import Final

from actorc.tracing import provider, setup, spans

from . import asking, lifeline
from .channel import Channel, Kind
from .raised import Raised

_FLUSH: Final = 2.0
"""Seconds for the export of spans at the end."""


def main() -> None:
    """Make the call that comes over the channel, and send back what it returned or raised."""
    channel_end, lifeline_end = map(int, sys.argv[1:])
    lifeline.hold(lifeline_end, by_kernel=sys.platform == "linux")
    for stream in (sys.stdout, sys.stderr):
        # What a process wrote that is killed must not be lost in a buffer.
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    own = os.getpid()
    os.set_inheritable(channel_end, False)  # noqa: FBT003  # it takes it by position only
    channel = Channel(socket.socket(fileno=channel_end))
    surroundings = channel.receive()
    surroundings.take(lambda record: channel.send((Kind.LOG, record)))
    asking.over(channel)
    packed = channel.connection.recv_bytes()
    setup.set_up(setup.WORKER)
    message = _outcome(channel, packed)
    del packed
    # A function that forks may let its child come back here, which has nothing to tell.
    if os.getpid() == own:
        _flush()
        _flush_spans(channel)
        with suppress(OSError):  # the function closed all files; the parent is told so by the end of the channel
            channel.send_packed(message)
    # No regular exit, which would wait for threads of the function.
    os._exit(0)


def _outcome(channel: Channel, packed: bytes) -> bytes:
    """Return what the call returned or raised, as a message."""
    call = None
    try:
        call = pickle.loads(packed)  # noqa: S301  # of our own parent
        call.prepare()
        channel.send((Kind.READY, None))
        return pickle.dumps((Kind.RETURNED, call()))
    except BaseException as error:  # noqa: BLE001  # raised again by the parent
        repeated = call is not None and call.is_repeated_after(error)
        return pickle.dumps((Kind.RAISED, Raised.of(error, is_repeated=repeated)))


def _flush_spans(channel: Channel) -> None:
    # Here, since the parent kills this process once it has the outcome; and not at the cost of the time of the call.
    if spans.is_on():
        with suppress(OSError):
            channel.send((Kind.ENDED, None))
        provider.flush(_FLUSH)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed by the function
            continue


if __name__ == "__main__":
    main()
