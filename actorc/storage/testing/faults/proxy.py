"""A TCP proxy in front of a server, on whose connections faults act."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Self, TypeAlias

from actorc.addresses import parse

from .wire_fault import CutError, Direction, WireFault

Received: TypeAlias = tuple[bytes, Sequence[int]]
"""Bytes, and the descriptors that came with them."""

_PIECE: Final = 1 << 16
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to wait: closing resets the connection (socket(7))."""


class Proxy:
    """Passes connections on to a server until it is closed. A context manager; any thread may call it.

    Args:
        target: ``host:port`` of the server.

    Attributes:
        target: The same; may be changed, for the connections that are made later.
        endpoint: ``host:port`` of the proxy; it stays the same while the proxy refuses connections.
        plan: The faults, up and down, of each of the next connections; None for no fault. Further ones have none.
        standing: The faults of all connections, by direction.
        connections: Number of connections that were made.
        sent_up: Bytes passed on to the server.
        sent_down: Bytes passed on to clients.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.plan: list[tuple[WireFault | None, WireFault | None]] = []
        self.standing: dict[Direction, list[WireFault]] = {"up": [], "down": []}
        self.connections = self.sent_up = self.sent_down = 0
        self._planned: list[WireFault] = []
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()  # guards the counters and `_ends`
        self._listener: socket.socket | None = None
        self.endpoint = self._reserve()
        self.accept()

    def accept(self) -> None:
        """Accept connections, as from the beginning."""
        if self._listener is None:
            self._listener = self._listening()
            self._accepting = threading.Thread(target=self._accept, args=(self._listener,), name="proxy", daemon=True)
            self._accepting.start()

    def refuse(self) -> None:
        """Cut all connections, and refuse new ones until `accept`."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # which wakes the accepting thread; closing alone would not
            listener.close()
            # else it could make a connection that nobody cuts
            self._accepting.join()
        self.drop_all()

    def drop_all(self) -> None:
        """Cut every connection there is."""
        with self._lock:
            ends = list(self._ends)
        for end in ends:
            _shut(end)

    def close(self) -> None:
        """End all connections and their faults, and refuse new connections."""
        self.refuse()
        for fault in (*self._planned, *self.standing["up"], *self.standing["down"]):
            fault.end()
        for end in self._ends:
            end.close()
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _reserve(self) -> str:
        # Bound and never listening: nobody else gets the port while connections are refused.
        self._held = _shared(0)
        return f"127.0.0.1:{self._held.getsockname()[1]}"

    def _release(self) -> None:
        self._held.close()

    def _listening(self) -> socket.socket:
        listener = _shared(self._held.getsockname()[1])
        listener.listen()
        return listener

    def _connected(self, client: socket.socket) -> socket.socket:
        """Return a connection to the server for that of a client."""
        server = socket.create_connection(parse(self.target))
        for end in (client, server):
            # frames that wait for an acknowledgement would make every call tens of milliseconds slower
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server

    def _receive(self, source: socket.socket) -> Received:
        return source.recv(_PIECE), ()

    def _send(self, sink: socket.socket, received: Received) -> None:
        sink.sendall(received[0])

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.connections += 1
                self._pass_on(client)

    def _pass_on(self, client: socket.socket) -> None:
        try:
            server = self._connected(client)
        except OSError:
            _reset(client)
            return
        up, down = self.plan.pop(0) if self.plan else (None, None)
        self._planned += filter(None, (up, down))
        with self._lock:
            self._ends += [client, server]
        for arguments in ((client, server, "up", up), (server, client, "down", down)):
            threading.Thread(target=self._pump, args=arguments, name="proxy", daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, way: Direction, own: WireFault | None) -> None:
        try:
            while (received := self._receive(source))[0]:
                self._carry(received, way, own, partial(self._send, sink))
        except CutError as cut:
            if cut.resets:
                _reset(source)
                _reset(sink)
        except ConnectionResetError:
            _reset(source)
            _reset(sink)
        except OSError:
            pass
        _shut(source)
        _shut(sink)

    def _carry(
        self, received: Received, way: Direction, own: WireFault | None, send: Callable[[Received], object]
    ) -> None:
        data, descriptors = received
        try:
            for fault in filter(None, (own, *self.standing[way])):
                data = fault.apply(data)
        except CutError as cut:
            data = cut.passed
            raise
        finally:
            with suppress(OSError):
                send((data, descriptors))
                self._count(way, len(data))

    def _count(self, way: Direction, sent: int) -> None:
        with self._lock:
            if way == "up":
                self.sent_up += sent
            else:
                self.sent_down += sent


def _shared(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.close()
