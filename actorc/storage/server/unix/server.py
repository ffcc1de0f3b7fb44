"""The server on a Unix socket: its connections, and the threads that follow those that have something to say."""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from contextlib import suppress
from typing import Final

from actorc.addresses import Address
from actorc.storage._wire.frame_socket import FrameSocket
from actorc.storage._wire.socket_frames import ClosedError, Kind, encode_pairs
from actorc.storage.local_server.peer_user import trusted_peer

from .conversation import Calls

log = logging.getLogger(__name__)

VERSION: Final = "1"
"""Of the format of frames; a client that knows another one goes over TCP."""

_GREETING_SECONDS: Final = 1.0
_LINGER_SECONDS: Final = 0.001
"""Seconds that a thread waits for the next call of a connection which is the only one that is served, if the last call
was as short; a client that makes one call after the other takes about a third of that between two."""
_PAUSE_SECONDS: Final = 0.1
"""Seconds until connections are accepted again after that failed."""


class _Connection:
    """One connection; the thread that serves it owns it."""

    __slots__ = ("frames", "number", "peer")

    def __init__(self, connection: socket.socket, process: int) -> None:
        self.number = connection.fileno()
        self.peer = f"unix:pid={process}"
        self.frames = FrameSocket(connection)


class UnixServer:
    """Answers calls on a Unix socket. Any thread may call it.

    All threads wait at one epoll, which gives each event to one of them; that one serves the connection and waits
    again. So a call is read by the thread that answers it, and an idle connection takes none. A thread is added when
    none waits, up to `threads`. Where a client makes one call after the other, the same thread answers all of them.

    Args:
        listener: The listening socket, which the caller closes.
        address: Address of the server over TCP, which the greeting names.
        calls: Answers the calls.
        threads: Calls that run at the same time.
        connections: Connections at most; beyond, the one that was idle for longest is closed.
    """

    def __init__(
        self, listener: socket.socket, address: Address, calls: Calls, *, threads: int, connections: int
    ) -> None:
        self._listener = listener
        self._greeting = encode_pairs(((":version", VERSION), (":address", str(address))))
        self._calls = calls
        self._most_threads = threads
        self._most_connections = connections
        self._epoll = select.epoll()
        self._stop_event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # guards the fields below; taken itself, since those of the condition are functions of Python
        self._lock = threading.Lock()
        # tells `stop` when a connection is no longer served
        self._changed = threading.Condition(self._lock)
        self._idle: dict[int, _Connection] = {}
        """Those that no thread serves, by descriptor, the one that is idle for longest first."""
        self._served: set[_Connection] = set()
        self._waiting = 0
        self._threads: list[threading.Thread] = []
        self._stopped = False

    def start(self) -> None:
        """Take calls."""
        self._listener.settimeout(0)
        self._epoll.register(self._stop_event, select.EPOLLIN)
        self._epoll.register(self._listener, select.EPOLLIN | select.EPOLLONESHOT)
        with self._lock:
            self._add_thread()

    def stop(self, seconds: float) -> None:
        """Take no more calls, end those that run after `seconds`, and return when all threads have ended."""
        deadline = time.monotonic() + seconds
        with self._lock:
            self._stopped = True
            self._changed.wait_for(lambda: not self._served, deadline - time.monotonic())
            for connection in self._served:
                connection.frames.shut()
        os.eventfd_write(self._stop_event, 1)
        for thread in self._threads:
            thread.join()
        for connection in self._idle.values():
            connection.frames.close()
        self._epoll.close()
        os.close(self._stop_event)

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._run, name=f"storage-unix-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        self._waiting += 1
        thread.start()

    def _run(self) -> None:
        while True:
            ((number, _),) = self._epoll.poll(None, 1)
            if number == self._stop_event:
                return
            if number == self._listener.fileno():
                self._accept()
            elif (connection := self._taken(number)) is not None:
                self._serve(connection)

    def _taken(self, number: int) -> _Connection | None:
        """Return the connection to be served; None if it was closed meanwhile."""
        with self._lock:
            connection = None if self._stopped else self._idle.pop(number, None)
            if connection is None:
                return None
            self._served.add(connection)
            self._waiting -= 1
            if not self._waiting and len(self._threads) < self._most_threads:
                self._add_thread()
            return connection

    def _serve(self, connection: _Connection) -> None:
        goes_on = False
        try:
            goes_on = self._answer_calls(connection)
        except Exception:
            # the thread goes on: the next connection has nothing to do with this one
            log.exception("a connection of this machine is given up")
        finally:
            with self._lock:
                self._waiting += 1
                self._served.discard(connection)
                if goes_on and not self._stopped:
                    self._idle[connection.number] = connection
                    self._epoll.modify(connection.number, select.EPOLLIN | select.EPOLLONESHOT)
                else:
                    connection.frames.close()
                if self._stopped:
                    self._changed.notify_all()

    def _answer_calls(self, connection: _Connection) -> bool:
        """Answer calls until none follows soon; return whether another may come later."""
        while True:
            began = time.monotonic()
            if not self._calls.answer(connection.frames, connection.peer):
                return False
            if not self._has_next(connection, time.monotonic() - began):
                return True

    def _has_next(self, connection: _Connection, seconds: float) -> bool:
        """Return whether another call begins on a connection, now or, if nothing else is served, in a moment.

        Args:
            connection: The connection.
            seconds: How long the last call took. After one that waited for the disk the way through epoll costs
                little, and on a busy machine a thread that rests meanwhile is woken sooner.
        """
        if not connection.frames.is_drained:
            # it came with the last one, so the socket may never be readable again
            return True
        # read without the lock, so it may be a moment old: another connection then waits no longer than a call takes
        is_short = seconds < _LINGER_SECONDS
        lingers = is_short and self._waiting and len(self._served) == 1 and not self._stopped
        return bool(lingers) and not connection.frames.is_quiet(_LINGER_SECONDS)

    def _accept(self) -> None:
        try:
            while True:
                connection, _ = self._listener.accept()
                self._greet(connection)
        except BlockingIOError:
            pass
        except OSError:
            # out of descriptors, most likely: those that wait go on waiting, and this thread does not spin
            time.sleep(_PAUSE_SECONDS)
        with self._lock, suppress(OSError, ValueError):
            if not self._stopped:
                self._epoll.modify(self._listener, select.EPOLLIN | select.EPOLLONESHOT)

    def _greet(self, connection: socket.socket) -> None:
        process = trusted_peer(connection)
        if process is None:
            connection.close()
            return
        made = _Connection(connection, process)
        if not self._is_greeted(made):
            made.frames.close()
            return
        with self._lock:
            self._idle[made.number] = made
            self._epoll.register(made.number, select.EPOLLIN | select.EPOLLONESHOT)

    def _is_greeted(self, made: _Connection) -> bool:
        if not self._makes_room():
            return False
        try:
            made.frames.send_frame(Kind.HELLO, [self._greeting], _GREETING_SECONDS)
        except (ClosedError, TimeoutError):
            return False
        return True

    def _makes_room(self) -> bool:
        """Return whether there is room for another connection; the one that is idle for longest is closed for it."""
        with self._lock:
            if self._stopped:
                return False
            if len(self._idle) + len(self._served) < self._most_connections:
                return True
            oldest = next(iter(self._idle), None)
            if oldest is None:
                return False
            self._idle.pop(oldest).frames.close()
            return True
