"""A pool of gRPC channels to one server; each call takes the channel with the fewest streams."""

from __future__ import annotations

import threading
from functools import partial
from typing import Final

import grpc

from actorc import _http_proxies, fork_hooks
from actorc.storage._rpc.transport import CallFailedError, closed
from actorc.storage._wire import frame_memory
from actorc.storage._wire.tls import read_pem
from actorc.storage.config import ClientOptions
from actorc.storage.errors import NetworkError
from actorc.storage.rules import MAX_MESSAGE_SIZE

from .calls import GrpcConnection, PooledChannel

_MAX_CONNECTIONS: Final = 12
"""As many as one transfer may use, whose last bytes of four ranges may be under way beside eight streams.

Each has a window of its own, and a server handles it on one core at most."""

_CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_SIZE),
    ("grpc.max_send_message_length", MAX_MESSAGE_SIZE),
    # gRPC's own retries would repeat calls below the counts and deadlines kept in `attempts`
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_timeout_ms", 10_000),
    # a restarted server is found again within a retry, not after gRPC's default of up to two minutes
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # equal channels would otherwise share one connection, and one flow control
    ("grpc.use_local_subchannel_pool", 1),
)

# a dead peer is noticed during an idle transfer; the server permits pings this often
_SINGLE_SERVER_OPTIONS: Final = (("grpc.keepalive_time_ms", 30_000),)
_MULTI_SERVER_OPTIONS: Final = (
    # it is left after 24 seconds, while a call still has time for the next one
    ("grpc.keepalive_time_ms", 12_000),
    ("grpc.http2.ping_timeout_ms", 12_000),
    ("grpc.http2.max_pings_without_data", 0),
)


class Channels:
    """A pool of channels to one server. Any thread may call it, also in a child after a fork.

    Args:
        options: Settings of the client.
        endpoint: ``host:port`` of the server.
    """

    def __init__(self, options: ClientOptions, endpoint: str) -> None:
        self._options = options
        self._endpoint = endpoint
        # a damaged header may stay in HPACK's table and damage later calls for as long as the connection lives
        self._drop_after = {"DEADLINE_EXCEEDED", "DATA_LOSS"}
        if len(options.endpoints) > 1:
            # a call that returns to this server later must not wait for the end of gRPC's reconnect backoff
            self._drop_after.add("UNAVAILABLE")
        self._closed = False
        self._reset()
        # only the child: the connections go on in the parent
        fork_hooks.in_child(self, Channels._leave_to_parent)

    def _reset(self) -> None:
        self._lock = threading.Lock()  # guards the counts, and `_closed` against a channel opened meanwhile
        self._streams: dict[PooledChannel, int] = {}

    def connection(self, *, streams: bool) -> GrpcConnection:
        """Lease the channel with the fewest streams.

        After a damaged answer or a deadline it is dropped from the pool, with several servers also if it could not
        connect.

        Args:
            streams: Whether a stream will run on it: a new connection is opened while every other has a stream.
        """
        channel = self._take(streams)
        return GrpcConnection(channel, partial(self._give_back, channel, streams))

    def _take(self, streams: bool) -> PooledChannel:
        with self._lock:
            if self._closed:
                raise closed()
            channel = min(self._streams, key=self._streams.__getitem__, default=None)
            if channel is None or (streams and self._streams[channel] and len(self._streams) < _MAX_CONNECTIONS):
                channel = PooledChannel(_connect(self._options, self._endpoint))
                self._streams[channel] = 0
            # counted under the lock that chose it, or two streams would share a connection while another is idle
            self._streams[channel] += streams
            return channel

    def _give_back(self, channel: PooledChannel, streams: bool, error: BaseException | None) -> None:
        # a unary call was not counted
        if streams:
            with self._lock:
                if channel in self._streams:
                    self._streams[channel] -= 1
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            # raised within gRPC it may have left a lock of the channel taken, on which each later call would wait
            self._abandon(channel)
        if isinstance(error, (CallFailedError, NetworkError)):
            # a channel that `close` took away fails with a status of gRPC; the caller needs to know who closed it
            if self._closed:
                raise closed() from error
            if (error.status if isinstance(error, NetworkError) else error.code.name) in self._drop_after:
                self._abandon(channel)

    def _abandon(self, channel: PooledChannel) -> None:
        """Drop the channel, so that later calls open another. It stays open for the calls that still use it."""
        with self._lock:
            self._streams.pop(channel, None)

    def close(self) -> None:
        """Close all connections; calls under way fail, later ones are refused."""
        with self._lock:
            self._closed = True
            channels, self._streams = list(self._streams), {}
        # outside the lock: calls that end now take it to give their channel back
        for channel in channels:
            channel.channel.close()

    def _leave_to_parent(self) -> None:
        _inherited.extend(self._streams)
        self._reset()


def _connect(options: ClientOptions, endpoint: str) -> grpc.Channel:
    frame_memory.keep()
    settings = (
        *_CHANNEL_OPTIONS,
        *_http_proxies.channel_options(endpoint),
        *(_SINGLE_SERVER_OPTIONS if len(options.endpoints) == 1 else _MULTI_SERVER_OPTIONS),
    )
    if options.use_ssl:
        pem = read_pem(ca=options.ca_file, certificate=options.cert_file, key=options.key_file)
        credentials = grpc.ssl_channel_credentials(pem.ca, pem.key, pem.certificate)
        return grpc.secure_channel(endpoint, credentials, settings)
    return grpc.insecure_channel(endpoint, settings)


_inherited: list[PooledChannel] = []
"""Channels of a parent process, kept for ever: closing one in the child would disturb the parent's connection."""
