"""Connections to the Unix socket of one server, and the search for it."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Final

from actorc import fork_hooks
from actorc.addresses import Address, parse
from actorc.storage._wire.frame_socket import FrameSocket
from actorc.storage._wire.socket_frames import ClosedError, FrameError, Kind, decode_pairs
from actorc.storage.local_server.peer_user import trusted_peer
from actorc.storage.local_server.socket_files import find, meant

_VERSION: Final = "1"
"""Of the format of frames."""
_GREETING_SECONDS: Final = 1.0
"""Seconds until a server that takes a connection must have greeted."""
_MOST_IDLE: Final = 16
"""Connections that are kept while nothing runs on them; a server has room for some hundreds, of all its clients."""
_ABSENT_SECONDS: Final = 1.0
"""Seconds for which a socket that was not there is not looked for again, so that calls over TCP do not pay for it."""


class _Socket(socket.socket):
    """A socket that ends with a client that nobody closed, which is no mistake and deserves no warning.

    It closes itself and is not closed by its owner: in a cycle the collector may finalize it before the owner.
    """

    def __del__(self) -> None:
        self.close()


class UnixConnections:
    """Connections to one server, as long as it has a socket here. Any thread may call it, also in a forked child.

    Args:
        endpoint: ``host:port`` of the server.
    """

    def __init__(self, endpoint: str) -> None:
        self._named = parse(endpoint)
        self._reset()
        # a child makes connections of its own: two processes on one connection would read each other's answers
        fork_hooks.in_child(self, UnixConnections._leave_to_parent)

    def _reset(self) -> None:
        self._lock = threading.Lock()  # guards the fields below
        self._idle: list[FrameSocket] = []
        self._leased: set[FrameSocket] = set()
        self._absent_until = 0.0
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def lease(self) -> FrameSocket | None:
        """Return a connection for one call; None if the server has no socket here."""
        while (connection := self._kept()) is not None:
            if connection.is_quiet():
                return connection
            # the server has ended or restarted since
            self.drop(connection)
        if time.monotonic() < self._absent_until:
            return None
        connection = self._opened()
        with self._lock:
            if connection is None:
                self._absent_until = time.monotonic() + _ABSENT_SECONDS
            else:
                self._leased.add(connection)
        return connection

    def give_back(self, connection: FrameSocket) -> None:
        """Keep a connection on which another call may begin."""
        with self._lock:
            self._leased.discard(connection)
            if not self._closed and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def drop(self, connection: FrameSocket) -> None:
        """Close a connection on which no other call may begin."""
        with self._lock:
            self._leased.discard(connection)
        connection.close()

    def close(self) -> None:
        """Close what is idle, and end the calls that run."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            leased = list(self._leased)
        for connection in idle:
            connection.close()
        for connection in leased:
            connection.shut()

    def _kept(self) -> FrameSocket | None:
        with self._lock:
            if not self._idle:
                return None
            # the last one that was used: its server's thread is the most likely to be awake
            connection = self._idle.pop()
            self._leased.add(connection)
            return connection

    def _opened(self) -> FrameSocket | None:
        address = meant(self._named)
        path = None if address is None else find(address)
        if address is None or path is None:
            return None
        connection = _Socket(socket.AF_UNIX, socket.SOCK_STREAM)
        frames = None
        try:
            connection.settimeout(_GREETING_SECONDS)
            connection.connect(os.fspath(path))
            if trusted_peer(connection) is not None:
                frames = FrameSocket(connection)
                if _is_greeted(frames, address):
                    return frames
        except (OSError, ClosedError, FrameError, TimeoutError):
            # whatever is wrong with it: TCP leads to the server as well
            pass
        (frames or connection).close()
        return None

    def _leave_to_parent(self) -> None:
        # closing here does not end the parent's connections
        for connection in (*self._idle, *self._leased):
            connection.abandon()
        closed = self._closed
        self._reset()
        self._closed = closed


def _is_greeted(frames: FrameSocket, address: Address) -> bool:
    """Return whether the server says that it listens on an address, and speaks this version."""
    greeting = frames.receive_frame(_GREETING_SECONDS)
    told = dict(decode_pairs(greeting.payload)) if greeting.kind is Kind.HELLO else {}
    return told.get(":version") == _VERSION and told.get(":address") == str(address)
