"""The server of gRPC: its options, its port, its credentials."""

from __future__ import annotations

import logging
import resource
import threading
from collections.abc import Sequence
from typing import Final

import grpc

from actorc.storage._wire import frame_memory
from actorc.storage._wire.tls import read_pem
from actorc.storage.rules import MAX_MESSAGE_SIZE, MiB
from actorc.storage.server.config import ServerOptions
from actorc.storage.server.service.admission import CallPool
from actorc.storage.server.service.call_flow import MAX_HEADERS

_CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_SIZE),
    ("grpc.max_send_message_length", MAX_MESSAGE_SIZE),
    ("grpc.max_metadata_size", MAX_HEADERS),
    # Without a limit, one peer that begins calls and resets them at once, with headers that its table of them makes a
    # thousand times as long, takes gigabytes and half a minute. More calls of a connection wait at the client.
    ("grpc.max_concurrent_streams", 128),
    # else calls of honest clients are refused as well, as many as half of those that begin at once
    ("grpc.http.overload_protection", 0),
    # clients ping during idle transfers; gRPC's default takes a ping within five minutes for an attack
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # gRPC's default lets a peer that connects and sends nothing keep the connection for two minutes
    ("grpc.server_handshake_timeout_ms", 10_000),
    # else peers that connect and never call hold a descriptor each for ever; clients reconnect by themselves
    ("grpc.max_connection_idle_ms", 5 * 60_000),
    # Bytes that gRPC takes of an upload before they are asked for. By default it finds out how many the link can carry,
    # which on one machine is many: an upload that waits for the disk held 16 MiB and more in memory, each of them.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 2 * MiB),
)


_MIN_CONNECTIONS: Final = 8
_MAX_CONNECTIONS: Final = 2**31 - 1
"""The largest number that an option can have."""


class _UnreadableHeaders(logging.Filter):
    """Drops gRPC's log of headers that are no text: it has the header and a traceback, and any peer can cause it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is another one."""
        return record.msg != "Invalid encoding on %s"


_unreadable_headers = _UnreadableHeaders()


class GrpcServer:
    """A server of gRPC. For one thread.

    Args:
        handlers: The services.
        calls: Threads for calls.
        credentials: For TLS; None without it.
        shares_port: Whether other sockets of this user may have the port, too.
    """

    def __init__(
        self,
        handlers: Sequence[grpc.GenericRpcHandler],
        calls: CallPool,
        credentials: grpc.ServerCredentials | None,
        *,
        shares_port: bool,
    ) -> None:
        # a logger keeps one of equal filters
        logging.getLogger("grpc._cython.cygrpc").addFilter(_unreadable_headers)
        self._credentials = credentials
        frame_memory.keep()
        # else a second server on the same port would share it silently
        port = ("grpc.so_reuseport", int(shares_port))
        self._server = grpc.server(calls, options=(*_CHANNEL_OPTIONS, *_connection_limit(), port))
        self._server.add_generic_rpc_handlers(handlers)

    def bind(self, address: str) -> int:
        """Take the port of an address, and return it.

        Raises:
            RuntimeError: It is taken or not allowed.
        """
        if self._credentials is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, self._credentials)

    def start(self) -> None:
        """Take calls."""
        self._server.start()

    def stop(self, seconds: float) -> threading.Event:
        """Take no more calls, and cancel those that run after `seconds`; return what is set when all have ended."""
        return self._server.stop(seconds)


def _connection_limit() -> Sequence[tuple[str, int]]:
    """Return the option that leaves half of the file descriptors to files and to HTTP, however many clients connect."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return ()
    # gRPC closes one more at once, and takes those that wait in the system's queue when others end
    return (("grpc.max_allowed_incoming_connections", max(_MIN_CONNECTIONS, min(allowed // 2, _MAX_CONNECTIONS))),)


def server_credentials(options: ServerOptions) -> grpc.ServerCredentials | None:
    """Return the credentials for TLS; None without it."""
    if options.tls_cert is None:
        return None
    pem = read_pem(ca=options.tls_client_ca, certificate=options.tls_cert, key=options.tls_key)
    assert pem.key is not None
    assert pem.certificate is not None
    return grpc.ssl_server_credentials([(pem.key, pem.certificate)], pem.ca, require_client_auth=pem.ca is not None)
