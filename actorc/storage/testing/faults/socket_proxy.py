"""A proxy in front of the Unix socket of a server, which passes descriptors on as well."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Final

from actorc.addresses import parse
from actorc.storage._wire.frame_socket import FrameSocket
from actorc.storage._wire.socket_frames import ClosedError, Kind, decode_pairs, encode_pairs
from actorc.storage.local_server.socket_files import find
from actorc.storage.server.unix.socket_file import SocketFile, bound

from .proxy import Proxy, Received

_PIECE: Final = 1 << 16
_DESCRIPTORS: Final = 16
"""Descriptors that one piece may bring, at most; more than a frame has."""
_PATIENCE: Final = 20.0


class SocketProxy(Proxy):
    """Passes connections on to the Unix socket of a server; clients find it by the address of another proxy.

    Args:
        target: ``host:port`` of the server.
        endpoint: ``host:port`` that clients name: that of a `Proxy` in front of the same server.
    """

    def __init__(self, target: str, endpoint: str) -> None:
        self._named = endpoint
        self._file: SocketFile | None = None
        # those whose first frame was read here; kept, since they close their sockets when they go
        self._greeted: list[FrameSocket] = []
        super().__init__(target)

    def refuse(self) -> None:
        """Cut all connections, and refuse new ones until `accept`."""
        super().refuse()
        if self._file is not None:
            self._file.close()

    def _reserve(self) -> str:
        return self._named

    def _release(self) -> None:
        pass  # the other proxy has the port

    def _listening(self) -> socket.socket:
        self._file = bound(parse(self._named))
        if self._file is None:
            raise OSError("there can be no Unix socket on this machine")
        return self._file.listener

    def _connected(self, client: socket.socket) -> socket.socket:
        path = find(parse(self.target))
        if path is None:
            raise OSError("the server has no Unix socket")
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            server.connect(os.fspath(path))
            self._greet(client, server)
        except BaseException:
            server.close()
            raise
        return server

    def _greet(self, client: socket.socket, server: socket.socket) -> None:
        """Pass the greeting of the server on, as if this proxy were the server at the address that clients name."""
        theirs, ours = FrameSocket(server), FrameSocket(client)
        self._greeted += [theirs, ours]
        try:
            told = dict(decode_pairs(theirs.receive_frame(_PATIENCE).payload))
            ours.send_frame(Kind.HELLO, [encode_pairs({**told, ":address": self._named}.items())], _PATIENCE)
        except ClosedError as error:
            raise ConnectionAbortedError("one end was closed before it was greeted") from error
        for end in (client, server):
            end.settimeout(None)  # as it was before there were frames on it

    def _receive(self, source: socket.socket) -> Received:
        data, descriptors, _, _ = socket.recv_fds(source, _PIECE, _DESCRIPTORS)
        return data, descriptors

    def _send(self, sink: socket.socket, received: Received) -> None:
        data, descriptors = received
        try:
            if descriptors and data:
                # with the first byte, as they came
                data = data[socket.send_fds(sink, [data], list(descriptors)) :]
            sink.sendall(data)
        finally:
            for descriptor in descriptors:
                with suppress(OSError):
                    os.close(descriptor)
