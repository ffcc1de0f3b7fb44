"""Which transport leads to a server: the socket of this machine if it has one, else gRPC."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from actorc.fork_hooks import ForkSafeLock
from actorc.storage.config import ClientOptions

from .transport import Connection, closed
from .unix.calls import UnixConnection
from .unix.connections import UnixConnections

if TYPE_CHECKING:
    from .grpc.channels import Channels


class Route:
    """Connections to one server, by the best transport at that moment. Any thread may call it, also in a forked child.

    Whatever keeps a client from the socket is no error: the attempt goes over TCP.

    Args:
        options: Settings of the client.
        endpoint: ``host:port`` of the server.
    """

    def __init__(self, options: ClientOptions, endpoint: str) -> None:
        self._options = options
        self._endpoint = endpoint
        # with TLS the certificate proves who the server is, and the socket has none
        self._unix = UnixConnections(endpoint) if options.local and not options.use_ssl else None
        self._opening = ForkSafeLock()  # guards `_channels` and `_closed`
        self._channels: Channels | None = None
        self._closed = False

    def connection(self, *, streams: bool) -> AbstractContextManager[Connection]:
        """Lease a connection for one call.

        Args:
            streams: Whether a stream will run on it.

        Raises:
            StorageError: The client is closed.
        """
        frames = None if self._unix is None or self._closed else self._unix.lease()
        if self._unix is None or frames is None:
            return self._grpc().connection(streams=streams)
        return UnixConnection(frames, self._unix)

    def close(self) -> None:
        """Close all connections; calls under way fail, later ones are refused."""
        with self._opening.held():
            self._closed = True
            channels = self._channels
        if self._unix is not None:
            self._unix.close()
        if channels is not None:
            channels.close()

    def _grpc(self) -> Channels:
        # checked before the lock, which only the first calls take
        if self._channels is None:
            from .grpc.channels import Channels  # noqa: PLC0415  # loads gRPC, which the socket has no need of

            with self._opening.held():
                if self._closed:
                    raise closed()
                self._channels = self._channels or Channels(self._options, self._endpoint)
        return self._channels
